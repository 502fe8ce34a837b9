"""The steps of a start are those of the command."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "start.py"
MODULES = "import json, sys; print(json.dumps(sorted(sys.modules)))"


@pytest.fixture(scope="module")
def start():
    return runpy.run_path(str(SCRIPT))


def modules(program: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_steps_import_what_the_command_imports(start, embedded):
    stepped = modules("\n".join([*start["STEPS"].values(), MODULES]))
    command = modules(f"import atexit; atexit.register(lambda: exec({MODULES!r}))\n{start['OURS']}")
    ours = {name for name in command if name.startswith("distilbert")}
    assert ours <= stepped
    assert {"onnxruntime", "tokenizers", "numpy", "click"} <= command


def test_each_step_has_its_time_and_memory_only_grows(start, embedded):
    found = start["steps"]()
    assert list(found) == ["start Python", *start["STEPS"]]
    assert all(seconds > 0 for seconds, _ in found.values())
    peaks = [peak for _, peak in found.values()]
    assert peaks == sorted(peaks)
    assert peaks[-1] > 50  # MB: a session with 23 MB of weights
    assert start["steps_table"]([found, found]).count("\n") == len(found) + 1
