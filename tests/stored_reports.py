"""A report's files, read with nothing of the package, and what anyone computes of them in plain Python."""

from __future__ import annotations

import json
import math
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    Score = Callable[[str, Iterable[int]], float]  # of a model's answers to rows

SAID = "single_label_classification"


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


class Stored:
    """A report's files."""

    def __init__(self, folder: Path) -> None:
        place = folder / "predictions"
        about = load(place / "models.json")
        self.labels, self.problem = about["labels"], about["problem"]
        self.rows = lines(place / "rows.jsonl")
        self.answers = {model["name"]: lines(place / model["answers"]) for model in about["models"]}
        self.timings = load(folder / "timings.json")
        self.figures = load(folder / "report.json")

    def scores(self, name: str) -> list[list[float]]:
        """Of classifiers: probabilities, row by row."""
        if self.problem == SAID:
            exponentials = [[math.exp(logit) for logit in row["logits"]] for row in self.answers[name]]
            return [[value / sum(row) for value in row] for row in exponentials]
        return [[1 / (1 + math.exp(-logit)) for logit in row["logits"]] for row in self.answers[name]]


def same_intervals(stored: Stored, name: str, score: Score) -> None:
    """The score `name` of each model, and what is kept of it where it is the main one, with 1,000 resamples."""
    draw, count = np.random.default_rng(0), len(stored.rows)
    drawn = [draw.integers(0, count, count).tolist() for _ in range(1000)]
    whole, of_teacher = score("teacher", range(count)), [score("teacher", rows) for rows in drawn]
    for model in stored.figures["models"]:
        figure = model["scores"][name]
        assert figure["value"] == pytest.approx(score(model["name"], range(count)))
        found = [score(model["name"], rows) for rows in drawn]
        assert (figure["low"], figure["high"]) == ends(found)
        if model["name"] == "teacher" or name != stored.figures["measure"]:
            continue
        if whole <= 0:  # of a correlation below 0 nothing can be kept
            assert model["kept"] == {"value": None, "low": None, "high": None}
            continue
        assert model["kept"]["value"] == pytest.approx(figure["value"] / whole)
        if all(theirs > 0 for theirs in of_teacher):
            ratios = [ours / theirs for ours, theirs in zip(found, of_teacher, strict=True)]
            assert (model["kept"]["low"], model["kept"]["high"]) == ends(ratios)
        else:
            assert model["kept"]["low"] is None


def ends(found: Sequence[float]) -> tuple[Any, Any]:
    """The middle 95 %."""
    low, high = np.quantile(found, [0.025, 0.975])
    return pytest.approx(low), pytest.approx(high)


def same_calibration(found: Any, answers: Sequence[tuple[float, bool]]) -> None:
    """What is found is what counting bins gives; `answers`: how sure, and whether right."""
    error = 0.0
    for low in range(15):
        inside = [each for each in answers if low / 15 < each[0] <= (low + 1) / 15]
        if inside:
            gap = abs(fmean(sure for sure, _ in inside) - fmean(right for _, right in inside))
            error += len(inside) / len(answers) * gap
    assert found["error"] == pytest.approx(error)
    assert sum(each["rows"] for each in found["bins"]) == len(answers)


def paired(differ: Sequence[bool], was: Sequence[bool], now: Sequence[bool]) -> dict[str, Any]:
    """What a report calls agreement, row by row."""
    rights = list(zip(was, now, strict=True))
    return {
        "share": pytest.approx(1 - sum(differ) / len(rights)),
        "changed": sum(differ),
        "right_to_wrong": rights.count((True, False)),
        "wrong_to_right": rights.count((False, True)),
        "both_right": rights.count((True, True)),
        "both_wrong": rights.count((False, False)),
    }
