"""Pictures: the same figures give the same bytes, on any machine's settings, and names are drawn as they are."""

from __future__ import annotations

import json
import re
import struct
from typing import TYPE_CHECKING, Any

import pytest

from distilbert.report import plots, writing

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def found(reported: Path) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((reported / "report.json").read_text(encoding="utf-8"))
    return figures


def test_the_same_figures_give_the_same_bytes_whatever_the_user_s_style(
    reported: Path, found: dict[str, Any]
) -> None:
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 30, "axes.grid": False, "figure.facecolor": "red"}):
        drawn = plots.pictures(found)
        assert mpl.rcParams["font.size"] == 30
    for name, (png, svg) in drawn.items():
        assert png == (reported / f"{name}.png").read_bytes()
        assert svg in (reported / "report.html").read_text(encoding="utf-8")


def test_no_picture_is_kept_in_memory_and_no_screen_is_needed(found: dict[str, Any]) -> None:
    import sys

    plots.pictures(found)
    assert "matplotlib.pyplot" not in sys.modules


def test_a_picture_for_the_page_has_the_page_s_colours_and_width(found: dict[str, Any]) -> None:
    for png, svg in plots.pictures(found).values():
        assert "var(--ink)" in svg
        assert not re.search(r"#(1f2328|000000|ffffff)", svg)
        assert not re.search(r"<svg[^>]* (width|height)=", svg)
        width, height = struct.unpack(">II", png[16:24])
        assert width > 1000
        assert 0.7 < height / width < 1


def test_names_are_drawn_as_they_are(found: dict[str, Any]) -> None:
    found["models"][1]["name"] = "$a_b$ <b>&"
    found["models"][2]["name"] = f"owner/{'long-' * 20}name"
    _, svg = plots.pictures(found)["accuracy-speed"]
    assert "$a_b$ &lt;b&gt;&amp;: " in svg
    assert "owner/long-long-long…-long-long-name: " in svg


def test_many_models_and_one_without_a_score_are_drawn(found: dict[str, Any]) -> None:
    nothing = {"value": None, "low": None, "high": None}
    for place in range(9):
        model = {**found["models"][1], "name": f"model-{place}"}
        found["models"].append(
            {**model, "scores": dict.fromkeys(model["scores"], nothing)} if place else model
        )
    _, svg = plots.pictures(found)["accuracy-speed"]
    assert "model-0" in svg
    assert "model-1" not in svg


def test_without_matplotlib_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "find_spec", lambda _: None)
    monkeypatch.setattr(writing, "find_models", lambda _: pytest.fail("models were opened"))
    with pytest.raises(ImportError, match=r"pip install 'distilbert\[report\]'"):
        writing.write_report(["a", "b"], "d", tmp_path / "out", rounds=1, timed_rows=1)
    assert list(tmp_path.iterdir()) == []
