"""Whether a model is as often right as it is sure: expected calibration error, and the bins of a reliability plot.

Guo et al., On Calibration of Modern Neural Networks, 2017, equations 2, 3 and 5: bins of equal width over 0 to 1, each
open below and closed above; the error is the gap between a bin's mean confidence and its accuracy, averaged by rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from distilbert.errors import OptionError
from distilbert.metrics.classification import same_scores

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

BINS = 15  # as in the paper


@dataclass(frozen=True)
class Bin:
    """The rows whose confidence lies above `low` and not above `high`: how many, their means, all 0 to 1."""

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """The expected calibration error, 0 to 1, and the bins that have rows, from the least confident up."""

    error: float
    bins: tuple[Bin, ...]


def calibration(confidence: ArrayLike, correct: ArrayLike, bins: int = BINS) -> Calibration:
    """Compare how sure a model was with how often it was right: float 0 to 1 and bool, both `[rows]`.

    Raises `OptionError` for no rows, unequal lengths, a confidence outside 0 to 1, or less than one bin.

    >>> found = calibration([0.9, 0.9, 0.6, 0.6], [True, True, True, False], bins=2)
    >>> round(found.error, 3)  # one bin: mean confidence 0.75, accuracy 0.75
    0.0
    >>> round(calibration([0.9, 0.9, 0.6, 0.6], [True, True, True, False], bins=4).error, 3)  # (2·0.1 + 2·0.1) / 4
    0.1
    """
    sure, right = same_scores(confidence, correct)
    if bins < 1:
        raise OptionError(f"bins is at least 1, not {bins}.", "15 is usual.")
    if not ((sure >= 0) & (sure <= 1)).all():  # nan is neither
        raise OptionError("A confidence lies between 0 and 1; one of these does not.", "Give probabilities.")
    edges = np.arange(bins + 1) / bins
    places = np.maximum(np.searchsorted(edges, sure, side="left") - 1, 0)  # a confidence of 0: the first bin
    rows = np.bincount(places, minlength=bins)
    filled = np.flatnonzero(rows)
    confidences = np.bincount(places, sure, bins)[filled] / rows[filled]
    accuracies = np.bincount(places, right, bins)[filled] / rows[filled]
    error = float((np.abs(confidences - accuracies) * rows[filled]).sum() / len(sure))
    return Calibration(
        error,
        tuple(
            Bin(float(edges[place]), float(edges[place + 1]), int(rows[place]), float(mean), float(accuracy))
            for place, mean, accuracy in zip(filled, confidences, accuracies, strict=True)
        ),
    )
