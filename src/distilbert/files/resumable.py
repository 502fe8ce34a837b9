"""A table written piece by piece, which a kill at any moment does not undo.

The rows go to `OUT.partial`; beside it `OUT.partial.jsonl` is the journal: what the table is made from, then after
each piece how far it has come. A piece is on the disk before the journal counts it, so what the journal counts is
whole, and what a kill left beyond that is cut off by who goes on. At the end `OUT.partial` becomes `OUT`.
"""

from __future__ import annotations

import gzip
import json
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from typing import TYPE_CHECKING, Any

from distilbert.errors import OptionError, StorageError
from distilbert.files.atomic import named_errors
from distilbert.files.table_writer import refuse_unfit_columns, table_lines
from distilbert.files.tables import format_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


@dataclass
class ResumableTable:
    """A table under way, made by `resumable_table`: `rows` of it are safe."""

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
        # a gzip file may have many members: each piece is one, with no time inside
        _put(self.table, gzip.compress(piece, 6, mtime=0) if self.zipped else piece)
        self.rows += len(rows)
        _record(self.journal, {"rows": self.rows, "bytes": self.table.tell()})


@contextmanager
def resumable_table(
    path: Path, columns: Sequence[str], made_from: Mapping[str, Any], *, resume: bool
) -> Iterator[ResumableTable]:
    """Yield a table to append to, which at the end stands under `path`.

    `made_from`: what its rows depend on, as JSON by name. With `resume` it goes on from what was left under way, if
    there is such: `OptionError` if that was made from something else. Without `resume`, `StorageError` if what was
    left was made from just this; another's is written over. Raises `OptionError` for columns that the format cannot
    hold, `StorageError` where the disk refuses or another process is at the same table.
    """
    kind, zipped = format_of(path)
    if path.is_dir():
        raise StorageError(f"{path} is a folder; a table is one file.", "Choose another name.")
    refuse_unfit_columns(kind, columns)
    partial, journal_path = (path.with_name(f"{path.name}.partial{ending}") for ending in ("", ".jsonl"))
    advice = "Free space or choose another place; --resume goes on from what is safe."
    with named_errors(path, advice), _opened(partial) as table:
        _lock(table, partial)
        with _opened(journal_path) as journal:
            rows = _rows_to_keep(table, journal, made_from, partial, resume)
            under_way = ResumableTable(kind, zipped, columns, table, journal, rows)
            try:
                if not rows:
                    _record(journal, made_from)
                yield under_way
                partial.replace(path)
                journal_path.unlink()
            finally:
                if not under_way.rows:  # nothing to go on from
                    for left in (partial, journal_path):
                        with suppress(OSError):
                            left.unlink()


def _rows_to_keep(
    table: FileIO, journal: FileIO, made_from: Mapping[str, Any], partial: Path, resume: bool
) -> int:
    """The rows to go on from, 0 to start again. Both files end there and stand at their ends."""
    made_before, rows, size, recorded = _left(journal.readall())
    if size > os.fstat(table.fileno()).st_size:
        rows = 0
    change = next((name for name in made_from if made_from[name] != made_before.get(name)), None)
    if rows and resume and change:
        raise OptionError(
            f"{partial} was made with another {change}: {_shown(made_before, change)}, "
            f"now {_shown(made_from, change)}.",
            "Call it as it was called then, or leave out --resume to start again.",
        )
    if rows and not resume and not change:
        raise StorageError(
            f"{partial} already holds {rows:,} rows of just this table.",
            "Add --resume to go on from there, or remove it to start again.",
        )
    if not rows or change:
        rows = size = recorded = 0
    for file, end in ((table, size), (journal, recorded)):
        file.truncate(end)
        file.seek(end)
    return rows


def _left(content: bytes) -> tuple[dict[str, Any], int, int, int]:
    """What a journal says: made from what, how many rows, their bytes, and the bytes of its own whole lines."""
    *lines, torn = content.split(b"\n")
    try:
        made_from, *_, reached = map(json.loads, lines)
        return dict(made_from), int(reached["rows"]), int(reached["bytes"]), len(content) - len(torn)
    except (ValueError, TypeError, KeyError):
        return {}, 0, 0, 0


def _shown(made_from: Mapping[str, Any], name: str) -> str:
    return f"{made_from.get(name)!s:.24}"


@contextmanager
def _opened(path: Path) -> Iterator[FileIO]:
    """Open to read and write from the start, as it is or new; each write goes straight to the system."""
    file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
    try:
        yield file
    finally:
        with suppress(OSError):  # what counts was flushed before
            file.close()


def _lock(table: FileIO, partial: Path) -> None:
    """Keep other processes off until the file is closed, by whatever end."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(table, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = os.path.samestat(os.fstat(table.fileno()), partial.stat())
    except (BlockingIOError, FileNotFoundError):
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
