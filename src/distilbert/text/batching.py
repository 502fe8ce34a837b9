"""A stream of texts -> batches of like length -> answers in the stream's order.

Texts are taken in windows of a few thousand, sorted by length within the window, and cut into batches by a
budget of tokens, so that little work is spent on padding and memory is bounded by a window, not by the stream.
Batches of a window run beside each other in as many threads as the engine has workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from distilbert.text.tokenizer import EncodedTexts

    Answer: TypeAlias = Callable[["Batch"], Iterable["A"]]

T = TypeVar("T")
A = TypeVar("A")

# Measured on SST-2 sentences and IMDb reviews, two workers: docs/lab.md.
TEXTS_PER_BATCH = 16
TOKENS_PER_BATCH = 2048
ATTENTION_PER_BATCH = 1 << 19  # pairs of tokens that look at each other: what long texts take in memory
FIRST_WINDOW = 64  # texts; a stream's windows double from here, so that its first answers come soon
LARGEST_WINDOW = 4096
CHARACTERS_PER_WINDOW = 1 << 22  # bounds memory when texts are books


@dataclass(frozen=True)
class Batch:
    """Texts padded to one length: int64 arrays `[batch, length]` by input name, and each text's own length."""

    inputs: dict[str, NDArray[np.int64]]
    lengths: list[int]


def answer_in_order(
    texts: Iterable[T],
    encode: Callable[[list[T]], EncodedTexts],
    answer: Answer[A],
    *,
    workers: int = 1,
    batch_size: int = TEXTS_PER_BATCH,
    largest_window: int = LARGEST_WINDOW,
) -> Iterator[A]:
    """Yield one answer a text, in the order of `texts`, which may be endless.

    `encode` turns a window of texts into token ids; `answer` turns a batch into one answer a text and is
    called from up to `workers` threads at once. A list is taken in the largest windows from the start; with a
    `batch_size` of 1 each text is answered before the next one is taken. `largest_window` is in texts: smaller
    where answers are large, since a window's are in memory together.
    """
    for window in _windows(texts, batch_size, largest_window):
        encoded = encode(window)
        batches = cut([len(ids) for ids in encoded.input_ids], batch_size, workers)
        yield from _answer_window(encoded, batches, answer, workers)


def _answer_window(
    encoded: EncodedTexts, batches: list[list[int]], answer: Answer[A], workers: int
) -> list[A]:
    def run(places: list[int]) -> Iterable[A]:
        return answer(pad(encoded, places))

    answers: dict[int, A] = {}
    if workers == 1 or len(batches) == 1:
        for places in batches:
            answers.update(zip(places, run(places), strict=True))
    else:
        # A pool a window costs 0.1 ms and leaves no threads behind for a fork to lose.
        with ThreadPoolExecutor(min(workers, len(batches))) as pool:
            for places, rows in zip(batches, pool.map(run, batches), strict=True):
                answers.update(zip(places, rows, strict=True))
    return [answers[place] for place in range(len(encoded.input_ids))]


def _windows(texts: Iterable[T], batch_size: int, largest: int) -> Iterator[list[T]]:
    is_list = isinstance(texts, Sequence)
    size = 1 if batch_size == 1 and not is_list else largest if is_list else min(FIRST_WINDOW, largest)
    stream = iter(texts)
    while window := _take(stream, size):
        yield window
        if size > 1:
            size = min(2 * size, largest)


def _take(stream: Iterator[T], size: int) -> list[T]:
    window: list[T] = []
    characters = 0
    for text in islice(stream, size):
        window.append(text)
        characters += sum(len(part) for part in _parts(text) if isinstance(part, str))
        if characters >= CHARACTERS_PER_WINDOW:
            break
    return window


def _parts(text: object) -> Iterable[object]:
    return text.values() if isinstance(text, Mapping) else (text,)


def cut(lengths: Sequence[int], batch_size: int, workers: int) -> list[list[int]]:
    """Cut texts of these token counts into batches of places, longest first.

    A batch holds at most `batch_size` texts, `TOKENS_PER_BATCH` tokens with padding and `ATTENTION_PER_BATCH` pairs of
    them (one text may be longer), and no more than a worker's share, so that none stands idle.

    >>> cut([3, 500, 4, 490], batch_size=2, workers=1)
    [[1, 3], [2, 0]]
    """
    size = min(batch_size, -(-len(lengths) // workers))
    batches: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        longest = lengths[batches[-1][0]] if batches else 0
        room = min(size, TOKENS_PER_BATCH // max(1, longest), ATTENTION_PER_BATCH // max(1, longest**2))
        if not batches or len(batches[-1]) >= room:
            batches.append([])
        batches[-1].append(place)
    return batches


def pad(encoded: EncodedTexts, places: Sequence[int]) -> Batch:
    """Pad some of the texts at their right to the longest of them. Padding is masked, so what stands there is 0."""
    lengths = [len(encoded.input_ids[place]) for place in places]
    shape = (len(places), max(lengths))
    inputs = {name: np.zeros(shape, np.int64) for name in ("input_ids", "attention_mask", "token_type_ids")}
    for row, (place, length) in enumerate(zip(places, lengths, strict=True)):
        inputs["input_ids"][row, :length] = encoded.input_ids[place]
        inputs["attention_mask"][row, :length] = (
            1 if encoded.attention_mask is None else encoded.attention_mask[place]
        )
        if encoded.token_type_ids is not None:
            inputs["token_type_ids"][row, :length] = encoded.token_type_ids[place]
    return Batch(inputs, lengths)
