"""The models that the package ships, on real data: int8 keeps what float32 knows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "benchmarks" / "embedded.py"
STUDENT = ROOT / "runs" / "out" / "sst2-student-2"  # as in the Makefile


@pytest.fixture(scope="module")
def figures(shared, embedded):
    line = [sys.executable, SCRIPT, STUDENT, "--json"]
    return json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout)


def test_on_sst2_dev_int8_is_within_0_4_points_of_float32(figures):
    score = json.loads((ROOT / "docs" / "runs" / f"{STUDENT.name}.json").read_text(encoding="utf-8"))["score"]
    assert abs(figures["SST-2 dev"]["int8"] - score["accuracy"]) <= 0.004


def test_it_is_better_than_the_model_that_the_package_came_with_before(figures):
    names = ("SST-2 dev", "contrast set (our own)", "IMDb reviews, cut")
    right = {
        model: sum(figures[name]["rows"] * figures[name][model] for name in names)
        for model in ("starter", "int8")
    }
    assert figures["SST-2 dev"]["int8"] >= figures["SST-2 dev"]["starter"]
    assert right["int8"] > right["starter"]


@pytest.mark.parametrize("name", ["SST-2 train, whole sentences", "SST-2 train, phrases"])
def test_at_most_half_a_percent_of_labels_change_where_it_was_not_calibrated(figures, name):
    if "flip_share" not in figures[name]:
        pytest.skip(f"needs the float32 student, {STUDENT}, which `make runs` makes")
    assert figures[name]["flip_share"] <= 0.005


def test_the_readme_and_the_card_say_what_was_measured(figures, embedded):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    card = (embedded / "README.md").read_text(encoding="utf-8")
    for name, row in figures.items():
        int8 = f"{100 * row['int8']:.2f} %"
        assert any(name in line and int8 in line for line in readme.splitlines()), name
        assert int8 in card or name.startswith("SST-2 train"), name


OTHERS = [
    ("distilbert-uner", "ner-student", "ner/uner_ewt/dev.iob2.gz"),
    ("distilbert-squad", "qa-student", "squad/dev.json.gz"),
]


@pytest.mark.parametrize(("name", "run", "data"), OTHERS)
def test_the_f1_of_int8_is_within_half_a_point_of_float32_s_and_on_its_card(
    shared, embedded, name, run, data
):
    bundle = embedded.parent / name
    line = [
        sys.executable,
        "-m",
        "distilbert",
        "score",
        "--model",
        name,
        "--file",
        shared / "data" / data,
        "--json",
    ]
    int8 = json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout)["f1"]
    float32 = json.loads((ROOT / "docs" / "runs" / f"{run}.json").read_text(encoding="utf-8"))["score"]["f1"]
    assert abs(int8 - float32) <= 0.005
    assert f"{100 * int8:.2f}" in (bundle / "README.md").read_text(encoding="utf-8")
