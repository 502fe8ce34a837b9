"""Tables of Apache Parquet, read and written a group of rows at a time. Needs pyarrow: the extra `data`."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from distilbert.errors import DataError
from distilbert.files.atomic import atomic_file
from distilbert.files.tables import Row, brief

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

GROUP = 1024  # rows in memory together


def read_parquet(path: Path) -> Iterator[Row]:
    """Yield the rows; `DataError` for a file that is not parquet, or is damaged."""
    with _opened(path) as file:
        number = 0
        for batch in file.iter_batches(GROUP):
            for values in batch.to_pylist():
                number += 1
                yield Row(str(path), number, values, unit="row")


def count_rows(path: Path) -> int:
    """The number of rows, as the file's end has it."""
    with _opened(path) as file:
        return int(file.metadata.num_rows)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    arrow, parquet = _pyarrow(path)
    try:
        with parquet.ParquetFile(path) as file:
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
