"""Every figure of a report, from what is stored and from nothing else: the same now, in a test, or years later."""

from __future__ import annotations

from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from distilbert.metrics.agreement import flips, paired_flips
from distilbert.metrics.calibration import calibration
from distilbert.metrics.classification import correct, pearson
from distilbert.metrics.intervals import bootstrap, paired_ratio
from distilbert.report.stored import answer_of
from distilbert.tasks.measures import MEASURES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from distilbert.metrics.intervals import Interval
    from distilbert.report.stored import Predictions, Round, Timings

    Figures = dict[str, Any]  # what JSON can hold; None where there is no such number

DISAGREEMENTS = 10


def figures(predictions: Predictions, timings: Timings) -> Figures:
    """All figures, ready for JSON: of the data, then of each model, the reference first.

    A figure with an interval is `{"value", "low", "high"}`. Of scores and of what is kept (a model's first score
    divided by the reference's) low and high are the 95 % bootstrap interval over rows. Of timings, value is the median
    over rounds, and low and high are the least and the greatest round; ratios are taken within rounds.
    """
    measure = MEASURES[predictions.problem]
    statistics = measure.statistics(len(predictions.labels))
    constant = measure.constant(predictions.gold)
    first = next(iter(statistics))
    return {
        "data": {
            "file": predictions.data,
            "rows": len(predictions.texts),
            "problem": predictions.problem,
            "labels": list(predictions.labels),
        },
        "measure": first,
        "constant": None if constant is None else _finite(statistics[first](constant, predictions.gold)),
        "timed": {
            "machine": dict(timings.machine),
            "threads": timings.threads,
            "texts": timings.texts,
            "rounds": len(timings.rounds),
        },
        "models": [_of_model(predictions, timings, place) for place in range(len(predictions.models))],
    }


def _of_model(predictions: Predictions, timings: Timings, place: int) -> Figures:
    measure, gold = MEASURES[predictions.problem], predictions.gold
    statistics = measure.statistics(len(predictions.labels))
    name = predictions.models[place].name
    answers = measure.predicted(predictions.logits[place])
    described = {
        **asdict(predictions.models[place]),
        "scores": {
            score: _figure(statistic(answers, gold), bootstrap(statistic, answers, gold))
            for score, statistic in statistics.items()
        },
        "calibration": _calibration(predictions, place),
        **_speed(timings, name),
    }
    if place == 0:
        return described
    reference = measure.predicted(predictions.logits[0])
    kept = paired_ratio(next(iter(statistics.values())), reference, answers, gold)
    return {
        **described,
        "kept": _figure(kept.value, kept.interval),
        **_faster(timings, predictions.models[0].name, name),
        "agreement": _agreement(predictions, reference, answers),
        "disagreements": _disagreements(predictions, place),
    }


def _figure(value: float, interval: Interval) -> Figures:
    return {"value": _finite(value), "low": _finite(interval.low), "high": _finite(interval.high)}


def _finite(value: float) -> float | None:
    return float(value) if isfinite(value) else None


# Speed


def _speed(timings: Timings, name: str) -> Figures:
    latencies = [np.percentile(each.milliseconds[name], [50, 95]) for each in timings.rounds]
    return {
        "p50_ms": _over_rounds([p50 for p50, _ in latencies]),
        "p95_ms": _over_rounds([p95 for _, p95 in latencies]),
        "texts_per_second": _over_rounds([timings.texts / each.seconds[name] for each in timings.rounds]),
    }


def _faster(timings: Timings, reference: str, name: str) -> Figures:
    def one(each: Round) -> float:
        return float(np.median(each.milliseconds[reference]) / np.median(each.milliseconds[name]))

    return {
        "times_as_fast_one": _over_rounds([one(each) for each in timings.rounds]),
        "times_as_fast_many": _over_rounds(
            [each.seconds[reference] / each.seconds[name] for each in timings.rounds]
        ),
    }


def _over_rounds(values: list[float]) -> Figures:
    return {"value": float(np.median(values)), "low": float(min(values)), "high": float(max(values))}


# Against the right answers, and against the reference


def _scores(predictions: Predictions, place: int) -> NDArray[Any]:
    """What each label gets, in float64, against ties."""
    return MEASURES[predictions.problem].scores(predictions.logits[place].astype(np.float64))


def _calibration(predictions: Predictions, place: int) -> Figures | None:
    """Of the label that is answered; of several labels a text, of each label's yes or no; of a number there is none."""
    if predictions.problem == "regression":
        return None
    scores = _scores(predictions, place)
    answers = MEASURES[predictions.problem].predicted(predictions.logits[place])
    if predictions.problem == "single_label_classification":
        sure, right = scores.max(axis=1), correct(answers, predictions.gold)
    else:
        sure, right = np.maximum(scores, 1 - scores).ravel(), (answers == predictions.gold).ravel()
    found = asdict(calibration(sure, right))
    return {**found, "bins": list(found["bins"])}


def _agreement(predictions: Predictions, reference: NDArray[Any], answers: NDArray[Any]) -> Figures:
    if predictions.problem == "regression":
        return {
            "pearson": _finite(pearson(reference, answers)),
            "mean_difference": float(np.abs(reference - answers).mean()),
        }
    changed = flips(reference, answers)
    counts = asdict(paired_flips(reference, answers, predictions.gold))
    return {"share": 1 - changed.share, "changed": changed.count, **counts}


def _disagreements(predictions: Predictions, place: int) -> list[Figures]:
    """The rows on which the model and the reference are surest of different answers, the surest first."""
    ours, theirs = (_scores(predictions, each) for each in (place, 0))
    how_far = _DISTANCES[predictions.problem](theirs, ours)
    order = np.argsort(-how_far, kind="stable")
    rows = [int(row) for row in order[:DISAGREEMENTS] if how_far[row] > 0]
    return [
        {
            "row": row + 1,
            **predictions.texts[row],
            "gold": answer_of(predictions.problem, predictions.labels, predictions.gold[row]),
            "reference": _said(predictions, 0, row),
            "model": _said(predictions, place, row),
        }
        for row in rows
    ]


def _single_distance(theirs: NDArray[Any], ours: NDArray[Any]) -> NDArray[Any]:
    """The lesser of the two scores where the labels differ: both must be sure."""
    differ = theirs.argmax(axis=1) != ours.argmax(axis=1)
    return np.where(differ, np.minimum(theirs.max(axis=1), ours.max(axis=1)), 0.0)


def _sets_distance(theirs: NDArray[Any], ours: NDArray[Any]) -> NDArray[Any]:
    """The same of that label, yes to one and no to the other, of which both are surest."""
    surest = np.minimum(np.maximum(theirs, 1 - theirs), np.maximum(ours, 1 - ours))
    return np.asarray(np.where((theirs > 0.5) != (ours > 0.5), surest, 0.0).max(axis=1))


def _number_distance(theirs: NDArray[Any], ours: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.abs(theirs[:, 0] - ours[:, 0]))


_DISTANCES = {
    "single_label_classification": _single_distance,
    "multi_label_classification": _sets_distance,
    "regression": _number_distance,
}


def _said(predictions: Predictions, place: int, row: int) -> Mapping[str, Any]:
    """A model's answer to a row, and how sure it is of each label in it."""
    answer = MEASURES[predictions.problem].predicted(predictions.logits[place][row : row + 1])[0]
    said = {"answer": answer_of(predictions.problem, predictions.labels, answer)}
    if predictions.problem == "regression":
        return said
    scores = _scores(predictions, place)[row]
    chosen = np.flatnonzero(answer) if predictions.problem == "multi_label_classification" else [answer]
    return {**said, "scores": [float(scores[label]) for label in chosen]}
