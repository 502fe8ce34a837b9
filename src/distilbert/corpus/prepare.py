"""From files of texts to shards of token ids: in threads, in constant memory, and so that a kill undoes little.

Work goes on in `DATA.partial`, a corpus like the one that it becomes: its manifest lists the shards that are safe, and
is replaced when a shard more is on the disk. At the end the folder is renamed.

Rows are cut into batches and batches into shards at the same places in every run, whatever the number of threads.
Threads and not processes: the `tokenizers` library lets go of Python's lock for 92 % of the work, a second process
would need a tokenizer of its own, and it could outlive a killed parent and write on.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from distilbert import __version__
from distilbert.corpus.manifest import (
    MANIFEST,
    TOKENIZER,
    Manifest,
    Source,
    Vocabulary,
    read_manifest,
    shard_files,
    write_manifest,
)
from distilbert.corpus.shards import Piece, faults_of, write_shard
from distilbert.errors import DataError, OptionError, StorageError, TokenizerError
from distilbert.files.atomic import named_errors, try_lock
from distilbert.files.cache import sha256
from distilbert.files.tables import read_column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    from distilbert.text.tokenizer import DistilBertTokenizer

BATCH_ROWS = 1024
BATCH_CHARACTERS = 1 << 17  # tokenising takes about 100 bytes a character
SHARD_BATCHES = 128  # so that a shard is of 16 million characters, or of 131,072 rows

_OURS = re.compile(rf"\d{{5,}}\.(tokens|ends)\.npy|{re.escape(MANIFEST)}(\.new)?|{TOKENIZER}")
_GO_ON = "Free space; --resume goes on from what is safe."


def plan(corpus: Sequence[str], column: str, tokenizer: DistilBertTokenizer) -> Manifest:
    """What is to be made. Raises `DataError` for what is no table, `OptionError` for what cannot be read twice."""
    for path in corpus:
        read_column(path, column)  # raises where there is no such file, or none that is read here
        if not Path(path).is_file():
            fault = f"A corpus is read more than once, and {path} is no regular file."
            raise OptionError(fault, "Save it to a file first.")
    sources = tuple(Source(Path(path).name, sha256(Path(path))) for path in corpus)
    with tempfile.TemporaryDirectory() as folder:
        saved = {Path(path).name: sha256(Path(path)) for path in tokenizer.save_pretrained(folder)}
    made_by = {"distilbert": __version__, "tokenizers": version("tokenizers")}
    return Manifest(sources, column, Vocabulary.of(tokenizer), saved, made_by)


def texts_of(corpus: Sequence[str], column: str) -> Iterator[str]:
    """The texts of all files, in order; the empty ones too. Raises as `read_column` does."""
    return (text for path in corpus for text in read_column(path, column))


@dataclass
class Preparation:
    """A corpus under way, made by `preparation`: the shards of `manifest` are safe."""

    folder: Path
    manifest: Manifest

    def go_on(
        self,
        rows: Iterable[str],
        tokenizer: DistilBertTokenizer,
        threads: int,
        advance: Callable[[int], None],
    ) -> None:
        """Make the shards that are missing, of the texts of all rows; `advance` is told of each so many rows.

        Raises `DataError` where no text has a token, and what `rows` raise.
        """
        safe = len(self.manifest.shards)
        for number, pieces in _tokenised(rows, lambda shard: shard >= safe, tokenizer, threads):
            shard = write_shard(self.folder, number, _told(pieces, advance), self.manifest.vocabulary.dtype)
            after = replace(self.manifest, shards=(*self.manifest.shards, shard))
            write_manifest(self.folder, after)
            self.manifest = after
        if not self.manifest.tokens:
            names = ", ".join(source.file for source in self.manifest.corpus)
            raise DataError(f"{names}: no row has a word in it.", "Give a corpus with text.")
        shutil.rmtree(self.folder / TOKENIZER, ignore_errors=True)  # a kill may have left half of it
        tokenizer.save_pretrained(self.folder / TOKENIZER)


def finished(out: Path, planned: Manifest) -> Manifest | None:
    """The manifest of `out` where it is there whole; `OptionError` if it was made from something else than planned."""
    if not (out / MANIFEST).is_file():
        return None
    made = read_manifest(out)
    _refuse_other(out, made, planned)
    return made


@contextmanager
def preparation(out: Path, planned: Manifest, *, resume: bool) -> Iterator[Preparation]:
    """Yield what is under way to `out`, which at the end stands there.

    With `resume` it goes on from what a kill left, if there is such: `OptionError` if that was made from something
    else. Without, `StorageError` if there is such. What the corpus is at fault for cannot be gone on with, so it is
    removed. Raises `StorageError`, too, where the disk refuses, something stands at `out`, or another process is there.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise StorageError(f"{out} is already there and is never overwritten.", "Choose another folder.")
    with _workplace(out) as folder:
        under_way = Preparation(folder, _left(folder, planned, resume))
        try:
            with named_errors(out, _GO_ON, temporary=folder):
                yield under_way
                folder.rename(out)
        except (OptionError, DataError, TokenizerError):
            under_way.manifest = replace(planned, shards=())
            raise
        finally:
            if not under_way.manifest.shards:
                shutil.rmtree(folder, ignore_errors=True)


def _left(folder: Path, planned: Manifest, resume: bool) -> Manifest:
    """What is planned, with the shards that an interrupted run left whole."""
    if not (folder / MANIFEST).exists():
        return planned
    left = read_manifest(folder)
    if not resume:
        raise StorageError(
            f"{folder} holds {left.texts:,} texts of an interrupted run.",
            "Add --resume to go on from there, or remove it to start again.",
        )
    _refuse_other(folder, left, planned)
    first_fault = min((number for number, _ in _shard_faults(folder, left)), default=len(left.shards))
    return replace(left, shards=left.shards[:first_fault])


def _refuse_other(folder: Path, made: Manifest, planned: Manifest, *, versions: bool = True) -> None:
    """Raise `OptionError` where what is in `folder` was made from something else than is planned."""
    if change := made.difference(planned, versions=versions):
        raise OptionError(
            f"{folder} was made with another {change} than this call's.",
            "Call it as it was called then, or remove the folder to start again.",
        )


def _shard_faults(folder: Path, manifest: Manifest) -> Iterator[tuple[int, str]]:
    return ((number, fault) for number, fault in faults_of(folder, manifest) if number is not None)


@contextmanager
def _workplace(out: Path) -> Iterator[Path]:
    """`OUT.partial`, which is this process's alone until it is renamed or removed."""
    shown = f"{out}.partial"
    with named_errors(out):
        folder = out.resolve().with_name(f"{out.resolve().name}.partial")
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)  # a lock on the folder itself leaves nothing behind
    try:
        free = try_lock(descriptor) and folder.exists()
        if not free or not os.path.samestat(os.fstat(descriptor), folder.stat()):  # or it was just renamed
            raise StorageError(
                f"{shown} is being written by another process.", "Wait for its end, or choose another --out."
            )
        if strangers := sorted(path.name for path in folder.iterdir() if not _OURS.fullmatch(path.name)):
            raise StorageError(
                f"{shown} is not what an interrupted run leaves: it holds {strangers[0]}.",
                "Remove it, or choose another --out.",
            )
        yield folder
    finally:
        os.close(descriptor)


def repair(
    out: Path,
    planned: Manifest,
    rows: Iterable[str],
    tokenizer: DistilBertTokenizer,
    threads: int = 1,
    advance: Callable[[int], None] = lambda rows: None,  # noqa: ARG005
) -> list[str]:
    """Make what is damaged in `out` again, and only that; return what was wrong, nothing where all is well.

    Raises `OptionError` where `out` was made from something else than is planned, `DataError` where a shard comes out
    otherwise than it was: `out` is then as before.
    """
    made = read_manifest(out)
    _refuse_other(out, made, planned, versions=False)  # the hashes decide whether the libraries agree
    faults = list(faults_of(out, made))
    damaged = {number for number, _ in faults if number is not None}
    with named_errors(out), _workplace(out) as folder:
        try:
            for number, pieces in _tokenised(rows, damaged.__contains__, tokenizer, threads):
                shard = write_shard(folder, number, _told(pieces, advance), made.vocabulary.dtype)
                if shard != made.shards[number]:
                    by = ", ".join(f"{name} {release}" for name, release in made.made_by.items())
                    fault = f"{out / shard_files(number)[0]} comes out otherwise than it was made, by {by}."
                    raise DataError(fault, "Prepare the corpus again, into another folder.")
                for name in shard.files:
                    (folder / name).replace(out / name)
            if faults and faults[0][0] is None:
                shutil.rmtree(out / TOKENIZER, ignore_errors=True)
                tokenizer.save_pretrained(out / TOKENIZER)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return [fault for _, fault in faults]


def _tokenised(
    rows: Iterable[str], wanted: Callable[[int], bool], tokenizer: DistilBertTokenizer, threads: int
) -> Iterator[tuple[int, Iterator[Piece]]]:
    """Yield the numbers of the shards that are wanted, in order, each with its pieces."""
    numbered = ((place // SHARD_BATCHES, batch) for place, batch in enumerate(_batches(rows)))
    chosen = ((number, batch) for number, batch in numbered if wanted(number))

    backend = tokenizer.backend_tokenizer
    cuts = _parts_at_blanks(backend)

    def ids_of(texts: Sequence[str]) -> list[NDArray[np.uint32]]:
        encodings = backend.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(encoding.ids, np.uint32) for encoding in encodings]

    def tokenise(number: int, batch: list[str]) -> tuple[int, Piece]:
        *texts, last = batch  # which may be longer than a whole batch should be
        pieces = _cut(last) if cuts else [last]
        found = [*ids_of(texts), np.concatenate([ids for piece in pieces for ids in ids_of([piece])])]
        lengths = np.array([len(ids) for ids in found], np.int64)
        return number, Piece(len(batch), np.concatenate(found), lengths[lengths > 0])

    for number, pieces in groupby(_in_threads(tokenise, chosen, threads), key=lambda made: made[0]):
        yield number, (piece for _, piece in pieces)


def _parts_at_blanks(backend: Tokenizer) -> bool:
    """Whether the pieces of a text that is cut before blanks have the text's ids: no word or added token holds one."""
    splitter = backend.pre_tokenizer
    words = [word for word, _ in splitter.pre_tokenize_str("a b")] if splitter else []
    added = [token.content for token in backend.get_added_tokens_decoder().values()]
    return words == ["a", "b"] and all(token.split() == [token] for token in added)


def _cut(text: str) -> Iterator[str]:
    """Cut a text before blanks into pieces of at most `BATCH_CHARACTERS`, longer only where there is no blank."""
    start = 0
    while len(text) - start > BATCH_CHARACTERS:
        end = text.rfind(" ", start + 1, start + BATCH_CHARACTERS + 1)
        end = end if end >= 0 else text.find(" ", start + BATCH_CHARACTERS + 1)
        if end < 0:
            break
        yield text[start:end]
        start = end
    yield text[start:]


def _batches(rows: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    characters = 0
    for text in rows:
        batch.append(text)
        characters += len(text)
        if len(batch) == BATCH_ROWS or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _in_threads(work: Callable[..., Any], inputs: Iterable[tuple[Any, ...]], threads: int) -> Iterator[Any]:
    """Yield what `work` makes of each input, in order; at most two inputs a thread are in memory."""
    with ThreadPoolExecutor(threads) as pool:
        try:
            waiting: deque[Any] = deque()
            for given in inputs:
                waiting.append(pool.submit(work, *given))
                if len(waiting) == 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _told(pieces: Iterable[Piece], advance: Callable[[int], None]) -> Iterator[Piece]:
    for piece in pieces:
        yield piece
        advance(piece.rows)
