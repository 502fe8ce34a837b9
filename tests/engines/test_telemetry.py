"""ONNX Runtime's telemetry is off: no file in the home folder, and no word of it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("writable", [True, False])
def test_classifying_leaves_the_home_folder_empty_and_says_nothing(
    writable: bool, tiny_fp32: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    if writable:
        home.mkdir()
    else:
        home.write_text("")  # a folder that root could not write to either
    others = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ORT_"))}
    ended = subprocess.run(
        [sys.executable, "-m", "distilbert", "classify", "--model", tiny_fp32, "hello"],
        env={**others, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert not writable or not list(home.rglob("*"))
