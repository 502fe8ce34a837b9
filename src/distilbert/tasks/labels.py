"""Labels as a file has them -> the ids of a model's logits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from distilbert.errors import DataError, OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from distilbert.files.config import DistilBertConfig
    from distilbert.files.tables import Row


def label_ids(rows: Iterable[Row], column: str, config: DistilBertConfig) -> NDArray[np.int64]:
    """The label of each row as an id, int64 `[rows]`; a row has the label's name or its id.

    Raises `DataError` for the first row whose label the model does not have.
    """
    ids = {name: place for place, name in enumerate(config.labels)}
    ids = {str(place): place for place in ids.values()} | ids
    return np.array([_label_id(row, column, ids, config) for row in rows], np.int64)


def label_sets(rows: Iterable[Row], column: str, config: DistilBertConfig) -> NDArray[np.int64]:
    """The labels of each row as 0/1, int64 `[rows, labels]`; a cell has names or ids between commas, or a JSON list.

    Raises `DataError` for the first row with a label that the model does not have.
    """
    ids = {name: place for place, name in enumerate(config.labels)}
    ids = {str(place): place for place in ids.values()} | ids
    rows = list(rows)
    matrix = np.zeros((len(rows), config.num_labels), np.int64)
    for place, row in enumerate(rows):
        matrix[place, [_known(row, name, ids, config) for name in names_in(row.value(column))]] = 1
    return matrix


def names_in(cell: object) -> list[str]:
    """The labels that a cell names: a JSON list's, or those between commas.

    >>> names_in("joy, love"), names_in(["joy"]), names_in("")
    (['joy', 'love'], ['joy'], [])
    """
    parts = cell if isinstance(cell, list) else str(cell).split(",")
    return list(dict.fromkeys(name for name in (str(part).strip() for part in parts) if name))


def label_number(row: Row, column: str) -> float:
    """A row's label as a number. Raises `DataError` for what is no finite number."""
    value = row.value(column)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise DataError(
            f"{row.place}: column {column!r} should hold a finite number, but is {value!r:.40}.",
            "Correct it or leave the row out.",
        )
    return number


def _label_id(row: Row, column: str, ids: dict[str, int], config: DistilBertConfig) -> int:
    return _known(row, str(row.value(column)), ids, config)


def _known(row: Row, value: str, ids: dict[str, int], config: DistilBertConfig) -> int:
    if value not in ids:
        raise DataError(
            f"{row.place}: the model has no label {value!r}; it knows {', '.join(config.labels)} "
            f"or 0 to {config.num_labels - 1}.",
            "Name the column that holds the labels with --label-column, or rename the label.",
        )
    return ids[value]


def refuse_other_labels(
    name: str, labels: Sequence[str], reference_name: str, reference: Sequence[str]
) -> None:
    """Raise `OptionError` for two models that cannot be compared: their labels, in any order, are not the same."""
    if set(labels) != set(reference):
        raise OptionError(
            f"{name} has the labels {', '.join(labels)}, but {reference_name} {', '.join(reference)}.",
            "Compare models that know the same labels.",
        )
