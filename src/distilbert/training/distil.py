"""Distillation: a student learns from a teacher's answers to rows, or from probabilities that stand in a table."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from distilbert.errors import OptionError
from distilbert.files.hub import resolve
from distilbert.models.pretrained import read_weights
from distilbert.text.tokenizer import DistilBertTokenizer
from distilbert.text.tokenizer_files import DISTILBERT_INPUTS
from distilbert.training import beside, general
from distilbert.training.data import Padding, draw_rows
from distilbert.training.distillation import Distillation, Learner
from distilbert.training.evaluation import BATCH
from distilbert.training.lessons import Lessons
from distilbert.training.objectives import Labels
from distilbert.training.recipe import GeneralRecipe, ReaderRecipe
from distilbert.training.run import Work, run
from distilbert.training.start import answer_the_usual, check_length, classifier
from distilbert.training.student import measured_importance, narrow, student_of
from distilbert.training.tables import files_of, read_tables
from distilbert.training.teachers import open_teacher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from distilbert.files.checkpoint import Checkpoint
    from distilbert.training.data import Examples
    from distilbert.training.evaluation import Runner
    from distilbert.training.events import Event
    from distilbert.training.hardware import Precision
    from distilbert.training.recipe import DistilRecipe
    from distilbert.training.teachers import Teacher

IMPORTANCE_ROWS = 2048  # by which a feed-forward's neurons are judged


def distil(
    recipe: DistilRecipe | GeneralRecipe | ReaderRecipe,
    out: Path,
    *,
    resume: bool = False,
    ask_again: bool = False,
    tell: Callable[[Event], None] = lambda _: None,
) -> dict[str, Any]:
    """Distil as the recipe says: see `training.run.run`, also for what it raises.

    A classifier's answers are kept in this machine's cache (`training.answers`); `ask_again` makes them anew.
    """
    if isinstance(recipe, GeneralRecipe):
        return general.distil(recipe, out, resume=resume, tell=tell)
    if isinstance(recipe, ReaderRecipe):
        return beside.distil(recipe, out, resume=resume, tell=tell)
    sources = files_of(recipe)
    sources |= {"teacher": resolve(recipe.teacher, weights=False)} if recipe.teacher else {}
    sources |= {"student": resolve(recipe.student)} if recipe.student else {}
    prepare = partial(_prepare, recipe, ask_again)
    return run(recipe, sources, prepare, out, resume=resume, tell=tell)


def _prepare(
    recipe: DistilRecipe,
    ask_again: bool,
    runner: Runner,
    precision: Precision,
    tell: Callable[[Event], None],
) -> Work:
    """Open the teacher, read the tables, ask about them, and make the student.

    Raises `DataError` for rows that cannot be used, `OptionError` for knobs that do not suit teacher, student or data,
    and what reading the checkpoints raises.
    """
    teacher = open_teacher(recipe.teacher, recipe.max_length) if recipe.teacher else None
    lessons = Lessons(recipe, teacher, runner, precision, tell, ask_again)
    checkpoint = read_weights(resolve(recipe.student)) if recipe.student else _checkpoint_of(teacher)
    check_length(recipe.max_length, checkpoint.config)
    tokenizer = DistilBertTokenizer.from_folder(resolve(recipe.student or recipe.teacher or ""))
    tokenizer.model_input_names = [*DISTILBERT_INPUTS]  # a BERT's would give its student token types
    train, dev = read_tables(recipe, tokenizer, lessons.reader)
    more = lessons.unlabelled(tokenizer)
    padding = Padding(checkpoint.config.pad_token_id or 0)
    if recipe.hidden_dim is not None:
        rows = train.take(draw_rows(train.texts, min(IMPORTANCE_ROWS, len(train.texts))))
        checkpoint = _narrowed(checkpoint, recipe.hidden_dim, lessons.labelled(rows, padding), lessons)
    checkpoint = student_of(checkpoint, recipe)
    student = classifier(checkpoint, recipe, lessons.labels, lessons.problem_type)
    layers = _taught_layers(recipe, teacher, checkpoint.config.n_layers) if teacher else []
    learner = Learner(
        student,
        teacher.width if teacher else checkpoint.config.dim,
        wants_states=bool(layers),
        every_layer="hidden" in recipe.weights,
        seed=recipe.seed,
    )
    evaluate = lessons.judge(dev, padding) if dev else None
    data = lessons.examples([train, *more], layers, padding)
    answer_the_usual(student, lessons.usual(data), lessons.problem_type)
    objective = Distillation(recipe.weights, lessons.problem_type, recipe.temperature)
    return Work(student, tokenizer, learner, data, objective, evaluate, len(dev.texts) if dev else 0)


def _checkpoint_of(teacher: Teacher | None) -> Checkpoint:
    """Where a student starts that has no checkpoint of its own to start from."""
    assert teacher is not None  # a recipe without one names a student
    if teacher.checkpoint is None:
        raise OptionError(
            f"The teacher {teacher.name} is neither BERT nor DistilBERT, so a student cannot start from its layers.",
            "Name a checkpoint to start from (student).",
        )
    return teacher.checkpoint()


def _narrowed(checkpoint: Checkpoint, hidden_dim: int, rows: Examples, lessons: Lessons) -> Checkpoint:
    """The teacher with those neurons of its feed-forwards that matter most to its loss on these rows."""
    assert lessons.teacher is not None  # a recipe with hidden_dim has one
    cut = range(0, len(rows.lengths), BATCH)
    batches = (rows.batch(np.arange(start, min(start + BATCH, len(rows.lengths)))) for start in cut)
    model = lessons.teacher.model().to(lessons.runner.accelerator.device)
    importance = measured_importance(model, batches, Labels(lessons.problem_type))
    return narrow(checkpoint, hidden_dim, importance)


def _taught_layers(recipe: DistilRecipe, teacher: Teacher, layers: int) -> Sequence[int]:
    """After which of its layers the teacher's states are learnt: the last, or as many as the student has, evenly."""
    if "hidden" in recipe.weights:
        return [round(layer * teacher.n_layers / layers) for layer in range(1, layers + 1)]
    return [teacher.n_layers] if "cosine" in recipe.weights else []
