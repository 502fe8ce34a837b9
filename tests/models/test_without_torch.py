"""Where PyTorch is not installed, the wing that needs it says so."""

from __future__ import annotations

import subprocess
import sys

import pytest

from distilbert import models

HIDE = "import sys; sys.modules['torch'] = None\n"  # as if it were not there


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", HIDE + program, *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)


def test_importing_the_wing_loads_nothing_of_it() -> None:
    ended = run(
        "import distilbert.models; print([n for n in sys.modules if n.startswith('distilbert.models.')])"
    )
    assert ended.stdout.strip() == "[]", ended.stderr


@pytest.mark.parametrize("name", models.__all__)
def test_every_name_says_what_to_install(name: str) -> None:
    ended = run(f"from distilbert.models import {name}")
    assert ended.returncode == 1
    error = ended.stderr.strip().splitlines()
    assert f"distilbert.models.{name} needs PyTorch, which is not installed." in error[-2]
    assert error[-1] == "Install it with: pip install 'distilbert[train]'"


def test_the_command_names_the_extra(tmp_path: object) -> None:
    program = "sys.argv[0] = 'distilbert'\nfrom distilbert.cli import main\nmain()"
    ended = run(program, "convert", "a.bin", "--out", str(tmp_path))
    assert ended.returncode == 1
    assert ended.stderr == (
        "error: distilbert.models.convert needs PyTorch, which is not installed.\n"
        "Install it with: pip install 'distilbert[train]'\n"
    )


def test_names_are_sorted_and_there_are_no_others() -> None:
    assert sorted(models.__all__) == models.__all__
    with pytest.raises(AttributeError, match="no attribute 'DistilBertForFun'"):
        _ = models.DistilBertForFun
