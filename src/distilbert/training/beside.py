"""Distillation of what reads every token, taggers and answerers: the teacher reads the same rows beside its student."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from distilbert.errors import OptionError
from distilbert.files.hub import resolve
from distilbert.models import model_class
from distilbert.models.pretrained import read_weights
from distilbert.text.tokenizer import DistilBertTokenizer
from distilbert.text.tokenizer_files import DISTILBERT_INPUTS
from distilbert.training import answering, tagging
from distilbert.training.readers import SPANS, TAGS, Reader, Reading
from distilbert.training.run import Work, run
from distilbert.training.start import check_length
from distilbert.training.student import student_of
from distilbert.training.tables import files_of
from distilbert.training.vocabularies import compare_vocabularies, words_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from distilbert.files.checkpoint import Checkpoint
    from distilbert.training.evaluation import Runner
    from distilbert.training.events import Event
    from distilbert.training.recipe import FinetuneRecipe, ReaderRecipe

_TASKS = {  # what makes lessons of rows, how these are learnt, and what a head for it does
    "token-classification": (tagging.lessons, TAGS, "labels tokens"),
    "question-answering": (answering.lessons, SPANS, "finds answers"),
}


def prepare(
    recipe: FinetuneRecipe, checkpoint: Checkpoint, tokenizer: DistilBertTokenizer, runner: Runner
) -> Work:
    """Fine-tuning's own part, without a teacher. Raises what reading the rows raises."""
    read, kind, _ = _TASKS[recipe.task]
    lessons = read(recipe, checkpoint, None, tokenizer, runner)
    objective = Reading(kind, {"label": 1.0})
    return Work(
        lessons.model,
        tokenizer,
        Reader(lessons.model),
        lessons.data,
        objective,
        lessons.evaluate,
        lessons.held_back,
    )


def distil(recipe: ReaderRecipe, out: Path, *, resume: bool, tell: Callable[[Event], None]) -> dict[str, Any]:
    """Distil as the recipe says: see `training.run.run`, also for what it raises."""
    teacher = resolve(recipe.teacher)
    student = resolve(recipe.student) if recipe.student else teacher
    sources = {**files_of(recipe), "teacher": teacher, "student": student}
    return run(recipe, sources, partial(_prepare, recipe, teacher, student), out, resume=resume, tell=tell)


def _prepare(recipe: ReaderRecipe, teacher: Path, start: Path, runner: Runner, *_: Any) -> Work:
    """Open teacher and student, compare their vocabularies, and read the rows.

    Raises `OptionError` for knobs that do not suit these, and what reading them raises.
    """
    read, kind, does = _TASKS[recipe.task]
    tokenizer = DistilBertTokenizer.from_folder(start)
    tokenizer.model_input_names = [*DISTILBERT_INPUTS]  # a BERT's would give its student token types
    compare_vocabularies(
        {
            f"The teacher {recipe.teacher}": words_of(DistilBertTokenizer.from_folder(teacher)),
            f"the student {recipe.student}": words_of(tokenizer),
        }
    )
    taught = read_weights(teacher)
    if taught.head != recipe.task:
        raise OptionError(
            f"The teacher {recipe.teacher} has no head that {does}.",
            f"Train one first: distilbert finetune --task {recipe.task}.",
        )
    begun = taught if start == teacher else read_weights(start)
    for checkpoint in (taught, begun):
        check_length(recipe.max_length, checkpoint.config)
    lessons = read(recipe, student_of(begun, recipe), taught, tokenizer, runner)
    width = taught.config.dim if "cosine" in recipe.weights else None
    return Work(
        lessons.model,
        tokenizer,
        Reader(lessons.model, width, recipe.seed),
        lessons.data,
        Reading(kind, recipe.weights, _beside(taught, recipe, runner), recipe.temperature),
        lessons.evaluate,
        lessons.held_back,
    )


def _beside(checkpoint: Checkpoint, recipe: ReaderRecipe, runner: Runner) -> Reader | None:
    """The teacher, where something is learnt from it."""
    if not recipe.weights.keys() & {"soft", "cosine"}:
        return None
    model = model_class(checkpoint.config.model_type, checkpoint.head).from_checkpoint(checkpoint)
    return Reader(model.requires_grad_(False)).to(runner.accelerator.device).eval()
