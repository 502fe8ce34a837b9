"""What a student is taught from: rows with the answers of a teacher, of its table's columns, and with labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from distilbert.errors import OptionError
from distilbert.files.hub import resolve
from distilbert.files.tables import read_rows
from distilbert.training.answers import answers_to
from distilbert.training.data import Examples, draw_rows, joined, read_texts
from distilbert.training.labels import label_reader, probability_reader, targets
from distilbert.training.run import content
from distilbert.training.tables import Table
from distilbert.training.teachers import Answers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from distilbert.files.tables import Row
    from distilbert.text.tokenizer import DistilBertTokenizer
    from distilbert.training.data import Padding
    from distilbert.training.evaluation import Runner
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
        """The names of the logits. Raises `OptionError` where the recipe names more or fewer than the teacher has."""
        named = tuple(self.recipe.labels or ())
        if self.teacher is None:
            return named
        if named and len(named) != len(self.teacher.labels):
            raise OptionError(
                f"labels names {len(named)}, but the teacher {self.teacher.name} has {len(self.teacher.labels)}: "
                f"{', '.join(self.teacher.labels[:12])}.",
                "Name each of its labels in its order, or leave labels out.",
            )
        return named or self.teacher.labels

    def reader(self, path: str) -> Callable[[Row], Said]:
        """What reads the rows of `train` or `dev`; a label is needed only where it counts."""
        recipe, label = self.recipe, None
        if recipe.label_column in next(read_rows(path)).values or "label" in recipe.weights:
            label = label_reader(self.problem_type, recipe.label_column)
        shares = probability_reader(self.labels, self.problem_type) if self.teacher is None else None
        return lambda row: Said(label(row) if label else None, shares(row) if shares else None)

    def unlabelled(self, path: str, tokenizer: DistilBertTokenizer) -> Table:
        """The texts of a table, without its empty rows."""
        recipe = self.recipe
        column = recipe.unlabelled_column or recipe.column
        texts, _ = read_texts(path, tokenizer, column, recipe.pair_column, recipe.max_length, skip_empty=True)
        table = Table(texts, [Said(None, None)] * len(texts))
        most = recipe.max_unlabelled
        return table if most is None else table.take(draw_rows(texts, most))

    def examples(self, tables: Sequence[Table], layers: Sequence[int], padding: Padding) -> Examples:
        """Rows to learn from: their targets are what the recipe's parts of the loss ask for."""
        parts, columns = self.recipe.weights, {}
        if parts.keys() - {"label"}:
            answers = [self._answers(table, layers) for table in tables]
            columns["teacher"] = np.concatenate([found.logits for found in answers])
            if layers:
                columns["states"] = np.concatenate([found.states for found in answers])
        if "label" in parts:
            columns["labels"] = np.concatenate([self._targets(table) for table in tables])
            columns["labelled"] = np.concatenate(
                [[said.label is not None for said in table.labels] for table in tables]
            )
        return Examples(joined([table.texts for table in tables]), columns, padding)

    def labelled(self, table: Table, padding: Padding) -> Examples:
        """Rows to judge by: with the table's labels, or, where it has none, those that the teacher gives."""
        has_labels = table.labels[0].label is not None
        labels = self._targets(table) if has_labels else self._chosen(self._answers(table, ()).logits)
        return Examples(table.texts, {"labels": labels}, padding)

    def _targets(self, table: Table) -> NDArray[Any]:
        """The labels of rows; any number where there is none."""
        if table.labels[0].label is None:
            shape = () if self.problem_type != "multi_label_classification" else (len(self.labels),)
            kind = np.int64 if self.problem_type == "single_label_classification" else np.float32
            return np.zeros((len(table.texts), *shape), kind)
        return targets(table.texts, [said.label for said in table.labels], self.labels, self.problem_type)

    def _chosen(self, logits: NDArray[np.float32]) -> NDArray[Any]:
        """What logits `[rows, labels]` say, as labels."""
        if self.problem_type == "single_label_classification":
            return np.asarray(logits.argmax(axis=1))
        if self.problem_type == "multi_label_classification":
            return (logits > 0).astype(np.float32)
        return logits[:, 0]

    def _answers(self, table: Table, layers: Sequence[int]) -> Answers:
        if self.teacher is None:
            return Answers(np.stack([said.logits for said in table.labels]), None)
        made_from = {
            "teacher": content(resolve(self.teacher.name, weights=False)),
            "max_length": self.recipe.max_length,
            "precision": self.precision,
        }
        is_more = table.texts.sources[0].path in self.recipe.unlabelled
        column = (self.recipe.unlabelled_column if is_more else None) or self.recipe.column
        return answers_to(
            table.texts,
            (column, self.recipe.pair_column),
            self.teacher,
            layers,
            made_from,
            self.runner,
            anew=self.ask_again,
            tell=self.tell,
        )
