"""Rows out: what `tables` reads, written, one row at a time. The docstring of `tables` says what each can hold."""

from __future__ import annotations

import gzip
import json
import re
import sys
from contextlib import contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from distilbert.errors import DataError, OptionError, StorageError
from distilbert.files.atomic import atomic_file
from distilbert.files.tables import BYTE_ORDER_MARK, DELIMITERS, brief, format_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager


def write_rows(
    path: str | Path,
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    format: str | None = None,  # noqa: A002
) -> int:
    """Write `columns` of each row as it comes, and return the number of rows. Other keys are left out.

    A file stands under its name when it is whole; "-", pipes and devices get each row at once. Raises
    `OptionError` for columns that the format cannot hold, `DataError` for such a value or a row that lacks a
    column, `StorageError` where the file cannot be written.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "answers.jsonl"
    >>> write_rows(path, [{"text": "Dull.", "label": "NEGATIVE", "score": 0.75}], ["label", "score"])
    1
    >>> print(path.read_text(), end="")
    {"label": "NEGATIVE", "score": 0.75}
    """
    kind, zipped = format_of(path, format)
    if kind == "parquet":
        from distilbert.files.parquet import write_parquet

        return write_parquet(Path(path), rows, columns)
    refuse_unfit_columns(kind, columns)
    lines = 0
    with _sink(path, zipped) as put:
        for line in table_lines(kind, rows, columns):
            put(line)
            lines += 1
    return lines - (kind in DELIMITERS)  # the line of column names is no row


def table_lines(
    kind: str, rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, done: int = 0
) -> Iterator[str]:
    """Yield a table's lines with their ends, the header first; without it where `done` rows stand already.

    Raises `DataError` for a value that the format cannot hold or a row that lacks a column.
    """
    names = [_joined(kind, columns, columns)] if kind in DELIMITERS and not done else []
    lines = (
        _joined(kind, columns, _cells(kind, place, row, columns)) for place, row in enumerate(rows, done + 1)
    )
    for number, line in enumerate(chain(names, lines), done):
        # readers drop a byte order mark at the start, so a table that begins with one is written with two
        mark = BYTE_ORDER_MARK if number == 0 and line.startswith(BYTE_ORDER_MARK) else ""
        yield f"{mark}{line}\n"


@contextmanager
def _sink(path: str | Path, zipped: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function that writes one line."""
    target = Path(path)
    try:
        if str(path) == "-":
            sys.stdout.flush()
            yield _put(sys.stdout.buffer, live=True)
        elif target.exists() and not target.is_file():  # a pipe or device; a folder will not open
            with target.open("wb") as stream:
                yield _put(stream, live=True)
        else:
            with atomic_file(target) as beside, beside.open("wb") as stream, _zipped(stream, zipped) as out:
                yield _put(out, live=False)
    except BrokenPipeError:  # whoever reads has enough: the command line ends quietly
        raise
    except OSError as error:
        name = "standard output" if str(path) == "-" else path
        fault = f"{name} cannot be written: {error.strerror or error}."
        raise StorageError(fault, "Choose another place.") from error


def _zipped(stream: BinaryIO, zipped: bool) -> AbstractContextManager[BinaryIO | gzip.GzipFile]:
    # no name and no time inside: the same rows give the same bytes
    return gzip.GzipFile("", "wb", 6, stream, mtime=0) if zipped else nullcontext(stream)


def _put(stream: BinaryIO | gzip.GzipFile, *, live: bool) -> Callable[[str], None]:
    def put(line: str) -> None:
        stream.write(line.encode())
        if live:
            stream.flush()

    return put


_UNFIT = {
    "txt": re.compile("[\0\ud800-\udfff\n]|\r\\Z"),
    "csv": re.compile("[\0\ud800-\udfff]"),
    "tsv": re.compile("[\0\ud800-\udfff\n\t]|\r\\Z"),
    "jsonl": re.compile("[\ud800-\udfff]"),
}
_NEEDS_QUOTES = re.compile('[,"\r\n]|^$')  # the csv module's writer forgets the carriage return (Python 3.11)


def refuse_unfit_columns(kind: str, columns: Sequence[str]) -> None:
    """Raise `OptionError` for column names that the format cannot hold."""
    if kind == "txt" and len(columns) != 1:
        raise OptionError(f"txt holds one column, not {len(columns)}.", "Write csv, tsv or jsonl.")
    unfit = any(_UNFIT[kind].search(column) for column in columns)
    if unfit or not columns or len(set(columns)) < len(columns):
        fault = f"{kind} cannot hold the columns {brief([*columns])}."
        raise OptionError(fault, "Give each column a plain name of its own.")


def _cells(kind: str, number: int, row: Mapping[str, Any], columns: Sequence[str]) -> Iterator[str]:
    for column in columns:
        if column not in row:
            raise DataError(f"Row {number} has no column {column!r}.", "Give every row all the columns.")
        try:
            yield _cell(kind, row[column])
        except (TypeError, ValueError, RecursionError) as error:
            fault = f"Row {number}, column {column!r}: {kind} cannot hold {brief(row[column])} ({error})."
            advice = "Change it." if kind == "jsonl" else "Write jsonl, which holds any text, or change it."
            raise DataError(fault, advice) from error


def _cell(kind: str, value: Any) -> str:
    as_is = kind != "jsonl" and (value is None or isinstance(value, str))
    cell: str = (value or "") if as_is else json.dumps(value, ensure_ascii=False, allow_nan=False)
    if unfit := _UNFIT[kind].search(cell):
        raise ValueError(f"because of {unfit.group()!a}")
    return cell


def _joined(kind: str, columns: Sequence[str], cells: Iterable[str]) -> str:
    """Return a row as one line, without its end."""
    if kind == "jsonl":
        names = (json.dumps(column, ensure_ascii=False) for column in columns)
        return "{" + ", ".join(f"{name}: {cell}" for name, cell in zip(names, cells, strict=True)) + "}"
    return DELIMITERS.get(kind, "").join(map(_quoted, cells) if kind == "csv" else cells)


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if _NEEDS_QUOTES.search(cell) else cell
