"""Texts in, the same ids out, in the same order: whatever the texts, the threads, and what stopped the run before."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bundles import sentences
from hypothesis import given, settings
from hypothesis import strategies as st
from situations import contents, flipped
from tiny import VOCABULARY
from tokenizers.pre_tokenizers import Punctuation

from distilbert.corpus import prepare as module
from distilbert.corpus.prepare import finished, plan, preparation, repair, texts_of
from distilbert.corpus.shards import open_corpus, verify_corpus
from distilbert.errors import DataError, OptionError, StorageError
from distilbert.text.tokenizer import DistilBertTokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from distilbert.corpus.manifest import Manifest

TOKENIZER = DistilBertTokenizer({token: number for number, token in enumerate(VOCABULARY)})


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 4 texts or 60 characters, three of them a shard."""
    monkeypatch.setattr(module, "BATCH_ROWS", 4)
    monkeypatch.setattr(module, "BATCH_CHARACTERS", 60)
    monkeypatch.setattr(module, "SHARD_BATCHES", 3)


@pytest.fixture
def corpus(tmp_path: Path) -> list[str]:
    """Two files, 60 texts and a few blank lines."""
    texts = sentences(60, longest=6)
    (tmp_path / "a.txt").write_text("".join(f"{text}\n" for text in texts[:40]) + "\n \n")
    rows = (json.dumps({"text": text}) + "\n" for text in texts[40:])
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress("".join(rows).encode()))
    return [str(tmp_path / "a.txt"), str(tmp_path / "b.jsonl.gz")]


def prepared(
    corpus: list[str],
    out: Path,
    tokenizer: DistilBertTokenizer = TOKENIZER,
    *,
    planned: Manifest | None = None,
    threads: int = 1,
    resume: bool = False,
    advance: Callable[[int], None] = lambda rows: None,
) -> Manifest:
    with preparation(out, planned or plan(corpus, "text", tokenizer), resume=resume) as under_way:
        under_way.go_on(texts_of(corpus, "text"), tokenizer, threads, advance)
    return under_way.manifest


def mended(corpus: list[str], out: Path, tokenizer: DistilBertTokenizer = TOKENIZER) -> list[str]:
    return repair(out, plan(corpus, "text", tokenizer), texts_of(corpus, "text"), tokenizer)


LINES = st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), max_size=40)


ODD = [
    "",
    " ",
    "[MASK] the [SEP]",
    "a" * 300,
    " \u0301the",
    "\u00e9\u0301",
    "good\u00a0movie",
    "\u4e2d\u6587",
    "\u200bbad",
]
WORDS = LINES | st.sampled_from(ODD)


@given(
    # the longest of them are read in pieces
    st.lists(WORDS | st.lists(WORDS | st.just("very"), max_size=30).map(" ".join), max_size=40),
    st.integers(1, 3),
)
@settings(max_examples=25)
def test_each_text_has_the_ids_that_the_tokenizer_gives_it_in_the_corpus_s_order(
    lines: list[str], threads: int
) -> None:
    expected = [ids for line in lines if (ids := TOKENIZER.text_ids(line.removeprefix("\ufeff")))]
    with TemporaryDirectory() as folder:
        path, out = Path(folder, "texts.txt"), Path(folder, "data")
        path.write_bytes("".join(f"{line}\n" for line in ["", *lines]).encode())
        if not expected:
            with pytest.raises(DataError, match=r"texts\.txt: no row has a word in it"):
                prepared([str(path)], out, threads=threads)
            assert [found.name for found in Path(folder).iterdir()] == ["texts.txt"]
            return
        made = prepared([str(path)], out, threads=threads)
        data = open_corpus(out)
        assert [data.text_ids(row).tolist() for row in range(len(data))] == expected
        assert data.lengths.tolist() == list(map(len, expected))
        assert data.manifest == made
        assert (made.rows, made.texts, made.tokens) == (len(lines) + 1, len(expected), data.lengths.sum())


def with_added_words() -> DistilBertTokenizer:
    tokenizer = DistilBertTokenizer({token: number for number, token in enumerate(VOCABULARY)})
    tokenizer.backend_tokenizer.add_tokens(["good movie"])
    return tokenizer


def without_words() -> DistilBertTokenizer:
    tokenizer = DistilBertTokenizer({token: number for number, token in enumerate(VOCABULARY)})
    tokenizer.backend_tokenizer.pre_tokenizer = Punctuation()
    return tokenizer


@pytest.mark.parametrize("tokenizer", [with_added_words(), without_words()])
def test_a_long_text_is_not_cut_where_a_token_may_hold_a_blank(
    tokenizer: DistilBertTokenizer, tmp_path: Path
) -> None:
    text = "a good movie " * 20
    (tmp_path / "a.txt").write_text(text)
    prepared([str(tmp_path / "a.txt")], tmp_path / "data", tokenizer)
    assert open_corpus(tmp_path / "data").text_ids(0).tolist() == tokenizer.text_ids(text)


def test_the_bytes_do_not_depend_on_the_number_of_threads(corpus: list[str], tmp_path: Path) -> None:
    made = [prepared(corpus, tmp_path / str(threads), threads=threads) for threads in (1, 2, 3)]
    one, two, three = (contents(tmp_path / str(threads)) for threads in (1, 2, 3))
    assert one == two == three
    assert len(made[0].shards) > 3


def test_data_needs_nothing_beside_it(corpus: list[str], tmp_path: Path) -> None:
    """Its tokenizer is in it, and whoever knows NumPy's files can read it without us."""
    prepared(corpus, tmp_path / "data")
    moved = (tmp_path / "data").rename(tmp_path / "moved")
    data = open_corpus(moved)
    kept = DistilBertTokenizer.from_folder(data.tokenizer)
    assert kept.get_vocab() == TOKENIZER.get_vocab()
    ids, ends = (np.load(moved / name) for name in data.manifest.shards[0].files)
    assert (ids.dtype, ends.dtype) == (np.uint16, np.int64)
    assert kept.text_ids(sentences(60, longest=6)[0]) == ids[: ends[0]].tolist() == data.text_ids(0).tolist()


def test_a_vocabulary_beyond_two_bytes_has_four(tmp_path: Path) -> None:
    words = [*VOCABULARY, *(f"word{number}" for number in range(66_000))]
    tokenizer = DistilBertTokenizer({token: number for number, token in enumerate(words)})
    (tmp_path / "a.txt").write_text("word65999 the word2\n")
    prepared([str(tmp_path / "a.txt")], tmp_path / "data", tokenizer)
    ids = open_corpus(tmp_path / "data").text_ids(0)
    assert ids.dtype == np.uint32
    assert ids.tolist() == tokenizer.text_ids("word65999 the word2")


def killed(corpus: list[str], out: Path, at: int) -> bool:
    """Prepare in a process that is killed at its n-th step: a batch done, a file flushed, replaced or renamed."""
    planned = plan(corpus, "text", TOKENIZER)
    if child := os.fork():
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    left = at

    def step(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given: (step(), call(*given))[1]

    for place, name in ((os, "fsync"), (Path, "replace"), (Path, "rename")):
        setattr(place, name, counted(getattr(place, name)))
    try:
        prepared(corpus, out, planned=planned, threads=2, resume=True, advance=step)
    finally:
        os._exit(0)


def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(corpus: list[str], tmp_path: Path) -> None:
    prepared(corpus, tmp_path / "whole")
    expected = contents(tmp_path / "whole")
    moment = 1
    while killed(corpus, out := tmp_path / str(moment), at=moment):
        assert not out.exists()
        prepared(corpus, out, resume=True)
        assert contents(out) == expected, moment
        assert not out.with_name(f"{out.name}.partial").exists()
        moment += 3
    assert moment > 20


def test_killed_again_and_again_it_arrives(corpus: list[str], tmp_path: Path) -> None:
    made = prepared(corpus, tmp_path / "whole")
    kills = 0
    while killed(corpus, tmp_path / "data", at=8):  # a shard takes six steps
        kills += 1
    assert len(made.shards) // 2 < kills <= len(made.shards) + 2
    assert contents(tmp_path / "data") == contents(tmp_path / "whole")


@pytest.fixture
def stopped(corpus: list[str], tmp_path: Path) -> Path:
    """What is to be `data`, of which a kill left a few shards."""
    assert killed(corpus, tmp_path / "data", at=16)
    return tmp_path / "data"


def test_without_resume_what_a_kill_left_is_kept(corpus: list[str], stopped: Path) -> None:
    before = contents(stopped.parent)
    with pytest.raises(StorageError, match=r"data\.partial holds \d+ texts of an interrupted run"):
        prepared(corpus, stopped)
    assert contents(stopped.parent) == before


def other_corpus(corpus: list[str]) -> dict[str, Any]:
    Path(corpus[0]).write_text("another text\n")
    return {"corpus": corpus}


CHANGES = {
    "corpus": other_corpus,
    "order": lambda corpus: {"corpus": corpus[::-1]},
    "tokenizer": lambda corpus: {
        "tokenizer": DistilBertTokenizer({t: n for n, t in enumerate(VOCABULARY[:-1])})
    },
    "casing": lambda corpus: {
        "tokenizer": DistilBertTokenizer({t: n for n, t in enumerate(VOCABULARY)}, do_lower_case=False)
    },
}


@pytest.mark.parametrize("what", CHANGES)
def test_another_corpus_or_tokenizer_is_refused_by_name(
    what: str, corpus: list[str], stopped: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    prepared(corpus, whole)
    before = contents(tmp_path / "data.partial"), contents(whole)
    changed = {"corpus": corpus, "tokenizer": TOKENIZER} | CHANGES[what](corpus)
    named = {"order": "corpus", "casing": "tokenizer"}.get(what, what)
    with pytest.raises(OptionError, match=f"data.partial was made with another {named}"):
        prepared(out=stopped, resume=True, **changed)
    with pytest.raises(OptionError, match=f"whole was made with another {named}"):
        mended(out=whole, **changed)
    with pytest.raises(OptionError, match=f"whole was made with another {named}"):
        finished(whole, plan(changed["corpus"], "text", changed["tokenizer"]))
    assert (contents(tmp_path / "data.partial"), contents(whole)) == before


def test_a_shard_that_was_damaged_while_it_lay_there_is_made_again(
    corpus: list[str], stopped: Path, tmp_path: Path
) -> None:
    flipped(tmp_path / "data.partial" / "00001.tokens.npy")
    prepared(corpus, stopped, resume=True)
    prepared(corpus, tmp_path / "whole")
    assert contents(stopped) == contents(tmp_path / "whole")


def test_two_runs_do_not_write_to_one_folder(corpus: list[str], tmp_path: Path) -> None:
    planned = plan(corpus, "text", TOKENIZER)
    with preparation(tmp_path / "data", planned, resume=False) as under_way:
        with pytest.raises(StorageError, match=r"data\.partial is being written by another process"):
            prepared(corpus, tmp_path / "data")
        under_way.go_on(texts_of(corpus, "text"), TOKENIZER, 1, lambda rows: None)
    assert len(open_corpus(tmp_path / "data")) == 60


def test_a_folder_of_someone_else_s_is_left_alone(corpus: list[str], tmp_path: Path) -> None:
    (tmp_path / "data.partial").mkdir()
    (tmp_path / "data.partial" / "thesis.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"is not what an interrupted run leaves: it holds thesis\.txt"):
        prepared(corpus, tmp_path / "data", resume=True)
    assert (tmp_path / "data.partial" / "thesis.txt").read_text() == "mine"


def damaged_ids(out: Path) -> str:
    flipped(out / "00002.tokens.npy")
    return "00002.tokens.npy was changed: its SHA-256 is "


def lost_ends(out: Path) -> str:
    (out / "00000.ends.npy").unlink()
    return "00000.ends.npy cannot be read: No such file"


def swapped_shards(out: Path) -> str:
    shutil.copy(out / "00001.tokens.npy", out / "00003.tokens.npy")
    return "00003.tokens.npy was changed"


def damaged_tokenizer(out: Path) -> str:
    flipped(out / "tokenizer" / "tokenizer.json")
    return "tokenizer.json was changed"


@pytest.mark.parametrize("damage", [damaged_ids, lost_ends, swapped_shards, damaged_tokenizer])
def test_what_is_damaged_is_named_and_only_that_is_made_again(
    damage: Callable[[Path], str], corpus: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "data"
    prepared(corpus, out)
    open_corpus(out)
    expected, times = contents(out), {path: path.stat().st_mtime_ns for path in out.iterdir()}
    fault = damage(out)
    for opening in (open_corpus, verify_corpus):
        with pytest.raises(DataError, match=fault):
            opening(out)
    [said] = mended(corpus, out)
    assert fault in said
    assert contents(out) == expected
    again = {path.name[:5] for path in out.iterdir() if times.get(path) != path.stat().st_mtime_ns}
    assert len(again) == 1
    assert mended(corpus, out) == []
    assert not (tmp_path / "data.partial").exists()


def test_a_shard_that_comes_out_otherwise_is_not_put_in(corpus: list[str], tmp_path: Path) -> None:
    """As it would with a release of the tokenizers library that splits words in another way."""
    out = tmp_path / "data"
    prepared(corpus, out)
    damaged_ids(out)
    before = contents(out)
    made = json.loads((out / "manifest.json").read_text())
    made["shards"][2]["files"]["00002.tokens.npy"] = "0" * 64
    (out / "manifest.json").write_text(json.dumps(made))
    with pytest.raises(
        DataError, match=r"00002\.tokens\.npy comes out otherwise than it was made, by distilbert"
    ):
        mended(corpus, out)
    assert contents(out)["00002.tokens.npy"] == before["00002.tokens.npy"]


def test_a_disk_that_fills_up_is_named_and_what_is_safe_is_kept(
    corpus: list[str], tmp_path: Path, full_disk: Callable[[int], None]
) -> None:
    prepared(corpus, tmp_path / "whole")
    out = tmp_path / "data"
    for flushes in range(6):  # each shard needs three, and `plan` needs three to learn the tokenizer's hashes
        full_disk(flushes)
        try:
            planned = plan(corpus, "text", TOKENIZER)
        except StorageError:
            continue
        full_disk(flushes)
        with (
            pytest.raises(
                StorageError, match=r"data cannot be written: No space left on device\."
            ) as refused,
            preparation(out, planned, resume=True) as under_way,
        ):
            under_way.go_on(texts_of(corpus, "text"), TOKENIZER, 1, lambda rows: None)
        assert "partial" not in str(refused.value)
        assert "--resume" in refused.value.next_step
        assert (tmp_path / "data.partial").exists() == (flushes >= 3)
    full_disk(sys.maxsize)  # there is room again
    prepared(corpus, out, resume=True)
    assert contents(out) == contents(tmp_path / "whole")
