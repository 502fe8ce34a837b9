"""Run the models: first each one alone over all rows, then all of them in turn against the clock."""

from __future__ import annotations

import platform
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from distilbert import __version__
from distilbert.errors import OptionError, TruncationWarning
from distilbert.files.bundle import MANIFEST, is_bundle
from distilbert.files.checkpoint import TASKS, count_parameters, read_outline
from distilbert.files.config import DistilBertConfig
from distilbert.files.hub import TOKENIZER, resolve
from distilbert.files.weights import INDEX, SINGLE, shards_of
from distilbert.pipelines import pipeline
from distilbert.report.stored import Model, Predictions, Round, Timings
from distilbert.runtime import find_bundle
from distilbert.tasks.labels import refuse_other_labels
from distilbert.tasks.measures import MEASURES, problem_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from distilbert.engines.base import Floats
    from distilbert.files.bundle import Bundle
    from distilbert.files.tables import Row
    from distilbert.tasks.classification import TextClassificationPipeline

    Texts = Sequence[Mapping[str, str]]
    Tell = Callable[[int], None]  # hears of so many more texts

_DTYPES = {"F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16"}


@dataclass(frozen=True, eq=False)
class Found:
    """A model that can be run, and where its labels stand among the reference's."""

    model: Model
    folder: Path  # of the bundle that runs
    config: DistilBertConfig
    order: NDArray[np.int64]  # the places, in its own logits, of the reference's labels

    def opened(self, options: Mapping[str, Any]) -> TextClassificationPipeline:
        """Its pipeline, whose logits are in its own order."""
        return pipeline("text-classification", self.folder, **options)


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
        if bundle.manifest.task != "text-classification":
            raise OptionError(
                f"{name} is a model for {bundle.manifest.task}; a report compares classifiers of texts.",
                "Name a model for text-classification.",
            )
        config = DistilBertConfig.from_folder(bundle.folder)
        order = _order(name, config, names[0], found[0].config if found else config)
        found.append(Found(_described(shown, folder, bundle, config), bundle.folder, config, order))
    return found


def _short(names: Sequence[str]) -> list[str]:
    """Folders by their last part, where that tells them apart: a reader has no use for the rest of the path."""
    short = [Path(name).resolve().name if Path(name).is_dir() else name for name in names]
    return [last if short.count(last) == 1 else name for last, name in zip(short, names, strict=True)]


def _order(
    name: str, config: DistilBertConfig, reference_name: str, reference: DistilBertConfig
) -> NDArray[np.int64]:
    if problem_of(config) != problem_of(reference):
        raise OptionError(
            f"{name} is for {problem_of(config)}, but {reference_name} for {problem_of(reference)}.",
            "Compare models of one kind.",
        )
    if problem_of(config) == "regression":
        return np.arange(config.num_labels)
    refuse_other_labels(name, config.labels, reference_name, reference.labels)
    return np.array([config.label2id[label] for label in reference.labels], np.int64)


def _described(name: str, folder: Path, bundle: Bundle, config: DistilBertConfig) -> Model:
    manifest = bundle.manifest
    weights, size = _stored(folder, config) if not is_bundle(folder) else (manifest.precision, _size(bundle))
    head = next(head for head, task in TASKS.items() if task == manifest.task)
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
    found: Sequence[Found],
    data: str,
    rows: Sequence[Row],
    texts: Texts,
    label_column: str,
    options: Mapping[str, Any],
    tell: Tell,
) -> Predictions:
    """Let each model answer all texts, one model in memory at a time. Raises `DataError` for rows without labels."""
    reference = found[0].config
    problem = problem_of(reference)
    return Predictions(
        data=data,
        problem=problem,
        labels=reference.labels,
        texts=texts,
        gold=MEASURES[problem].gold(rows, label_column, reference),
        models=tuple(each.model for each in found),
        logits=tuple(_logits(each, texts, options, tell) for each in found),
    )


def _logits(found: Found, texts: Texts, options: Mapping[str, Any], tell: Tell) -> Floats:
    def told() -> Iterator[Floats]:
        for logits in found.opened(options).logits(texts):
            tell(1)
            yield logits

    return np.array(list(told()), np.float32)[:, found.order]


def spread(texts: Texts, count: int) -> Texts:
    """At most so many of the texts, evenly spaced: files are often sorted."""
    places = np.linspace(0, len(texts) - 1, min(count, len(texts))).astype(int)
    return [texts[place] for place in places]


def time_models(
    found: Sequence[Found], texts: Texts, rounds: int, options: Mapping[str, Any], tell: Tell
) -> Timings:
    """Time all models in each round, in an order drawn anew, so that what disturbs the machine disturbs all alike.

    A round before the first warms up and is not kept.
    """
    draw = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)  # was said when they answered
        opened = {each.model.name: each.opened(options) for each in found}
        kept = [_round(opened, texts, draw, tell) for _ in range(rounds + 1)][1:]
    return Timings(_machine(), next(iter(opened.values())).engine.workers, len(texts), kept)


def _round(
    opened: Mapping[str, TextClassificationPipeline], texts: Texts, draw: np.random.Generator, tell: Tell
) -> Round:
    order = [str(name) for name in draw.permutation(list(opened))]
    seconds: dict[str, float] = {}
    milliseconds: dict[str, list[float]] = {}
    for name in order:
        seconds[name] = _seconds(opened[name], texts)
        tell(len(texts))
        milliseconds[name] = [1000 * _seconds(opened[name], [text]) for text in texts]
        tell(len(texts))
    return Round(order, seconds, milliseconds)


def _seconds(classify: TextClassificationPipeline, texts: Texts) -> float:
    start = time.perf_counter()
    for _ in classify.logits(texts):
        pass
    return time.perf_counter() - start


def _machine() -> dict[str, str]:
    from importlib.metadata import version

    processor = platform.processor() or platform.machine()
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "processor": processor,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "distilbert": __version__,
        "onnxruntime": version("onnxruntime"),
    }
