"""Texts side by side: cut into pieces that a model can read, and several pieces to a row, so that little is padding.

A piece is a text of its own to the model, `[CLS] … [SEP]`: its tokens see each other only, and its positions begin at
0. So who its neighbours are changes no loss; rows are packed once for all epochs, which see them in other orders.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from distilbert.errors import DataError
from distilbert.training.losses import IGNORED

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from distilbert.text.tokenizer import DistilBertTokenizer
    from distilbert.training.data import Batch
    from distilbert.training.masking import Masks

FRAME = 2  # special tokens of a piece: [CLS] and [SEP]


class Corpus(Protocol):
    """Tokenised texts, which `distilbert prepare` makes."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text, special ones not counted, `[texts]`."""

    @property
    def tokenizer(self) -> Path:
        """The folder of the tokenizer that made the ids."""

    def text_ids(self, row: int) -> NDArray[Any]:
        """A text's token ids, without special ones."""


@dataclass(frozen=True, eq=False)
class Packing:
    """Pieces of texts, those of one row after those of another."""

    text: NDArray[np.int64]  # which text each piece is of, [pieces]
    start: NDArray[np.int64]  # its first token there, [pieces]
    size: NDArray[np.int64]  # tokens, special ones not counted, [pieces]
    ends: NDArray[np.int64]  # where each row's pieces end, from 0 on: [rows + 1]

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row, special ones included, `[rows]`."""
        return np.add.reduceat(self.size + FRAME, self.ends[:-1])

    def row(self, row: int) -> range:
        """Which pieces are in a row."""
        return range(int(self.ends[row]), int(self.ends[row + 1]))


def pack(texts: NDArray[np.int64], lengths: NDArray[np.int64], max_length: int, seed: int) -> Packing:
    """Cut texts of these `lengths` `[texts]` into pieces, and pack them into rows of at most `max_length` tokens.

    `texts` `[texts]` says which they are. A text is cut after every `max_length` - 2 tokens; empty ones vanish. Longest
    first, each piece goes where it leaves least room (best-fit decreasing: Johnson et al., 1974); equals come in an
    order drawn from the seed. A function of its arguments and nothing else; half a second for a million pieces.
    Raises `DataError` where all texts are empty.

    >>> packing = pack(np.arange(4), np.array([9, 1, 0, 3]), max_length=8, seed=0)
    >>> [[int(packing.text[piece]) for piece in packing.row(row)] for row in range(3)]
    [[0], [0, 1], [3]]
    >>> packing.lengths
    array([8, 8, 5])
    """
    most = max_length - FRAME
    counts = -(-lengths // most)
    source = np.repeat(np.arange(len(lengths)), counts)
    if not len(source):
        raise DataError("There is no text to learn from: all are empty.", "Give some that are not.")
    start = (np.arange(len(source)) - np.repeat(np.cumsum(counts) - counts, counts)) * most
    size = np.minimum(most, lengths[source] - start)
    order = np.random.default_rng(seed).permutation(len(source))
    order = order[np.argsort(-size[order], kind="stable")]
    rows = _best_fit(size[order] + FRAME, max_length)
    order = order[np.argsort(rows, kind="stable")]
    ends = np.concatenate([[0], np.cumsum(np.bincount(rows))])
    return Packing(texts[source[order]], start[order], size[order], ends)


def _best_fit(sizes: NDArray[np.int64], space: int) -> NDArray[np.int64]:
    """Which row each item goes to, `[items]`, as they come: where it leaves least room, or a new one."""
    with_room: list[list[int]] = [[] for _ in range(space + 1)]  # rows by the room that is left
    there = 0  # bit n is set where a row has room for n more
    rows, count = np.empty(len(sizes), np.int64), 0
    for item, size in enumerate(sizes.tolist()):
        if fitting := there >> size:
            room = size + (fitting & -fitting).bit_length() - 1
            row = with_room[room].pop()
            there ^= (not with_room[room]) << room
        else:
            row, room, count = count, space, count + 1
        with_room[room - size].append(row)
        there |= 1 << (room - size)
        rows[item] = row
    return rows


@dataclass(frozen=True, eq=False)
class PackedTexts:
    """Packed rows of a corpus, of which a share of tokens is to be guessed, other ones in each epoch."""

    corpus: Corpus
    packing: Packing
    masks: Masks
    tokenizer: DistilBertTokenizer

    @property
    def lengths(self) -> NDArray[np.int64]:
        """See `Data`."""
        return self.packing.lengths

    def originals(self, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
        """See `Data`: the texts' numbers in the corpus, from 0, and what the tokenizer makes of their ids."""
        packing = self.packing
        return [
            {"number": int(packing.text[piece]), "text": self.tokenizer.decode(self._ids(piece).tolist())}
            for row in rows
            for piece in packing.row(row)
        ]

    def batch(self, rows: NDArray[np.int64], epoch: int) -> Batch:
        """See `Data`: int64 `[rows, longest]`.

        `input_ids`, masked; `labels`, what is to be guessed, elsewhere `IGNORED`; `pieces`, of which piece of its row a
        token is, from 1 on, 0 of padding; `position_ids`, where it stands there.
        """
        packing, tokenizer = self.packing, self.tokenizer
        shape = len(rows), int(self.lengths[rows].max())
        ids = np.full(shape, tokenizer.pad_token_id or 0)
        labels, pieces, positions = np.full(shape, IGNORED), np.zeros(shape, int), np.zeros(shape, int)
        for place, row in enumerate(rows):
            end = 0
            for number, piece in enumerate(packing.row(row), start=1):
                words = self._ids(piece)
                where, after = self.masks.draw(
                    words, epoch, int(packing.text[piece]), int(packing.start[piece])
                )
                here, end = slice(end, end + len(words) + FRAME), end + len(words) + FRAME
                labels[place, here.start + 1 + where] = words[where]
                words[where] = after
                ids[place, here] = [tokenizer.cls_token_id, *words, tokenizer.sep_token_id]
                pieces[place, here], positions[place, here] = number, np.arange(len(words) + FRAME)
        columns = {"input_ids": ids, "labels": labels, "pieces": pieces, "position_ids": positions}
        return {name: torch.from_numpy(column.astype(np.int64)) for name, column in columns.items()}

    def _ids(self, piece: int) -> NDArray[np.int64]:
        """The token ids of a piece, special ones not counted."""
        packing = self.packing
        start = packing.start[piece]
        ids = self.corpus.text_ids(int(packing.text[piece]))
        return ids[start : start + packing.size[piece]].astype(np.int64)
