"""Render a report's page to a picture, in headless Chromium: to look at it, or to show it.

    python docs/render.py report/report.html report.png [WIDTH [HEIGHT]] [--dark]

WIDTH is in pixels, 1000 by default; 400 is a phone's (this needs Pillow, which matplotlib brings). The picture is as
tall as the page, or HEIGHT.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-sync",
)
FLAGS += ("--disable-background-networking", "--disable-component-update", "--disable-extensions")
NARROWEST = (
    500  # pixels: Chromium's window is not narrower: the page goes into a frame, and the rest is cut off
)


def chromium() -> str | None:
    """The browser: `CHROMIUM`, else one on the path, else Playwright's."""
    on_path = [os.environ.get("CHROMIUM"), *map(shutil.which, NAMES)]
    stored = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright")
    return next(
        (path for path in [*on_path, *map(str, stored.glob("chromium-*/chrome-linux*/chrome"))] if path), None
    )


def render(page: Path, out: Path, width: int = 1000, most: int | None = None, *, dark: bool = False) -> None:
    """Write `out`, a PNG of the page in a window of this width: of its whole height, or `most` of it."""
    with tempfile.TemporaryDirectory() as folder:
        framed = Path(folder) / "framed.html"
        framed.write_text(_framed(page, width, 10), encoding="utf-8")
        told = _run(folder, dark, "--window-size=1400,1000", "--dump-dom", framed.as_uri())
        height = int(re.search(r"<title>(\d+)</title>", told)[1])
        framed.write_text(_framed(page, width, height), encoding="utf-8")
        height = min(height, most or height)
        size = f"--window-size={max(width, NARROWEST)},{height}"
        _run(folder, dark, size, f"--screenshot={out.resolve()}", framed.as_uri())
    if width < NARROWEST:
        from PIL import Image

        with Image.open(out) as picture:
            picture.crop((0, 0, width, height)).save(out)


def _framed(page: Path, width: int, height: int) -> str:
    """The page in a frame of its own, and its height as the title."""
    # `srcdoc`, because a page from a file may not be measured by another from a file
    content = page.read_text(encoding="utf-8").replace("&", "&amp;").replace('"', "&quot;")
    return (
        "<!doctype html><meta name='color-scheme' content='light dark'><title></title>"
        "<body style='margin:0;background:Canvas'>"
        f'<iframe srcdoc="{content}" style="border:0;display:block;width:{width}px;height:{height}px" '
        "onload='document.title = Math.ceil(this.contentDocument.documentElement.scrollHeight)'></iframe>"
    )


def _run(folder: str, dark: bool, *arguments: str) -> str:
    scheme = ["--blink-settings=preferredColorScheme=0"] * dark
    line = [str(chromium()), *FLAGS, *scheme, f"--user-data-dir={folder}/profile", *arguments]
    return subprocess.run(line, check=True, capture_output=True, text=True, timeout=120).stdout


def main() -> None:
    """Read the command line."""
    words = [word for word in sys.argv[1:] if word != "--dark"]
    if len(words) not in (2, 3, 4):
        sys.exit(f"usage:{(__doc__ or '').split(chr(10) * 2)[1]}")
    if chromium() is None:
        sys.exit(
            "No Chromium is installed.\nInstall one (Debian: apt-get install chromium), or set CHROMIUM to its path."
        )
    render(Path(words[0]), Path(words[1]), *map(int, words[2:]), dark="--dark" in sys.argv)


if __name__ == "__main__":
    main()
