"""`docs/render.py`: a page becomes a picture, in a browser."""

from __future__ import annotations

import importlib.util
import struct
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent.parent / "docs" / "render.py"


def browser() -> str | None:
    spec = importlib.util.spec_from_file_location("render", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: str | None = module.chromium()
    return found


@pytest.mark.full
@pytest.mark.skipif(browser() is None, reason="needs Chromium")
@pytest.mark.parametrize("width", [400, 1000])
def test_the_page_is_rendered_whole_on_a_phone_and_on_a_desk(
    reported: Path, tmp_path: Path, width: int
) -> None:
    out = tmp_path / "page.png"
    line = [sys.executable, str(SCRIPT), str(reported / "report.html"), str(out), str(width)]
    subprocess.run(line, check=True, timeout=120)
    assert struct.unpack(">II", out.read_bytes()[16:24])[0] == width
    from PIL import Image

    with Image.open(out) as picture:
        assert picture.height > 1000
        last = picture.convert("L").crop((0, picture.height - 160, width, picture.height))
        assert len(set(last.tobytes())) > 2  # the last lines are on it


def test_without_a_browser_it_says_what_to_install() -> None:
    line = [sys.executable, str(SCRIPT), "report.html", "out.png"]
    ended = subprocess.run(
        line, capture_output=True, text=True, env={"PATH": "", "HOME": "/nowhere"}, check=False
    )
    assert ended.returncode == 1
    assert "apt-get install chromium" in ended.stderr
