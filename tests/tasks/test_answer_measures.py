"""An answerer is measured by SQuAD's rules, on questions with an answer and on those without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tiny import tiny_checkpoint

from distilbert import pipeline
from distilbert.files.squad import GoldAnswer, Question
from distilbert.metrics.answers import exact_match, word_f1
from distilbert.tasks.answer_measures import measure_answers

if TYPE_CHECKING:
    from distilbert.tasks.answers import QuestionAnsweringPipeline

CONTEXT = "the film was boring but the story was good"


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> QuestionAnsweringPipeline:
    folder = tmp_path_factory.mktemp("answerer") / "checkpoint"
    return pipeline("question-answering", tiny_checkpoint(folder, head="question-answering"), top_k=3)


def asked(*golds: list[str]) -> list[Question]:
    rows = [tuple(GoldAnswer(text, CONTEXT.index(text)) for text in gold) for gold in golds]
    return [Question("", str(n), f"what is {n}", CONTEXT, row) for n, row in enumerate(rows)]


def test_figures_are_the_means_over_questions(answer: QuestionAnsweringPipeline) -> None:
    golds = [["film"], ["the story was good", "good"], [CONTEXT]]
    predicted = [answer(f"what is {n}", CONTEXT, top_k=1)["answer"] for n in range(3)]
    figures = measure_answers(predicted, asked(*golds))
    assert list(figures) == ["exact", "exact_interval", "f1", "f1_interval"]
    assert figures["exact"] == exact_match(predicted, golds).mean()
    assert figures["f1"] == pytest.approx(word_f1(predicted, golds).mean())
    low, high = figures["f1_interval"]
    assert low <= figures["f1"] <= high


def test_where_a_question_has_no_answer_none_is_right() -> None:
    figures = measure_answers(["", "", "film"], asked(["film"], [], []))
    assert figures["unanswerable"] == 2
    assert figures["exact"] == pytest.approx(1 / 3)
