"""Scores of tokens -> runs of one type: pure functions of arrays, which know neither texts nor models.

A unit is what bears one label: a token, or where tokens of one word must agree, a word. A new run begins where the
type changes, where a label begins one (B, U, S), and behind a label that ends one (L, E, U, S). That one rule reads
IOB1, IOB2, BILOU and IOBES, takes what breaks its scheme for what it is most likely meant to be, and puts neighbours
of one label together where labels are types alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from distilbert.metrics.entities import OUTSIDE, scheme_of, split_label

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from distilbert.engines.base import Floats

Places = NDArray[np.intp]


@dataclass(frozen=True)
class Runs:
    """What each of a model's labels means for runs: its type, and whether it begins or ends one. All `[labels]`."""

    types: tuple[str, ...]
    type_ids: Places
    begins: NDArray[np.bool_]
    ends: NDArray[np.bool_]

    @classmethod
    def of(cls, labels: Sequence[str], ignored: Collection[str] = ()) -> Runs:
        """Read the labels by their scheme. An ignored label may be of none.

        Raises `OptionError` for other labels of no known scheme.
        """
        apart = {label for label in ignored if not split_label(label)[0]} | {OUTSIDE}
        scheme = scheme_of(label for label in labels if label not in apart)
        parts = [split_label(label) if scheme else ("", label) for label in labels]
        letters, types = zip(*parts, strict=True)
        return cls(
            types,
            np.array([types.index(kind) for kind in types]),
            np.array([letter in ("B", "U", "S") for letter in letters]),
            np.array([letter in ("L", "E", "U", "S") for letter in letters]),
        )

    def in_row(self, label_ids: Places) -> Iterator[tuple[str, int, int]]:
        """The runs of a row of units, `[units]`: each one's type, first unit, and the first unit beyond.

        >>> runs = Runs.of(["O", "B-PER", "I-PER"])
        >>> list(runs.in_row(np.array([0, 0, 1, 2, 1])))
        [('O', 0, 2), ('PER', 2, 4), ('PER', 4, 5)]
        """
        kinds = self.type_ids[label_ids]
        begun = self.begins[label_ids] | self.ends[np.roll(label_ids, 1)] | (kinds != np.roll(kinds, 1))
        begun[:1] = True
        for first, beyond in pairwise([*np.flatnonzero(begun).tolist(), len(label_ids)]):
            yield self.types[label_ids[first]], first, beyond


def _of_first(scores: Floats, starts: Places) -> Floats:
    return scores[starts]


def _of_most_certain(scores: Floats, starts: Places) -> Floats:
    """The row of the token whose highest score is highest in its word; the first of several."""
    highest = scores.max(axis=1)
    word = np.zeros(len(scores), np.intp)
    word[starts[1:]] = 1
    chosen = np.flatnonzero(highest == np.maximum.reduceat(highest, starts)[word.cumsum()])
    return scores[chosen[np.searchsorted(chosen, starts)]]


def _average(scores: Floats, starts: Places) -> Floats:
    lengths = np.diff(starts, append=len(scores))
    return (np.add.reduceat(scores, starts, axis=0) / lengths[:, None]).astype(np.float32)


# Scores `[tokens, labels]` and where words start -> the scores of words, `[words, labels]`.
WORD_SCORES: Mapping[str, Callable[[Floats, Places], Floats]] = {
    "first": _of_first,
    "average": _average,
    "max": _of_most_certain,
}


def word_starts(words: NDArray[np.int64]) -> Places:
    """Where words start, given the number of the word that each token belongs to: `[tokens]` to `[words]`.

    >>> word_starts(np.array([0, 0, 1, 3])).tolist()
    [0, 2, 3]
    """
    return np.flatnonzero(np.diff(words, prepend=-1))
