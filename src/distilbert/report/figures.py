"""Every figure of a report, from what is stored and from nothing else: the same now, in a test, or years later."""

from __future__ import annotations

from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from distilbert.metrics.calibration import calibration
from distilbert.metrics.intervals import bootstrap, paired_ratio
from distilbert.report.problems import PROBLEMS

if TYPE_CHECKING:
    from distilbert.metrics.intervals import Interval
    from distilbert.report.problem import Figures
    from distilbert.report.stored import Predictions, Round, Timings

DISAGREEMENTS = 10


def figures(predictions: Predictions, timings: Timings) -> Figures:
    """All figures, ready for JSON: of the data, then of each model, the reference first.

    A figure with an interval is `{"value", "low", "high"}`. Of scores and of what is kept (a model's first score
    divided by the reference's) low and high are the 95 % bootstrap interval over rows. Of timings, value is the median
    over rounds, and low and high are the least and the greatest round; ratios are taken within rounds.
    """
    problem = PROBLEMS[predictions.problem]
    statistics = problem.statistics(len(predictions.labels))
    constant = problem.constant(predictions)
    first = next(iter(statistics))
    return {
        "data": {
            "file": predictions.data,
            "rows": len(predictions.rows),
            "problem": predictions.problem,
            "labels": list(predictions.labels),
        },
        "measure": first,
        "constant": None if constant is None else _finite(statistics[first](constant)),
        "timed": {
            "machine": dict(timings.machine),
            "threads": timings.threads,
            "texts": timings.texts,
            "rounds": len(timings.rounds),
        },
        "models": [_of_model(predictions, timings, place) for place in range(len(predictions.models))],
    }


def _of_model(predictions: Predictions, timings: Timings, place: int) -> Figures:
    problem, name = PROBLEMS[predictions.problem], predictions.models[place].name
    statistics = problem.statistics(len(predictions.labels))
    measured = problem.measured(predictions, place)
    described = {
        **asdict(predictions.models[place]),
        "scores": {
            score: _figure(statistic(measured), bootstrap(statistic, measured))
            for score, statistic in statistics.items()
        },
        "calibration": _calibration(predictions, place),
        **_speed(timings, name),
    }
    if place == 0:
        return described
    kept = paired_ratio(next(iter(statistics.values())), problem.measured(predictions, 0), measured)
    return {
        **described,
        "kept": _figure(kept.value, kept.interval),
        **_faster(timings, predictions.models[0].name, name),
        "agreement": problem.agreement(predictions, place),
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


# Answers


def _calibration(predictions: Predictions, place: int) -> Figures | None:
    points = PROBLEMS[predictions.problem].points(predictions, place)
    if points is None:
        return None
    found = asdict(calibration(*points))
    return {**found, "bins": list(found["bins"])}


def _disagreements(predictions: Predictions, place: int) -> list[Figures]:
    """The rows on which the model and the reference are surest of different answers, the surest first."""
    problem = PROBLEMS[predictions.problem]
    distances = problem.distances(predictions, place)
    order = np.argsort(-distances, kind="stable")[:DISAGREEMENTS].tolist()
    rows = [row for row in order if distances[row] > 0]
    return [{"row": row + 1, **problem.told(predictions, place, row)} for row in rows]
