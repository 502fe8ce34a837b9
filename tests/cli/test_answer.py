"""`distilbert answer`: questions and a text from anywhere in, answers in their sentences out, in order."""

from __future__ import annotations

import gzip
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from bundles import sentences
from hypothesis import given
from hypothesis import strategies as st
from situations import complaint, on_a_terminal
from tiny import tiny_checkpoint

from distilbert import pipeline
from distilbert.cli.answer import in_sentence
from distilbert.cli.bulk import WINDOW
from distilbert.files.resumable import ResumableTable
from distilbert.files.tables import read_rows

if TYPE_CHECKING:
    from pathlib import Path

    from situations import Command

QUESTIONS = ["is it good?", "who was boring"]
CONTEXT = "I love this film. The acting was great, the story not. It is boring!"


@pytest.fixture(scope="module")
def answerer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("answerer") / "checkpoint", head="question-answering")


@pytest.fixture(scope="module")
def expected(answerer: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pipeline("question-answering", answerer)(QUESTIONS, CONTEXT)
    return found


def line(found: dict[str, Any]) -> str:
    return f"{found['score']:.4f}  {in_sentence(CONTEXT, found['start'], found['end'])}"


def near(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Neighbours move float32 scores in the last digits."""
    return [{**row, "score": pytest.approx(row["score"], abs=1e-6)} for row in rows]


def test_an_answer_stands_in_its_sentence(
    distilbert: Command, answerer: Path, expected: list[dict[str, Any]]
) -> None:
    outcome = distilbert("answer", "--model", answerer, QUESTIONS[0], "--context", CONTEXT)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"{line(expected[0])}\n"
    assert f"[{expected[0]['answer']}]" in outcome.out


def test_several_questions_stand_above_their_answers(
    distilbert: Command, answerer: Path, expected: list[dict[str, Any]]
) -> None:
    shown = distilbert("answer", "--model", answerer, *QUESTIONS, "--context", CONTEXT).out.splitlines()
    assert shown == [QUESTIONS[0], f"  {line(expected[0])}", QUESTIONS[1], f"  {line(expected[1])}"]


def test_top_k_gives_as_many_lines_and_none_may_be_among_them(distilbert: Command, answerer: Path) -> None:
    options = ["--context", "good", "--top-k", "5", "--handle-impossible-answer"]
    shown = distilbert("answer", "--model", answerer, QUESTIONS[0], *options).out
    assert sorted(re.findall(r"^\d\.\d{4}  (.+)$", shown, re.MULTILINE)) == ["(no answer)", "[good]"]


def test_max_answer_len_is_told_to_the_pipeline(distilbert: Command, answerer: Path) -> None:
    options = ["--context", "the film was not good", "--max-answer-len", "1", "--top-k", "9", "--json"]
    [row] = distilbert("answer", "--model", answerer, QUESTIONS[0], *options).objects()
    assert sorted(found["answer"] for found in row["answers"]) == ["film", "good", "not", "the", "was"]


@pytest.mark.parametrize("way", ["file", "gz", "stdin", "text"])
def test_json_has_an_object_a_question_wherever_the_context_comes_from(
    way: str, distilbert: Command, here: Path, answerer: Path, expected: list[dict[str, Any]]
) -> None:
    data = CONTEXT.encode()
    (here / "book.txt").write_bytes(data)
    (here / "book.txt.gz").write_bytes(gzip.compress(data))
    options = {
        "file": ["--context-file", "book.txt"],
        "gz": ["--context-file", "book.txt.gz"],
        "stdin": ["--context-file", "-"],
        "text": ["--context", CONTEXT],
    }[way]
    rows = distilbert("answer", "--model", answerer, *QUESTIONS, *options, "--json", stdin=data).objects()
    assert [row.pop("question") for row in rows] == QUESTIONS
    assert rows == near(expected)


WRITTEN = {
    "csv": "id,question,context\n" + "".join(f'{n},{q},"{CONTEXT}"\n' for n, q in enumerate(QUESTIONS)),
    "jsonl": "".join(
        json.dumps({"id": str(n), "question": q, "context": CONTEXT}) + "\n" for n, q in enumerate(QUESTIONS)
    ),
}


@pytest.mark.parametrize("ending", WRITTEN)
def test_rows_of_a_file_or_of_standard_input_have_questions_and_contexts(
    ending: str, distilbert: Command, here: Path, answerer: Path, expected: list[dict[str, Any]]
) -> None:
    (here / f"a.{ending}").write_text(WRITTEN[ending])
    line = ["answer", "--model", answerer, "--keep", "id", "--json", "--file"]
    rows = distilbert(*line, f"a.{ending}").objects()
    assert [list(row) for row in rows] == [["id", "question", "answer", "score", "start", "end"]] * 2
    assert [(row.pop("id"), row.pop("question")) for row in rows] == [
        ("0", QUESTIONS[0]),
        ("1", QUESTIONS[1]),
    ]
    assert rows == near(expected)
    piped = distilbert(*line, "-", "--format", ending, stdin=WRITTEN[ending].encode()).objects()
    assert [row["answer"] for row in piped] == [row["answer"] for row in rows]


def test_lines_of_a_text_file_are_questions_on_one_context(
    distilbert: Command, here: Path, answerer: Path, expected: list[dict[str, Any]]
) -> None:
    (here / "questions.txt").write_text("".join(f"{question}\n" for question in QUESTIONS))
    options = ["--file", "questions.txt", "--context", CONTEXT, "--json"]
    rows = distilbert("answer", "--model", answerer, *options).objects()
    assert [row["answer"] for row in rows] == [row["answer"] for row in expected]


def test_columns_can_have_other_names(distilbert: Command, here: Path, answerer: Path) -> None:
    (here / "a.csv").write_text(f'ask,where\n{QUESTIONS[0]},"{CONTEXT}"\n')
    options = ["--file", "a.csv", "--column", "ask", "--context-column", "where", "--json"]
    [row] = distilbert("answer", "--model", answerer, *options).objects()
    assert row["question"] == QUESTIONS[0]


@pytest.mark.parametrize("ending", ["csv", "tsv.gz", "jsonl"])
def test_out_has_a_row_a_question_and_columns_for_each_answer(
    ending: str, distilbert: Command, here: Path, answerer: Path
) -> None:
    options = ["--context", "good film", "--top-k", "4", "--out", f"a.{ending}"]
    outcome = distilbert("answer", "--model", answerer, *QUESTIONS, *options)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", f"a.{ending}: 2 texts answered\n")
    for row in read_rows(here / f"a.{ending}"):
        found = [row.values["answer"], row.values["answer_2"], row.values["answer_3"]]
        assert sorted(found) == ["film", "good", "good film"]
        assert row.values["answer_4"] in ("", None)  # there are three


def test_from_a_file_to_a_file_it_goes_on_where_it_was_stopped(
    distilbert: Command, here: Path, answerer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "many.txt").write_text("".join(f"{text}\n" for text in sentences(WINDOW + 20, longest=3)))
    options = ["answer", "--model", answerer, "--file", "many.txt", "--context", "it is good", "--out"]
    assert distilbert(*options, "whole.csv").code == 0

    append = ResumableTable.append

    def append_and_stop(table: ResumableTable, rows: Any) -> None:
        append(table, rows)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ResumableTable, "append", append_and_stop)
        assert distilbert(*options, "a.csv").code == 130
    other = distilbert(*options, "a.csv", "--resume", "--context", "it is bad")
    assert "another --context" in complaint(other.err)
    outcome = distilbert(*options, "a.csv", "--resume")
    assert outcome.err == "note: 1,024 texts were answered already\na.csv: 1,044 texts answered\n"
    assert (here / "a.csv").read_bytes() == (here / "whole.csv").read_bytes()


def test_an_answer_is_coloured_on_a_terminal_only(
    distilbert: Command, answerer: Path, expected: list[dict[str, Any]]
) -> None:
    args = ["answer", "--model", answerer, QUESTIONS[0], "--context", CONTEXT]
    code, shown = on_a_terminal(distilbert, *args, stream="stdout")
    assert code == 0
    assert re.findall(r"\x1b\[32m\x1b\[1m(.+?)\x1b\[0m", shown) == [expected[0]["answer"]]
    assert "\x1b" not in distilbert.process(*args).out


def test_a_long_context_shows_how_far_it_is_read(distilbert: Command, here: Path, answerer: Path) -> None:
    (here / "book.txt").write_text(f"{CONTEXT} " * 100)
    args = ["answer", "--model", answerer, QUESTIONS[0], "--context-file", "book.txt"]
    code, shown = on_a_terminal(distilbert, *args, stream="stderr")
    assert code == 0
    assert "windows read" in shown
    assert distilbert(*args).err == ""


def test_a_question_and_a_context_move_no_cursor(distilbert: Command, answerer: Path) -> None:
    hostile = ["good\x1b[2J", "film\r"]
    outcome = distilbert("answer", "--model", answerer, *hostile, "--context", "a \x1b[31m b\r\n c\x9b d")
    assert outcome.code == 0
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x80-\x9f]", outcome.out)


@given(st.text(), st.text(min_size=1).filter(str.isprintable), st.text())
def test_a_sentence_has_the_answer_in_brackets_and_at_most_some_of_what_is_around_it(
    before: str, answer: str, after: str
) -> None:
    shown = in_sentence(before + answer + after, len(before), len(before) + len(answer))
    assert f"[{answer}]" in shown
    assert len(shown) <= len(answer) + 2 * 121 + 2
    assert "\n" not in shown


@pytest.mark.parametrize(
    ("context", "answer", "shown"),
    [
        ("One. Two is here! Three?", "Two", "[Two] is here!"),
        ("One.\nTwo\nThree", "Two", "[Two]"),
        ("v1.5 is out", "out", "v1.5 is [out]"),
        (f"{'a' * 500} b {'c' * 500}", " b ", f"…{'a' * 120}[ b ]{'c' * 120}…"),
    ],
)
def test_a_sentence_ends_where_it_ends(context: str, answer: str, shown: str) -> None:
    start = context.index(answer)
    assert in_sentence(context, start, start + len(answer)) == shown


WRONG = {
    "no question": (["--model", "{answerer}", "--context", "a"], "Give texts or --file FILE"),
    "no context": (["who", "--model", "{answerer}"], "Questions need a text that has their answers"),
    "two contexts": (["who", "--context", "a", "--context-file", "b"], "both say where the answers are"),
    "two standard inputs": (["--file", "-", "--context-file", "-"], "Standard input cannot be both"),
    "another task's model": (
        ["who", "--context", "a", "--model", "{classifier}"],
        "is a model for text-classification, not for question-answering",
    ),
    "an empty question": (["", "--context", "a", "--model", "{answerer}"], "A question is empty"),
    "an empty context": (["who", "--context", "", "--model", "{answerer}"], "A context is empty"),
    "a context file that is not there": (["who", "--context-file", "b.txt"], "b.txt cannot be read"),
    "a file without questions": (["--file", "a.csv", "--model", "{answerer}"], "no column 'question'"),
    "a file without contexts": (
        ["--file", "a.csv", "--column", "text", "--model", "{answerer}"],
        "no column 'context'",
    ),
    "half a character": (
        ["--file", "b.csv", "--context", "a \udcff", "--out", "c.csv", "--model", "{answerer}"],
        "half a surrogate pair",
    ),
    "a column of answers": (["--file", "a.csv", "--keep", "answer"], "have a column of that name already"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_use_is_told_in_two_lines(
    wrong: str, distilbert: Command, here: Path, answerer: Path, tiny_classifier: Path
) -> None:
    args, said = WRONG[wrong]
    (here / "a.csv").write_text("id,text\n1,who\n")
    (here / "b.csv").write_text("question\nwho\n")
    places = {"answerer": answerer, "classifier": tiny_classifier}
    outcome = distilbert("answer", *(arg.format(**places) for arg in args))
    assert outcome.code in (1, 2)
    assert said in complaint(outcome.err)
    assert outcome.out == ""


@pytest.mark.parametrize("way", ["--json", "--out"])
@pytest.mark.parametrize(
    ("question", "context", "fault"),
    [
        ("", "good", "its question has no words"),
        ("\u200b", "good", "its question has no words"),
        ("who", "", "its context has no words"),
        ("who", " " * 200, "its context has no words"),
    ],
)
def test_a_row_that_cannot_be_asked_is_named_with_its_line(
    way: str, question: str, context: str, fault: str, distilbert: Command, here: Path, answerer: Path
) -> None:
    rows = [{"question": "who", "context": text} for text in sentences(90, longest=9)]
    rows[76] = {"question": question, "context": context}
    (here / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = [way, *(["b.csv"] if way == "--out" else [])]
    outcome = distilbert("answer", "--model", answerer, "--file", "a.jsonl", *options)
    assert outcome.code == 1
    assert complaint(outcome.err).startswith(f"a.jsonl, line 77: {fault}")
    assert not (here / "b.csv").exists()


def test_a_row_that_cannot_be_asked_is_told_before_any_is_answered_at_length(
    distilbert: Command, here: Path, answerer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(table: ResumableTable, rows: Any) -> None:
        raise AssertionError("answered for nothing")

    monkeypatch.setattr(ResumableTable, "append", refused)
    (here / "a.csv").write_text("question,context\n" + "who,good\n" * WINDOW + ",good\n")
    outcome = distilbert("answer", "--model", answerer, "--file", "a.csv", "--out", "b.csv")
    assert complaint(outcome.err).startswith(f"a.csv, line {WINDOW + 2}: its question has no words")


def test_a_column_called_context_is_kept_as_it_is_beside_another_context(
    distilbert: Command, here: Path, answerer: Path
) -> None:
    (here / "a.csv").write_text("question,context\nwho,a novel\n")
    options = ["--file", "a.csv", "--context", "good", "--keep", "context"]
    [row] = distilbert("answer", "--model", answerer, *options, "--json").objects()
    assert (row["context"], row["answer"]) == ("a novel", "good")
    assert "[good]" in distilbert("answer", "--model", answerer, *options).out
