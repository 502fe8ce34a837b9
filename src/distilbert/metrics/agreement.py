"""How far two models' outputs agree on the same rows: what an int8 model keeps of its float32 one.

Counts first, shares second: "18 of 5,000 labels flipped" can be checked, "99.6 %" cannot. All functions raise
`OptionError` for no rows or unequal shapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from distilbert.errors import OptionError
from distilbert.metrics.classification import correct

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Flips:
    """How many of `rows` got another label."""

    count: int
    rows: int

    @property
    def share(self) -> float:
        """The flipped rows' share, 0 to 1."""
        return self.count / self.rows


def flips(a: ArrayLike, b: ArrayLike) -> Flips:
    """Count the rows whose label (id `[rows]`, or any of 0/1 `[rows, labels]`) differs.

    >>> flips([1, 0, 1, 1], [1, 0, 0, 1])
    Flips(count=1, rows=4)
    >>> _.share
    0.25
    """
    same = correct(a, b)
    return Flips(int((~same).sum()), len(same))


@dataclass(frozen=True)
class PairedFlips:
    """Rows by whether model `a` and then `b` was right; a flip between wrong labels is in `both_wrong`."""

    right_to_wrong: int
    wrong_to_right: int
    both_right: int
    both_wrong: int


def paired_flips(a: ArrayLike, b: ArrayLike, gold: ArrayLike) -> PairedFlips:
    """Count what was lost and won on the way from `a`'s labels to `b`'s, against the gold labels.

    >>> paired_flips([1, 0, 1, 1], [1, 1, 0, 0], gold=[1, 1, 1, 0])
    PairedFlips(right_to_wrong=1, wrong_to_right=2, both_right=1, both_wrong=0)
    """
    return paired_rights(correct(a, gold), correct(b, gold))


def paired_rights(was: NDArray[np.bool_], now: NDArray[np.bool_]) -> PairedFlips:
    """Count the same where it is known on which rows `a`, and then `b`, was right: bool `[rows]`.

    >>> paired_rights(np.array([True, False, True]), np.array([True, True, False]))
    PairedFlips(right_to_wrong=1, wrong_to_right=1, both_right=1, both_wrong=0)
    """
    counts = (was & ~now, ~was & now, was & now, ~was & ~now)
    return PairedFlips(*(int(rows.sum()) for rows in counts))


@dataclass(frozen=True)
class LogitError:
    """Absolute differences of logits, in logits."""

    mean: float
    max: float


def logit_error(a: ArrayLike, b: ArrayLike) -> LogitError:
    """Return the mean and the largest absolute difference of logits of any one shape; nan if one is nan.

    >>> logit_error([[1.0, -1.0]], [[1.5, -1.0]])
    LogitError(mean=0.25, max=0.5)
    """
    ours, theirs = _same_floats(a, b)
    error = np.abs(ours - theirs)
    return LogitError(float(error.mean()), float(error.max()))


def cosine(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return the cosine of each row of `a` with `b`'s, `[rows, width]` to `[rows]`; 0 if one is all zeros.

    >>> cosine([[3.0, 4.0], [1.0, 0.0]], [[4.0, 3.0], [0.0, 2.0]])
    array([0.96, 0.  ])
    """
    ours, theirs = _same_floats(a, b)
    if ours.ndim != 2:
        raise OptionError(
            f"Cosine takes [rows, width], not {list(ours.shape)}.", "Reshape to two dimensions."
        )
    return np.asarray(np.clip((_unit_rows(ours) * _unit_rows(theirs)).sum(axis=1), -1.0, 1.0))


def _unit_rows(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale rows to length 1; by the largest value first, so that no square over- or underflows."""
    largest = np.abs(x).max(axis=1, keepdims=True)
    x = x / np.where(largest == 0, 1, largest)
    length = np.sqrt((x * x).sum(axis=1, keepdims=True))
    return np.asarray(x / np.where(length == 0, 1, length))


def _same_floats(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ours, theirs = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if ours.shape != theirs.shape or ours.size == 0:
        shapes = f"{list(ours.shape)} and {list(theirs.shape)}"
        raise OptionError(f"Both sides need one shape and a row at least, not {shapes}.", "Pair the rows.")
    return ours, theirs
