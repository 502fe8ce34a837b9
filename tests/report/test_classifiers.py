"""Every figure about classifiers is what anyone computes again, in plain Python, from the files beside it."""

from __future__ import annotations

import math
from statistics import fmean
from typing import TYPE_CHECKING, Any

import pytest
from stored_reports import SAID, Stored, paired, same_calibration, same_intervals

from distilbert import pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path


@pytest.fixture(scope="module", params=[SAID, "multi_label_classification", "regression"])
def reported(request: pytest.FixtureRequest, report_of: Callable[[str], Path]) -> Path:
    return report_of(request.param)


def correlation(a: Sequence[float], b: Sequence[float]) -> float:
    across, up = fmean(a), fmean(b)
    together = sum((x - across) * (y - up) for x, y in zip(a, b, strict=True))
    return together / math.sqrt(sum((x - across) ** 2 for x in a) * sum((y - up) ** 2 for y in b))


def first_score(problem: str, said: list[Any], gold: list[Any]) -> float:
    if problem == "regression":
        return correlation(said, gold)
    if problem == SAID:
        return fmean(ours == right for ours, right in zip(said, gold, strict=True))
    hits = sum(len({*ours} & {*right}) for ours, right in zip(said, gold, strict=True))
    return 2 * hits / (sum(map(len, said)) + sum(map(len, gold)))


def test_what_is_stored_is_what_the_models_answer(reported: Path, stored: Stored) -> None:
    for name, answers in stored.answers.items():
        classify = pipeline(model=reported.parent / name, long="truncate", threads=1)
        own = [classify.config.labels.index(label) for label in stored.labels]
        logits = [row[own].tolist() for row in classify.logits([row["text"] for row in stored.rows])]
        assert [row["logits"] for row in answers] == logits
        assert [row["row"] for row in answers] == list(range(1, len(stored.rows) + 1))


def test_scores_and_what_is_kept_with_their_intervals(stored: Stored) -> None:
    gold = [row["gold"] for row in stored.rows]

    def score(name: str, rows: Iterable[int]) -> float:
        pairs = [(stored.answers[name][row]["answer"], gold[row]) for row in rows]
        return first_score(stored.problem, *map(list, zip(*pairs, strict=True)))

    same_intervals(stored, stored.figures["measure"], score)


def test_agreement_and_what_changed(stored: Stored) -> None:
    gold = [row["gold"] for row in stored.rows]
    teacher = [row["answer"] for row in stored.answers["teacher"]]
    for model in stored.figures["models"][1:]:
        said = [row["answer"] for row in stored.answers[model["name"]]]
        pairs = list(zip(teacher, said, gold, strict=True))
        if stored.problem == "regression":
            assert model["agreement"] == {
                "pearson": pytest.approx(correlation(teacher, said)),
                "mean_difference": pytest.approx(fmean(abs(a - b) for a, b, _ in pairs), rel=1e-5),
            }
            continue
        differ, was, now = zip(*((a != b, a == right, b == right) for a, b, right in pairs), strict=True)
        assert any(differ)
        assert model["agreement"] == paired(differ, was, now)


def test_the_disagreements_are_those_of_which_both_are_surest(stored: Stored) -> None:
    for model in stored.figures["models"][1:]:
        far = distances(stored, model["name"])
        expected = sorted((row for row in far if far[row] > 0), key=lambda row: -far[row])[:10]
        assert [found["row"] for found in model["disagreements"]] == expected
        for found in model["disagreements"]:
            row = found["row"] - 1
            assert (found["text"], found["gold"]) == (stored.rows[row]["text"], stored.rows[row]["gold"])
            assert found["reference"]["answer"] == stored.answers["teacher"][row]["answer"]
            assert found["model"]["answer"] == stored.answers[model["name"]][row]["answer"]


def distances(stored: Stored, name: str) -> dict[int, float]:
    """By row, how sure both are of what the other denies; of a number, how far apart they are."""
    if stored.problem == "regression":
        pairs = zip(stored.answers["teacher"], stored.answers[name], strict=True)
        return {row: abs(a["answer"] - b["answer"]) for row, (a, b) in enumerate(pairs, 1)}
    far = {}
    for row, (theirs, ours) in enumerate(zip(stored.scores("teacher"), stored.scores(name), strict=True), 1):
        if stored.problem == SAID:
            differ = theirs.index(max(theirs)) != ours.index(max(ours))
            far[row] = min(max(theirs), max(ours)) if differ else 0.0
        else:
            far[row] = max(
                min(max(a, 1 - a), max(b, 1 - b)) if (a > 0.5) != (b > 0.5) else 0.0
                for a, b in zip(theirs, ours, strict=True)
            )
    return far


def test_calibration_is_that_of_counting_bins(stored: Stored) -> None:
    for model in stored.figures["models"]:
        if stored.problem == "regression":
            assert model["calibration"] is None
            continue
        answers = []  # (how sure, right or not)
        for row, scores in zip(stored.rows, stored.scores(model["name"]), strict=True):
            if stored.problem == SAID:
                answers.append((max(scores), stored.labels[scores.index(max(scores))] == row["gold"]))
            else:
                answers += [
                    (max(score, 1 - score), (score > 0.5) == (label in row["gold"]))
                    for label, score in zip(stored.labels, scores, strict=True)
                ]
        same_calibration(model["calibration"], answers)


def test_the_best_constant_answer_is_told(stored: Stored) -> None:
    if stored.problem == SAID:
        gold = [row["gold"] for row in stored.rows]
        assert stored.figures["constant"] == max(map(gold.count, gold)) / len(gold)
    assert (stored.figures["constant"] is None) == (stored.problem == "regression")
