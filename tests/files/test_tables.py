"""Tables: what is written is read back, in constant memory, and a bad file is named with its line."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilbert.errors import DataError, OptionError, StorageError
from distilbert.files.table_writer import write_rows
from distilbert.files.tables import read_column, read_rows

ENDINGS = [f".{kind}{zipped}" for kind in ("txt", "csv", "tsv", "jsonl") for zipped in ("", ".gz")]
# Line ends of every kind, quotes, delimiters, a byte order mark and plain letters, often enough to meet.
TEXTS = st.text(
    st.sampled_from("ab ,;\t'\"\n\r\\\0\x0b\x0c\x1c\x85\u2028\u2029\ufeffé😀") | st.characters(codec="utf-8")
)


def fits(ending: str, text: str) -> bool:
    """What each format can hold, as the module's table says."""
    if ending.startswith(".jsonl"):
        return True
    if ending.startswith(".csv"):
        return "\0" not in text
    tab = ending.startswith(".tsv") and "\t" in text
    return not (tab or "\0" in text or "\n" in text or text.endswith("\r"))


def values(path: Path) -> list[dict[str, Any]]:
    return [row.values for row in read_rows(path)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.mark.parametrize("ending", ENDINGS)
@given(data=st.data())
def test_what_is_written_is_read_back(folder: Path, ending: str, data: st.DataObject) -> None:
    texts = TEXTS.filter(lambda text: fits(ending, text))
    names = st.just(["text"]) if ".txt" in ending else st.lists(texts, min_size=1, max_size=3, unique=True)
    columns = data.draw(names)
    rows = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(columns, texts)), min_size=1, max_size=5))
    path = folder / f"table{ending}"
    assert write_rows(path, rows, columns) == len(rows)
    assert values(path) == rows


@pytest.mark.parametrize("ending", ENDINGS)
@given(text=TEXTS)
def test_a_text_that_a_format_cannot_hold_is_refused_and_the_old_file_stays(
    folder: Path, ending: str, text: str
) -> None:
    path = folder / f"kept{ending}"
    write_rows(path, [{"text": "before"}], ["text"])
    rows = [{"text": "fine"}, {"text": text}]
    if fits(ending, text):
        write_rows(path, rows, ["text"])
        assert values(path) == rows
    else:
        with pytest.raises(DataError, match="Row 2, column 'text'"):
            write_rows(path, rows, ["text"])
        assert values(path) == [{"text": "before"}]
        assert not list(folder.glob(".*.partial"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(value=JSON)
def test_jsonl_holds_any_json_value(folder: Path, value: Any) -> None:
    write_rows(folder / "any.jsonl", [{"value": value}], ["value"])
    assert values(folder / "any.jsonl") == [{"value": value}]


@given(rows=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_csv_is_exchanged_with_pythons_own_module_both_ways(
    folder: Path, rows: list[tuple[str, str]]
) -> None:
    rows = [row for row in rows if fits(".csv", "".join(row))] or [("a", "b")]
    dicts = [{"text": text, "note": note} for text, note in rows]
    write_rows(folder / "ours.csv", dicts, ["text", "note"])
    with (folder / "ours.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == dicts

    with (folder / "theirs.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "note"), *rows])
    assert values(folder / "theirs.csv") == dicts


@pytest.mark.parametrize(
    ("value", "cell"),
    [(None, ""), (0.1, "0.1"), (True, "true"), ([1, 2], "[1, 2]"), ({"a": "é"}, '{"a": "é"}')],
)
def test_formats_of_strings_take_none_as_empty_and_all_else_as_json(
    tmp_path: Path, value: Any, cell: str
) -> None:
    for ending in (".txt", ".csv", ".tsv"):
        write_rows(tmp_path / f"t{ending}", [{"text": value}], ["text"])
        assert values(tmp_path / f"t{ending}") == [{"text": cell}]


READ = {
    "lines end at CR LF too, and a lone CR is text": (".txt", b"a\r\nb\rc\r\n\r", ["a", "b\rc", "\r"]),
    "nothing else ends a line": (".txt", "a\x0bb\x0cc\x85d\u2028e\n".encode(), ["a\x0bb\x0cc\x85d\u2028e"]),
    "a blank line is an empty text": (".txt", b"a\n\nb\n\n", ["a", "", "b", ""]),
    "a blank line is an empty text in a csv of one column": (".csv", b"text\na\n\nb\n", ["a", "", "b"]),
    "a blank line is an empty text in a tsv of one column": (".tsv", b"text\na\n\nb\n", ["a", "", "b"]),
    "a blank line among several columns is skipped": (".csv", b"text,n\na,1\n\nb,2\n\n", ["a", "b"]),
    "a blank line among several tabbed columns is skipped": (".tsv", b"text\tn\na\t1\n\nb\t2\n", ["a", "b"]),
    "a blank line in jsonl is skipped": (".jsonl", b'{"text": "a"}\n \r\n{"text": "b"}', ["a", "b"]),
    "a byte order mark is dropped": (".csv", "\ufefftext\na\n".encode(), ["a"]),
    "so it is before a quote": (".csv", '\ufeff"text"\na\n'.encode(), ["a"]),
    "the last line needs no end": (".tsv", b"text\na", ["a"]),
    "quotes in a tsv are text": (".tsv", b'text\tn\n"a\t1\nb "c" d"\t0\n', ['"a', 'b "c" d"']),
    "a quoted csv cell holds commas and lines": (".csv", b'n,text\n1,"a,\r\n""b"""\n', ['a,\r\n"b"']),
    "an ending in capitals": (".CSV", b"text\na\n", ["a"]),
}


@pytest.mark.parametrize(("ending", "content", "texts"), READ.values(), ids=READ)
def test_reading(tmp_path: Path, ending: str, content: bytes, texts: list[str]) -> None:
    path = tmp_path / f"table{ending}"
    path.write_bytes(content)
    assert list(read_column(path)) == texts
    zipped = tmp_path / f"table{ending}.GZ"
    zipped.write_bytes(gzip.compress(content))
    assert list(read_column(zipped)) == texts


def test_an_empty_text_is_no_blank_line_to_other_readers_of_csv(tmp_path: Path) -> None:
    write_rows(tmp_path / "t.csv", [{"text": "a"}, {"text": ""}], ["text"])
    with (tmp_path / "t.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [{"text": "a"}, {"text": ""}]


def test_a_csv_cell_may_be_longer_than_pythons_own_limit(tmp_path: Path) -> None:
    row = {"text": "well, " * 50_000}
    write_rows(tmp_path / "long.csv", [row], ["text"])
    assert values(tmp_path / "long.csv") == [row]


def test_rows_know_the_line_they_start_on(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('text,label\n"two\nlines",1\n\nnext,0\n')
    assert [(row.line, row.text("text"), row.value("label")) for row in read_rows(path)] == [
        (2, "two\nlines", "1"),
        (5, "next", "0"),
    ]


def test_format_goes_before_the_ending(tmp_path: Path) -> None:
    path = tmp_path / "reviews.data"
    assert write_rows(path, [{"a": "x\ty"}], ["a"], format="csv") == 1
    assert [row.values for row in read_rows(path, format="txt")] == [{"text": "a"}, {"text": "x\ty"}]


BAD = {
    "no rows": ("t.txt", b"", "has no rows; txt needs at least one."),
    "no header": ("t.csv", b"", "has no rows; csv needs at least one below a line of column names."),
    "only a header": ("t.tsv", b"text\tlabel\n", "has no rows; tsv needs at least one below"),
    "only blank lines": ("t.jsonl", b"\n\n", "has no rows; jsonl needs"),
    "an ending nobody knows": ("t.xlsx", b"PK\3\4", "ends in .txt, .csv, .tsv, .jsonl, one of these and .gz"),
    "no ending": ("t", b"a\n", "ends in .txt"),
    "not UTF-8": ("t.txt", b"good\nna\xefve\n", "line 2: not UTF-8 at byte 3 (0xef)"),
    "UTF-16": ("t.csv", "text\na\n".encode("utf-16"), "UTF-16"),
    "a spreadsheet": ("t.csv", b"PK\3\4\0\0", "spreadsheet"),
    "gzip without its ending": (
        "t.csv",
        gzip.compress(b"text\na\n"),
        "pipe it through zcat, or let its name end in .gz",
    ),
    "not gzip": ("t.csv.gz", b"text\na\n", "not a whole gzip file"),
    "gzip cut short": ("t.txt.gz", gzip.compress(b"a\n" * 99)[:-9], "not a whole gzip file"),
    "gzip with a changed byte": ("t.txt.gz", gzip.compress(b"a\n")[:-8] + bytes(8), "not a whole gzip file"),
    "a NUL byte": ("t.txt", b"a\nb\0c\n", "line 2: a NUL byte, which no text has, at byte 2"),
    "a line without end": ("t.txt", b"a" * (2**24 + 1), "line 1 is longer than 16,777,216 bytes"),
    "too few cells": ("t.csv", b"text,label\na,1\nb\n", "line 3: 1 cells, where the header has 2"),
    "too many cells": ("t.tsv", b"text\tlabel\na\t1\t2\n", "line 2: 3 cells, where the header has 2"),
    "a column named twice": ("t.csv", b"text,n,text\na,1,b\n", "line 1 names column 'text' more than once"),
    "a key named twice": (
        "t.jsonl",
        b'{"text": "a", "text": "b"}\n',
        "line 1: 'text' is named more than once",
    ),
    "a quote never closed": ("t.csv", b'text\na\n"b\nc\n', "line 3: not CSV, a quote opened here is never"),
    "text after a quote": (
        "t.csv",
        b'text\n"a"b\n',
        "line 2: not CSV, more than a comma after a closing quote",
    ),
    "CR outside quotes": ("t.csv", b"text,n\na\rb,1\n", "line 2: not CSV, a carriage return outside"),
    "a cell without end": (
        "t.csv",
        b'text\n"' + (b"a" * 2**20 + b"\n") * 16,
        "line 2: not CSV, a cell here is longer",
    ),
    "malformed JSON": (
        "t.jsonl",
        b'{"text": "a"}\n{"text": a}\n',
        "line 2: not JSON, Expecting value at char",
    ),
    "a list of rows": ("t.jsonl", b'[{"text": "a"}]\n', "line 1: [{'text': 'a'}] is not an object"),
    "NaN": ("t.jsonl", b'{"text": NaN}\n', "line 1: NaN is not a number"),
    "half a surrogate pair": ("t.jsonl", b'{"text": "\\uD83d"}\n', "line 1: half a surrogate pair"),
    "JSON nested without end": ("t.jsonl", b"[" * 200_000, "line 1: maximum recursion depth"),
}


@pytest.mark.parametrize(("name", "content", "says"), BAD.values(), ids=BAD)
def test_a_bad_file_is_named_with_its_line_and_what_to_do(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(read_rows(path))
    assert says in str(caught.value)
    assert str(path) in caught.value.fault
    assert caught.value.next_step
    assert str(caught.value).count("\n") == 1


def test_rows_before_the_fault_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.txt.gz"
    content = os.urandom(300_000).hex().encode()
    path.write_bytes(gzip.compress(b"a\n" + content)[:-9])
    rows = read_rows(path)
    assert next(rows).text("text") == "a"
    with pytest.raises(DataError, match="not a whole gzip file"):
        next(rows)


def test_a_missing_file_and_a_folder_are_refused_before_a_row_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.csv cannot be read: No such file or directory"):
        read_rows(tmp_path / "no.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"folder\.csv is a folder"):
        read_column(tmp_path / "folder.csv")
    with pytest.raises(DataError, match="cannot be read: "):
        read_rows("nul\0byte.csv")


COLUMNS = {
    "missing": ("t.csv", b"id,body\n1,a\n", "t.csv, line 2: no column 'text'; its columns: 'id', 'body'."),
    "missing in one row": ("t.jsonl", b'{"text": "a"}\n{}\n', "line 2: no column 'text'; its columns: none."),
    "null": ("t.jsonl", b'{"text": null}\n', "line 1: column 'text' is null."),
    "not a string": ("t.jsonl", b'{"text": 7}\n', "line 1: column 'text' should be text, but is 7."),
}


@pytest.mark.parametrize(("name", "content", "says"), COLUMNS.values(), ids=COLUMNS)
def test_a_column_without_text_is_named(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(read_column(tmp_path / name))
    assert says in caught.value.fault


def test_a_table_between_semicolons_is_told_from_one_without_the_column(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id;text\n1;a\n")
    with pytest.raises(DataError, match=r"columns: 'id;text'\.\nIt seems to be separated by semicolons"):
        list(read_column(tmp_path / "t.csv"))
    (tmp_path / "t.csv").write_text("id,a;b\n1,2\n")
    with pytest.raises(DataError, match=r"\nName one that is there"):
        list(read_column(tmp_path / "t.csv"))


def test_a_label_may_be_any_value_but_null(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"label": 1}\n{"label": ["joy", "love"]}\n{"label": null}\n')
    first, second, third = read_rows(path)
    assert (first.value("label"), second.value("label")) == (1, ["joy", "love"])
    with pytest.raises(DataError, match="line 3: column 'label' is null"):
        third.value("label")


WRONG_USE = {
    "an unknown format": (
        "t.csv",
        ["text"],
        "xlsx",
        "format is one of txt, csv, tsv, jsonl, not 'xlsx'",
    ),
    "two columns in txt": ("t.txt", ["text", "label"], None, "txt holds one column, not 2"),
    "no columns": ("t.csv", [], None, "csv cannot hold the columns []"),
    "a column twice": ("t.jsonl", ["a", "a"], None, "cannot hold the columns ['a', 'a']"),
    "a tab in a column of tsv": ("t.tsv", ["a\tb"], None, "cannot hold the columns"),
}


@pytest.mark.parametrize(("name", "columns", "format", "says"), WRONG_USE.values(), ids=WRONG_USE)
def test_wrong_use_is_refused_before_anything_is_written(
    tmp_path: Path,
    name: str,
    columns: list[str],
    format: str | None,  # noqa: A002
    says: str,
) -> None:
    with pytest.raises(OptionError) as caught:
        write_rows(tmp_path / name, [], columns, format=format)
    assert says in caught.value.fault
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), "\ud83d", {"a": ["\ud83d"]}])
def test_jsonl_refuses_what_is_not_json(tmp_path: Path, value: Any) -> None:
    with pytest.raises(DataError, match="Row 1, column 'score': jsonl cannot hold"):
        write_rows(tmp_path / "t.jsonl", [{"score": value}], ["score"])


def test_a_row_without_a_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Row 2 has no column 'label'"):
        write_rows(tmp_path / "t.csv", [{"label": "a"}, {"text": "b"}], ["label"])


def test_only_the_columns_asked_for_are_written_in_their_order(tmp_path: Path) -> None:
    write_rows(tmp_path / "t.jsonl", [{"a": 1, "b": 2, "c": 3}], ["c", "a"])
    assert (tmp_path / "t.jsonl").read_text() == '{"c": 3, "a": 1}\n'


def test_the_same_rows_make_the_same_gzip_bytes_on_any_day(tmp_path: Path) -> None:
    write_rows(tmp_path / "t.csv.gz", [{"text": "x"}], ["text"])
    flags, *day = (tmp_path / "t.csv.gz").read_bytes()[3:8]  # RFC 1952: a flag for the name, then the time
    assert (flags, day) == (0, [0, 0, 0, 0])


def test_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").mkdir()
    for path in (tmp_path / "t.csv", tmp_path / "no" / "t.csv"):
        with pytest.raises(StorageError) as caught:
            write_rows(path, [{"text": "a"}], ["text"])
        assert f"{path} cannot be written" in caught.value.fault


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's always-full device, /dev/full")
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    full = tmp_path / "full.txt"
    full.symlink_to("/dev/full")  # a link, so that a fault in this package cannot replace the device
    with pytest.raises(StorageError, match=r"full\.txt cannot be written: No space left on device"):
        write_rows(full, [{"text": "a"}], ["text"])
    assert full.is_char_device()


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=write_rows, args=(pipe, [{"text": "a"}], ["text"]))
    writer.start()
    assert list(read_column(pipe)) == ["a"]
    writer.join()
    assert pipe.is_fifo()


def test_standard_input_and_output_are_lines_of_text_unless_told(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("é\n\na,b\n".encode()), encoding="latin-1"))
    assert list(read_column("-")) == ["é", "", "a,b"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"text,n\nx,1\ny\n")))
    rows = read_rows(Path("-"), format="csv")
    assert next(rows).values == {"text": "x", "n": "1"}
    with pytest.raises(DataError, match="standard input, line 3: 1 cells"):
        next(rows)


ECHO = """
from distilbert.files.table_writer import write_rows
from distilbert.files.tables import read_rows
write_rows("-", ({"text": row.text("text")} for row in read_rows("-")), ["text"], format="jsonl")
"""


def test_a_row_that_comes_in_goes_out_before_the_next_comes() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ECHO],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUNBUFFERED": ""},
    ) as echo:
        assert echo.stdin is not None
        assert echo.stdout is not None
        for text in ("first", "zweitens: é"):
            echo.stdin.write(f"{text}\n".encode())
            echo.stdin.flush()
            assert json.loads(echo.stdout.readline()) == {"text": text}
        echo.stdin.close()
    assert echo.returncode == 0


@pytest.mark.parametrize("ending", [".txt", ".csv.gz", ".tsv", ".jsonl"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, ending: str) -> None:
    count = 20_000
    path = tmp_path / f"t{ending}"
    tracemalloc.start()
    try:
        write_rows(path, ({"text": f"row {number} " + "x" * 200} for number in range(count)), ["text"])
        assert sum(1 for _ in read_rows(path)) == count
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000  # bytes; the rows are 4 MB


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("sst2/dev.tsv", 872),
        ("unicode/lines.txt", 4_273),
        ("pairs/rte/dev.tsv.gz", 277),
        ("topics/banking77/test.tsv.gz", 3_080),
        ("topics/goemotions/dev.tsv.gz", 5_426),
        ("topics/ag_news/test.tsv.gz", 7_600),
    ],
)
def test_real_files_have_the_rows_that_their_source_counts(shared: Path, name: str, rows: int) -> None:
    assert sum(1 for _ in read_rows(shared / "data" / name)) == rows
