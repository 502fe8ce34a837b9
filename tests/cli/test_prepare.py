"""`distilbert prepare`: what it says, what it refuses, and that neither kills nor size matter."""

from __future__ import annotations

import gzip
import random
import re
import subprocess
import sys
import time
from itertools import count
from typing import TYPE_CHECKING

import pytest
from bundles import sentences
from situations import Command, complaint, contents, flipped, on_a_terminal
from tiny import save_vocabulary

from distilbert.corpus.shards import open_corpus
from distilbert.text.tokenizer import DistilBertTokenizer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tiny(here: Path) -> Path:
    """A tokenizer, and a corpus of three texts."""
    (here / "model").mkdir()
    save_vocabulary(here / "model")
    (here / "a.txt").write_text("a good movie\n\nnot bad\n")
    (here / "b.csv.gz").write_bytes(gzip.compress(b"text,id\nvery boring,1\n"))
    return here / "model"


def test_it_says_how_much_there_is_and_how_fast_it_was(distilbert: Command, tiny: Path, here: Path) -> None:
    outcome = distilbert("prepare", "a.txt", "b.csv.gz", "--tokenizer", tiny, "--out", "data")
    assert (outcome.code, outcome.out) == (0, "")
    assert re.fullmatch(
        r"data: 3 texts, \d+ tokens in 1 shard; [\d.]+ seconds, [\d,]+ tokens a second\n", outcome.err
    )
    data = open_corpus(here / "data")
    texts = ["a good movie", "not bad", "very boring"]
    tokenizer = DistilBertTokenizer.from_folder(tiny)
    assert [data.text_ids(row).tolist() for row in range(len(data))] == [*map(tokenizer.text_ids, texts)]


def test_what_is_damaged_is_made_again_on_request(distilbert: Command, tiny: Path, here: Path) -> None:
    line = ["prepare", "a.txt", "--tokenizer", tiny, "--out", "data"]
    distilbert(*line)
    before = contents(here)
    assert distilbert(*line, "--repair").err == "data: nothing to repair\n"
    assert distilbert(*line, "--resume").err.endswith("nothing was left to do\n")
    flipped(here / "data" / "00000.tokens.npy")
    said = distilbert(*line, "--repair").err
    assert re.fullmatch(
        r"note: data/00000\.tokens\.npy was changed: its SHA-256 is \w+…, manifest\.json says \w+…\.\n"
        r"data: made again, as it was\n",
        said,
    )
    assert contents(here) == before


BAD = {
    "no corpus": ("", 2, "Missing argument 'CORPUS...'"),
    "no such file": ("none.txt", 1, "none.txt cannot be read: No such file"),
    "a folder": ("model", 1, "a table ends in .txt"),
    "an unknown ending": ("a.doc", 1, "a table ends in .txt"),
    "standard input": ("-", 2, "- is no regular file"),
    "an empty corpus": ("empty.txt", 1, "empty.txt has no rows"),
    "a corpus of blank lines": ("blank.txt", 1, "blank.txt: no row has a word in it."),
    "not UTF-8 in the last line": ("a.txt latin.txt", 1, "latin.txt, line 2: not UTF-8 at byte 4 (0xe9)"),
    "a gzip file cut short": ("cut.txt.gz", 1, "cut.txt.gz is not a whole gzip file"),
    "no such column": ("b.csv.gz --column body", 1, "line 2: no column 'body'; its columns: 'text', 'id'"),
    "a text that is none": (
        "number.jsonl",
        1,
        "number.jsonl, line 1: column 'text' should be text, but is 5",
    ),
    "no such tokenizer": ("a.txt --tokenizer no-such", 1, "'no-such' is no folder here"),
    "out is there": ("a.txt --out model", 1, "model is already there and is never overwritten"),
    "out is a file": ("a.txt --out a.txt", 1, "a.txt is already there"),
    "out is in a file": ("a.txt --out a.txt/data", 1, "a.txt/data cannot be written: Not a directory"),
    "both ways to go on": ("a.txt --resume --repair", 2, "--resume is for what is not whole yet"),
    "nothing to repair": ("a.txt --repair", 1, "data/manifest.json cannot be read: No such file"),
    "a repair of something else": ("a.txt --out model --repair", 1, "model/manifest.json cannot be read"),
    "no threads": ("a.txt --threads 0", 2, "0 is not in the range x>=1"),
}


@pytest.mark.parametrize(("line", "code", "says"), BAD.values(), ids=BAD)
def test_a_message_says_what_is_wrong_and_nothing_is_left_behind(
    line: str, code: int, says: str, distilbert: Command, tiny: Path, here: Path
) -> None:
    files = {"empty.txt": b"", "blank.txt": b"\n  \n", "latin.txt": b"fine\ncaf\xe9\n", "a.doc": b"hello"}
    files |= {"number.jsonl": b'{"text": 5}\n', "cut.txt.gz": gzip.compress(b"some text\n")[:-4]}
    for name, content in files.items():
        (here / name).write_bytes(content)
    before = contents(here)
    words = ["prepare", *line.split()]
    words += [] if "--tokenizer" in words else ["--tokenizer", tiny]
    outcome = distilbert(*words, *([] if "--out" in words else ["--out", "data"]))
    assert outcome.code == code
    assert says in complaint(outcome.err)
    assert contents(here) == before


MANIFESTS = {
    "no JSON": (lambda text: text[:-9], "is not valid JSON"),
    "a later format": (
        lambda text: text.replace('"format_version": 1', '"format_version": 9'),
        "has format_version 9; this release reads 1",
    ),
    "a file elsewhere": (lambda text: text.replace("00000.ends", "../ends"), "shard 0 has the files"),
    "a tokenizer's file elsewhere": (
        lambda text: text.replace('"vocab.txt', '"../vocab.txt'),
        "cannot lie in",
    ),
    "other sizes": (
        lambda text: re.sub(r'"tokens": \d+', '"tokens": 999', text),
        "00000.tokens.npy is not the shard",
    ),
    "something missing": (lambda text: text.replace('"rows"', '"lines"'), "is not a corpus's manifest"),
}


@pytest.mark.parametrize(("change", "says"), MANIFESTS.values(), ids=MANIFESTS)
def test_a_manifest_that_is_none_is_named(
    change: object, says: str, distilbert: Command, tiny: Path, here: Path
) -> None:
    from distilbert.errors import DataError

    distilbert("prepare", "a.txt", "--tokenizer", tiny, "--out", "data")
    path = here / "data" / "manifest.json"
    path.write_text(change(path.read_text()))  # type: ignore[operator]
    with pytest.raises(DataError, match=re.escape(says)):
        _ = open_corpus(here / "data").lengths


def test_a_terminal_shows_how_far_it_is(distilbert: Command, tiny: Path, here: Path) -> None:
    (here / "many.txt").write_text("".join(f"{text}\n" for text in sentences(3000)))
    line = ["prepare", "many.txt", "--tokenizer", tiny, "--out", "data"]
    code, shown = on_a_terminal(distilbert, *line, stream="stderr")
    assert code == 0
    assert "3,000 rows" in shown
    assert "data: 3,000 texts" in shown


SMALL = """
import signal, sys
from distilbert.corpus import prepare
prepare.BATCH_ROWS, prepare.SHARD_BATCHES = 64, 4
signal.signal(signal.SIGINT, signal.default_int_handler)
from distilbert.cli import main
main()
"""


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_killed_at_twenty_random_moments_it_ends_in_the_same_bytes(tiny: Path, here: Path) -> None:
    (here / "many.txt").write_text("".join(f"{text}\n" for text in sentences(20_000)))
    argv = [sys.executable, "-c", SMALL, "prepare", "many.txt", "--tokenizer", "model", "--out"]
    began = time.monotonic()
    subprocess.run([*argv, "whole"], check=True, capture_output=True)
    seconds, expected, kills = time.monotonic() - began, contents(here / "whole"), 0
    random.seed(12)
    for attempt in count():
        line = [*argv, f"data{attempt}", "--resume"]
        with subprocess.Popen(line, stderr=subprocess.DEVNULL) as process:
            try:
                process.wait(random.uniform(0.2, 1) * seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
        subprocess.run(line, check=True, capture_output=True)
        assert contents(here / f"data{attempt}") == expected
        if kills == 20:
            break
    assert not list(here.glob("*.partial"))


MEASURED = """
import sys
from distilbert.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print([line for line in open("/proc/self/status") if line.startswith("VmHWM")][0].split()[1])
"""


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_memory_does_not_grow_with_the_corpus_and_hardly_with_its_longest_line(
    tiny: Path, here: Path
) -> None:
    text, kilobytes = "".join(f"{text}\n" for text in sentences(20_000)), []
    for name, corpus in {
        "6 MB": text * 4,
        "24 MB": text * 16,
        "a line of 12 MB": text.replace("\n", " ") * 8,
    }.items():
        (here / "many.txt").write_text(corpus)
        line = ["prepare", "many.txt", "--tokenizer", tiny, "--threads", "2", "--out", name]
        ended = subprocess.run(
            [sys.executable, "-c", MEASURED, *map(str, line)], check=True, capture_output=True, text=True
        )
        kilobytes.append(int(ended.stdout))
    assert kilobytes[1] < min(200_000, kilobytes[0] + 20_000), kilobytes
    assert kilobytes[2] < kilobytes[0] + 15 * 12_000, kilobytes  # bytes a character


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_all_of_the_wikipedia_sample_takes_under_600_mb_and_after_a_kill_ends_in_the_same_bytes(
    shared: Path, here: Path
) -> None:
    corpus, tokenizer = shared / "data/corpus/wikipedia_en.txt.gz", shared / "weights/e5-small"
    line = [sys.executable, "-c", MEASURED, "prepare", str(corpus), "--tokenizer", str(tokenizer), "--out"]
    ended = subprocess.run([*line, "whole"], check=True, capture_output=True, text=True)
    assert int(ended.stdout) < 600_000
    with subprocess.Popen([*line, "again"], stderr=subprocess.DEVNULL) as process:
        while not list(here.glob("again.partial/*.ends.npy")):  # the first shard of three is done
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
    ended = subprocess.run([*line, "again", "--resume"], check=True, capture_output=True, text=True)
    assert int(ended.stdout) < 600_000
    assert contents(here / "again") == contents(here / "whole")
