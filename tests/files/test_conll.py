"""Sentences of labelled words are read from every dialect of CoNLL's format, and a broken row is named."""

from __future__ import annotations

import gzip
import io
import itertools
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilbert.errors import DataError
from distilbert.files.conll import LONGEST, read_conll

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXPECTED = [(("Ada", "#1", "lived"), ("B-PER", "I-PER", "O")), (("London",), ("B-LOC",))]
DIALECTS = {
    "two columns": "Ada B-PER\n#1 I-PER\nlived O\n\nLondon B-LOC\n",
    "tabs": "Ada\tB-PER\n#1\tI-PER\nlived\tO\n\nLondon\tB-LOC\n",
    "CoNLL-2003": "-DOCSTART- -X- -X- O\n\nAda NNP I-NP B-PER\n#1 NNP I-NP I-PER\nlived VBD I-VP O\n\n\n"
    "London NNP I-NP B-LOC",
    "Universal NER": "# newdoc id = a\n# text = Ada #1 lived\n1\tAda\tB-PER\t-\tx\n2\t#1\tI-PER\t-\tx\n"
    "3\tlived\tO\t-\t-\n\n# text = London\n1\tLondon\tB-LOC\t-\tx\n\n",
    "words that are written together": "1\tAda\tB-PER\n2-3\t#1lived\t_\n2\t#1\tI-PER\n2.1\t_\t_\n3\tlived\tO\n\n"
    "1\tLondon\tB-LOC\n",
    "carriage returns": "Ada B-PER\r\n#1 I-PER\r\nlived O\r\n\r\nLondon B-LOC\r\n",
    "a byte order mark and blanks": "\ufeff\n\nAda   B-PER\n#1 I-PER \nlived O\n  \t \nLondon B-LOC\n\n\n",
}


def read(path: Path) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    return [(sentence.words, sentence.labels) for sentence in read_conll(path)]


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("content", DIALECTS.values(), ids=DIALECTS)
def test_every_dialect_gives_the_same_sentences(content: str, zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / f"dev.iob2{'.gz' if zipped else ''}"
    path.write_bytes(gzip.compress(content.encode()) if zipped else content.encode())
    assert read(path) == EXPECTED


ROWS = {
    "labels": '{"tokens": ["Ada", "#1", "lived"], "labels": ["B-PER", "I-PER", "O"]}\n\n'
    '{"id": 7, "tokens": ["London"], "labels": ["B-LOC"]}\n',
    "ner_tags": '{"tokens": ["Ada", "#1", "lived"], "ner_tags": ["B-PER", "I-PER", "O"]}\n'
    '{"tokens": [], "ner_tags": []}\n{"tokens": ["London"], "ner_tags": ["B-LOC"]}',
}


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("content", ROWS.values(), ids=ROWS)
def test_a_row_of_jsonl_is_a_sentence_whose_line_is_known(content: str, zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / f"dev.jsonl{'.gz' if zipped else ''}"
    path.write_bytes(gzip.compress(content.encode()) if zipped else content.encode())
    assert read(path) == EXPECTED
    first, second = read_conll(path)
    assert (first.place(2), second.place(0)) == (f"{path}, line 1", f"{path}, line 3")


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(DIALECTS["tabs"].encode())))
    assert [sentence.words for sentence in read_conll("-")] == [words for words, _ in EXPECTED]


def test_a_file_whose_first_word_is_1_is_not_numbered(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("1 CD O\nfilm NN O\n")
    assert read(tmp_path / "a.conll") == [(("1", "film"), ("O", "O"))]


def test_a_word_may_have_any_space_but_the_blank(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("  1\u00a0000   O\nkilo\u2009metre O \n", encoding="utf-8")
    assert read(tmp_path / "a.conll") == [(("1\u00a0000", "kilo\u2009metre"), ("O", "O"))]


def test_a_word_s_line_is_known(tmp_path: Path) -> None:
    path = tmp_path / "a.iob2"
    path.write_text(DIALECTS["Universal NER"])
    first, second = read_conll(path)
    assert first.place(2) == f"{path}, line 5"
    assert second.place(0) == f"{path}, line 8"


word = st.text(st.characters(exclude_categories=["Cs", "Zs", "Cc", "Zl", "Zp"]), min_size=1, max_size=8)
pair = st.tuples(word.filter(lambda text: not text.startswith("-DOCSTART-")), st.sampled_from(["O", "B-PER"]))


@given(st.lists(st.lists(pair, min_size=1, max_size=5), min_size=1, max_size=5))
def test_what_is_written_between_tabs_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, sentences: list[list[tuple[str, str]]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "written.conll"
    path.write_text(
        "\n".join("".join(f"{word}\t{label}\n" for word, label in rows) for rows in sentences),
        encoding="utf-8",
        newline="\n",
    )
    if not sentences[0][0][0].startswith("\ufeff"):
        assert [list(zip(*found, strict=True)) for found in read(path)] == sentences


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("Ada B-PER\nlived\n", "line 2: 1 cells, where the first row has 2"),
        ("Ada B-PER\n\nNew York B-LOC\n", "line 3: 3 cells, where the first row has 2"),
        ("1\tAda\tB-PER\n2\tlived\n", "line 2: 2 cells, where the first row has 3"),
        ("1 CD O\n\nAda NNP B-PER\n", "line 3: 'Ada', where word 1 of a sentence is due"),
        ("1\tAda\tB-PER\n2\tlived\tO\n\n1\tShe\tO\n3\tleft\tO\n", "line 5: '3', where word 2"),
        ("Ada\n", "line 1: a row needs a word and its label, and this is 'Ada'"),
        ("Ada\tB-PER\n\tO\n", "line 2: its word is empty"),
        ("Ada\tB-PER\nlived\t\n", "line 2: its label is empty"),
        ("", "has no words"),
        ("# only a comment\n\n", "has no words"),
        ("Ada B-PER\nl\0ved O\n", "line 2: a NUL byte"),
    ],
)
def test_a_broken_row_is_named_with_its_line(content: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.conll"
    path.write_text(content)
    with pytest.raises(DataError, match=fault) as refusal:
        read(path)
    assert str(path) in refusal.value.fault
    assert len(str(refusal.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ('{"tokens": ["Ada", "lived"], "labels": ["B-PER"]}', "line 2: 2 tokens, but 1 labels"),
        ('{"tokens": "Ada", "labels": ["B-PER"]}', "line 2: 'tokens' should be a list of texts"),
        ('{"tokens": ["Ada"], "ner_tags": [1]}', r"line 2: 'ner_tags' should be a list .* but is \[1\]"),
        ('{"tokens": ["Ada", ""], "labels": ["B-PER", "O"]}', "line 2: 'tokens' .* not empty"),
        ('{"tokens": ["Ada"]}', "line 2: 'labels' should be .* but is None"),
        ('{"text": "Ada"}', "line 2: 'tokens' should be .* but is None"),
        ('["Ada"]', "line 2: .* is not an object"),
    ],
)
def test_a_broken_row_of_jsonl_is_named_with_its_line(row: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text(ROWS["labels"].splitlines()[0] + f"\n{row}\n")
    with pytest.raises(DataError, match=fault) as refusal:
        read(path)
    assert str(path) in refusal.value.fault
    assert len(str(refusal.value).splitlines()) == 2


@pytest.mark.parametrize("name", ["dev.json", "dev.json.gz", "DEV.CSV", "dev.parquet"])
def test_a_file_of_another_format_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text('{"data": [{"paragraphs": []}]}')
    with pytest.raises(DataError, match="sentences are in CoNLL's format"):
        read_conll(tmp_path / name)


def test_a_jsonl_without_words_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"tokens": [], "labels": []}\n')
    with pytest.raises(DataError, match="has no words"):
        read(tmp_path / "a.jsonl")


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.conll").write_bytes("Zo\xeb B-PER\n".encode("latin-1"))
    with pytest.raises(DataError, match="line 1: not UTF-8"):
        read(tmp_path / "latin.conll")
    (tmp_path / "a.conll.gz").write_bytes(gzip.compress(b"Ada B-PER\n" * 99)[:-9])
    with pytest.raises(DataError, match="not a whole gzip file"):
        read(tmp_path / "a.conll.gz")
    for path in (tmp_path / "nowhere.conll", tmp_path):
        with pytest.raises(DataError):
            read_conll(path)


def test_sentences_come_one_by_one_and_one_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def lines(*_: object) -> Iterator[str]:
        yield "Ada B-PER\n"
        yield "\n"
        yield from itertools.repeat("lived O\n")

    monkeypatch.setattr("distilbert.files.conll.lines_of", lines)
    monkeypatch.setattr("distilbert.files.conll.LONGEST", 1000)
    sentences = read_conll("-")
    assert next(sentences).words == ("Ada",)
    with pytest.raises(DataError, match="line 1003: more than 1,000 words without a blank line"):
        next(sentences)
    assert LONGEST > 100_000


def test_universal_ner_is_read_whole(shared: Path) -> None:
    counts = {"train": (12_543, 204_579), "dev": (2_001, 25_149)}
    for name, (sentences, words) in counts.items():
        found = [*read_conll(shared / "data" / "ner" / "uner_ewt" / f"{name}.iob2.gz")]
        assert (len(found), sum(len(sentence.words) for sentence in found)) == (sentences, words)
        assert {label for sentence in found for label in sentence.labels} == {
            "O",
            *(f"{letter}-{kind}" for letter in "BI" for kind in ("LOC", "ORG", "PER")),
        }
