"""Answers are those of transformers 4.57, recorded once (`golden_answers.py`), and ours where it is wrong.

docs/differences.md lists the cases of which it is wrong.
"""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import golden_answers
import pytest

from distilbert import pipeline
from distilbert.errors import TruncationWarning

if TYPE_CHECKING:
    from pathlib import Path

    from distilbert.tasks.answers import QuestionAnsweringPipeline

RECORD = json.loads(golden_answers.RECORD.read_text(encoding="utf-8"))
CASES = golden_answers.cases()
RIGHT = [told for told in CASES if not told["fault"]]
Rows = list[list[float]]  # score, start, end


class Answerer(NamedTuple):
    """A model, and what transformers answered with it."""

    checkpoint: Path
    pipeline: QuestionAnsweringPipeline
    record: dict[str, Any]


@pytest.fixture(scope="module", params=["random"])
def answer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Answerer:
    checkpoint = golden_answers.MODELS[request.param](tmp_path_factory.mktemp("golden") / request.param)
    asked = pipeline("question-answering", checkpoint, threads=1)
    return Answerer(checkpoint, asked, RECORD[request.param])


TRAINED_TOO = pytest.mark.parametrize("answer", golden_answers.MODELS, indirect=True, scope="module")


def ours(answer: Answerer, told: dict[str, Any]) -> Rows:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)
        found = answer.pipeline(told["question"], told["context"], **told["options"])
    rows = found if isinstance(found, list) else [found]
    assert all(row["answer"] == told["context"][row["start"] : row["end"]] for row in rows)
    return [[row["score"], row["start"], row["end"]] for row in rows]


def theirs(record: dict[str, Any], told: dict[str, Any]) -> Rows:
    """Their answers. Of several windows, each answer once, from the window that is surest of it."""
    context = told["context"]
    best: dict[str, list[float]] = {}
    for row in [row for window in record.get("windows", [record["answers"]]) for row in window]:
        text = context[row[1] : row[2]].lower()
        if text not in best or row[0] > best[text][0]:
            best[text] = row
    none = [[record["none"], 0, 0]] if "none" in record else []
    return sorted([*best.values(), *none], key=lambda row: -row[0])[: told["options"].get("top_k", 1)]


def assert_ours_are_theirs(answer: Answerer, asked: list[dict[str, Any]], kind: str) -> None:
    """All of theirs, in their order; after those ours may go on to `top_k`, for theirs are at times too few."""
    for told in asked:
        found, expected = ours(answer, told), theirs(answer.record[kind][told["name"]], told)
        assert len(found) <= told["options"].get("top_k", 1)
        assert_same(found[: len(expected)], expected)


def assert_same(found: Rows, expected: Rows) -> None:
    assert [row[1:] for row in found] == [row[1:] for row in expected]
    assert [row[0] for row in found] == pytest.approx([row[0] for row in expected], abs=1e-5, rel=1e-4)


def fault(name: str) -> list[dict[str, Any]]:
    return [told for told in CASES if told["fault"] == name]


@TRAINED_TOO
def test_the_record_is_of_this_script_this_model_and_this_vocabulary(answer: Answerer) -> None:
    assert RECORD["versions"]["transformers"].startswith("4.57.")
    again = "record again: python tests/golden_answers.py, with transformers 4.57"
    assert answer.record["sha256"] == golden_answers.made_from(answer.checkpoint), again
    assert list(answer.record["cases"]) == [told["name"] for told in CASES]


def test_scores_lie_far_apart_so_that_a_wrong_one_shows(answer: Answerer) -> None:
    first, second = zip(
        *(
            theirs(answer.record["cases"][told["name"]], told)[:2]
            for told in RIGHT
            if told["options"].get("top_k", 1) > 1
        ),
        strict=True,
    )
    gaps = sorted(best[0] - next_best[0] for best, next_best in zip(first, second, strict=True))
    assert gaps[len(gaps) // 2] > 0.01
    assert max(row[0] for row in first) > 0.9


@pytest.mark.parametrize("told", RIGHT, ids=lambda told: told["name"])
@TRAINED_TOO
def test_answers_are_theirs(told: dict[str, Any], answer: Answerer) -> None:
    assert_ours_are_theirs(answer, [told], "cases")


@TRAINED_TOO
def test_answers_to_questions_of_the_squad_dev_set_are_theirs(answer: Answerer, shared: Path) -> None:
    asked = golden_answers.dev_questions()
    assert list(answer.record["squad"]) == [told["name"] for told in asked]
    assert_ours_are_theirs(answer, asked, "squad")


class TestWhereTheyAreWrong:
    def test_two_windows_that_see_an_answer_make_it_likelier_and_may_choose_another_place(
        self, answer: Answerer
    ) -> None:
        told = next(told for told in CASES if told["name"] == "best of windows")
        [[score, *place]] = answer.record["cases"][told["name"]]["answers"]
        windows = answer.record["cases"][told["name"]]["windows"]
        assert score > max(row[0] for window in windows for row in window) + 0.05
        [[our_score, *our_place]] = ours(answer, told)
        assert our_score < score
        assert our_place != place
        assert told["context"][slice(*our_place)] == told["context"][slice(*place)]

    def test_a_word_that_a_window_cuts_is_given_in_part(self, answer: Answerer) -> None:
        [told] = fault("cut words")
        context = told["context"]
        parts = [row[1:] for window in answer.record["cases"][told["name"]]["windows"] for row in window]
        assert any(start and context[start - 1].isalpha() for start, _ in parts)
        for _, start, end in ours(answer, {**told, "options": {**told["options"], "top_k": 5}}):
            assert not context[start - 1 : start].isalpha()
            assert not context[end : end + 1].isalpha()

    def test_a_cls_in_the_question_is_taken_for_a_part_of_the_context(self, answer: Answerer) -> None:
        [told] = fault("question")
        best = answer.record["cases"][told["name"]]["answers"][0]
        assert told["question"].split()[2] == "[CLS]"
        assert told["context"][best[1] :].startswith("is [CLS]")  # the third word, but of the context
        [first, *_] = ours(answer, told)
        assert first[1:] != best[1:]
        assert first[0] < best[0]

    def test_max_question_len_is_not_obeyed(self, answer: Answerer) -> None:
        [told] = fault("question length")
        expected = answer.record["cases"][told["name"]]["answers"]
        whole = {**told, "options": {"max_question_len": 200}}
        assert_same(ours(answer, whole), expected)
        assert ours(answer, told) != ours(answer, whole)
        beginning = answer.pipeline.tokenizer.decode(
            answer.pipeline.tokenizer.text_ids(told["question"])[:64]
        )
        assert ours(answer, told) == ours(answer, {**told, "question": beginning})

    @pytest.mark.parametrize("told", fault("too few"), ids=lambda told: told["name"])
    def test_fewer_answers_are_given_than_there_are_or_an_empty_one(
        self, told: dict[str, Any], answer: Answerer
    ) -> None:
        expected = answer.record["cases"][told["name"]]["answers"]
        words, found = len(told["context"].split()), ours(answer, told)
        assert len(found) == min(told["options"]["top_k"], words * (words + 1) // 2)
        kept = [row[1:] for row in expected if row[1] < row[2]]
        assert len(kept) != told["options"]["top_k"]
        assert [row[1:] for row in found][: len(kept)] == kept
