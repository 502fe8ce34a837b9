"""A table written piece by piece, which a kill at any moment does not undo.

The rows go to `OUT.partial`; beside it `OUT.partial.jsonl` is the journal: what the table is made from, then after
each piece how far it has come. A piece is on the disk before the journal counts it, so what the journal counts is
whole, and what a kill left beyond that is cut off by who goes on. At the end `OUT.partial` becomes `OUT`.
"""

from __future__ import annotations

import gzip
import json
import os
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from typing import TYPE_CHECKING, Any

from distilbert.errors import DataError, OptionError, StorageError, TokenizerError
from distilbert.files.atomic import named_errors, try_lock
from distilbert.files.table_writer import refuse_unfit_columns, table_lines
from distilbert.files.tables import format_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


_MADE_FROM = "made_from"
_GO_ON = "Free space; --resume goes on from what is safe."


@dataclass
class ResumableTable:
    """A table under way, made by `resumable_table`: `rows` of it are safe."""

    path: Path
    kind: str
    zipped: bool
    columns: Sequence[str]
    table: FileIO
    journal: FileIO
    rows: int

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write a piece: once this returns, a kill does not undo it.

        Raises `DataError` for a value that the format cannot hold, `StorageError` where the disk refuses.
        """
        piece = "".join(table_lines(self.kind, rows, self.columns, done=self.rows)).encode()
        with named_errors(self.path, _GO_ON):
            # a gzip file may have many members: each piece is one, with no time inside
            _put(self.table, gzip.compress(piece, 6, mtime=0) if self.zipped else piece)
            self.rows += len(rows)  # before it is recorded: an interrupt between the two loses nothing
            try:
                _record(self.journal, {"rows": self.rows, "bytes": self.table.tell()})
            except OSError:
                self.rows -= len(rows)
                raise


@contextmanager
def resumable_table(
    path: Path, columns: Sequence[str], made_from: Mapping[str, Any], *, resume: bool
) -> Iterator[ResumableTable]:
    """Yield a table to append to, which at the end stands under `path`.

    `made_from`: what its rows depend on, as JSON by name. With `resume` it goes on from what was left under way, if
    there is such: `OptionError` if that was made from something else. Without `resume`, `StorageError` if there is
    such. What the input or the options are at fault for cannot be gone on with, so it is removed.

    Raises `OptionError` for columns that the format cannot hold; `StorageError` where the disk refuses, another
    process is at the same table, or the names are taken by files of another kind.
    """
    path = path.resolve()  # of a link, the file that it leads to
    kind, zipped = format_of(path)
    if path.is_dir():
        raise StorageError(f"{path} is a folder; a table is one file.", "Choose another name.")
    refuse_unfit_columns(kind, columns)
    partial, journal_path = (path.with_name(f"{path.name}.partial{ending}") for ending in ("", ".jsonl"))
    with ExitStack() as files:
        with named_errors(path):
            table = files.enter_context(_opened(partial))
            _lock(table, partial)
            try:
                journal = files.enter_context(_opened(journal_path))
                rows = _rows_to_keep(table, journal, made_from, partial, resume)
            except BaseException:
                for new in (partial, journal_path):
                    if new.is_file() and not new.stat().st_size:
                        _remove(new)
                raise
        under_way = ResumableTable(path, kind, zipped, columns, table, journal, rows)
        try:
            if not rows:
                with named_errors(path):
                    _record(journal, {_MADE_FROM: made_from})
            yield under_way
            with named_errors(path, _GO_ON):
                partial.replace(path)
        except (OptionError, DataError, TokenizerError):
            under_way.rows = 0
            raise
        finally:
            if not under_way.rows:
                _remove(partial)
            if not partial.exists():
                _remove(journal_path)


def _rows_to_keep(
    table: FileIO, journal: FileIO, made_from: Mapping[str, Any], partial: Path, resume: bool
) -> int:
    """The rows to go on from, 0 to start again. Both files end there and stand at their ends."""
    content, there = journal.readall(), os.fstat(table.fileno()).st_size
    made_before, rows, size, recorded = _left(content)
    begun = f'{{"{_MADE_FROM}": '.encode()
    ours = content.startswith(begun) or (begun.startswith(content) and not there)
    both = f"{partial} and {partial.name}.jsonl"
    if not ours or 0 < there < size:
        raise StorageError(
            f"{both} are not what an interrupted run leaves.",
            "Remove them, or choose another name for the table.",
        )
    if not there:  # of a run that had nothing yet, or that was killed just behind its end
        rows = size = recorded = 0
    change = next((name for name in made_from if made_from[name] != made_before.get(name)), None)
    if rows and not resume:
        raise StorageError(
            f"{both} hold {rows:,} rows of an interrupted run.",
            "Add --resume to go on from there, or remove them to start again.",
        )
    if rows and change:
        raise OptionError(
            f"{partial} was made with another {change}: {_shown(made_before, change)}, "
            f"now {_shown(made_from, change)}.",
            f"Call it as it was called then, or remove it and {partial.name}.jsonl to start again.",
        )
    for file, end in ((table, size), (journal, recorded)):
        file.truncate(end)
        file.seek(end)
    return rows


def _left(content: bytes) -> tuple[dict[str, Any], int, int, int]:
    """What a journal says: made from what, how many rows, their bytes, and the bytes of its own whole lines."""
    *lines, torn = content.split(b"\n")
    try:
        begun, *_, reached = map(json.loads, lines)
        return dict(begun[_MADE_FROM]), int(reached["rows"]), int(reached["bytes"]), len(content) - len(torn)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return {}, 0, 0, 0


def _shown(made_from: Mapping[str, Any], name: str) -> str:
    return f"{made_from.get(name)!s:.24}"


@contextmanager
def _opened(path: Path) -> Iterator[FileIO]:
    """Open to read and write from the start, as it is or new; each write goes straight to the system."""
    flags = (
        os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    )  # a link here is not ours (Windows has no such flag)
    file = FileIO(os.open(path, flags, 0o666), "r+")
    try:
        yield file
    finally:
        with suppress(OSError):  # what counts was flushed before
            file.close()


def _lock(table: FileIO, partial: Path) -> None:
    """Keep other processes off until the file is closed, by whatever end."""
    try:
        free = try_lock(table) and os.path.samestat(os.fstat(table.fileno()), partial.stat())
    except FileNotFoundError:
        free = False
    if not free:  # or it has been finished, and renamed, since it was opened
        raise StorageError(
            f"{partial} is being written by another process.", "Wait for its end, or choose another --out."
        )


def _record(journal: FileIO, entry: Mapping[str, Any]) -> None:
    _put(journal, f"{json.dumps(entry)}\n".encode())


def _put(file: FileIO, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]
    os.fsync(file.fileno())


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
