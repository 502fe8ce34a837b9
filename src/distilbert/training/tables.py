"""The tables of a recipe: rows to train on, and rows to judge by."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from distilbert.errors import TruncationWarning
from distilbert.training.data import Texts, draw_rows, hold_back, read_texts

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from distilbert.files.tables import Row
    from distilbert.text.tokenizer import DistilBertTokenizer
    from distilbert.training.recipe import LabelledRecipe, RowsRecipe


class Table(NamedTuple):
    """Rows as token ids, with what was read as their labels: one each, or none at all."""

    texts: Texts
    labels: list[Any]

    def take(self, rows: NDArray[np.int64]) -> Table:
        """These rows alone, in this order."""
        return Table(self.texts.take(rows), [self.labels[row] for row in rows] if self.labels else [])


def read_tables(
    recipe: RowsRecipe, tokenizer: DistilBertTokenizer, reader: Callable[[str], Callable[[Row], Any] | None]
) -> tuple[Table, Table | None]:
    """The rows to train on, and those to judge by. `reader` says what reads the labels of a table."""

    def read(path: str) -> Table:
        columns = recipe.column, recipe.pair_column
        return Table(*read_texts(path, tokenizer, *columns, recipe.max_length, reader(path)))

    train = read(recipe.train)
    dev = read(recipe.dev) if recipe.dev else None
    if recipe.hold_back:
        training, judging = hold_back(train.texts, recipe.hold_back)
        train, dev = train.take(training), train.take(judging)
    if recipe.max_rows is not None:
        train = train.take(draw_rows(train.texts, recipe.max_rows))
    tell_of_cut(recipe, train.texts)
    return train, dev


def tell_of_cut(recipe: LabelledRecipe, texts: Texts) -> None:
    """Warn if rows to train on were too long."""
    if cut := int(texts.cut.sum()):
        warnings.warn(
            f"{recipe.train}: {cut:,} rows are longer than {recipe.max_length} tokens, and were cut "
            "(max_length).",
            TruncationWarning,
            stacklevel=3,
        )
