"""The tables of a recipe: rows to train on, and rows to judge by."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from distilbert.errors import TruncationWarning
from distilbert.training.data import Texts, draw_rows, hold_back, read_texts

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from distilbert.files.tables import Row
    from distilbert.text.tokenizer import DistilBertTokenizer
    from distilbert.training.recipe import LabelledRecipe, RowsRecipe, TaughtRecipe


class Rows(Protocol):
    """Texts with what is to be learnt of each."""

    @property
    def texts(self) -> Texts:
        """The texts."""

    def take(self, rows: NDArray[np.int64]) -> Self:
        """These rows alone, in this order."""


R = TypeVar("R", bound=Rows)


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

    return as_asked(recipe, read(recipe.train), read(recipe.dev) if recipe.dev else None)


def as_asked(recipe: LabelledRecipe, train: R, dev: R | None) -> tuple[R, R | None]:
    """The rows to train on and those to judge by: `hold_back` of `train`, `max_rows` of what is left.

    Warns if rows to train on were too long. Raises `OptionError` where there are too few.
    """
    if recipe.hold_back:
        training, judging = hold_back(train.texts, recipe.hold_back)
        train, dev = train.take(training), train.take(judging)
    if recipe.max_rows is not None:
        train = train.take(draw_rows(train.texts, recipe.max_rows))
    if cut := int(train.texts.cut.sum()):
        warnings.warn(
            f"{recipe.train}: {cut:,} rows are longer than {recipe.max_length} tokens, and were cut "
            "(max_length).",
            TruncationWarning,
            stacklevel=2,
        )
    return train, dev


def files_of(recipe: TaughtRecipe) -> dict[str, Path]:
    """The files whose contents a run depends on, by what each is for."""
    files = {
        "train": recipe.train,
        **{f"unlabelled {number}": path for number, path in enumerate(recipe.unlabelled)},
    }
    return {
        name: Path(path) for name, path in {**files, **({"dev": recipe.dev} if recipe.dev else {})}.items()
    }


def unlabelled_texts(
    recipe: TaughtRecipe, tokenizer: DistilBertTokenizer, column: str, pair_column: str | None = None
) -> list[Texts]:
    """The texts of each of a recipe's tables without labels, less its empty rows.

    They stand in `column` where the recipe names no other. Raises what `read_texts` raises, and `OptionError` for a
    table with fewer than `max_unlabelled`.
    """
    found, most = [], recipe.max_unlabelled
    for path in recipe.unlabelled:
        texts, _ = read_texts(
            path, tokenizer, recipe.unlabelled_column or column, pair_column, recipe.max_length
        )
        found.append(texts if most is None else texts.take(draw_rows(texts, most, knob="max_unlabelled")))
    return found
