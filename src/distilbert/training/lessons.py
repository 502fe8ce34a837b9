"""What a student is taught from: rows with the answers of a teacher, of its table's columns, and with labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from distilbert.errors import OptionError
from distilbert.files.hub import resolve
from distilbert.files.tables import read_rows
from distilbert.tasks.measures import MEASURES
from distilbert.training.answers import answers_to
from distilbert.training.data import Examples, joined
from distilbert.training.evaluation import evaluate_agreement, evaluate_labels
from distilbert.training.labels import label_reader, probability_reader, targets
from distilbert.training.run import content
from distilbert.training.tables import Table, unlabelled_texts
from distilbert.training.teachers import Answers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import nn

    from distilbert.files.tables import Row
    from distilbert.text.tokenizer import DistilBertTokenizer
    from distilbert.training.data import Padding
    from distilbert.training.evaluation import Evaluation, Runner
    from distilbert.training.events import Event
    from distilbert.training.hardware import Precision
    from distilbert.training.recipe import DistilRecipe, ProblemType
    from distilbert.training.teachers import Teacher


class Said(NamedTuple):
    """What a row says beside its text."""

    label: Any  # as `training.labels` reads it; None where the table has no such column
    logits: NDArray[np.float32] | None  # of its probabilities, where they teach: [labels]


@dataclass(frozen=True)
class Lessons:
    """Makes a recipe's rows into examples. Without a teacher, the table of `train` says what one would."""

    recipe: DistilRecipe
    teacher: Teacher | None
    runner: Runner
    precision: Precision
    tell: Callable[[Event], None]
    ask_again: bool

    @cached_property
    def problem_type(self) -> ProblemType:
        """The recipe's, else the teacher's."""
        theirs = self.teacher.problem_type if self.teacher else "single_label_classification"
        return self.recipe.problem_type or theirs

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The names of the logits. Raises `OptionError` where the recipe's suit neither teacher nor problem."""
        named = tuple(self.recipe.labels or ())
        if self.teacher is None:
            return named
        if named and len(named) != len(self.teacher.labels):
            raise OptionError(
                f"labels names {len(named)}, but the teacher {self.teacher.name} has {len(self.teacher.labels)}: "
                f"{', '.join(self.teacher.labels[:12])}.",
                "Name each of its labels in its order, or leave labels out.",
            )
        if self.problem_type == "regression" and len(self.teacher.labels) != 1:
            raise OptionError(
                f"A regression has one number; the teacher {self.teacher.name} has {len(self.teacher.labels)} labels.",
                "Say another problem_type.",
            )
        return named or self.teacher.labels

    def reader(self, path: str) -> Callable[[Row], Said]:
        """What reads the rows of `train` or `dev`: their labels and probabilities where these count."""
        recipe, label, shares = self.recipe, None, None
        is_train = path == recipe.train
        is_judged = not is_train or recipe.hold_back or recipe.hidden_dim is not None
        has_labels = recipe.label_column in next(read_rows(path)).values
        # a column that somebody named should be there; whoever left it at its default may have no labels
        is_named = recipe.label_column != type(recipe).model_fields["label_column"].default
        has_labels |= is_named and (not is_train or recipe.hold_back > 0)
        if (is_judged and has_labels) or (is_train and "label" in recipe.weights):
            label = label_reader(self.problem_type, recipe.label_column)
        if self.teacher is None and (is_train or label is None):
            shares = probability_reader(self.labels, self.problem_type)
        return lambda row: Said(label(row) if label else None, shares(row) if shares else None)

    def unlabelled(self, tokenizer: DistilBertTokenizer) -> list[Table]:
        """The recipe's texts without labels."""
        recipe = self.recipe
        found = unlabelled_texts(recipe, tokenizer, recipe.column, recipe.pair_column)
        return [Table(texts, [Said(None, None)] * len(texts)) for texts in found]

    def examples(self, tables: Sequence[Table], layers: Sequence[int], padding: Padding) -> Examples:
        """Rows to learn from: their targets are what the recipe's parts of the loss ask for."""
        parts, columns = self.recipe.weights, {}
        if "label" in parts:  # before the teacher is asked, which may take hours: a label may be wrong
            columns["labels"] = np.concatenate([self._targets(table) for table in tables])
            columns["labelled"] = np.repeat(
                [*map(_has_labels, tables)], [len(table.texts) for table in tables]
            )
        if parts.keys() - {"label"}:
            answers = [self._answers(table, layers) for table in tables]
            columns["teacher"] = np.concatenate([found.logits for found in answers])
            if layers:
                columns["states"] = np.concatenate([found.states for found in answers])
        return Examples(joined([table.texts for table in tables]), columns, padding)

    def usual(self, data: Examples) -> NDArray[np.float32]:
        """What `examples` hold for `start.answer_the_usual`: the teacher's shares or numbers, else the labels."""
        found = data.targets
        if "teacher" not in found:
            return np.asarray(found["labels"][found["labelled"]], np.float32)
        return np.asarray(MEASURES[self.problem_type].scores(found["teacher"]), np.float32)

    def labelled(self, table: Table, padding: Padding) -> Examples:
        """Rows with the table's labels, or, where it has none, those that the teacher gives."""
        labels = self._targets(table) if _has_labels(table) else self._chosen(self._answers(table, ()).logits)
        return Examples(table.texts, {"labels": labels}, padding)

    def judge(self, table: Table, padding: Padding) -> Callable[[nn.Module], Evaluation]:
        """What scores a model on rows, by such labels."""
        return partial(
            evaluate_labels if _has_labels(table) else evaluate_agreement,
            runner=self.runner,
            examples=self.labelled(table, padding),
            problem_type=self.problem_type,
        )

    def _targets(self, table: Table) -> NDArray[Any]:
        """The labels of rows; any number where there is none."""
        if not _has_labels(table):
            shape = () if self.problem_type != "multi_label_classification" else (len(self.labels),)
            kind = np.int64 if self.problem_type == "single_label_classification" else np.float32
            return np.zeros((len(table.texts), *shape), kind)
        return targets(table.texts, [said.label for said in table.labels], self.labels, self.problem_type)

    def _chosen(self, logits: NDArray[np.float32]) -> NDArray[Any]:
        """What logits `[rows, labels]` say, as the targets of a loss."""
        answers = MEASURES[self.problem_type].predicted(logits)
        return answers if self.problem_type == "single_label_classification" else answers.astype(np.float32)

    def _answers(self, table: Table, layers: Sequence[int]) -> Answers:
        if self.teacher is None:
            return Answers(np.stack([said.logits for said in table.labels]), None)
        made_from = {
            "teacher": content(resolve(self.teacher.name, weights=False)),
            "max_length": self.recipe.max_length,
            "precision": self.precision,
        }
        return answers_to(
            table.texts, self.teacher, layers, made_from, self.runner, anew=self.ask_again, tell=self.tell
        )


def _has_labels(table: Table) -> bool:
    return table.labels[0].label is not None
