"""`docs/render.py`: a page becomes a picture, in a browser."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from distilbert.report.markup import Heading, Paragraph, page

SCRIPT = Path(__file__).parent.parent.parent / "docs" / "render.py"


def browser() -> str | None:
    spec = importlib.util.spec_from_file_location("render", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: str | None = module.chromium()
    return found


@pytest.mark.skipif(browser() is None, reason="needs Chromium: apt-get install chromium")
def test_a_page_is_rendered_whole_in_a_phone_s_width(tmp_path: Path) -> None:
    blocks = [Heading("A page", 1), *(Paragraph("Some words. " * 50) for _ in range(20)), Heading("The end")]
    (tmp_path / "page.html").write_text(page(blocks, {}), encoding="utf-8")
    line = [sys.executable, str(SCRIPT), str(tmp_path / "page.html"), str(tmp_path / "page.png"), "400"]
    subprocess.run(line, check=True, timeout=280)
    with Image.open(tmp_path / "page.png") as picture:
        assert picture.width == 400
        assert picture.height > 1000
        end = picture.convert("L").crop((0, picture.height - 160, 400, picture.height))
        assert len(set(end.tobytes())) > 2  # the last line is on it


@pytest.mark.skipif(browser() is None, reason="needs Chromium: apt-get install chromium")
def test_a_picture_is_no_taller_than_asked(tmp_path: Path) -> None:
    blocks = [Heading("A page", 1), *(Paragraph("Some words. " * 50) for _ in range(20))]
    (tmp_path / "page.html").write_text(page(blocks, {}), encoding="utf-8")
    line = [
        sys.executable,
        str(SCRIPT),
        str(tmp_path / "page.html"),
        str(tmp_path / "page.png"),
        "600",
        "300",
    ]
    subprocess.run(line, check=True, timeout=280)
    with Image.open(tmp_path / "page.png") as picture:
        assert picture.size == (600, 300)


def test_without_a_browser_it_says_what_to_install() -> None:
    line = [sys.executable, str(SCRIPT), "report.html", "out.png"]
    ended = subprocess.run(
        line, capture_output=True, text=True, env={"PATH": "", "HOME": "/nowhere"}, check=False
    )
    assert ended.returncode == 1
    assert "apt-get install chromium" in ended.stderr
