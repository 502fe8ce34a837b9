"""Parquet: the same rows as any other table, read and written in groups."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from distilbert.errors import DataError, StorageError
from distilbert.files.table_writer import write_rows
from distilbert.files.tables import read_rows

if TYPE_CHECKING:
    from pathlib import Path

arrow = pytest.importorskip("pyarrow", reason="needs the extra data")
parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra data")

BEYOND_PYTHON = {  # value, type
    "nanoseconds": (1_700_000_000_123_456_789, arrow.timestamp("ns")),
    "a time of day in nanoseconds": (123_456_789, arrow.time64("ns")),
    "a duration in nanoseconds": (123_456_789, arrow.duration("ns")),
    "a time after the year 9999": (2**60, arrow.timestamp("us")),
    "a day after the year 9999": (2**30, arrow.date32()),
    "an unknown time zone": (1_700_000_000_000_000, arrow.timestamp("us", "Mars/Base")),
    "nanoseconds in a list": ([1_700_000_000_123_456_789], arrow.list_(arrow.timestamp("ns"))),
}


def test_what_is_written_is_read_back_with_its_types(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    rows = [{"text": f'\ufeff,\n"{number}"😀', "score": number / 7} for number in range(3000)]
    assert write_rows(path, iter(rows), ["text", "score"]) == 3000
    read = list(read_rows(path))
    assert [row.values for row in read] == rows
    assert read[2999].place == f"{path}, row 3000"


@pytest.mark.parametrize(("value", "kind"), BEYOND_PYTHON.values(), ids=BEYOND_PYTHON)
def test_values_that_python_cannot_hold_stop_nobody_who_does_not_ask_for_them(
    value: Any, kind: Any, tmp_path: Path
) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(arrow.table({"text": ["good"], "when": arrow.array([value], kind)}), path)
    [row] = read_rows(path)
    assert row.text("text") == "good"
    with pytest.raises(DataError, match=r"no column 'label'; its columns: 'text', 'when'"):
        row.value("label")
    with pytest.raises(
        DataError, match=r"t\.parquet: column 'when' of type .* cannot be read: .*\nWrite it as"
    ):
        row.value("when")


def test_a_column_named_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(arrow.table([["a"], ["b"]], names=["text", "text"]), path)
    with pytest.raises(DataError, match=r"t\.parquet names column 'text' more than once"):
        next(read_rows(path))


PEAK = """
import re, sys
from pathlib import Path
import pyarrow.parquet
from distilbert.files.tables import read_rows
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
before = peak()
assert sum(len(row.text("text")) for row in read_rows(sys.argv[1])) == 60_000_000
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the peak of memory")
def test_memory_does_not_grow_with_a_group_of_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = arrow.table({"text": [f"{number:09} " + "x" * 1990 for number in range(30_000)]})
    parquet.write_table(table, path, compression="none", use_dictionary=False, row_group_size=30_000)
    assert path.stat().st_size > 60_000_000
    ended = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, text=True, timeout=60)
    assert ended.stderr == ""
    assert int(ended.stdout) < 30_000  # kB


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
