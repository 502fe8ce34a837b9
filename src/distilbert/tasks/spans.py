"""The best spans of a text: where an answer begins and ends, from a score for each token of either.

A span's score is the sum of its first token's start score and its last token's end score. Of n tokens and spans of
up to L tokens there are n·L, and none of them is looked at in vain: the best span from each first token takes a
maximum over a sliding window, O(n) for any L; and the best k spans begin at the k first tokens whose best are highest,
so only these k·L are sorted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Spans(NamedTuple):
    """K spans, best first; of equal ones the one that begins first, then the one that ends first."""

    firsts: NDArray[np.intp]  # [K], tokens
    lasts: NDArray[np.intp]  # [K], tokens, in the span themselves
    scores: NDArray[np.float64]  # [K]


def best_spans(start: NDArray[np.floating], end: NDArray[np.floating], longest: int, count: int) -> Spans:
    """The best `count` spans of at most `longest` tokens, or all where there are fewer.

    `start` and `end` are the tokens' finite scores, such as logits, `[length]`. Exact: as if all spans were sorted.

    >>> best_spans(np.array([0.0, 1.0, 4.0]), np.array([3.0, 2.0, 0.0]), longest=2, count=2)
    Spans(firsts=array([2, 0]), lasts=array([2, 0]), scores=array([4., 3.]))
    """
    opening, closing = start.astype(np.float64), end.astype(np.float64)
    width = min(longest, len(closing))
    if width == 0:
        return Spans(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0))
    best = opening + highest_ahead(closing, width)
    firsts = np.sort(np.argsort(-best, kind="stable")[:count])
    lasts = firsts[:, None] + np.arange(width)  # [firsts, width]
    scores = opening[firsts, None] + np.append(closing, np.full(width, -np.inf))[lasts]
    order = np.argsort(-scores, axis=None, kind="stable")[:count]
    rows, columns = np.unravel_index(order[np.isfinite(scores.ravel()[order])], scores.shape)
    return Spans(firsts[rows], lasts[rows, columns], scores[rows, columns])


def highest_ahead(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """The highest of each value and the `width - 1` after it, `[length]`, in time that does not depend on `width`.

    The values are cut into blocks of `width`. A window reaches from within one block into the next, so its highest is
    that from its first value to the end of that block, or from the start of the next to its last value (van Herk,
    Pattern Recognition Letters 13, 1992; Gil and Werman, IEEE PAMI 15, 1993).

    >>> highest_ahead(np.array([3.0, 1.0, 2.0, 0.0]), 2)
    array([3., 2., 2., 0.])
    """
    length = len(values)
    blocks = np.full((-(-length // width) + 1, width), -np.inf)
    blocks.ravel()[:length] = values
    so_far = np.maximum.accumulate(blocks, axis=1).ravel()
    to_come = np.maximum.accumulate(blocks[:, ::-1], axis=1)[:, ::-1].ravel()
    highest: NDArray[np.float64] = np.maximum(to_come[:length], so_far[width - 1 : width - 1 + length])
    return highest
