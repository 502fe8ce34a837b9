"""Labels of training rows: as a table has them, by kind of problem, and as targets of a loss.

| problem                     | a cell holds                                       | target                    |
| --------------------------- | -------------------------------------------------- | ------------------------- |
| single_label_classification | a label's name or id                               | id, int64 `[rows]`        |
| multi_label_classification  | names or ids between commas, or a JSON list; or "" | 0/1, float32 `[rows, n]`  |
| regression                  | a number                                           | float32 `[rows]`          |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from distilbert.errors import DataError
from distilbert.tasks.labels import label_number, names_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from distilbert.files.tables import Row
    from distilbert.training.data import Texts
    from distilbert.training.recipe import ProblemType

Names = tuple[str, ...]  # the labels of one row
ROUNDING = 0.02  # how far from 1 probabilities may sum: three times 0.33, and as much again
LEAST = 1e-6  # probability: one of 0 has no logit


def label_reader(problem_type: ProblemType, column: str) -> Callable[[Row], Any]:
    """What reads a row's label: names as a tuple, or a number. It raises `DataError` for a cell that holds neither."""
    read = {
        "single_label_classification": _one_name,
        "multi_label_classification": _names,
        "regression": label_number,
    }[problem_type]
    return lambda row: read(row, column)


def _one_name(row: Row, column: str) -> Names:
    value = row.value(column)
    name = str(value).strip()
    if not name or isinstance(value, list | dict | float):
        raise DataError(
            f"{row.place}: column {column!r} should hold a label, but is {value!r:.40}.",
            "Fill it in, or name the column with the labels (label_column).",
        )
    return (name,)


def _names(row: Row, column: str) -> Names:
    return tuple(names_in(row.value(column)))


def probability_reader(
    labels: Sequence[str], problem_type: ProblemType
) -> Callable[[Row], NDArray[np.float32]]:
    """What reads a row's probabilities, from a column for each label, as logits `[labels]`.

    It raises `DataError` for a cell that holds none, and where one label is right, for a row whose sum is not about 1.
    """

    def read(row: Row) -> NDArray[np.float32]:
        shares = np.array([label_number(row, label) for label in labels])
        for label, share in zip(labels, shares, strict=True):
            if not 0 <= share <= 1:
                raise DataError(
                    f"{row.place}: column {label!r} should hold a probability, from 0 to 1, but is {share:g}.",
                    "Correct it, or name the columns of the labels (labels).",
                )
        if problem_type == "multi_label_classification":
            return _log_odds(shares)
        if abs(shares.sum() - 1) > ROUNDING:
            raise DataError(
                f"{row.place}: the probabilities of {', '.join(labels)} sum to {shares.sum():.4g}, not to 1.",
                "Correct them; where several labels may hold at once, say problem_type "
                "multi_label_classification.",
            )
        return np.asarray(np.log(np.maximum(shares / shares.sum(), LEAST)), np.float32)

    return read


def _log_odds(shares: NDArray[np.float64]) -> NDArray[np.float32]:
    shares = np.clip(shares, LEAST, 1 - LEAST)
    return np.asarray(np.log(shares / (1 - shares)), np.float32)


def label_names(found: Sequence[Names]) -> list[str]:
    """The names that occur, sorted; as numbers if all are.

    >>> label_names([("10",), ("9",)]), label_names([("b", "a"), ("a",)])
    (['9', '10'], ['a', 'b'])
    """
    names = {name for row in found for name in row}
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else sorted(names)


def knows(labels: Sequence[str], found: Sequence[Names]) -> bool:
    """Whether all labels that occur are among `labels`, by name or by id."""
    return {name for row in found for name in row} <= _ids(labels).keys()


def targets(
    texts: Texts, found: Sequence[Any], labels: Sequence[str], problem_type: ProblemType
) -> NDArray[Any]:
    """What was read, as the targets of a loss. Raises `DataError` for a label that is not among `labels`."""
    if problem_type == "regression":
        return np.array(found, np.float32)
    ids = _ids(labels)
    for row, names in enumerate(found):
        if unknown := [name for name in names if name not in ids]:
            listed = ", ".join(labels[:12]) + (", …" if len(labels) > 12 else "")
            raise DataError(
                f"{texts.place(row)}: {unknown[0]!r} is none of the {len(labels)} labels: {listed}.",
                "Train on rows that have it, correct it, or name all labels (labels).",
            )
    if problem_type == "single_label_classification":
        return np.array([ids[names[0]] for names in found], np.int64)
    matrix = np.zeros((len(found), len(labels)), np.float32)
    for row, names in enumerate(found):
        matrix[row, [ids[name] for name in names]] = 1
    return matrix


def _ids(labels: Sequence[str]) -> dict[str, int]:
    """Names to ids; an id written as text counts too, where it is nobody's name."""
    return {str(place): place for place in range(len(labels))} | {
        name: place for place, name in enumerate(labels)
    }
