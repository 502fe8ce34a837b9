"""How sure a figure is: percentile bootstrap intervals (Efron & Tibshirani, 1993, chapter 13).

As many rows as there are get drawn with replacement, and the figure is computed on each such resample; the
middle `level` of these figures is the interval. The same seed gives the same interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from distilbert.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Interval:
    """A range in the figure's own unit, both ends in it."""

    low: float
    high: float


def bootstrap(
    statistic: Callable[..., float],
    *arrays: ArrayLike,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return the percentile bootstrap interval of `statistic(*arrays)`, drawing rows of all arrays together.

    Memory: one resample. The interval is nan if the statistic is nan on a resample. Raises `OptionError` for
    arrays without rows or of unequal lengths, `resamples` below 1, or a `level` outside 0 to 1.

    >>> from distilbert.metrics.classification import accuracy
    >>> bootstrap(accuracy, [1] * 90 + [0] * 10, [1] * 100)
    Interval(low=0.84, high=0.96)
    """
    _check(resamples, level)
    columns, rows = _columns(arrays)
    draw = np.random.default_rng(seed)
    samples = (draw.integers(0, rows, rows) for _ in range(resamples))
    figures = (float(statistic(*(column[sample] for column in columns))) for sample in samples)
    return _middle(np.fromiter(figures, dtype=np.float64, count=resamples), level)


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval."""

    value: float
    interval: Interval


def paired_difference(
    correct_a: ArrayLike,
    correct_b: ArrayLike,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Return accuracy(b) - accuracy(a) on the same rows, with its percentile bootstrap interval.

    Inputs: which rows each was right on, bool `[rows]` (`classification.correct`). A row counts -1, 0 or 1,
    and how many of each a resample of n rows has is multinomial(n, shares). Drawing these numbers is the
    same bootstrap as drawing n rows, but time and memory do not grow with n. Raises as `bootstrap` does.

    >>> paired_difference([1, 1, 1, 0] * 50, [1, 1, 0, 0] * 50)
    Estimate(value=-0.25, interval=Interval(low=-0.305, high=-0.185))
    """
    _check(resamples, level)
    (was, now), rows = _columns((correct_a, correct_b))
    change = now.astype(bool).astype(np.int8) - was.astype(bool).astype(np.int8)
    shares = np.bincount(change + 1, minlength=3) / rows
    lost, _, won = np.random.default_rng(seed).multinomial(rows, shares, size=resamples).T
    return Estimate(float(shares[2] - shares[0]), _middle((won - lost) / rows, level))


def paired_ratio(
    statistic: Callable[..., float],
    a: ArrayLike,
    b: ArrayLike,
    *shared: ArrayLike,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Return `statistic(b, *shared) / statistic(a, *shared)` with its percentile bootstrap interval: what b keeps of a.

    `shared` is what both are compared with, such as gold labels. Rows are drawn for all at once, so the interval is as
    narrow as the two agree. Value and interval are nan where a's figure is not above 0, on all rows or on a resample.
    Raises as `bootstrap` does.

    >>> from distilbert.metrics.classification import accuracy
    >>> kept = paired_ratio(accuracy, [1, 1, 1, 0] * 50, [1, 1, 0, 0] * 50, [1] * 200)  # 0.5 of 0.75
    >>> [round(figure, 2) for figure in (kept.value, kept.interval.low, kept.interval.high)]
    [0.67, 0.59, 0.74]
    """

    def ratio(a: NDArray[Any], b: NDArray[Any], *shared: NDArray[Any]) -> float:
        whole = statistic(a, *shared)
        return statistic(b, *shared) / whole if whole > 0 else float("nan")

    columns, _ = _columns((a, b, *shared))
    interval = bootstrap(ratio, *columns, resamples=resamples, level=level, seed=seed)
    return Estimate(ratio(*columns), interval)


def over_seeds(
    statistic: Callable[..., float],
    *groups: ArrayLike,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Return `statistic` of each group's mean score, and its percentile bootstrap interval over rows and seeds.

    A group is one recipe trained with several seeds: each one's score on each row, `[seeds, rows]`, numbers or bool;
    the rows are the same for all groups. A resample draws rows for all groups at once, and each group's seeds by
    itself: the interval is about other rows and about training again. With three seeds it is a rough one: they can
    show no spread but their own. Raises as `bootstrap` does.

    >>> once_right, twice_right = [1, 0, 0, 0] * 50, [1, 1, 0, 0] * 50
    >>> found = over_seeds(lambda a, b: b - a, [once_right] * 3, [twice_right] * 3)
    >>> [round(figure, 2) for figure in (found.value, found.interval.low, found.interval.high)]
    [0.25, 0.19, 0.31]
    """
    _check(resamples, level)
    scores = [np.atleast_2d(np.asarray(group, dtype=np.float64)) for group in groups]
    columns, rows = _columns(tuple(score.T for score in scores))
    draw = np.random.default_rng(seed)

    def figure() -> float:
        drawn = draw.integers(0, rows, rows)
        means = (column[drawn].mean(axis=0) for column in columns)
        return float(statistic(*(mean[draw.integers(0, len(mean), len(mean))].mean() for mean in means)))

    value = float(statistic(*(score.mean() for score in scores)))
    return Estimate(value, _middle(np.array([figure() for _ in range(resamples)]), level))


def _check(resamples: int, level: float) -> None:
    if resamples < 1:
        raise OptionError(f"resamples is at least 1, not {resamples}.", "1000 is usual.")
    if not 0 < level < 1:
        raise OptionError(f"level lies between 0 and 1, not at {level}.", "0.95 is usual.")


def _columns(arrays: tuple[ArrayLike, ...]) -> tuple[list[NDArray[Any]], int]:
    columns = [np.asarray(array) for array in arrays]
    lengths = {len(column) if column.ndim else 0 for column in columns}
    if len(lengths) != 1 or 0 in lengths:
        raise OptionError(f"All arrays need one length, at least 1, not {sorted(lengths)}.", "Pair the rows.")
    return columns, lengths.pop()


def _middle(figures: NDArray[np.float64], level: float) -> Interval:
    low, high = np.quantile(figures, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
