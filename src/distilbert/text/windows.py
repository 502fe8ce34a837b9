"""A long text -> overlapping windows, each of which answers for its own part: every token exactly once.

A token is answered by the window in which it is farthest from an edge, so it is seen with at least half the
overlap of context on either side, or all there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from distilbert.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Window:
    """Tokens `start` to `stop` of a text are read; those from `first` to `last` are answered for."""

    start: int
    stop: int
    first: int
    last: int

    @property
    def answered(self) -> int:
        """How many tokens it answers for."""
        return self.last - self.first


def windows(tokens: int, size: int, overlap: int) -> Iterator[Window]:
    """Cut `tokens` tokens into windows of at most `size`, neighbours sharing at least `overlap`.

    The last one is as large as the others, so that no text ends in a scrap. Raises `OptionError` unless
    0 <= overlap < size.

    >>> [(w.start, w.stop, w.first, w.last) for w in windows(10, size=6, overlap=2)]
    [(0, 6, 0, 5), (4, 10, 5, 10)]
    """
    if not 0 <= overlap < size:
        raise OptionError(
            f"Windows of {size} tokens cannot overlap by {overlap}.",
            "Choose an overlap below the window's size.",
        )
    start = first = 0
    while start + size < tokens:
        following = min(start + size - overlap, tokens - size)
        last = (start + size + following + 1) // 2
        yield Window(start, start + size, first, last)
        start, first = following, last
    yield Window(start, tokens, first, tokens)
