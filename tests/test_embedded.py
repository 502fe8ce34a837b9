"""The model that the package ships, on real data: int8 keeps what float32 knows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "embedded.py"


@pytest.fixture(scope="module")
def figures(shared, embedded):
    done = subprocess.run([sys.executable, SCRIPT, "--json"], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def test_on_sst2_dev_int8_is_within_0_4_points_of_float32(figures):
    row = figures["SST-2 dev"]
    assert row["float32"] == pytest.approx(0.9037, abs=5e-5)
    assert abs(row["int8"] - row["float32"]) <= 0.004


@pytest.mark.parametrize("name", ["SST-2 train, whole sentences", "SST-2 train, phrases"])
def test_at_most_half_a_percent_of_labels_change_where_it_was_not_calibrated(figures, name):
    assert figures[name]["flip_share"] <= 0.005


def test_the_readme_and_the_card_say_what_was_measured(figures, embedded):
    readme = SCRIPT.parent.parent.joinpath("README.md").read_text(encoding="utf-8")
    card = (embedded / "README.md").read_text(encoding="utf-8")
    for name, row in figures.items():
        int8 = f"{100 * row['int8']:.2f} %"
        assert any(name in line and int8 in line for line in readme.splitlines()), name
        assert int8 in card or name.startswith("SST-2 train"), name
