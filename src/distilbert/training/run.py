"""A run: a recipe becomes a checkpoint folder, which is there whole at the end, or can be gone on with."""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

import distilbert
from distilbert.errors import DataError
from distilbert.files.atomic import atomic_folder
from distilbert.files.cache import known_sha256
from distilbert.training.card import training_card
from distilbert.training.evaluation import Runner
from distilbert.training.hardware import accelerator, autocast, precision
from distilbert.training.loop import Trainer
from distilbert.training.recipe import write_toml
from distilbert.training.state import refuse_taken, run_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import nn

    from distilbert.models.pretrained import PretrainedModel
    from distilbert.text.tokenizer import DistilBertTokenizer
    from distilbert.training.data import Data
    from distilbert.training.evaluation import Evaluation
    from distilbert.training.events import Event
    from distilbert.training.hardware import Precision
    from distilbert.training.objectives import Objective
    from distilbert.training.recipe import LoopRecipe
    from distilbert.training.state import Position, RunFolder

_ORIGINS = ("model", "teacher", "student")  # knobs that name what a run starts from
_WITHOUT_EFFECT = ("save_minutes", "save_steps", "device")  # on the weights that a run ends with


@dataclass(frozen=True)
class Work:
    """What a recipe asks for, read and ready. `evaluate` is None where no rows are held back."""

    model: PretrainedModel  # what is saved
    tokenizer: DistilBertTokenizer  # and with it
    trained: nn.Module  # what the objective calls: the model, or one around it
    data: Data
    objective: Objective
    evaluate: Callable[[nn.Module], Evaluation] | None
    held_back: int  # rows to judge by
    judged_first: bool = False  # before the first step too


class Prepare(Protocol):
    """A recipe's own part of a run."""

    def __call__(self, runner: Runner, precision: Precision, tell: Callable[[Event], None]) -> Work:
        """Read what the recipe names; `tell` is told of what takes long."""


def run(
    recipe: LoopRecipe,
    sources: Mapping[str, Path],
    prepare: Prepare,
    out: Path,
    *,
    resume: bool,
    tell: Callable[[Event], None],
) -> dict[str, Any]:
    """Train as the recipe says and leave a checkpoint in `out`; until then the run lives in `OUT.partial`.

    `sources`: the files and folders that the weights depend on, by knob. Gives what `training.json` in the folder says.
    Under `accelerate launch` every process calls this, and the main one writes. Raises what `prepare` raises,
    `StorageError` for an `out` that is taken, and `TrainingError` for a loss that is no number.
    """
    refuse_taken(out)
    here = accelerator(recipe)
    if not here.is_main_process:
        warnings.simplefilter("ignore")
    chosen = precision(recipe, here.device)
    cast = partial(autocast, here.device, chosen)
    made_from = _made_from(recipe, sources, chosen)
    toml = write_toml(recipe.model_dump())
    with run_folder(out, made_from, toml, resume=resume, main=here.is_main_process) as folder:
        work = prepare(Runner(here, cast), chosen, tell)
        trainer = Trainer(
            work.trained,
            work.data,
            work.objective,
            work.evaluate,
            recipe,
            here,
            cast,
            folder,
            tell,
            work.judged_first,
        )
        position = trainer.train()
        result = _result(recipe, work, position, chosen, f"{here.device.type} × {here.num_processes}")
        if here.is_main_process:
            folder.flush()
            _assemble(out, folder, work, result)
    if here.is_main_process:
        shutil.rmtree(folder.path)
    here.wait_for_everyone()
    return result


def _made_from(recipe: LoopRecipe, sources: Mapping[str, Path], chosen: Precision) -> dict[str, Any]:
    """All that the final weights depend on: the knobs, and the files by their content wherever they lie."""
    knobs = {name: value for name, value in recipe.model_dump().items() if name not in _WITHOUT_EFFECT}
    files = {name: content(path) for name, path in sources.items()}
    return {**knobs, **files, "precision": chosen, "version": distilbert.__version__}


def content(path: Path) -> str:
    """What names a file's or a model's content wherever it lies: a hash; of a model from the hub its commit.

    What is only said of a model is left out. Raises `DataError` for a file that cannot be read.
    """
    if not path.is_dir():
        try:
            return known_sha256(path)
        except OSError as error:
            raise DataError(
                f"{path} cannot be read: {error.strerror}.", "Check the path and who may read it."
            ) from error
    if path.parent.name == "snapshots":  # of which a part is here, and more may come
        return path.name
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.name != "README.md" and not file.name.startswith("."):
            digest.update(f"{file.relative_to(path)} {known_sha256(file)}\n".encode())
    return digest.hexdigest()


def _result(
    recipe: LoopRecipe, work: Work, position: Position, chosen: Precision, device: str
) -> dict[str, Any]:
    best = recipe.keep == "best" and position.best_step is not None
    return {
        "task": work.model.task,
        **{knob: getattr(recipe, knob) for knob in _ORIGINS if getattr(recipe, knob, None) is not None},
        "rows": len(work.data.lengths),
        "tokens": int(work.data.lengths.sum()),  # of these rows, as an epoch sees them
        "held_back_rows": work.held_back,
        "steps": position.step,
        "kept_step": position.best_step if best else position.step,
        "held_back": position.best_figures,  # of the best step
        "best_step": position.best_step,
        "minutes": round(position.seconds / 60, 2),
        "precision": chosen,
        "device": device,
        "made_by": {name: version(name) for name in ("distilbert", "torch", "accelerate")},
    }


def _assemble(out: Path, folder: RunFolder, work: Work, result: dict[str, Any]) -> None:
    """The result's folder: weights, config and tokenizer in Hugging Face's layout, and how they came about."""
    with atomic_folder(out) as new:
        if result["kept_step"] == result["steps"]:
            work.model.save_pretrained(new)
        else:
            shutil.copytree(folder.path / f"best-{result['kept_step']}", new, dirs_exist_ok=True)
        work.tokenizer.save_pretrained(new)
        for name in ("recipe.toml", "log.jsonl"):
            shutil.copy(folder.path / name, new)
        (new / "training.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        (new / "README.md").write_text(training_card(out.name, work.model.config, result), encoding="utf-8")
