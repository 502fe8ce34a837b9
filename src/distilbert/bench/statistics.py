"""What is made of timings: medians, percentiles, and ratios within rounds."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Spread:
    """A median with the least and the greatest of what it is the median of."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value.

        >>> Spread.of([3.0, 1.0, 2.0])
        Spread(value=2.0, low=1.0, high=3.0)
        """
        return cls(median(values), min(values), max(values))


def times_as_fast(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """How many times as fast `ours` is as `theirs`: seconds of the same rounds, so that a busy minute hits both.

    >>> times_as_fast([1.0, 2.0], [2.0, 5.0])
    Spread(value=2.25, low=2.0, high=2.5)
    """
    return Spread.of([their / our for our, their in zip(ours, theirs, strict=True)])


def percentile(rounds: Sequence[Sequence[float]], share: float) -> Spread:
    """Each round's percentile (`share` in 0 to 100) of its own values, and the spread of these over rounds."""
    return Spread.of([float(np.percentile(values, share)) for values in rounds])


def padding(lengths: Sequence[int], batches: Sequence[Sequence[int]]) -> float:
    """The share of computed tokens that are padding, where `batches` hold places in `lengths`.

    >>> padding([2, 4, 8], [[0, 1], [2]])
    0.125
    """
    computed = sum(len(batch) * max(lengths[place] for place in batch) for batch in batches)
    return 1 - sum(lengths) / computed
