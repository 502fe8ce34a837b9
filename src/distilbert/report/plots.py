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
from typing import TYPE_CHECKING, Any

from distilbert.errors import NotInstalledError
from distilbert.report.wording import UNITS, megabytes, millions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

_COLOURS = ("#7a7f87", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito's
_MARKS = ("D", "o", "s", "^", "v", "P", "X")
_INK, _FAINT, _PAPER = "#1f2328", "#d5d9de", "#ffffff"
# what matplotlib writes into the SVG for each colour, and what the page knows it as
_ON_PAGE = {_INK: "var(--ink)", _FAINT: "var(--line)", _PAPER: "var(--paper)"}
_STYLE = {
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
_INCHES = (5.6, 4.2)  # read on a phone at about its own size
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
    with _figure() as (figure, axes):
        draw(axes, figures)
        png, svg = io.BytesIO(), io.StringIO()
        figure.savefig(png, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return png.getvalue(), _for_page(name, svg.getvalue())


@contextmanager
def _figure() -> Iterator[tuple[Figure, Axes]]:
    """Yield a figure of our own style, whatever the user's is; without pyplot, which would keep it."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=_INCHES, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, figure.subplots()


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
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    name = figures["measure"]
    unit = UNITS[name]
    points = []
    for model, colour, mark in zip(figures["models"], cycle(_COLOURS), cycle(_MARKS)):  # noqa: B905 - cycles end never
        speed, score = model["texts_per_second"], model["scores"][name]
        if score["value"] is None:
            continue
        x, y = speed["value"], unit.factor * score["value"]
        bars = {"xerr": _arms(speed, 1)} | (
            {"yerr": _arms(score, unit.factor)} if score["low"] is not None else {}
        )
        axes.errorbar(x, y, **bars, color=colour, fmt="none", elinewidth=1.4, capsize=3, alpha=0.75)
        axes.plot(x, y, mark, color=colour, markersize=9, markeredgecolor=_PAPER, markeredgewidth=1)
        points.append((x, y, f"{model['name']}\n{megabytes(model)}, {millions(model)} parameters"))
    axes.set_xscale("log")
    _widen(axes, [x for x, _, _ in points])
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True)
    axes.set_xlabel(f"texts a second, {_threads(figures)} (faster →)")
    axes.set_ylabel(f"{unit.shown}{', %' if unit.factor == 100 else ''}")
    axes.set_title(f"{unit.shown.capitalize()} against speed: {figures['data']['file']}")
    _label(axes, points)


def _threads(figures: Mapping[str, Any]) -> str:
    count = figures["timed"]["threads"]
    return f"{count} thread{'s' * (count != 1)}"


def _arms(figure: Mapping[str, float], factor: float) -> list[list[float]]:
    value = figure["value"]
    return [[factor * max(0.0, value - figure["low"])], [factor * max(0.0, figure["high"] - value)]]


def _widen(axes: Axes, speeds: list[float]) -> None:
    """Room for labels beside the points, on a scale of ratios; and at least a factor of four."""
    if speeds:
        low, high = min(speeds), max(speeds)
        more = max((4 / (high / low)) ** 0.5, (high / low) ** 0.25, 1.35)
        axes.set_xlim(low / more, high * more)
    axes.margins(y=0.18)


# Where a label may stand beside its point, in points: tried in turn until it touches no other
_PLACES = [
    (dx, dy, across, down)
    for dy, down in ((6, "bottom"), (-6, "top"), (34, "bottom"), (-34, "top"), (62, "bottom"), (-62, "top"))
    for dx, across in ((9, "left"), (-9, "right"))
]


def _label(axes: Axes, points: list[tuple[float, float, str]]) -> None:
    """Write each point's name beside it, inside the axes and clear of other names and points."""
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]  # lays the axes out, so that extents are true
    taken = [axes.transData.transform((x, y)) for x, y, _ in points]
    labels: list[Annotation] = []
    for x, y, text in points:
        for dx, dy, across, down in _PLACES:
            label = axes.annotate(
                text,
                (x, y),
                (dx, dy),
                textcoords="offset points",
                ha=across,
                va=down,
                fontsize=9.5,
                linespacing=1.35,
            )
            box = label.get_window_extent()
            clear = not any(box.overlaps(other.get_window_extent()) for other in labels)
            inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1
            inside = inside and axes.bbox.y0 <= box.y0 and box.y1 <= axes.bbox.y1
            if clear and inside and not any(box.contains(*point) for point in taken):
                break
            label.remove()
        else:
            label = axes.annotate(text, (x, y), (9, 6), textcoords="offset points", fontsize=9.5)
        labels.append(label)


def reliability(axes: Axes, figures: Mapping[str, Any]) -> None:
    """How right each bin of answers is against how sure it was; a point's area grows with its rows."""
    lowest = 1.0
    for model, colour, mark in zip(figures["models"], cycle(_COLOURS), cycle(_MARKS)):  # noqa: B905
        found = model["calibration"]
        sure = [100 * each["confidence"] for each in found["bins"]]
        right = [100 * each["accuracy"] for each in found["bins"]]
        rows = sum(each["rows"] for each in found["bins"])
        areas = [14 + 160 * each["rows"] / rows for each in found["bins"]]
        axes.plot(sure, right, "-", color=colour, linewidth=1.4, alpha=0.8)
        said = f"{model['name']}: off by {100 * found['error']:.1f} points"
        axes.scatter(
            sure, right, areas, color=colour, marker=mark, edgecolors=_PAPER, linewidths=0.8, alpha=0.85, zorder=3, label=said
        )
        lowest = min(lowest, *(each["low"] for each in found["bins"]))
    axes.plot([0, 100], [0, 100], ":", color=_INK, linewidth=1, alpha=0.6)
    axes.set_xlim(100 * lowest - 2, 103)
    axes.set_ylim(-3, 106)
    axes.grid(visible=True)
    axes.set_xlabel("how sure, %")
    axes.set_ylabel("how often right, %")
    axes.set_title("Is it as often right as it is sure?")
    legend = axes.legend(loc="lower right", fontsize=9.5)
    for handle in legend.legend_handles:
        handle.set_sizes([50])  # type: ignore[union-attr]
