"""Parquet: the same rows as any other table, read and written in groups."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from distilbert.errors import DataError, StorageError
from distilbert.files.table_writer import write_rows
from distilbert.files.tables import line_count, read_rows

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("pyarrow", reason="needs the extra data")


def test_what_is_written_is_read_back_with_its_types(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    rows = [{"text": f'\ufeff,\n"{number}"😀', "score": number / 7} for number in range(3000)]
    assert write_rows(path, iter(rows), ["text", "score"]) == 3000
    read = list(read_rows(path))
    assert [row.values for row in read] == rows
    assert read[2999].place == f"{path}, row 3000"
    assert line_count(path) == 3000


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("text\nhello\n")
    with pytest.raises(DataError, match=r"t\.parquet is not a whole parquet file"):
        next(read_rows(tmp_path / "t.parquet"))


def test_damage_inside_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_rows(path, ({"text": f"{number:09}"} for number in range(5000)), ["text"])
    content = bytearray(path.read_bytes())
    content[10:2000] = bytes(1990)
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not a whole parquet file"):
        list(read_rows(path))


def test_values_of_another_type_and_missing_columns_are_refused_and_the_old_file_stays(
    tmp_path: Path,
) -> None:
    path = tmp_path / "t.parquet"
    path.write_text("mine")
    mixed = [{"a": 1}] * 2000 + [{"a": "b"}]
    with pytest.raises(DataError, match="cannot hold rows 1025 to 2001"):
        write_rows(path, mixed, ["a"])
    with pytest.raises(DataError, match="has no column 'b'"):
        write_rows(path, mixed, ["b"])
    assert path.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def test_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        write_rows(tmp_path / "no" / "t.parquet", [{"a": 1}], ["a"])


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "t.parquet").touch()
    with pytest.raises(DataError, match=r"pip install 'distilbert\[data\]'"):
        next(read_rows(tmp_path / "t.parquet"))
