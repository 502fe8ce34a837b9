"""What a report asks of classifiers of texts: one label a text, several, or a number."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from distilbert.files.tables import read_rows
from distilbert.metrics.classification import correct, pearson
from distilbert.report.problem import Problem, Read, agreement
from distilbert.tasks.measures import MEASURES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from distilbert.files.config import DistilBertConfig, ProblemType
    from distilbert.report.problem import Figures
    from distilbert.report.stored import Answer, Predictions, Row
    from distilbert.tasks.classification import TextClassificationPipeline
    from distilbert.tasks.measures import Answers, Measure


_LABELLED = ("single_label_classification", "multi_label_classification")


def _read(
    problem: ProblemType,
    file: str,
    config: DistilBertConfig,
    *,
    column: str = "text",
    pair_column: str | None = None,
    label_column: str = "label",
    long: str | None = None,
) -> Read:
    """Rows: `text`, of pairs `text_pair`, and `gold`, as `_named`."""
    table = list(read_rows(file))
    texts = [row.texts(column, pair_column) for row in table]
    gold = MEASURES[problem].gold(table, label_column, config)
    rows = [
        {**text, "gold": _named(problem, config.labels, right)}
        for text, right in zip(texts, gold, strict=True)
    ]
    return Read(rows, config.labels, {"long": long})


def _named(problem: ProblemType, labels: Sequence[str], answer: Any) -> Any:
    """One row of `Answers` as people read it: a label's name, a list of names, or a number."""
    if problem == "regression":
        return float(answer)
    if problem == "multi_label_classification":
        return [label for label, there in zip(labels, answer, strict=True) if there]
    return labels[int(answer)]


def _answers(
    problem: ProblemType, classify: TextClassificationPipeline, rows: Sequence[Row], labels: Sequence[str]
) -> Iterator[Answer]:
    """What it answers, and its logits in the order of the reference's `labels`."""
    own = classify.config.labels
    order = np.array([own.index(label) for label in labels] if problem in _LABELLED else range(len(own)))
    texts = [{name: text for name, text in row.items() if name != "gold"} for row in rows]
    for logits in classify.logits(texts):
        ordered = np.asarray(logits, np.float32)[order]
        [answer] = MEASURES[problem].predicted(ordered[None])
        yield {"answer": _named(problem, labels, answer), "logits": ordered.tolist()}


# What is stored, as arrays


def _gold(predictions: Predictions) -> Answers:
    gold = [row["gold"] for row in predictions.rows]
    if predictions.problem == "regression":
        return np.array(gold, np.float64)
    if predictions.problem == "multi_label_classification":
        return np.array([[label in names for label in predictions.labels] for names in gold], np.int64)
    ids = {label: place for place, label in enumerate(predictions.labels)}
    return np.array([ids[name] for name in gold], np.int64)


def _logits(predictions: Predictions, place: int) -> NDArray[np.float32]:
    return np.array([answer["logits"] for answer in predictions.answers[place]], np.float32)


def _predicted(predictions: Predictions, place: int) -> Answers:
    return _measure(predictions).predicted(_logits(predictions, place))


def _scores(predictions: Predictions, place: int) -> NDArray[np.float64]:
    """What each label gets, in float64, against ties."""
    return _measure(predictions).scores(_logits(predictions, place).astype(np.float64))


def _measure(predictions: Predictions) -> Measure:
    return MEASURES[cast("ProblemType", predictions.problem)]


# Against the right answers


def _measured(predictions: Predictions, place: int) -> NDArray[Any]:
    """Answers and right answers, `[rows, 2, ...]`."""
    return np.stack([_predicted(predictions, place), _gold(predictions)], axis=1)


def _statistics(problem: ProblemType, labels: int) -> Mapping[str, Callable[[NDArray[Any]], float]]:
    return {
        name: partial(_of_pairs, statistic)
        for name, statistic in MEASURES[problem].statistics(labels).items()
    }


def _of_pairs(statistic: Callable[..., float], pairs: NDArray[Any]) -> float:
    return statistic(pairs[:, 0], pairs[:, 1])


def _constant(predictions: Predictions) -> NDArray[Any] | None:
    gold = _gold(predictions)
    constant = _measure(predictions).constant(gold)
    return None if constant is None else np.stack([constant, gold], axis=1)


def _single_points(predictions: Predictions, place: int) -> Any:
    right = correct(_predicted(predictions, place), _gold(predictions))
    return _scores(predictions, place).max(axis=1), right


def _sets_points(predictions: Predictions, place: int) -> Any:
    scores = _scores(predictions, place)
    right = _predicted(predictions, place) == _gold(predictions)
    return np.maximum(scores, 1 - scores).ravel(), right.ravel()


# Against the reference


def _agreement(predictions: Predictions, place: int) -> Figures:
    gold = _gold(predictions)
    before, after = (_predicted(predictions, each) for each in (0, place))
    return agreement(~correct(before, after), correct(before, gold), correct(after, gold))


def _agreement_of_numbers(predictions: Predictions, place: int) -> Figures:
    before, after = (_scores(predictions, each)[:, 0] for each in (0, place))
    correlation = pearson(before, after)
    return {
        "pearson": correlation if np.isfinite(correlation) else None,
        "mean_difference": float(np.abs(before - after).mean()),
    }


def _single_distances(predictions: Predictions, place: int) -> NDArray[np.float64]:
    """The lesser of the two scores where the labels differ: both must be sure."""
    theirs, ours = (_scores(predictions, each) for each in (0, place))
    differ = theirs.argmax(axis=1) != ours.argmax(axis=1)
    return np.where(differ, np.minimum(theirs.max(axis=1), ours.max(axis=1)), 0.0)


def _sets_distances(predictions: Predictions, place: int) -> NDArray[np.float64]:
    """The same of that label, yes to one and no to the other, of which both are surest."""
    theirs, ours = (_scores(predictions, each) for each in (0, place))
    surest = np.minimum(np.maximum(theirs, 1 - theirs), np.maximum(ours, 1 - ours))
    return np.asarray(np.where((theirs > 0.5) != (ours > 0.5), surest, 0.0).max(axis=1))


def _number_distances(predictions: Predictions, place: int) -> NDArray[np.float64]:
    theirs, ours = (_scores(predictions, each)[:, 0] for each in (0, place))
    return np.asarray(np.abs(theirs - ours))


def _told(predictions: Predictions, place: int, row: int) -> Figures:
    answers = {"reference": _said(predictions, 0, row), "model": _said(predictions, place, row)}
    return {**predictions.rows[row], **answers}


def _said(predictions: Predictions, place: int, row: int) -> Figures:
    """A model's answer to a row, and how sure it is of each label in it."""
    stored = predictions.answers[place][row]
    said = {"answer": stored["answer"]}
    if predictions.problem == "regression":
        return said
    scores = _measure(predictions).scores(np.array([stored["logits"]]))[0]
    chosen = stored["answer"] if isinstance(stored["answer"], list) else [stored["answer"]]
    return {**said, "scores": [float(scores[predictions.labels.index(label)]) for label in chosen]}


def _classes(problem: ProblemType, **more: Any) -> Problem:
    given: dict[str, Any] = {"agreement": _agreement, **more}
    return Problem(
        task="text-classification",
        labelled=problem in _LABELLED,
        unit="text",
        read=partial(_read, problem),
        answers=partial(_answers, problem),
        measured=_measured,
        statistics=partial(_statistics, problem),
        constant=_constant,
        told=_told,
        **given,
    )


CLASSES: Mapping[str, Problem] = {
    "single_label_classification": _classes(
        "single_label_classification",
        sure="the probability of the label it answers",
        distances=_single_distances,
        points=_single_points,
    ),
    "multi_label_classification": _classes(
        "multi_label_classification",
        sure="the probability of its yes or no to each label",
        distances=_sets_distances,
        points=_sets_points,
    ),
    "regression": _classes(
        "regression",
        sure="",
        agreement=_agreement_of_numbers,
        distances=_number_distances,
        points=lambda *_: None,  # of a number there is none
    ),
}
