"""`distilbert classify --file … --out …`: whatever stops it, it goes on where it was, to the same bytes."""

from __future__ import annotations

import gzip
import random
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from bundles import sentences
from situations import Command, complaint, on_a_terminal

from distilbert.cli.bulk import CHARACTERS, WINDOW
from distilbert.engines.choice import installed
from distilbert.files.table_writer import write_rows
from distilbert.files.tables import read_column, read_rows

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = sentences(3 * WINDOW + 100, seed=3)


@pytest.fixture
def many(here: Path) -> Path:
    path = here / "many.txt"
    path.write_text("".join(f"{text}\n" for text in TEXTS))
    return path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


STOPPED = """
import os, signal
flush, left = os.fsync, 1 + 2 * {windows}  # the journal's first line; then a window's rows and their entry
def fsync(descriptor):
    global left
    flush(descriptor)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), {sent})
os.fsync = fsync
signal.signal(signal.SIGINT, signal.default_int_handler)
from distilbert.cli import main
main()
"""


def stop(*line: object, windows: int, sent: signal.Signals = signal.SIGKILL) -> str:
    """Call the command in a process that gets a signal once so many windows are safe. What it said."""
    code = STOPPED.format(windows=windows, sent=int(sent))
    ended = subprocess.run(
        [sys.executable, "-c", code, *map(str, line)], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode in (-signal.SIGKILL, 130), ended.stderr
    return ended.stderr


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "csv.gz"])
def test_killed_and_resumed_it_ends_in_the_bytes_of_an_undisturbed_run(
    ending: str, distilbert: Command, here: Path, many: Path, tiny_fp32: Path
) -> None:
    line = ["classify", "--model", tiny_fp32, "--file", many, "--top-k", 2, "--out"]
    assert distilbert(*line, f"whole.{ending}").code == 0
    out = here / f"a.{ending}"
    stop(*line, out, windows=1)
    stop(*line, out, "--resume", windows=1)
    assert not out.exists()
    outcome = distilbert(*line, out, "--resume")
    assert outcome.err == f"note: 2,048 texts were labelled already\n{out}: 3,172 texts labelled\n"
    assert out.read_bytes() == (here / f"whole.{ending}").read_bytes()
    assert [row.text("text") for row in read_rows(out)] == TEXTS
    assert names(here) == {"many.txt", f"whole.{ending}", f"a.{ending}"}


def test_interrupted_it_says_what_is_safe(
    distilbert: Command, here: Path, many: Path, tiny_fp32: Path
) -> None:
    line = ["classify", "--model", tiny_fp32, "--file", many, "--out", here / "a.csv"]
    said = stop(*line, windows=1, sent=signal.SIGINT)
    assert re.fullmatch(
        r"note: [123],\d\d\d texts are safe; --resume goes on from there\n+interrupted\n", said
    )
    outcome = distilbert(*line)
    assert outcome.code == 1
    assert "a.csv.partial and a.csv.partial.jsonl hold 1,024 rows" in complaint(outcome.err)


CHANGED = {
    "the input": (lambda here: (here / "many.txt").open("a").write("one more\n"), [], "another input"),
    "the model": (None, ["--model", "distilbert-sst2"], "another model"),
    "an option": (None, ["--top-k", 2], "another --top-k: None, now 2"),
    "what is done with long texts": (None, ["--long", "window"], "another --long: None, now window"),
}


@pytest.mark.parametrize(("change", "options", "says"), CHANGED.values(), ids=CHANGED)
def test_resume_refuses_what_is_not_the_same_run(
    change: object,
    options: list[str],
    says: str,
    distilbert: Command,
    here: Path,
    many: Path,
    tiny_fp32: Path,
) -> None:
    line = ["classify", "--model", tiny_fp32, "--file", many, "--out", here / "a.csv"]
    stop(*line, windows=1)
    if callable(change):
        change(here)
    outcome = distilbert(*line, *options, "--resume")
    assert outcome.code == 2
    assert says in complaint(outcome.err)
    assert (here / "a.csv.partial").exists()


@pytest.mark.skipif(installed("openvino") is None, reason="needs the extra openvino")
def test_resume_refuses_another_engine(distilbert: Command, here: Path, many: Path, tiny_fp32: Path) -> None:
    line = ["classify", "--model", tiny_fp32, "--file", many, "--out", here / "a.csv"]
    stop(*line, windows=1)
    outcome = distilbert(*line, "--engine", "openvino", "--resume")
    assert outcome.code == 2
    assert "another engine: onnxruntime " in complaint(outcome.err)
    assert ", now openvino " in complaint(outcome.err)


CANNOT_RESUME = {
    "standard input": (["--file", "-", "--out", "a.csv"], "standard input can be read once"),
    "parquet": (["--file", "many.txt", "--out", "a.parquet"], "parquet is written in one go"),
    "no file": (
        ["--resume", "hello", "--out", "a.csv"],
        "--resume goes on with an --out that was made from a --file",
    ),
    "no out": (["--file", "many.txt"], "--resume goes on with an --out"),
    "a device": (["--file", "many.txt", "--out", "/dev/null"], "/dev/null is none"),
}


@pytest.mark.parametrize(("options", "says"), CANNOT_RESUME.values(), ids=CANNOT_RESUME)
def test_what_cannot_resume_says_so(
    options: list[str], says: str, distilbert: Command, here: Path, many: Path, tiny_fp32: Path
) -> None:
    outcome = distilbert("classify", "--model", tiny_fp32, *options, "--resume", stdin=b"hello\n")
    assert outcome.code == 2
    assert says in complaint(outcome.err)
    assert names(here) == {"many.txt"}


def test_resume_with_nothing_to_go_on_from_starts(
    distilbert: Command, here: Path, many: Path, tiny_fp32: Path
) -> None:
    outcome = distilbert("classify", "--model", tiny_fp32, "--file", many, "--out", "a.csv", "--resume")
    assert (outcome.code, outcome.err) == (0, "a.csv: 3,172 texts labelled\n")


def test_a_row_that_cannot_be_read_is_told_before_the_work(
    distilbert: Command, here: Path, tiny_fp32: Path
) -> None:
    (here / "a.jsonl").write_text('{"text": "fine"}\n' * 2 * WINDOW + '{"text": 5}\n')
    outcome = distilbert("classify", "--model", tiny_fp32, "--file", "a.jsonl", "--out", "b.csv")
    assert outcome.code == 1
    assert outcome.err.startswith(f"error: a.jsonl, line {2 * WINDOW + 1}: column 'text' should be text")
    assert names(here) == {"a.jsonl"}


def test_texts_that_out_cannot_hold_leave_nothing_in_the_way(
    distilbert: Command, here: Path, tiny_fp32: Path
) -> None:
    (here / "a.jsonl").write_text('{"text": "fine"}\n' * WINDOW + '{"text": "a\\tb"}\n')
    line = ["classify", "--model", tiny_fp32, "--file", "a.jsonl", "--out"]
    outcome = distilbert(*line, "b.tsv")
    assert outcome.code == 1
    assert "tsv cannot hold 'a\\tb'" in complaint(outcome.err)
    assert "--resume" not in outcome.err
    assert names(here) == {"a.jsonl"}


@pytest.mark.parametrize("file", ["a.csv.partial", "a.csv.partial.jsonl"])
def test_an_input_with_the_name_of_what_is_under_way_is_kept(
    file: str, distilbert: Command, here: Path, tiny_fp32: Path
) -> None:
    (here / file).write_text('{"text": "great"}\n')
    line = ["classify", "--model", tiny_fp32, "--file", file, "--format", "jsonl", "--out", "a.csv"]
    outcome = distilbert(*line)
    assert outcome.code == 1
    assert "are not what an interrupted run leaves" in complaint(outcome.err)
    assert {path.name: path.read_text() for path in here.iterdir()} == {file: '{"text": "great"}\n'}


@pytest.mark.parametrize("target", ["--json", "a.csv", "a.parquet"])
def test_kept_columns_join_the_answers_to_their_rows(
    target: str, distilbert: Command, here: Path, tiny_fp32: Path
) -> None:
    (here / "a.csv.gz").write_bytes(gzip.compress(b"id,review,stars\n7,great,5\n8,boring,\n"))
    line = ["classify", "--model", tiny_fp32, "--file", "a.csv.gz", "--column", "review"]
    line += ["--keep", "id", "--keep", "stars"]
    if target == "--json":
        rows = distilbert(*line, "--json").objects()
    else:
        assert distilbert(*line, "--out", target).code == 0
        rows = [row.values for row in read_rows(here / target)]
    assert [list(row) for row in rows] == [["id", "stars", "text", "label", "score"]] * 2
    assert [(row["id"], row["stars"], row["text"]) for row in rows] == [
        ("7", "5", "great"),
        ("8", "", "boring"),
    ]


KEEP = {
    "a column that is not there": (["--file", "many.txt", "--keep", "id"], 1, "no column 'id'"),
    "a name that answers have": (
        ["--file", "many.txt", "--keep", "label"],
        2,
        "--keep label: the answers have",
    ),
    "one column twice": (
        ["--file", "many.txt", "--keep", "id", "--keep", "id"],
        2,
        "--keep id: the answers have",
    ),
    "no file": (["great", "--keep", "id"], 2, "--keep names a column of --file"),
}


@pytest.mark.parametrize(("options", "code", "says"), KEEP.values(), ids=KEEP)
def test_what_cannot_be_kept_is_told(
    options: list[str], code: int, says: str, distilbert: Command, many: Path, tiny_fp32: Path
) -> None:
    outcome = distilbert("classify", "--model", tiny_fp32, *options, "--json")
    assert outcome.code == code
    assert says in complaint(outcome.err)


def test_parquet_goes_in_and_out(distilbert: Command, here: Path, tiny_fp32: Path) -> None:
    write_rows(here / "a.parquet", [{"review": text} for text in TEXTS[:50]], ["review"])
    line = ["classify", "--model", tiny_fp32, "--column", "review", "--file", "a.parquet", "--out"]
    assert distilbert(*line, "b.parquet").code == 0
    assert distilbert(*line, "b.jsonl").code == 0
    [from_parquet, from_jsonl] = (
        [row.values for row in read_rows(here / f"b.{ending}")] for ending in ("parquet", "jsonl")
    )
    assert from_parquet == from_jsonl
    assert [row["text"] for row in from_parquet] == TEXTS[:50]


def test_format_tells_what_standard_input_is(distilbert: Command, here: Path, tiny_fp32: Path) -> None:
    line = ["classify", "--model", tiny_fp32, "--file", "-", "--format", "csv", "--column", "b", "--json"]
    [row] = distilbert(*line, stdin=b"a,b\nnot this,great\n").objects()
    assert row["text"] == "great"


def test_books_are_answered_in_small_windows(distilbert: Command, here: Path, tiny_fp32: Path) -> None:
    book = "great " * (CHARACTERS // 11)
    (here / "books.txt").write_text(f"{book}\n" * 5)
    line = ["classify", "--model", tiny_fp32, "--file", "books.txt", "--out", "a.jsonl", "--long", "truncate"]
    stop(*line, windows=1)
    assert distilbert(*line, "--resume").code == 0
    assert len(list(read_column(here / "a.jsonl"))) == 5


@pytest.mark.parametrize("resumed", [False, True])
def test_a_terminal_sees_the_speed_and_the_time_left(
    resumed: bool, distilbert: Command, here: Path, many: Path, tiny_fp32: Path
) -> None:
    line = ["classify", "--model", tiny_fp32, "--file", many, "--out", here / "a.csv"]
    if resumed:
        stop(*line, windows=1)
    code, shown = on_a_terminal(distilbert, *line, "--resume", stream="stderr")
    assert code == 0, shown
    assert re.search(r"\d texts, [\d,]+ a second", shown)
    assert re.search(r"100%", shown)
    assert "0:00 left" in shown
    assert shown.rstrip().endswith("a.csv: 3,172 texts labelled")


@pytest.mark.full
@pytest.mark.timeout(900)
def test_twenty_thousand_lines_killed_twenty_times(
    distilbert: Command, here: Path, shared: Path, embedded: Path
) -> None:
    """Real sentences and the embedded model; each kill at a random moment, in the start or in the work."""
    texts = list(read_column(shared / "data/sst2/train.tsv", "sentence"))[:20_000]
    write_rows(here / "many.txt", ({"text": text} for text in texts), ["text"])
    line = ["classify", "--file", "many.txt", "--out"]
    assert distilbert(*line, "whole.csv").code == 0
    moments = random.Random(20)
    finished = 0
    for _ in range(20):
        process = distilbert.start(*line, "a.csv", "--resume", stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.1, 2))
        process.kill()
        if process.wait() == 0:  # it was done before: from the start again
            finished += 1
            assert (here / "a.csv").read_bytes() == (here / "whole.csv").read_bytes()
            (here / "a.csv").unlink()
    assert finished < 3
    assert distilbert(*line, "a.csv", "--resume").code == 0
    assert (here / "a.csv").read_bytes() == (here / "whole.csv").read_bytes()
    assert [row.text("text") for row in read_rows(here / "a.csv")] == texts


MEASURED = """
import atexit, re, sys
from pathlib import Path
atexit.register(lambda: print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]))
from distilbert.cli import main
main()
"""


@pytest.mark.full
def test_twenty_thousand_lines_take_less_than_400_mb(here: Path, embedded: Path) -> None:
    (here / "many.txt").write_text("".join(f"{text}\n" for text in sentences(20_000, seed=5)))
    line = ["classify", "--file", "many.txt", "--out", "a.csv"]
    ended = subprocess.run(
        [sys.executable, "-c", MEASURED, *line], capture_output=True, text=True, check=True
    )
    assert int(ended.stdout) < 400_000  # kB
