"""What a peer that is used well does around its model: fast tokenisation, texts sorted by length, softmax in numpy."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from tokenizers import Tokenizer

from distilbert.bench.ways import Setting
from distilbert.files.config import DistilBertConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from distilbert.bench.ways import Answer, Answers, Source

    Ids: TypeAlias = NDArray[np.int64]  # [batch, length]
    Logits: TypeAlias = NDArray[np.float32]  # [batch, labels]
    # batches of input_ids and attention_mask -> their logits, in order
    Run: TypeAlias = Callable[[Sequence[tuple[Ids, Ids]]], Sequence[Logits]]

SIZES = (8, 16, 32, 64)  # texts a batch, of which the fastest is kept


def settings(run: Run, source: Source, sizes: Sequence[int] = SIZES, name: str = "") -> list[Setting]:
    """`run` with batches of each of the sizes."""
    return [
        Setting(
            f"{size} texts{name}",
            answering(run, source, size),
            partial(by_length, size=size),
        )
        for size in sizes
    ]


def answering(run: Run, source: Source, size: int) -> Answers:
    """From texts to labels with scores: tokenised at once, sorted, padded to each batch's longest, run, put back."""
    tokenise = tokeniser(source)
    labels = labels_of(source)

    def answer(texts: list[str]) -> list[Answer]:
        rows = tokenise(texts)
        places = by_length([len(row) for row in rows], size)
        found: dict[int, Answer] = {}
        for batch, logits in zip(
            places, run([padded([rows[place] for place in batch]) for batch in places]), strict=True
        ):
            found.update(zip(batch, answers(logits, labels), strict=True))
        return [found[place] for place in range(len(texts))]

    return answer


def tokeniser(source: Source) -> Callable[[Sequence[str]], list[list[int]]]:
    """From texts to token ids with special tokens, cut to what the model reads: the `tokenizers` library itself."""
    tokenizer = Tokenizer.from_file(str(source.bundle / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(source.max_length)
    return lambda texts: [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]


def labels_of(source: Source) -> list[str]:
    """The labels' names by id."""
    return [*DistilBertConfig.from_folder(source.checkpoint).labels]


def by_length(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Batches of places, longest first.

    >>> by_length([3, 9, 5], 2)
    [[1, 2], [0]]
    """
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    return [order[start : start + size] for start in range(0, len(order), size)]


def padded(rows: Sequence[Sequence[int]]) -> tuple[Ids, Ids]:
    """Token ids and mask, `[batch, length]`; the padding's id is 0, as in BERT's vocabularies, and masked anyway."""
    ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
    mask = np.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
        mask[place, : len(row)] = 1
    return ids, mask


def answers(logits: Logits, labels: Sequence[str]) -> Iterator[Answer]:
    """The best label and its probability of each row."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    best = logits.argmax(axis=1)
    for place, row in zip(best, shifted, strict=True):
        yield {"label": labels[place], "score": float(row[place] / row.sum())}
