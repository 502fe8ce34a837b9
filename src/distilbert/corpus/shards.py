"""Shards on disk: written one at a time, checked by their hashes, and read through memory maps.

Two arrays in NumPy's own format: `00000.tokens.npy` holds the ids of all texts of the shard, one after the other and
without special tokens (uint16, or uint32 for a vocabulary beyond that); `00000.ends.npy`, int64, where each text ends.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from distilbert.corpus.manifest import MANIFEST, TOKENIZER, Manifest, Shard, read_manifest, shard_files
from distilbert.errors import DataError
from distilbert.files.cache import known_sha256, sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import IO

    from numpy.typing import NDArray

REBUILD = "Rebuild it from the corpus: the `distilbert prepare` that made it, with --repair."
_OPEN_SHARDS = 256  # each holds two file descriptors, of which a process often has 1,024


class Piece(NamedTuple):
    """Rows of the corpus, tokenised: the ids of their texts `[tokens]`, and the tokens of each text `[texts]`."""

    rows: int
    ids: NDArray[Any]
    lengths: NDArray[np.int64]


def write_shard(folder: Path, number: int, pieces: Iterable[Piece], dtype: np.dtype[Any]) -> Shard:
    """Write a shard piece by piece, in constant memory; when this returns, it is on the disk. Raises `OSError`."""
    tokens_file, ends_file = shard_files(number)
    rows, lengths = 0, [np.zeros(0, np.int64)]
    with (folder / tokens_file).open("wb") as file:
        _write_header(file, dtype, 0)  # NumPy leaves room in it for any number of tokens
        for piece in pieces:
            file.write(piece.ids.astype(dtype).tobytes())
            lengths.append(piece.lengths)
            rows += piece.rows
        ends = np.cumsum(np.concatenate(lengths), dtype="<i8")
        tokens = int(ends[-1]) if len(ends) else 0
        file.seek(0)
        _write_header(file, dtype, tokens)
        _flush(file)
    with (folder / ends_file).open("wb") as file:
        _write_header(file, ends.dtype, len(ends))
        file.write(ends.tobytes())
        _flush(file)
    hashes = {name: sha256(folder / name) for name in (tokens_file, ends_file)}
    return Shard(rows, len(ends), tokens, hashes)


def _write_header(file: IO[bytes], dtype: np.dtype[Any], size: int) -> None:
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (size,)}
    np.lib.format.write_array_header_1_0(file, described)


def _flush(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def faults_of(
    folder: Path, manifest: Manifest, digest: Callable[[Path], str] = sha256
) -> Iterator[tuple[int | None, str]]:
    """Yield, for each file that is not as it was written, the number of its shard and what is wrong.

    None stands for the tokenizer's files.
    """
    for name, expected in manifest.tokenizer.items():
        yield from ((None, fault) for fault in _fault(folder / TOKENIZER / name, expected, digest))
    for number, shard in enumerate(manifest.shards):
        for name, expected in shard.files.items():
            yield from ((number, fault) for fault in _fault(folder / name, expected, digest))


def _fault(path: Path, expected: str, digest: Callable[[Path], str]) -> Iterator[str]:
    try:
        found = digest(path)
    except OSError as error:
        yield f"{path} cannot be read: {error.strerror}."
    else:
        if found != expected:
            yield f"{path} was changed: its SHA-256 is {found[:12]}…, {MANIFEST} says {expected[:12]}…."


def open_corpus(folder: Path) -> Corpus:
    """Open a prepared corpus: its files are hashed when first seen on this machine, then those that changed.

    Raises `DataError`, which names the file at fault.
    """
    return _checked(folder, known_sha256)


def verify_corpus(folder: Path) -> Corpus:
    """As `open_corpus`, but every byte is read again."""
    return _checked(folder, sha256)


def _checked(folder: Path, digest: Callable[[Path], str]) -> Corpus:
    manifest = read_manifest(folder)
    for _, fault in faults_of(folder, manifest, digest):
        raise DataError(fault, REBUILD)
    return Corpus(folder, manifest)


@dataclass(frozen=True, eq=False)
class Corpus:
    """The texts of a prepared corpus as token ids, in the corpus's order, without special tokens, never cut.

    Tokens are read from disk when they are asked for; what stays in memory is the system's to take back.
    """

    folder: Path
    manifest: Manifest

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def tokenizer(self) -> Path:
        """The folder of the tokenizer that made the ids."""
        return self.folder / TOKENIZER

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text, at least 1, `[texts]`: 8 bytes a text."""
        empty = np.zeros(0, np.int64)
        ends = (self._arrays(number)[1] for number in range(len(self.manifest.shards)))
        return np.concatenate([empty, *(np.diff(shard, prepend=0) for shard in ends)])

    def text_ids(self, row: int) -> NDArray[Any]:
        """The token ids of a text, `[tokens]`: a read-only view of the disk, in its dtype. Raises `IndexError`."""
        if not 0 <= row < len(self):
            raise IndexError(f"text {row} of {len(self)}")
        number = bisect_right(self._starts, row) - 1
        tokens, ends = self._arrays(number)
        place = row - self._starts[number]
        return tokens[int(ends[place - 1]) if place else 0 : int(ends[place])]

    @cached_property
    def _starts(self) -> list[int]:
        """The first text of each shard, and one behind the last text."""
        return list(accumulate((shard.texts for shard in self.manifest.shards), initial=0))

    @cached_property
    def _arrays(self) -> Callable[[int], tuple[NDArray[Any], NDArray[np.int64]]]:
        """A shard's number -> its tokens and ends, mapped; those that were not used for longest are closed."""
        return lru_cache(_OPEN_SHARDS)(self._map)

    def _map(self, number: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
        shard = self.manifest.shards[number]
        tokens, ends = (self._mapped(name) for name in shard_files(number))
        expected = [(self.manifest.vocabulary.dtype, (shard.tokens,)), (np.dtype("<i8"), (shard.texts,))]
        if [(array.dtype, array.shape) for array in (tokens, ends)] != expected:
            fault = f"{self.folder / shard_files(number)[0]} is not the shard that {MANIFEST} describes."
            raise DataError(fault, REBUILD)
        return tokens, ends

    def _mapped(self, name: str) -> NDArray[Any]:
        try:
            return np.asarray(np.load(self.folder / name, mmap_mode="r", allow_pickle=False))
        except (OSError, ValueError) as error:  # it was as it should be when the corpus was opened
            raise DataError(f"{self.folder / name} cannot be read: {error}.", REBUILD) from error
