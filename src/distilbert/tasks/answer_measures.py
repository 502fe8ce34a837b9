"""How an answerer is measured: its answers against the right ones."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from distilbert.metrics.answers import exact_match, word_f1
from distilbert.metrics.intervals import bootstrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from distilbert.files.squad import Question
    from distilbert.tasks.answers import QuestionAnsweringPipeline


def measure_answers(answer: QuestionAnsweringPipeline, questions: Sequence[Question]) -> dict[str, Any]:
    """`exact` match and `f1`, each with its 95 % bootstrap interval over questions, by SQuAD's rules.

    Where some questions have no answer in their context, "" may be the model's, and `unanswerable` says how many.
    """
    unanswerable = sum(not question.answers for question in questions)
    found = answer(
        ({"question": question.question, "context": question.context} for question in questions),
        top_k=1,
        handle_impossible_answer=unanswerable > 0,
    )
    predicted = [best["answer"] for best in found]
    gold = [[right.text for right in question.answers] for question in questions]
    figures: dict[str, Any] = {"unanswerable": unanswerable} if unanswerable else {}
    for name, scores in (("exact", exact_match(predicted, gold)), ("f1", word_f1(predicted, gold))):
        figures[name] = _mean(scores)
        figures[f"{name}_interval"] = astuple(bootstrap(_mean, scores))
    return figures


def _mean(scores: NDArray[np.float64]) -> float:
    return float(scores.mean())
