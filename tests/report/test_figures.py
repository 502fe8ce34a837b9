"""Every figure of a report is what anyone computes again, in plain Python, from the files beside it."""

from __future__ import annotations

import json
import math
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from distilbert import pipeline
from distilbert.files.config import DistilBertConfig
from distilbert.report.figures import figures
from distilbert.report.stored import read_predictions, read_timings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SAID = "single_label_classification"


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


class Stored:
    """A report's files, read with nothing of the package."""

    def __init__(self, folder: Path) -> None:
        place = folder / "predictions"
        about = load(place / "models.json")
        self.labels, self.problem = about["labels"], about["problem"]
        self.rows = lines(place / "rows.jsonl")
        self.answers = {model["name"]: lines(place / model["answers"]) for model in about["models"]}
        self.timings = load(folder / "timings.json")
        self.figures = load(folder / "report.json")

    def scores(self, name: str) -> list[list[float]]:
        """Probabilities, row by row."""
        if self.problem == SAID:
            exponentials = [[math.exp(logit) for logit in row["logits"]] for row in self.answers[name]]
            return [[value / sum(row) for value in row] for row in exponentials]
        return [[1 / (1 + math.exp(-logit)) for logit in row["logits"]] for row in self.answers[name]]


@pytest.fixture(scope="module")
def stored(reported: Path) -> Stored:
    return Stored(reported)


def percentile(values: Sequence[float], share: float) -> float:
    """Linear between the two nearest."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    return ordered[low] + (place - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])


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


def test_the_same_code_makes_the_same_figures_from_what_is_stored(reported: Path) -> None:
    assert figures(read_predictions(reported), read_timings(reported)) == load(reported / "report.json")


def test_what_is_stored_is_what_the_models_answer(reported: Path, stored: Stored) -> None:
    for name, answers in stored.answers.items():
        classify = pipeline(model=reported.parent / name, long="truncate", threads=1)
        own = [classify.config.labels.index(label) for label in stored.labels]
        logits = [row[own].tolist() for row in classify.logits([row["text"] for row in stored.rows])]
        assert [row["logits"] for row in answers] == logits
        assert [row["row"] for row in answers] == list(range(1, len(stored.rows) + 1))


def test_scores_and_what_is_kept_with_their_intervals(stored: Stored) -> None:
    gold = [row["gold"] for row in stored.rows]
    teacher = [row["answer"] for row in stored.answers["teacher"]]
    for model in stored.figures["models"]:
        said = [row["answer"] for row in stored.answers[model["name"]]]
        score = model["scores"][stored.figures["measure"]]
        assert score["value"] == pytest.approx(first_score(stored.problem, said, gold))
        draw = np.random.default_rng(0)
        drawn = [draw.integers(0, len(gold), len(gold)) for _ in range(1000)]
        found = [(resampled(stored.problem, rows, said, gold, teacher)) for rows in drawn]
        low, high = np.quantile([ours for ours, _ in found], [0.025, 0.975])
        assert (score["low"], score["high"]) == (pytest.approx(low), pytest.approx(high))
        if model["name"] == "teacher":
            continue
        whole = first_score(stored.problem, teacher, gold)
        if whole <= 0:  # of a correlation below 0 nothing can be kept
            assert model["kept"] == {"value": None, "low": None, "high": None}
            continue
        assert model["kept"]["value"] == pytest.approx(score["value"] / whole)
        if all(theirs > 0 for _, theirs in found):
            low, high = np.quantile([ours / theirs for ours, theirs in found], [0.025, 0.975])
            assert (model["kept"]["low"], model["kept"]["high"]) == (pytest.approx(low), pytest.approx(high))
        else:
            assert model["kept"]["low"] is None


def resampled(
    problem: str, rows: Any, said: list[Any], gold: list[Any], teacher: list[Any]
) -> tuple[float, float]:
    right = [gold[row] for row in rows]
    ours, theirs = ([answers[row] for row in rows] for answers in (said, teacher))
    return first_score(problem, ours, right), first_score(problem, theirs, right)


def test_timings_are_medians_over_rounds_and_ratios_within_them(stored: Stored) -> None:
    rounds, texts = stored.timings["rounds"], stored.timings["texts"]
    assert (len(rounds), texts) == (3, 7)
    for model in stored.figures["models"]:
        name = model["name"]
        expected = {
            "p50_ms": [percentile(each["milliseconds"][name], 0.5) for each in rounds],
            "p95_ms": [percentile(each["milliseconds"][name], 0.95) for each in rounds],
            "texts_per_second": [texts / each["seconds"][name] for each in rounds],
        }
        if name != "teacher":
            one = [
                median(each["milliseconds"]["teacher"]) / median(each["milliseconds"][name])
                for each in rounds
            ]
            many = [each["seconds"]["teacher"] / each["seconds"][name] for each in rounds]
            expected |= {"times_as_fast_one": one, "times_as_fast_many": many}
        for figure, values in expected.items():
            assert model[figure] == {
                "value": pytest.approx(median(values)),
                "low": pytest.approx(min(values)),
                "high": pytest.approx(max(values)),
            }


def test_each_round_times_every_model_once_in_an_order_of_its_own(stored: Stored) -> None:
    orders = [each["order"] for each in stored.timings["rounds"]]
    assert all(sorted(order) == ["bundle", "student", "teacher"] for order in orders)
    assert len({*map(tuple, orders)}) > 1
    for each in stored.timings["rounds"]:
        assert {len(values) for values in each["milliseconds"].values()} == {7}


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
        changed = sum(a != b for a, b, _ in pairs)
        assert changed > 0
        assert model["agreement"] == {
            "share": pytest.approx(1 - changed / len(pairs)),
            "changed": changed,
            "right_to_wrong": sum(a == right != b for a, b, right in pairs),
            "wrong_to_right": sum(a != right == b for a, b, right in pairs),
            "both_right": sum(a == right == b for a, b, right in pairs),
            "both_wrong": sum(a != right != b for a, b, right in pairs),
        }


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
        error = 0.0
        for low in range(15):
            inside = [each for each in answers if low / 15 < each[0] <= (low + 1) / 15]
            if inside:
                gap = abs(fmean(sure for sure, _ in inside) - fmean(right for _, right in inside))
                error += len(inside) / len(answers) * gap
        assert model["calibration"]["error"] == pytest.approx(error)
        assert sum(each["rows"] for each in model["calibration"]["bins"]) == len(answers)


def test_parameters_and_bytes_are_those_of_the_files(reported: Path, stored: Stored) -> None:
    teacher, student, bundle = stored.figures["models"]
    shapes = {}
    for name in ("teacher", "student"):
        header = (reported.parent / name / "model.safetensors").read_bytes()
        tensors = json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])
        shapes[name] = sum(
            math.prod(tensor["shape"]) for key, tensor in tensors.items() if key != "__metadata__"
        )
    assert (teacher["parameters"], student["parameters"]) == (shapes["teacher"], shapes["student"])
    assert bundle["parameters"] == student["parameters"]
    for model in stored.figures["models"]:
        files = [file for file in (reported.parent / model["name"]).rglob("*") if file.is_file()]
        assert model["bytes"] == sum(file.stat().st_size for file in files)
    assert [(model["weights"], model["runs"]) for model in stored.figures["models"]] == [
        ("fp32", "fp32"),
        ("fp16", "fp32"),
        ("fp32", "fp32"),
    ]


def test_the_best_constant_answer_is_told(stored: Stored) -> None:
    if stored.problem == SAID:
        gold = [row["gold"] for row in stored.rows]
        assert stored.figures["constant"] == max(map(gold.count, gold)) / len(gold)
    assert (stored.figures["constant"] is None) == (stored.problem == "regression")


def test_what_is_read_back_is_what_was_measured_to_the_bit(reported: Path, stored: Stored) -> None:
    predictions = read_predictions(reported)
    config = DistilBertConfig.from_folder(reported.parent / "teacher")
    assert (predictions.problem, predictions.labels) == (config.problem_type, config.labels)
    for logits, answers in zip(predictions.logits, stored.answers.values(), strict=True):
        assert logits.dtype == np.float32
        assert logits.tolist() == [row["logits"] for row in answers]
