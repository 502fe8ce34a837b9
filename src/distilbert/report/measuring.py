"""Run the models: first each one alone over all rows, then all of them in turn against the clock."""

from __future__ import annotations

import platform
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from distilbert import __version__
from distilbert.engines.speeds import processor
from distilbert.errors import OptionError, TruncationWarning
from distilbert.files.bundle import MANIFEST, is_bundle
from distilbert.files.checkpoint import TASKS as HEADS
from distilbert.files.checkpoint import count_parameters, read_outline
from distilbert.files.config import DistilBertConfig
from distilbert.files.hub import TOKENIZER, resolve
from distilbert.files.weights import INDEX, SINGLE, shards_of
from distilbert.pipelines import pipeline
from distilbert.report.problems import PROBLEMS, TASKS, problem_of
from distilbert.report.stored import Model, Predictions, Round, Timings
from distilbert.runtime import find_bundle
from distilbert.tasks.labels import refuse_other_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from distilbert.files.bundle import Bundle
    from distilbert.report.problem import Problem, Read
    from distilbert.report.stored import Answer, Row
    from distilbert.tasks.base import TextPipeline

    Tell = Callable[[int], None]  # hears of so many more rows

_DTYPES = {"F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16"}


@dataclass(frozen=True)
class Found:
    """A model that can be run, and what for."""

    model: Model
    folder: Path  # of the bundle that runs
    config: DistilBertConfig
    name: str  # of its problem

    @property
    def problem(self) -> Problem:
        """What is asked of it."""
        return PROBLEMS[self.name]

    def opened(self, options: Mapping[str, Any]) -> TextPipeline[Any]:
        """Its pipeline."""
        return pipeline(self.problem.task, self.folder, **options)


def find_models(names: Sequence[str]) -> list[Found]:
    """Look all models up, compiling checkpoints to float32 where that was not done before.

    Raises `OptionError` for models that cannot be compared with the first one: another task, another kind of
    problem, other labels, or the same name; and what `distilbert.pipeline` raises for those that cannot be run.
    """
    if len(set(names)) < len(names):
        twice = max(names, key=names.count)
        raise OptionError(f"{twice} is named more than once.", "Name each model once.")
    found: list[Found] = []
    for name, shown in zip(names, _short(names), strict=True):
        folder = resolve(name)
        bundle = find_bundle(folder)
        task = bundle.manifest.task
        if task not in TASKS:
            raise OptionError(
                f"{name} is a model for {task}, of which there are no reports.",
                f"Name a model for {', '.join(TASKS)}.",
            )
        config = DistilBertConfig.from_folder(bundle.folder)
        own = Found(
            _described(shown, folder, bundle, config), bundle.folder, config, problem_of(task, config)
        )
        found.append(own)
        _refuse_others(name, own, names[0], found[0])
    return found


def _short(names: Sequence[str]) -> list[str]:
    """Folders by their last part, where that tells them apart: a reader has no use for the rest of the path."""
    short = [Path(name).resolve().name if Path(name).is_dir() else name for name in names]
    return [last if short.count(last) == 1 else name for last, name in zip(short, names, strict=True)]


def _refuse_others(name: str, own: Found, reference_name: str, reference: Found) -> None:
    if own.name != reference.name:
        raise OptionError(
            f"{name} is for {own.name}, but {reference_name} for {reference.name}.",
            "Compare models of one kind.",
        )
    if own.problem.labelled:
        refuse_other_labels(name, own.config.labels, reference_name, reference.config.labels)


def _described(name: str, folder: Path, bundle: Bundle, config: DistilBertConfig) -> Model:
    manifest = bundle.manifest
    weights, size = _stored(folder, config) if not is_bundle(folder) else (manifest.precision, _size(bundle))
    head = next(head for head, task in HEADS.items() if task == manifest.task)
    return Model(name, count_parameters(config, head), size, weights, manifest.precision)


def _size(bundle: Bundle) -> int:
    """Bytes of all files of a bundle."""
    recorded = sum(record.size for record in bundle.manifest.files.values())
    return recorded + (bundle.folder / MANIFEST).stat().st_size


def _stored(folder: Path, config: DistilBertConfig) -> tuple[str, int]:
    """How a checkpoint's weights are stored, and bytes of the files that it is read from."""
    weights = [SINGLE] if (folder / SINGLE).is_file() else [INDEX, *shards_of(folder / INDEX)]
    files = [folder / file for file in ("config.json", *TOKENIZER, *weights)]
    dtypes = {_DTYPES[tensor.dtype] for _, tensor in read_outline(folder, config).tensors.values()}
    return " and ".join(sorted(dtypes)), sum(file.stat().st_size for file in files if file.is_file())


def predict(
    found: Sequence[Found], data: str, read: Read, options: Mapping[str, Any], tell: Tell
) -> Predictions:
    """Let each model answer all rows, one model in memory at a time."""

    def told(each: Found) -> Iterator[Answer]:
        for answer in each.problem.answers(each.opened(options), read.rows, read.labels):
            tell(1)
            yield answer

    return Predictions(
        data=data,
        problem=found[0].name,
        labels=read.labels,
        rows=read.rows,
        models=tuple(each.model for each in found),
        answers=tuple([*told(each)] for each in found),
    )


def spread(rows: Sequence[Row], count: int) -> Sequence[Row]:
    """At most so many of the rows, evenly spaced: files are often sorted."""
    places = np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)
    return [rows[place] for place in places]


def time_models(
    found: Sequence[Found], read: Read, count: int, rounds: int, options: Mapping[str, Any], tell: Tell
) -> Timings:
    """Time all models in each round, in an order drawn anew, so that what disturbs the machine disturbs all alike.

    A round before the first warms up and is not kept.
    """
    draw = np.random.default_rng(0)
    rows = spread(read.rows, count)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)  # was said when they answered
        opened = {each.model.name: each.opened(options) for each in found}

        def seconds(name: str, rows: Sequence[Row]) -> float:
            start = time.perf_counter()
            for _ in found[0].problem.answers(opened[name], rows, read.labels):
                pass
            return time.perf_counter() - start

        kept = [_round([*opened], seconds, rows, draw, tell) for _ in range(rounds + 1)][1:]
    libraries = {each.engine.library for each in opened.values()}
    return Timings(machine(libraries), next(iter(opened.values())).engine.workers, len(rows), kept)


def _round(
    names: Sequence[str],
    seconds: Callable[[str, Sequence[Row]], float],
    rows: Sequence[Row],
    draw: np.random.Generator,
    tell: Tell,
) -> Round:
    order = [str(name) for name in draw.permutation(names)]
    at_once: dict[str, float] = {}
    milliseconds: dict[str, list[float]] = {}
    for name in order:
        at_once[name] = seconds(name, rows)
        tell(len(rows))
        milliseconds[name] = [1000 * seconds(name, [row]) for row in rows]
        tell(len(rows))
    return Round(order, at_once, milliseconds)


def machine(libraries: Iterable[str]) -> dict[str, str]:
    """What timings were made on: processor, system, and versions, of these libraries too."""
    from importlib.metadata import version

    return {
        "processor": processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "distilbert": __version__,
        **{library: version(library) for library in sorted(libraries)},
    }
