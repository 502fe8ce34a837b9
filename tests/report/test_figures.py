"""What every report holds, whatever its models are for: the same figures from what is stored, timings, sizes."""

from __future__ import annotations

import json
import math
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored_reports import load

from distilbert.report.figures import figures
from distilbert.report.stored import (
    Model,
    Predictions,
    read_predictions,
    read_timings,
    write_predictions,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stored_reports import Stored


def percentile(values: Sequence[float], share: float) -> float:
    """Linear between the two nearest."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    return ordered[low] + (place - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])


def test_the_same_code_makes_the_same_figures_from_what_is_stored(reported: Path) -> None:
    assert figures(read_predictions(reported), read_timings(reported)) == load(reported / "report.json")


# text, or how sure a model is, at any precision
value = st.text(st.characters(exclude_categories=["Cs"])) | st.floats(0, 1) | st.floats(-99, 99, width=32)
line = st.builds(
    lambda answer, scores: {"answer": answer, "scores": scores},
    value | st.lists(value),
    st.lists(st.none() | st.floats(0, 1)),
)


@given(st.lists(line, min_size=1, max_size=5))
def test_what_is_read_back_is_what_was_stored_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, answers: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("report")
    rows = [{"words": [], "gold": answer["answer"]} for answer in answers]
    models = (Model("a/b", 3, 4, "fp32", "int8"), Model("c", 3, 4, "fp32", "fp32"))
    found = Predictions("rows.tsv", "regression", ("A", "B"), rows, models, (answers, answers[::-1]))
    write_predictions(folder, found)
    assert repr(read_predictions(folder)) == repr(found)


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
