"""Tables of Apache Parquet, read and written a group of rows at a time. Needs pyarrow: the extra `data`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from distilbert.errors import DataError
from distilbert.files.atomic import atomic_file
from distilbert.files.tables import Row, brief, refuse_twins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

GROUP = 1024  # rows in memory together
# Bytes of a column read at once, with `pre_buffer` off. pyarrow reads a group of rows whole, and a file may be one:
# of 300 MB that took 387 MB of memory, with either setting alone too; with both, 92.
_BUFFER = 1 << 16


def read_parquet(path: Path) -> Iterator[Row]:
    """Yield the rows; `DataError` for a file that is not parquet, is damaged, or names a column twice.

    A row's values raise it too: for a column that holds what Python cannot, once its value is asked for.
    """
    with _opened(path) as file:
        names = file.schema_arrow.names
        refuse_twins(str(path), names)
        number = 0
        for batch in file.iter_batches(GROUP):
            column = _columns(path, batch)
            for place in range(batch.num_rows):
                number += 1
                yield Row(str(path), number, _Values(names, column, place), unit="row")


@dataclass(frozen=True, slots=True, eq=False)
class _Values(Mapping[str, Any]):
    """A row's values. Columns become Python's on demand: a text may stand beside a date that Python cannot hold."""

    names: Sequence[str]
    column: Callable[[str], list[Any]]
    place: int

    def __getitem__(self, name: str) -> Any:
        return self.column(name)[self.place]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def _columns(path: Path, batch: Any) -> Callable[[str], list[Any]]:
    arrow, _ = _pyarrow(path)

    @cache
    def column(name: str) -> list[Any]:
        stored = batch.column(name)
        try:
            values: list[Any] = stored.to_pylist()
        except (arrow.ArrowException, ValueError, OverflowError) as error:
            fault = f"{path}: column {brief(name)} of type {stored.type} cannot be read: {brief(str(error))}."
            raise DataError(fault, "Write it as text, or name another column.") from error
        return values

    return column


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    arrow, parquet = _pyarrow(path)
    try:
        with parquet.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file:
            yield file
    except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
        fault = f"{path} is not a whole parquet file: {brief(str(error))}."
        raise DataError(fault, "Write it again, or save it as .csv.") from error


def write_parquet(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> int:
    """Write `columns` of each row and return the number of rows. The first group's types are the table's.

    Raises `DataError` for a value that is not of its column's type or a row that lacks a column, `StorageError`
    where the file cannot be written.
    """
    arrow, parquet = _pyarrow(path)
    stream, count = iter(rows), 0

    def group(schema: Any = None) -> Any:
        some = list(islice(stream, GROUP))
        try:
            return arrow.table({name: [row[name] for row in some] for name in columns}, schema=schema)
        except KeyError as error:
            raise DataError(f"A row has no column {error}.", "Give every row all the columns.") from error
        except (arrow.ArrowException, UnicodeEncodeError) as error:
            fault = f"{path} cannot hold rows {count + 1} to {count + len(some)}: {brief(str(error))}."
            raise DataError(fault, "Give each column values of one type, or write jsonl.") from error

    with atomic_file(path) as beside:
        table = group()
        with parquet.ParquetWriter(beside, table.schema) as writer:
            while table.num_rows:
                writer.write_table(table)
                count += table.num_rows
                table = group(table.schema)
    return count


def _pyarrow(path: Path) -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise DataError(
            f"{path} needs pyarrow, which is not installed.", "pip install 'distilbert[data]', or use .csv."
        ) from error
    return pyarrow, parquet
