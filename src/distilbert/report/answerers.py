"""What a report asks of answerers: the parts of contexts that answer questions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from distilbert.files.squad import read_squad
from distilbert.metrics.answers import normalised
from distilbert.report.problem import Problem, Read, agreement
from distilbert.tasks.answer_measures import ANSWER_FIGURES, mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from distilbert.files.config import DistilBertConfig
    from distilbert.report.problem import Figures
    from distilbert.report.stored import Answer, Predictions, Row
    from distilbert.tasks.answers import QuestionAnsweringPipeline

_AROUND = 120  # characters shown on either side of an answer
_FIGURES = ("f1", "exact")


def _read(file: str, _: DistilBertConfig) -> Read:
    """Rows: `id`, `question`, `context`, and `gold`, the right answers, none where the context has none."""
    rows = [
        {
            "id": question.id,
            "question": question.question,
            "context": question.context,
            "gold": [*dict.fromkeys(answer.text for answer in question.answers)],
        }
        for question in read_squad(file)
    ]
    return Read(rows, (), {"handle_impossible_answer": not all(row["gold"] for row in rows)})


def _answers(answer: QuestionAnsweringPipeline, rows: Sequence[Row], _: Sequence[str]) -> Iterator[Answer]:
    """The best answer, its score, and where in the context it stands."""
    found: Iterator[Answer] = answer(
        ({"question": row["question"], "context": row["context"]} for row in rows), top_k=1
    )
    return ({name: best[name] for name in ("answer", "score", "start", "end")} for best in found)


def _texts(predictions: Predictions, place: int) -> list[str]:
    return [answer["answer"] for answer in predictions.answers[place]]


def _sure(predictions: Predictions, place: int) -> NDArray[np.float64]:
    """Scores, which are sums of probabilities: beyond 1 by rounding alone."""
    return np.minimum([answer["score"] for answer in predictions.answers[place]], 1.0)


def _measured(predictions: Predictions, place: int) -> NDArray[np.float64]:
    """Each question's F1 and exact match, `[rows, 2]`."""
    gold, texts = [row["gold"] for row in predictions.rows], _texts(predictions, place)
    return np.stack([ANSWER_FIGURES[name](texts, gold) for name in _FIGURES], axis=1)


def _mean_of(name: str) -> Callable[[NDArray[np.float64]], float]:
    return lambda scores: mean(scores[:, _FIGURES.index(name)])


def _exact(predictions: Predictions, place: int) -> NDArray[np.bool_]:
    return np.asarray(_measured(predictions, place)[:, _FIGURES.index("exact")] > 0)


def _differ(predictions: Predictions, place: int) -> NDArray[np.bool_]:
    """Whether the answers differ beyond capitals, punctuation and articles."""
    before, after = (np.array([*map(normalised, _texts(predictions, each))]) for each in (0, place))
    return np.asarray(before != after)


def _agreement(predictions: Predictions, place: int) -> Figures:
    """With how many questions have one right answer of the reference's, and another one of the model's."""
    differ, was, now = _differ(predictions, place), _exact(predictions, 0), _exact(predictions, place)
    return {**agreement(differ, was, now), "right_to_right": int((differ & was & now).sum())}


def _distances(predictions: Predictions, place: int) -> NDArray[np.float64]:
    """The lesser of the two scores where the answers differ: both must be sure."""
    surest = np.minimum(_sure(predictions, 0), _sure(predictions, place))
    return np.where(_differ(predictions, place), surest, 0.0)


def _points(predictions: Predictions, place: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    return _sure(predictions, place), _exact(predictions, place)


def _told(predictions: Predictions, place: int, row: int) -> Figures:
    stored = predictions.rows[row]
    both = [predictions.answers[each][row] for each in (0, place)]
    theirs, ours = ({"answer": answer["answer"], "scores": [answer["score"]]} for answer in both)
    return {
        "id": stored["id"],
        "text": stored["question"],
        "text_pair": _around(stored["context"], [answer for answer in both if answer["answer"]]),
        "gold": stored["gold"],
        "reference": theirs,
        "model": ours,
    }


def _around(context: str, answers: Sequence[Answer]) -> str:
    """What of a context is in answers or near them."""
    first: int = max(0, min(answer["start"] for answer in answers) - _AROUND)
    beyond: int = max(answer["end"] for answer in answers) + _AROUND
    return "…" * (first > 0) + context[first:beyond] + "…" * (beyond < len(context))


ANSWERS = Problem(
    task="question-answering",
    labelled=False,
    unit="question",
    sure="the score of its answer, which is right where it is an exact match",
    read=_read,
    answers=_answers,
    measured=_measured,
    statistics=lambda _: {name: _mean_of(name) for name in _FIGURES},
    constant=lambda _: None,
    agreement=_agreement,
    distances=_distances,
    points=_points,
    told=_told,
)
