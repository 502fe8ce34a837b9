"""Logits -> scores, along the last axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from distilbert.engines.base import Floats


def softmax(logits: Floats) -> Floats:
    """Probabilities that sum to 1 over the last axis."""
    exponentials: Floats = np.exp(logits - logits.max(axis=-1, keepdims=True))
    scores: Floats = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return scores


def sigmoid(logits: Floats) -> Floats:
    """Each logit's own probability."""
    # 1 / (1 + exp(-x)), but of nothing above 0, so that nothing overflows.
    scores: Floats = np.exp(np.minimum(logits, 0)) / (1 + np.exp(-np.abs(logits)))
    return scores


def best(scores: Floats, count: int) -> NDArray[np.intp]:
    """Where the `count` highest scores of each row stand, best first: `[rows, all]` to `[rows, count]`.

    Of a vocabulary's scores only those few are sorted.

    >>> best(np.array([[0.1, 0.5, 0.4]], np.float32), 2).tolist()
    [[1, 2]]
    """
    few = np.argpartition(-scores, count - 1, axis=-1)[:, :count]
    order = np.argsort(-np.take_along_axis(scores, few, axis=-1), axis=-1, kind="stable")
    return np.take_along_axis(few, order, axis=-1)
