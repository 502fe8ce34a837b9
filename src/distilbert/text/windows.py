"""A long text -> overlapping windows, each of which answers for its own part: every token exactly once.

A token is answered by the window in which it is farthest from an edge, so it is seen with at least half the
overlap of context on either side, or all there is. Lines may be read apart: their ends are no tokens, so a model that
reads on cannot tell where one begins.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, TypeVar

from distilbert.errors import OptionError
from distilbert.text.batching import answer_in_order
from distilbert.text.tokenizer import EncodedTexts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from distilbert.text.batching import Answer

T = TypeVar("T")
A = TypeVar("A")

OVERLAP = 4  # neighbouring windows share a quarter, unless it is said otherwise
WINDOWS_IN_MEMORY = 256


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


def windows(tokens: int, size: int, overlap: int, begins: Sequence[int] = ()) -> Iterator[Window]:
    """Cut `tokens` tokens into windows of at most `size`, neighbours sharing at least `overlap`.

    The last one is as large as the others, so that no text ends in a scrap. The tokens at `begins`, in order, begin
    parts that are cut as texts of their own. Raises `OptionError` unless 0 <= overlap < size.

    >>> [(w.start, w.stop, w.first, w.last) for w in windows(10, size=6, overlap=2)]
    [(0, 6, 0, 5), (4, 10, 5, 10)]
    >>> [(w.start, w.stop, w.first, w.last) for w in windows(10, size=6, overlap=2, begins=[3])]
    [(0, 3, 0, 3), (3, 9, 3, 7), (4, 10, 7, 10)]
    """
    if not 0 <= overlap < size:
        raise OptionError(
            f"Windows of {size} tokens cannot overlap by {overlap}.",
            "Choose an overlap below the window's size.",
        )
    for begin, end in pairwise([0, *begins, tokens]):
        start = first = begin
        while start + size < end:
            following = min(start + size - overlap, end - size)
            last = (start + size + following + 1) // 2
            yield Window(start, start + size, first, last)
            start, first = following, last
        yield Window(start, end, first, end)


def line_starts(text: str) -> list[int]:
    r"""The characters at which lines begin, but for those into which a longer line was wrapped.

    A line was wrapped if the first word of the next one had no room behind it: blank lines end a block, and its longest
    line is as wide as it is.

    >>> line_starts("Present:\nAda Lovelace, in the chair, and Miriam\nAdler\n")
    [0, 9]
    """
    found, place = [], 0
    for filled, lines in groupby(text.split("\n"), key=lambda line: bool(line.strip())):
        block = list(lines)
        width = max(len(line.rstrip()) for line in block)
        room = width + 1
        for line in block:
            if filled and len(line.split(maxsplit=1)[0]) < room:
                found.append(place)
            room = width - len(line.rstrip())
            place += len(line) + 1
    return found


def answer_long_texts(
    texts: Iterable[tuple[T, list[int], Sequence[int]]],
    with_special_tokens: Callable[[list[int]], list[int]],
    answer: Answer[A],
    *,
    size: int,
    overlap: int,
    workers: int = 1,
    batch_size: int,
) -> Iterator[tuple[T, list[tuple[Window, A]]]]:
    """Yield each text with its windows and what `answer` says of each, in the order of `texts`.

    A text is anything, with its token ids, without special ones, and the tokens at which a part of it begins
    (`windows`): `with_special_tokens` puts those around each window, which is then read as a text of its own. Raises as
    `windows` does.
    """
    under_way: deque[tuple[T, Window, bool]] = deque()  # of each window: its text, and whether it is its last

    def pieces() -> Iterator[list[int]]:
        for text, tokens, begins in texts:
            for window in windows(len(tokens), size, overlap, begins):
                under_way.append((text, window, window.last == len(tokens)))
                yield with_special_tokens(tokens[window.start : window.stop])

    def encoded(ids: list[list[int]]) -> EncodedTexts:
        return EncodedTexts(ids, None, [False] * len(ids))

    parts: list[tuple[Window, A]] = []
    for answered in answer_in_order(
        pieces(),
        encoded,
        answer,
        workers=workers,
        batch_size=batch_size,
        largest_window=WINDOWS_IN_MEMORY,
    ):
        text, window, ends = under_way.popleft()
        parts.append((window, answered))
        if ends:
            yield text, parts
            parts = []
