"""Tables on disk: rows in (here) and out (`table_writer`), one at a time, in constant memory.

| ending   | a row is                               | values     | cannot hold, so refuses to write           |
| -------- | -------------------------------------- | ---------- | ------------------------------------------ |
| .txt     | a line; its one column is "text"       | strings    | NUL, line feed, final carriage return      |
| .csv     | RFC 4180, below a line of column names | strings    | NUL                                        |
| .tsv     | cells between tabs, below such a line  | strings    | NUL, line feed, final carriage return, tab |
| .jsonl   | a line with a JSON object              | JSON's own | NaN, infinity                              |
| .parquet | a row of Apache Parquet (`parquet`)    | Arrow's    | columns of mixed types                     |

Those of lines may end in .gz too, and "-" is standard input or output. Text is UTF-8; a byte order mark is dropped, and
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
import stat
import sys
import zlib
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from distilbert.errors import DataError, OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

BYTE_ORDER_MARK = "\ufeff"
DELIMITERS = {"csv": ",", "tsv": "\t"}
LONGEST = 2**24  # bytes in a line, characters in a csv field: what is longer is another kind of file
_SEMICOLONS = "It seems to be separated by semicolons: save it with commas."


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its values by column, and where it stands (lines count from 1, the header's too)."""

    source: str
    line: int
    values: Mapping[str, Any]
    unit: str = "line"  # what is counted: parquet has no lines but rows

    @property
    def place(self) -> str:
        """Where the row stands, in the words of an error."""
        return f"{self.source}, {self.unit} {self.line}"

    def text(self, column: str) -> str:
        """Return the text in `column`; `DataError` if there is no such column or it holds no string."""
        value = self.value(column)
        if isinstance(value, str):
            return value
        fault = f"{self.place}: column {column!r} should be text, but is {brief(value)}."
        raise DataError(fault, "Put text there or leave the row out.")

    def texts(self, column: str, pair_column: str | None = None) -> dict[str, str]:
        """Return the row's `text`, and of pairs its `text_pair`, as a pipeline takes it. Raises as `text` does."""
        text = {"text": self.text(column)}
        return text | {"text_pair": self.text(pair_column)} if pair_column else text

    def value(self, column: str) -> Any:
        """Return what is in `column` (a label, say); `DataError` if there is no such column or it is null."""
        if column not in self.values:
            there = ", ".join([*map(brief, self.values)][:12]) or "none"
            fault = f"{self.place}: no column {column!r}; its columns: {there}."
            semicolons = len(self.values) == 1 and ";" in next(iter(self.values))
            raise DataError(fault, _SEMICOLONS if semicolons else "Name one that is there (--column).")
        if self.values[column] is None:
            fault = f"{self.place}: column {column!r} is null."
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
    kind, zipped = format_of(path, format)
    source = source_of(path)
    if kind == "parquet":
        from distilbert.files.parquet import read_parquet

        return _at_least_one(source, kind, read_parquet(Path(path)))
    return _at_least_one(source, kind, _READERS[kind](source, lines_of(source, path, zipped)))


def read_column(path: str | Path, column: str = "text", *, format: str | None = None) -> Iterator[str]:  # noqa: A002
    """Return the texts of one column, one a row. Raises as `read_rows` and `Row.text` do."""
    return (row.text(column) for row in read_rows(path, format=format))


def format_of(path: str | Path, given: str | None = None) -> tuple[str, bool]:
    """Return the format and whether it is gzipped."""
    name = Path(path).name.lower()
    if name.endswith(".parquet") and given is None:
        return "parquet", False
    ending = Path(name.removesuffix(".gz")).suffix[1:]
    kind = given or ("txt" if str(path) == "-" else ending)
    if kind in _READERS:
        return kind, name.endswith(".gz")
    known = ", ".join(_READERS)
    if given:
        raise OptionError(f"format is one of {known}, not {given!r}.", "Leave it out to go by the ending.")
    fault = f"{path}: a table ends in .{', .'.join(_READERS)}, one of these and .gz, or .parquet."
    raise DataError(fault, "Rename it so that it ends in what it is.")


def source_of(path: str | Path) -> str:
    """Return what errors call this file, which is there; `DataError` if it is not."""
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
        header = " below a line of column names" if kind in DELIMITERS else ""
        raise DataError(f"{source} has no rows; {kind} needs at least one{header}.", "Give a file with rows.")
    yield first
    yield from rows


def lines_of(source: str, path: str | Path, zipped: bool) -> Iterator[str]:
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
    b"\x1f\x8b": "It looks like a gzip file: pipe it through zcat, or let its name end in .gz.",
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
    return text.removeprefix(BYTE_ORDER_MARK) if number == 1 else text


# Readers: lines to rows


def _read_txt(source: str, lines: Iterator[str]) -> Iterator[Row]:
    return (Row(source, number, {"text": without_end(line)}) for number, line in enumerate(lines, 1))


def without_end(line: str) -> str:
    """A line without its line feed, and a carriage return before it."""
    return line[:-2] if line.endswith("\r\n") else line.removesuffix("\n")


def _read_tsv(source: str, lines: Iterator[str]) -> Iterator[Row]:
    return _below_header(source, ((n, without_end(line).split("\t")) for n, line in enumerate(lines, 1)))


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
    refuse_twins(f"{source}, line 1", columns)
    for line, cells in records:
        if len(cells) == len(columns):
            yield Row(source, line, dict(zip(columns, cells, strict=True)))
        elif cells != [""]:
            fault = f"{source}, line {line}: {len(cells)} cells, where the header has {len(columns)}."
            raise DataError(fault, "Check delimiters and quotes on this line and the one before.")


def refuse_twins(source: str, columns: Sequence[str]) -> None:
    """Raise `DataError` where two columns go by one name."""
    if len(set(columns)) < len(columns):
        fault = f"{source} names column {brief(max(columns, key=columns.count))} more than once."
        raise DataError(fault, "Give each column a name of its own.")


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
    raise DataError(f"{where}: {brief(value)} is not an object.", 'Write each row as {"text": "…"}.')


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{brief(max(names, key=names.count))} is named more than once")
    return values


def _refused_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


_READERS = {"txt": _read_txt, "csv": _read_csv, "tsv": _read_tsv, "jsonl": _read_jsonl}


def brief(value: Any) -> str:
    """Show a value of any size in an error."""
    shown = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return shown if len(shown) <= 60 else shown[:59] + "…"
