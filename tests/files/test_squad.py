"""Questions are read from SQuAD's files and from rows, a paragraph at a time, and each answer stands in its context."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distilbert.errors import DataError
from distilbert.files import squad
from distilbert.files.squad import GoldAnswer, Question, read_squad

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADA = {"question": "Who?", "id": "q1", "answers": [{"text": "Ada", "answer_start": 7}]}
CONTEXT = "It was Ada."


def document(*questions: dict[str, Any], context: str = CONTEXT) -> dict[str, Any]:
    return {
        "version": "1.1",
        "data": [{"title": "T", "paragraphs": [{"context": context, "qas": [*questions]}]}],
    }


def written(folder: Path, content: object, name: str = "dev.json") -> Path:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


# What SQuAD files hold, in any order and with more in them than is read

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
more = st.dictionaries(
    st.sampled_from(["title", "split", 'a "b', "é"]),
    st.one_of(st.integers(), st.floats(allow_nan=False), texts, st.none()),
)


@st.composite
def paragraphs(draw: st.DrawFn) -> dict[str, Any]:
    context = draw(texts)
    spans = st.tuples(st.integers(0, len(context) - 1), st.integers(1, len(context)))
    answers = spans.map(lambda span: {"text": context[span[0] :][: span[1]], "answer_start": span[0]})
    question = st.fixed_dictionaries(
        {"question": texts, "id": texts, "answers": st.lists(answers, max_size=3)}
    )
    return {**draw(more), "context": context, "qas": draw(st.lists(question, max_size=3))}


articles = st.builds(
    lambda own, listed, last: {**own, "paragraphs": listed} if last else {"paragraphs": listed, **own},
    more,
    st.lists(paragraphs(), max_size=3),
    st.booleans(),
)
documents = st.builds(lambda own, listed: {**own, "data": listed}, more, st.lists(articles, max_size=3))


def plainly(whole: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for article in whole["data"]:
        for paragraph in article["paragraphs"]:
            for asked in paragraph["qas"]:
                answers = tuple(GoldAnswer(row["text"], row["answer_start"]) for row in asked["answers"])
                yield asked["id"], asked["question"], paragraph["context"], answers


@settings(max_examples=40)
@given(documents, st.integers(1, 60), st.sampled_from([None, 1]), st.booleans())
def test_a_file_gives_what_decoding_it_at_once_gives_wherever_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory,
    whole: dict[str, Any],
    chunk: int,
    indent: int | None,
    plain: bool,
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.json"
    path.write_text(json.dumps(whole, indent=indent, ensure_ascii=plain), encoding="utf-8")
    expected = list(plainly(whole))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(squad, "CHUNK", chunk)
        if not expected:
            with pytest.raises(DataError, match="has no questions"):
                list(read_squad(path))
            return
        found = list(read_squad(path))
    assert [(row.id, row.question, row.context, row.answers) for row in found] == expected
    assert [row.place for row in found] == [f"{path}, question {n}" for n in range(1, len(found) + 1)]


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("name", ["dev.json", "rows.jsonl", "columns.jsonl"])
def test_every_form_gives_the_same_question(name: str, zipped: bool, tmp_path: Path) -> None:
    columns = {"text": ["Ada"], "answer_start": [7]}
    content = {
        "dev.json": document(ADA),
        "rows.jsonl": {**ADA, "context": CONTEXT},
        "columns.jsonl": {**ADA, "context": CONTEXT, "answers": columns},
    }[name]
    path = tmp_path / (f"{name}.gz" if zipped else name)
    data = json.dumps(content).encode()
    path.write_bytes(gzip.compress(data) if zipped else data)
    unit = "question" if name == "dev.json" else "line"
    assert list(read_squad(path)) == [
        Question(f"{path}, {unit} 1", "q1", "Who?", CONTEXT, (GoldAnswer("Ada", 7),))
    ]


def test_a_question_of_squad_2_that_cannot_be_answered_has_no_answers(tmp_path: Path) -> None:
    impossible = {
        "question": "Why?", "id": "q2", "is_impossible": True, "answers": [],
        "plausible_answers": [{"text": "Ada", "answer_start": 7}],
    }  # fmt: skip
    [possible, other] = read_squad(written(tmp_path, document({**ADA, "is_impossible": False}, impossible)))
    assert (possible.answers, other.answers) == ((GoldAnswer("Ada", 7),), ())


def answered(text: object, start: object) -> dict[str, Any]:
    return document({**ADA, "answers": [{"text": text, "answer_start": start}]})


IN_PARAGRAPH = "a paragraph is no object with context and qas"
NOT_LISTED = "question 1: answers should be a list of objects with text and answer_start, but are "


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (
            answered("Ada", 3),
            "question 1: the answer 'Ada' is not at character 3 of its context, where 'was' is",
        ),
        (
            answered("Ada", 70),
            "question 1: the answer 'Ada' is not at character 70 of its context, where '' is",
        ),
        (answered("Ada", -4), "an answer needs a text and an answer_start of 0 or more, not 'Ada' and -4"),
        (answered("", 0), "not '' and 0"),
        (answered("Ada", True), "not 'Ada' and True"),
        (document(ADA, {**ADA, "answers": "Ada"}), NOT_LISTED.replace("1", "2") + "'Ada'"),
        (document({**ADA, "answers": {"text": ["Ada"], "answer_start": []}}), NOT_LISTED + "{'text'"),
        (document({"question": "Who?"}), NOT_LISTED + "None"),
        (document({**ADA, "question": None}), "question 1: column 'question' is null"),
        (document({**ADA, "question": " "}), "question 1: its question is empty"),
        (document(ADA, context=""), "question 1: its context is empty"),
        (document(ADA, context=7), "column 'context' should be text, but is 7"),  # type: ignore[arg-type]
        (document(ADA, context="\ud83d Ada"), "half a surrogate pair in its context, at character 0"),
        (document({**ADA, "id": "\ud83d"}), "half a surrogate pair in its id, at character 0"),
        ({"data": [{"paragraphs": [{"context": "a"}]}]}, f"after question 0: {IN_PARAGRAPH}"),
        ({"data": [{"paragraphs": ["a"]}]}, f"{IN_PARAGRAPH}, but 'a'"),
        ({"data": []}, "has no questions"),
        ({"rows": []}, "has no questions"),
        ("[]", "not JSON, '{' is expected at character 1"),
        ("", "not JSON, '{' is expected at character 1"),
        ('{"data": [{"paragraphs": [{"context": "a", }]}]}', "not JSON, "),
        ('{"data": [{"paragraphs": [}', "not JSON, Expecting value at character 27"),
        ('{"data": [{"paragraphs": []}', "not JSON, ']' is expected at character 29"),
        (json.dumps(document(ADA)) + " x", "not JSON, something follows the end at character"),
    ],
)
def test_what_is_no_such_file_is_refused_with_its_place(content: object, fault: str, tmp_path: Path) -> None:
    path = written(tmp_path, content)
    with pytest.raises(DataError) as refusal:
        list(read_squad(path))
    assert fault in str(refusal.value)
    assert str(path) in refusal.value.fault
    assert refusal.value.next_step


@pytest.mark.parametrize(
    ("name", "data", "fault"),
    [
        ("dev.csv", b"question", "questions are in .json or .jsonl"),
        ("dev.json.gz", b"{}", "is not a whole gzip file"),
        ("dev.json.gz", gzip.compress(json.dumps(document(ADA)).encode())[:-9], "is not a whole gzip file"),
        ("dev.json", b'{"data": "\xff"}', "is not UTF-8"),
        ("rows.jsonl", b'{"question": "Who?"}\n', "line 1: no column 'context'"),
    ],
)
def test_what_cannot_be_read_is_refused(name: str, data: bytes, fault: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as refusal:
        list(read_squad(tmp_path / name))
    assert fault in str(refusal.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        list(read_squad(tmp_path / "dev.json"))


def test_a_large_file_is_never_in_memory_whole(tmp_path: Path) -> None:
    paragraph = {"context": CONTEXT * 200, "qas": [ADA] * 5}
    path = written(tmp_path, {"data": [{"paragraphs": [paragraph] * 5000}]})
    assert path.stat().st_size > 10_000_000
    tracemalloc.start()
    assert sum(1 for _ in read_squad(path)) == 25_000
    assert tracemalloc.get_traced_memory()[1] < 1_500_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "questions", "answers"),
    [
        ("squad/dev.json.gz", 10_570, 34_726),
        ("squadshifts/reddit_v1.0.json.gz", 9_803, None),
        ("squadshifts/amazon_reviews_v1.0.json.gz", 9_885, None),
    ],
)
def test_the_real_files_are_read_whole(shared: Path, name: str, questions: int, answers: int | None) -> None:
    rows = list(read_squad(shared / "data" / name))
    assert len(rows) == questions
    assert answers in (None, sum(len(row.answers) for row in rows))
    assert all(row.context.startswith(answer.text, answer.start) for row in rows for answer in row.answers)
