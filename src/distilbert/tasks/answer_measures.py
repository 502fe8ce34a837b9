"""How an answerer is measured: its answers against the right ones."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from distilbert.metrics.answers import exact_match, word_f1
from distilbert.metrics.intervals import bootstrap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from distilbert.files.squad import Question

# Of answers and the right ones: each question's score, 0 to 1, `[questions]`.
ANSWER_FIGURES: Mapping[str, Callable[[Sequence[str], Sequence[Sequence[str]]], NDArray[np.float64]]] = {
    "exact": exact_match,
    "f1": word_f1,
}


def measure_answers(predicted: Sequence[str], questions: Sequence[Question]) -> dict[str, Any]:
    """`exact` match and `f1`, each with its 95 % bootstrap interval over questions, by SQuAD's rules.

    `unanswerable` says how many questions have no answer in their context, if any.
    """
    without = sum(not question.answers for question in questions)
    figures: dict[str, Any] = {"unanswerable": without} if without else {}
    gold = [[right.text for right in question.answers] for question in questions]
    for name, figure in ANSWER_FIGURES.items():
        scores = figure(predicted, gold)
        figures[name] = mean(scores)
        figures[f"{name}_interval"] = astuple(bootstrap(mean, scores))
    return figures


def mean(scores: NDArray[np.float64]) -> float:
    """The mean of all scores."""
    return float(scores.mean())
