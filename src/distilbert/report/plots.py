"""Two pictures, of a report's figures alone: how right against how fast, and how right against how sure.

Each is drawn as PNG, to be shown anywhere, and as SVG for the report's page, where the colours of text and lines are
the page's own, so that it is read in light and dark. The same figures give the same bytes. Needs matplotlib: the
extra `report`.
"""

from __future__ import annotations

import io
import re
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import cycle
from typing import TYPE_CHECKING, Any, cast

from distilbert.errors import NotInstalledError
from distilbert.report.problems import PROBLEMS
from distilbert.report.wording import UNITS, megabytes, millions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure

COLOURS = ("#7a7f87", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito's
_MARKS = ("D", "o", "s", "^", "v", "P", "X")
_INK, _FAINT, _PAPER = "#1f2328", "#d5d9de", "#ffffff"
# what matplotlib writes into the SVG for each colour, and what the page knows it as
_ON_PAGE = {_INK: "var(--ink)", _FAINT: "var(--line)", _PAPER: "var(--paper)"}
_LIGHT_AND_DARK = (
    f":root{{--ink:{_INK};--line:{_FAINT};--paper:{_PAPER}}}"
    "@media (prefers-color-scheme:dark){:root{--ink:#e6e9ed;--line:#363c44;--paper:#14171b}}"
)
_POINT: dict[str, Any] = {"edgecolors": _PAPER, "linewidths": 0.8, "alpha": 0.9}
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.facecolor": "none",
    "figure.facecolor": _PAPER,
    "grid.color": _FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "svg.fonttype": "none",  # text stays text: sharp, and found by a search
    "svg.hashsalt": "distilbert",
}
_INCHES = 5.6  # read on a phone at about its own size
_KEY = 0.24  # inches a line
_DOTS_PER_INCH = 220


def need_matplotlib() -> None:
    """Raise `NotInstalledError` where the pictures cannot be drawn: before hours of work, not after."""
    if find_spec("matplotlib") is None:
        raise NotInstalledError(
            "A report's pictures need matplotlib, which is not installed.",
            "Install it with: pip install 'distilbert[report]'",
        )


def pictures(figures: Mapping[str, Any]) -> Mapping[str, tuple[bytes, str]]:
    """Draw what the figures allow: {name: (PNG, SVG)}; of a regression there is no reliability."""
    drawings = {"accuracy-speed": accuracy_against_speed}
    if figures["models"][0]["calibration"]:
        drawings["reliability"] = reliability
    return {name: _drawn(name, draw, figures) for name, draw in drawings.items()}


def _drawn(
    name: str, draw: Callable[[Axes, Mapping[str, Any]], None], figures: Mapping[str, Any]
) -> tuple[bytes, str]:
    with _styled():
        figure = _figure(0.72 * _INCHES + _KEY * len(figures["models"]))
        draw(figure.subplots(), figures)
        key = figure.legend(loc="outside lower left", alignment="left")
        for handle in key.legend_handles:
            cast("PathCollection", handle).set_sizes([60])
        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
        svg = _svg(figure)
    return png.getvalue(), _for_page(name, svg)


@contextmanager
def _styled() -> Iterator[None]:
    """Our own style, whatever the user's is."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def _figure(inches: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure((_INCHES, inches), layout="constrained")  # without pyplot, which would keep it


def _svg(figure: Figure) -> str:
    svg = io.StringIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return svg.getvalue()


def drawn_for_any_page(draw: Callable[[Axes], None], inches: float) -> str:
    """One drawing, so many inches high, as an SVG file that follows its reader's choice of light or dark."""
    with _styled():
        figure = _figure(inches)
        draw(figure.subplots())
        svg = _svg(figure)
    for colour, variable in _ON_PAGE.items():
        svg = svg.replace(colour, variable)
    head, tag_end, body = svg.partition("<defs>")
    return f"{head}<style>{_LIGHT_AND_DARK}</style>{tag_end}{body}"


def _for_page(name: str, svg: str) -> str:
    """The drawing alone, as wide as the page lets it, in the page's colours, its ids unlike those of others."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    head, tag_end, body = svg.partition(">")
    svg = re.sub(r' (width|height)="[^"]*"', "", head) + tag_end + body
    svg = re.sub(r'( id="|"#|url\(#)', rf"\1{name}-", svg)
    for colour, variable in _ON_PAGE.items():
        svg = svg.replace(colour, variable)
    return svg


def accuracy_against_speed(axes: Axes, figures: Mapping[str, Any]) -> None:
    """Each model where its speed and its score put it, with the intervals of both."""
    name = figures["measure"]
    unit = UNITS[name]
    speeds = [model["texts_per_second"]["value"] for model in figures["models"]]
    for model, speed, colour, mark in zip(figures["models"], speeds, cycle(COLOURS), cycle(_MARKS)):
        score = model["scores"][name]
        if score["value"] is None:
            continue
        y = unit.factor * score["value"]
        arms: dict[str, Any] = {"elinewidth": 1.4, "capsize": 3, "alpha": 0.75}
        across, down = _arms(model["texts_per_second"], 1), _arms(score, unit.factor)
        axes.errorbar(speed, y, xerr=across, yerr=down, color=colour, fmt="none", **arms)
        said = f"{_short(model['name'])}: {megabytes(model)}, {millions(model)} parameters"
        axes.scatter(speed, y, 90, color=colour, marker=mark, zorder=3, label=said, **_POINT)
    _scale(axes, speeds)
    rows = f"{PROBLEMS[figures['data']['problem']].unit}s"
    axes.set_xlabel(f"{rows} a second, {_threads(figures)} (faster →)")
    axes.set_ylabel(f"{unit.shown}{', %' if unit.factor == 100 else ''}")
    axes.set_title(f"{unit.shown[0].upper()}{unit.shown[1:]} against speed: {figures['data']['file']}")


def _short(name: str) -> str:
    """What fits into a line of the key."""
    return name if len(name) <= 36 else f"{name[:20]}…{name[-15:]}"


def _threads(figures: Mapping[str, Any]) -> str:
    count = figures["timed"]["threads"]
    return f"{count} thread{'s' * (count != 1)}"


def _arms(figure: Mapping[str, float | None], factor: float) -> list[list[float]] | None:
    """How far the interval reaches down and up from the value; None where there is none."""
    value, low, high = (figure[end] for end in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return None
    return [[factor * max(0.0, value - low)], [factor * max(0.0, high - value)]]


def _scale(axes: Axes, speeds: list[float]) -> None:
    """A scale of ratios, of at least a factor of four, with room beside the points."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    low, high = (min(speeds), max(speeds)) if speeds else (1, 1)
    more = max((4 / (high / low)) ** 0.5, (high / low) ** 0.25, 1.35)
    axes.set_xlim(low / more, high * more)
    steps = (1, 2, 5) if more**2 * high / low > 20 else (1, 1.5, 2, 3, 5, 7)
    axes.xaxis.set_major_locator(LogLocator(10, subs=steps))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def reliability(axes: Axes, figures: Mapping[str, Any]) -> None:
    """How right each bin of answers is against how sure it was; a point's area grows with its rows."""
    lowest = 1.0
    for model, colour, mark in zip(figures["models"], cycle(COLOURS), cycle(_MARKS)):
        found = model["calibration"]
        sure = [100 * each["confidence"] for each in found["bins"]]
        right = [100 * each["accuracy"] for each in found["bins"]]
        rows = sum(each["rows"] for each in found["bins"])
        areas = [14 + 160 * each["rows"] / rows for each in found["bins"]]
        axes.plot(sure, right, "-", color=colour, linewidth=1.4, alpha=0.8)
        said = f"{_short(model['name'])}: off by {100 * found['error']:.1f} points"
        axes.scatter(sure, right, areas, color=colour, marker=mark, zorder=3, label=said, **_POINT)
        lowest = min(lowest, *(each["low"] for each in found["bins"]))
    axes.plot([0, 100], [0, 100], ":", color=_INK, linewidth=1, alpha=0.6)
    axes.set_xlim(100 * lowest - 2, 103)
    axes.set_ylim(-3, 106)
    axes.set_xlabel("how sure, %")
    axes.set_ylabel("how often right, %")
    axes.set_title("Is it as often right as it is sure?")
