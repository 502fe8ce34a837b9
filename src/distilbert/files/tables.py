"""Tables on disk: rows in, rows out, one at a time, so that memory stays constant however big the file is.

| ending | a row is                               | values     | cannot hold, so refuses to write           |
| ------ | -------------------------------------- | ---------- | ------------------------------------------ |
| .txt   | a line; its one column is "text"       | strings    | NUL, line feed, final carriage return      |
| .csv   | RFC 4180, below a line of column names | strings    | NUL                                        |
| .tsv   | cells between tabs, below such a line  | strings    | NUL, line feed, final carriage return, tab |
| .jsonl | a line with a JSON object              | JSON's own | NaN, infinity                              |

Each may end in .gz too, and "-" is standard input or output. Text is UTF-8; a byte order mark is dropped, and
half a surrogate pair is no text. What is written is read back equal, but that .txt forgets its column's name
and the formats of strings take None as "" and all else as its JSON (0.5, true, [1, 2]).

A line ends at a line feed, or carriage return and line feed, and nowhere else: `str.splitlines` also cuts at
U+2028 and others, which occur inside real texts. A .tsv has no quoting, as in GLUE: a double quote belongs to
the text, and a reader that takes a stray one for quoting swallows the rows up to the next. A blank line is an
empty text in a table of one column, so that answers line up with lines; elsewhere it is skipped.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import stat
import sys
import zlib
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from distilbert.errors import DataError, OptionError, StorageError
from distilbert.files.atomic import atomic_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

LONGEST = 2**24  # bytes in a line, characters in a csv field: what is longer is another kind of file


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its values by column, and where it stands (lines count from 1, the header's too)."""

    source: str
    line: int
    values: dict[str, Any]

    def text(self, column: str) -> str:
        """Return the text in `column`; `DataError` if there is no such column or it holds no string."""
        value = self.value(column)
        if isinstance(value, str):
            return value
        fault = f"{self.source}, line {self.line}: column {column!r} should be text, but is {_short(value)}."
        raise DataError(fault, "Put text there or leave the row out.")

    def value(self, column: str) -> Any:
        """Return what is in `column` (a label, say); `DataError` if there is no such column or it is null."""
        if column not in self.values:
            there = ", ".join([*map(_short, self.values)][:12]) or "none"
            fault = f"{self.source}, line {self.line}: no column {column!r}; its columns: {there}."
            raise DataError(fault, "Name one that is there (--column).")
        if self.values[column] is None:
            fault = f"{self.source}, line {self.line}: column {column!r} is null."
            raise DataError(fault, "Fill it in or leave the row out.")
        return self.values[column]


def read_rows(path: str | Path, *, format: str | None = None) -> Iterator[Row]:  # noqa: A002
    r"""Return the rows of a table, read as they are asked for.

    `format` ("txt", "csv", "tsv", "jsonl") goes before the ending; "-" is txt without it. An unknown `format`
    raises `OptionError`, all else `DataError`: at once if the path is no file or its ending is unknown; later
    for a table without rows, bytes that are not UTF-8, NUL bytes, a gzip file cut short, a row with more or
    fewer cells than the header, a column named twice, malformed CSV or JSON.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "reviews.csv"
    >>> _ = path.write_text('text,label\n"Funny, warm and wise.",1\nDull.,0\n')
    >>> for row in read_rows(path):
    ...     print(row.line, row.text("text"), row.value("label"))
    2 Funny, warm and wise. 1
    3 Dull. 0
    """
    kind, zipped = _format_of(path, format)
    source = _source_of(path)
    return _at_least_one(source, kind, _READERS[kind](source, _lines(source, path, zipped)))


def read_column(path: str | Path, column: str = "text", *, format: str | None = None) -> Iterator[str]:  # noqa: A002
    """Return the texts of one column, one a row. Raises as `read_rows` and `Row.text` do."""
    return (row.text(column) for row in read_rows(path, format=format))


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
    kind, zipped = _format_of(path, format)
    _refuse_unfit_columns(kind, columns)
    count = 0
    with _sink(path, zipped) as put:
        if kind in _DELIMITERS:
            put(_joined(kind, columns, columns))
        for count, row in enumerate(rows, 1):
            put(_joined(kind, columns, _cells(kind, count, row, columns)))
    return count


def _format_of(path: str | Path, given: str | None) -> tuple[str, bool]:
    """Return the format and whether it is gzipped."""
    name = Path(path).name.lower()
    ending = Path(name.removesuffix(".gz")).suffix[1:]
    kind = given or ("txt" if str(path) == "-" else ending)
    if kind in _READERS:
        return kind, name.endswith(".gz")
    known = ", ".join(_READERS)
    if given:
        raise OptionError(f"format is one of {known}, not {given!r}.", "Leave it out to go by the ending.")
    fault = f"{path}: a table ends in .{', .'.join(_READERS)}, or in one of these and .gz."
    raise DataError(fault, "Rename it so that it ends in what it is.")


def _source_of(path: str | Path) -> str:
    """Return what errors call this file, which is there."""
    if str(path) == "-":
        return "standard input"
    try:
        folder = stat.S_ISDIR(Path(path).stat().st_mode)
    except (OSError, ValueError) as error:
        raise _unreadable(str(path), error) from error
    if folder:
        raise DataError(f"{path} is a folder; a table is one file.", "Name a file in it.")
    return str(path)


def _unreadable(source: str, error: OSError | ValueError) -> DataError:
    reason = getattr(error, "strerror", None) or error
    return DataError(f"{source} cannot be read: {reason}.", "Check the path and who may read it.")


def _at_least_one(source: str, kind: str, rows: Iterator[Row]) -> Iterator[Row]:
    first = next(rows, None)
    if first is None:
        header = " below a line of column names" if kind in _DELIMITERS else ""
        raise DataError(f"{source} has no rows; {kind} needs at least one{header}.", "Give a file with rows.")
    yield first
    yield from rows


def _lines(source: str, path: str | Path, zipped: bool) -> Iterator[str]:
    """Yield the lines with their ends."""
    try:
        with _opened(path, zipped) as stream:
            for number, line in enumerate(iter(partial(stream.readline, LONGEST + 1), b""), 1):
                yield _decoded(source, number, line)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{source} is not a whole gzip file: {error}.", "Compress it again.") from error
    except OSError as error:
        raise _unreadable(source, error) from error


def _opened(path: str | Path, zipped: bool) -> AbstractContextManager[BinaryIO | gzip.GzipFile]:
    if str(path) == "-":
        return nullcontext(sys.stdin.buffer)
    return gzip.open(path, "rb") if zipped else Path(path).open("rb")


_SIGNATURES = {
    b"\xff\xfe": "It looks like UTF-16: save it as UTF-8.",
    b"\xfe\xff": "It looks like UTF-16: save it as UTF-8.",
    b"\x1f\x8b": "It looks like a gzip file: let its name end in .gz.",
    b"PK": "It looks like a spreadsheet or a zip file: save it as .csv.",
}


def _decoded(source: str, number: int, line: bytes) -> str:
    advice = _SIGNATURES.get(line[:2] if number == 1 else b"", "Save it as UTF-8 text.")
    if len(line) > LONGEST:
        raise DataError(f"{source}, line {number} is longer than {LONGEST:,} bytes.", "Break its text up.")
    if (nul := line.find(0)) >= 0:
        raise DataError(f"{source}, line {number}: a NUL byte, which no text has, at byte {nul + 1}.", advice)
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        place = f"at byte {error.start + 1} (0x{line[error.start]:02x})"
        raise DataError(f"{source}, line {number}: not UTF-8 {place}.", advice) from error
    return text.removeprefix("\ufeff") if number == 1 else text


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
    mark = "\ufeff"  # a table that begins with one is written with a second, since readers drop the first

    def put(line: str) -> None:
        nonlocal mark
        stream.write(f"{mark if line.startswith(mark) else ''}{line}\n".encode())
        mark = ""
        if live:
            stream.flush()

    return put


# Readers: lines to rows


def _read_txt(source: str, lines: Iterator[str]) -> Iterator[Row]:
    return (Row(source, number, {"text": _without_end(line)}) for number, line in enumerate(lines, 1))


def _without_end(line: str) -> str:
    return line[:-2] if line.endswith("\r\n") else line.removesuffix("\n")


def _read_tsv(source: str, lines: Iterator[str]) -> Iterator[Row]:
    return _below_header(source, ((n, _without_end(line).split("\t")) for n, line in enumerate(lines, 1)))


_CSV_FAULTS = {
    "unexpected end": "a quote opened here is never closed",
    "field larger": f"a cell here is longer than {LONGEST:,} characters (a quote never closed?)",
    "new-line": "a carriage return outside of quotes",
    "expected after": "more than a comma after a closing quote",
}


def _read_csv(source: str, lines: Iterator[str]) -> Iterator[Row]:
    return _below_header(source, _csv_records(source, lines))


def _csv_records(source: str, lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    # The default, 131,072 characters, is less than a long text; the process has one limit, so only raise it.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST))
    reader = csv.reader(lines, strict=True)
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            why = next((ours for theirs, ours in _CSV_FAULTS.items() if theirs in str(error)), str(error))
            advice = 'Quote cells that hold commas, quotes or line ends, and write a quote inside as "".'
            raise DataError(f"{source}, line {start}: not CSV, {why}.", advice) from error
        if cells is None:
            return
        yield start, cells or [""]


def _below_header(source: str, records: Iterator[tuple[int, list[str]]]) -> Iterator[Row]:
    _, columns = next(records, (1, []))
    if len(set(columns)) < len(columns):
        fault = f"{source}, line 1 names column {_short(max(columns, key=columns.count))} more than once."
        raise DataError(fault, "Give each column a name of its own.")
    for line, cells in records:
        if len(cells) == len(columns):
            yield Row(source, line, dict(zip(columns, cells, strict=True)))
        elif cells != [""]:
            fault = f"{source}, line {line}: {len(cells)} cells, where the header has {len(columns)}."
            raise DataError(fault, "Check delimiters and quotes on this line and the one before.")


def _read_jsonl(source: str, lines: Iterator[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if line.strip(" \t\r\n"):
            yield Row(source, number, _json_object(f"{source}, line {number}", line))


def _json_object(where: str, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line, object_pairs_hook=_unique, parse_constant=_refused_constant)
        if "\\ud" in line.lower():  # an escape can spell half a surrogate pair
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{where}: half a surrogate pair, which is no text.", "Remove it.") from error
    except json.JSONDecodeError as error:
        fault = f"{where}: not JSON, {error.msg} at character {error.pos + 1}."
        raise DataError(fault, "Write one JSON object on each line.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: {error}.", "Write one plain JSON object on each line.") from error
    if isinstance(value, dict):
        return value
    raise DataError(f"{where}: {_short(value)} is not an object.", 'Write each row as {"text": "…"}.')


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{_short(max(names, key=names.count))} is named more than once")
    return values


def _refused_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


_READERS = {"txt": _read_txt, "csv": _read_csv, "tsv": _read_tsv, "jsonl": _read_jsonl}

# Writers: rows to lines

_DELIMITERS = {"csv": ",", "tsv": "\t"}
_UNFIT = {
    "txt": re.compile("[\0\ud800-\udfff\n]|\r\\Z"),
    "csv": re.compile("[\0\ud800-\udfff]"),
    "tsv": re.compile("[\0\ud800-\udfff\n\t]|\r\\Z"),
    "jsonl": re.compile("[\ud800-\udfff]"),
}
_NEEDS_QUOTES = re.compile('[,"\r\n]|^$')  # the csv module's writer forgets the carriage return (Python 3.11)


def _refuse_unfit_columns(kind: str, columns: Sequence[str]) -> None:
    if kind == "txt" and len(columns) != 1:
        raise OptionError(f"txt holds one column, not {len(columns)}.", "Write csv, tsv or jsonl.")
    unfit = any(_UNFIT[kind].search(column) for column in columns)
    if unfit or not columns or len(set(columns)) < len(columns):
        fault = f"{kind} cannot hold the columns {_short([*columns])}."
        raise OptionError(fault, "Give each column a plain name of its own.")


def _cells(kind: str, number: int, row: Mapping[str, Any], columns: Sequence[str]) -> Iterator[str]:
    for column in columns:
        if column not in row:
            raise DataError(f"Row {number} has no column {column!r}.", "Give every row all the columns.")
        try:
            yield _cell(kind, row[column])
        except (TypeError, ValueError, RecursionError) as error:
            fault = f"Row {number}, column {column!r}: {kind} cannot hold {_short(row[column])} ({error})."
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
    return _DELIMITERS.get(kind, "").join(map(_quoted, cells) if kind == "csv" else cells)


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if _NEEDS_QUOTES.search(cell) else cell


def _short(value: Any) -> str:
    shown = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return shown if len(shown) <= 60 else shown[:59] + "…"
