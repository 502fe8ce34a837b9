"""From a table's rows to token ids and targets in memory, and from there to padded batches.

Half a million short texts take about 50 MB: ids of all rows lie one after the other in one array.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch

from distilbert.errors import DataError, OptionError
from distilbert.files.tables import read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Self

    from numpy.typing import NDArray
    from torch import Tensor

    from distilbert.files.tables import Row
    from distilbert.text.tokenizer import DistilBertTokenizer

Batch = dict[
    str, "Tensor"
]  # a model's inputs [rows, length], and what an objective needs beside them, [rows, ...]
CHUNK = 1024  # rows tokenised at a time


class Data(Protocol):
    """What the loop trains on."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row, `[rows]`."""

    def batch(self, rows: NDArray[np.int64], epoch: int) -> Batch:
        """These rows, padded to the longest of them, on the processor. `epoch` is for what changes with it: masks."""

    def originals(self, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
        """These rows as they stand in the table, and where."""


class Source(NamedTuple):
    """A table that rows are from, and where their texts stand in it."""

    path: str
    unit: str  # what its lines are called: "line", or "row" in parquet
    columns: tuple[str, str | None]  # of the texts, and of their second halves

    def originals(self, lines: NDArray[np.int64]) -> list[dict[str, Any]]:
        """What stands at these lines, and where: read again, since it is asked for once in a lifetime."""
        rows = rows_at(self.path, lines)
        return [{"table": self.path, self.unit: row.line, **row.values} for row in rows]


@dataclass(frozen=True, eq=False)
class Texts:
    """The rows of a table, or of several, as token ids, special tokens included."""

    sources: tuple[Source, ...]
    source: NDArray[np.int64]  # which of `sources` each row is from, [rows]
    lines: NDArray[np.int64]  # and where it stands there, [rows]
    ids: NDArray[np.int32]  # of all rows, [tokens]
    types: NDArray[np.uint8] | None  # token types, [tokens]; None where no row is a pair
    ends: NDArray[np.int64]  # where each row ends in `ids`, from 0 on: [rows + 1]
    cut: NDArray[np.bool_]  # rows that were longer than allowed, [rows]

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row, `[rows]`."""
        return np.diff(self.ends)

    def row(self, row: int) -> slice:
        """Where a row's tokens are."""
        return slice(int(self.ends[row]), int(self.ends[row + 1]))

    def place(self, row: int) -> str:
        """Where a row stands, in the words of an error."""
        source = self.sources[self.source[row]]
        return f"{source.path}, {source.unit} {self.lines[row]}"

    def originals(self, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
        """See `Data`."""
        return [
            original
            for number, source in enumerate(self.sources)
            for original in source.originals(self.lines[rows[self.source[rows] == number]])
        ]

    def take(self, rows: NDArray[np.int64]) -> Self:
        """These rows alone, in this order."""
        pieces = [self.row(row) for row in rows]
        return dataclasses.replace(
            self,
            source=self.source[rows],
            lines=self.lines[rows],
            cut=self.cut[rows],
            ids=np.concatenate([self.ids[piece] for piece in pieces]),
            types=None if self.types is None else np.concatenate([self.types[piece] for piece in pieces]),
            ends=np.cumsum([0, *self.lengths[rows]]),
        )


@dataclass(frozen=True, eq=False)
class Examples:
    """Texts with a target each, or several kinds of targets: {name: `[rows, ...]`}."""

    texts: Texts
    targets: Mapping[str, NDArray[Any]]
    padding: Padding

    @property
    def lengths(self) -> NDArray[np.int64]:
        """See `Data`."""
        return self.texts.lengths

    def originals(self, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
        """See `Data`."""
        return self.texts.originals(rows)

    def batch(self, rows: NDArray[np.int64], epoch: int = 0) -> Batch:  # noqa: ARG002 - the same in every epoch
        """See `Data`."""
        targets = {name: torch.from_numpy(values[rows]) for name, values in self.targets.items()}
        return self.padding.batch(self.texts, rows) | targets


@dataclass(frozen=True)
class Padding:
    """How rows become a rectangle: filled up with `pad_id`, and no further than the longest (docs/lab.md)."""

    pad_id: int

    def batch(self, texts: Texts, rows: NDArray[np.int64]) -> Batch:
        """`input_ids`, `attention_mask` and, of pairs, `token_type_ids`: int64 `[rows, longest]`."""
        lengths = texts.lengths[rows]
        mask = np.arange(lengths.max()) < lengths[:, None]
        tokens = np.concatenate([np.arange(texts.ends[row], texts.ends[row + 1]) for row in rows])
        columns = {"input_ids": self._filled(texts.ids[tokens], mask, self.pad_id), "attention_mask": mask}
        if texts.types is not None:
            columns["token_type_ids"] = self._filled(texts.types[tokens], mask, 0)
        return {name: torch.from_numpy(column.astype(np.int64)) for name, column in columns.items()}

    @staticmethod
    def _filled(values: NDArray[Any], mask: NDArray[np.bool_], filler: int) -> NDArray[np.int64]:
        filled = np.full(mask.shape, filler, np.int64)
        filled[mask] = values
        return filled


def read_texts(
    path: str,
    tokenizer: DistilBertTokenizer,
    column: str,
    pair_column: str | None,
    max_length: int,
    read_label: Callable[[Row], Any] | None = None,
) -> tuple[Texts, list[Any]]:
    """Read and tokenise a table, and what `read_label` makes of each row; without labels, empty rows are skipped.

    Raises `DataError` for a table that cannot be read, lacks a column, or has a label where there is no text.
    """
    labels: list[Any] = []
    lines: list[int] = []
    unit = "line"
    ids: list[NDArray[np.int32]] = []
    types: list[NDArray[np.uint8]] = []
    cut: list[bool] = []
    rows = read_rows(path)
    if read_label is None:
        rows = (row for row in rows if row.text(column).strip())
    for chunk in _chunks(rows):
        inputs = [text_of(row, column, pair_column) for row in chunk]
        encoded = tokenizer.encode_texts(inputs, max_length=max_length)
        ids += [np.array(row, np.int32) for row in encoded.input_ids]
        types += [np.array(row, np.uint8) for row in encoded.token_type_ids or ()]
        cut += encoded.truncated
        lines += [row.line for row in chunk]
        labels += [read_label(row) for row in chunk] if read_label else []
        unit = chunk[0].unit
    if not lines:
        raise DataError(f"{path}: column {column!r} is empty in every row.", "Name one with texts.")
    return (
        Texts(
            sources=(Source(str(path), unit, (column, pair_column)),),
            source=np.zeros(len(lines), np.int64),
            lines=np.array(lines, np.int64),
            ids=np.concatenate(ids),
            types=np.concatenate(types) if types else None,
            ends=np.cumsum([0, *map(len, ids)]),
            cut=np.array(cut, bool),
        ),
        labels,
    )


def joined(pieces: Sequence[Texts]) -> Texts:
    """The rows of several, one after the other."""
    starts = np.cumsum([0, *(len(piece.sources) for piece in pieces)])
    types = [piece.types for piece in pieces if piece.types is not None]
    return Texts(
        sources=tuple(source for piece in pieces for source in piece.sources),
        source=np.concatenate([start + piece.source for start, piece in zip(starts, pieces, strict=False)]),
        lines=np.concatenate([piece.lines for piece in pieces]),
        ids=np.concatenate([piece.ids for piece in pieces]),
        types=np.concatenate(types) if types else None,
        ends=np.cumsum([0, *np.concatenate([piece.lengths for piece in pieces])]),
        cut=np.concatenate([piece.cut for piece in pieces]),
    )


def rows_at(path: str, lines: NDArray[np.int64]) -> Iterator[Row]:
    """The rows of a table that stand at these lines, in its order."""
    wanted = {int(line) for line in lines}
    return (row for row in read_rows(path) if row.line in wanted)


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


def text_of(row: Row, column: str, pair_column: str | None) -> str | tuple[str, str]:
    """A row's text, or pair. Raises `DataError` where one is missing or empty."""
    return (_filled(row, column), _filled(row, pair_column)) if pair_column else _filled(row, column)


def _filled(row: Row, column: str) -> str:
    text = row.text(column)
    if not text.strip():
        raise DataError(f"{row.place}: column {column!r} is empty.", "Fill it in or leave the row out.")
    return text


def draw_rows(texts: Texts, count: int, seed: int = 0, *, knob: str = "max_rows") -> NDArray[np.int64]:
    """`count` rows drawn at random, in the table's order. Raises `OptionError` if there are not so many."""
    if count > len(texts):
        raise OptionError(
            f"{texts.sources[0].path} has {len(texts):,} rows, and {count:,} were asked for.",
            f"Ask for fewer ({knob}).",
        )
    return np.sort(np.random.default_rng(seed).permutation(len(texts))[:count])


def hold_back(texts: Texts, count: int, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split rows into those to train on and at least `count` to judge by; equal texts stay together.

    Raises `OptionError` if nothing were left to train on.
    """
    groups: dict[bytes, list[int]] = {}
    for row in range(len(texts)):
        groups.setdefault(texts.ids[texts.row(row)].tobytes(), []).append(row)
    rows = list(groups.values())
    held: list[int] = []
    for group in np.random.default_rng(seed).permutation(len(rows)):
        if len(held) >= count:
            break
        held += rows[group]
    if len(held) == len(texts):
        raise OptionError(
            f"hold_back {count:,} leaves none of the {len(texts):,} rows of {texts.sources[0].path} to train on.",
            "Hold fewer back.",
        )
    judging = np.zeros(len(texts), bool)
    judging[held] = True
    return np.flatnonzero(~judging), np.flatnonzero(judging)
