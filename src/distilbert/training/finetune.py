"""Fine-tuning: a recipe becomes a checkpoint folder, which is there whole at the end, or can be gone on with."""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import distilbert
from distilbert.files.atomic import atomic_folder
from distilbert.files.cache import known_sha256
from distilbert.files.hub import resolve
from distilbert.text.tokenizer import DistilBertTokenizer
from distilbert.training.card import training_card
from distilbert.training.evaluation import Runner
from distilbert.training.hardware import accelerator, autocast, precision
from distilbert.training.loop import Trainer
from distilbert.training.recipe import write_toml
from distilbert.training.state import refuse_taken, run_folder
from distilbert.training.work import prepare

if TYPE_CHECKING:
    from collections.abc import Callable

    from distilbert.training.events import Event
    from distilbert.training.hardware import Precision
    from distilbert.training.recipe import FinetuneRecipe
    from distilbert.training.state import Position, RunFolder
    from distilbert.training.work import Work

_WITHOUT_EFFECT = ("save_minutes", "save_steps", "device")  # on the weights that a run ends with


def finetune(
    recipe: FinetuneRecipe,
    out: Path,
    *,
    resume: bool = False,
    tell: Callable[[Event], None] = lambda _: None,
) -> dict[str, Any]:
    """Train as the recipe says and leave a checkpoint in `out`; until then the run lives in `OUT.partial`.

    Gives what `training.json` in that folder says. Under `accelerate launch` every process calls this, and the main
    one writes. Raises what reading the model and the data raises, `StorageError` for an `out` that is taken, and
    `TrainingError` for a loss that is no number.
    """
    refuse_taken(out)
    here = accelerator(recipe)
    if not here.is_main_process:
        warnings.simplefilter("ignore")
    chosen = precision(recipe, here.device)
    cast = partial(autocast, here.device, chosen)
    folder = resolve(recipe.model)
    toml = write_toml(recipe.model_dump())
    with run_folder(
        out, _made_from(recipe, folder, chosen), toml, resume=resume, main=here.is_main_process
    ) as run:
        tokenizer = DistilBertTokenizer.from_folder(folder)
        work = prepare(recipe, folder, tokenizer, Runner(here, cast))
        trainer = Trainer(work.model, work.data, work.objective, work.evaluate, recipe, here, cast, run, tell)
        position = trainer.train()
        result = _result(recipe, work, position, chosen, f"{here.device.type} × {here.num_processes}")
        if here.is_main_process:
            run.flush()
            _assemble(out, run, work, tokenizer, result)
    if here.is_main_process:
        shutil.rmtree(run.path)
    here.wait_for_everyone()
    return result


def _made_from(recipe: FinetuneRecipe, folder: Path, chosen: Precision) -> dict[str, Any]:
    """All that the final weights depend on: the knobs, and the files by their content wherever they lie."""
    knobs = {name: value for name, value in recipe.model_dump().items() if name not in _WITHOUT_EFFECT}
    files = {"model": _content(folder), "train": known_sha256(Path(recipe.train))}
    files |= {"dev": known_sha256(Path(recipe.dev))} if recipe.dev else {}
    return {**knobs, **files, "precision": chosen, "version": distilbert.__version__}


def _content(folder: Path) -> str:
    """One hash of a model's files, but for what is said of it."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "README.md" and not path.name.startswith("."):
            digest.update(f"{path.relative_to(folder)} {known_sha256(path)}\n".encode())
    return digest.hexdigest()


def _result(
    recipe: FinetuneRecipe, work: Work, position: Position, chosen: Precision, device: str
) -> dict[str, Any]:
    best = recipe.keep == "best" and position.best_step is not None
    return {
        "task": recipe.task,
        "model": recipe.model,
        "rows": len(work.data.lengths),
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


def _assemble(
    out: Path, run: RunFolder, work: Work, tokenizer: DistilBertTokenizer, result: dict[str, Any]
) -> None:
    """The result's folder: weights, config and tokenizer in Hugging Face's layout, and how they came about."""
    with atomic_folder(out) as new:
        if result["kept_step"] == result["steps"]:
            work.model.save_pretrained(new)
        else:
            shutil.copytree(run.path / f"best-{result['kept_step']}", new, dirs_exist_ok=True)
        tokenizer.save_pretrained(new)
        for name in ("recipe.toml", "log.jsonl"):
            shutil.copy(run.path / name, new)
        (new / "training.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        (new / "README.md").write_text(training_card(out.name, work.model.config, result), encoding="utf-8")
