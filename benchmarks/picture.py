"""The README's picture: texts a second of every way, as bars, to be read on a light page and on a dark one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distilbert.bench.statistics import Spread
from distilbert.report.plots import COLOURS, drawn_for_any_page

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from distilbert.bench.measured import Measured

OURS, PEER = COLOURS[1], COLOURS[0]


def draw(measured: Measured, task: str) -> str:
    """An SVG of its own, with the least and the greatest round as arms."""
    ways = measured.on(task)[::-1]  # the fastest on top

    def bars(axes: Axes) -> None:
        count = measured.texts[task]
        speeds = [Spread.of([count / seconds for seconds in each.tasks[task].seconds]) for each in ways]
        values = [speed.value for speed in speeds]
        arms = [[s.value - s.low for s in speeds], [s.high - s.value for s in speeds]]
        axes.barh(
            [each.name for each in ways],
            values,
            xerr=arms,
            color=[OURS if each.ours else PEER for each in ways],
            height=0.66,
            error_kw={"elinewidth": 1.2, "capsize": 3, "alpha": 0.75},
        )
        for place, value in enumerate(values):
            axes.annotate(f"{value:,.0f}", (value, place), (10, 0), textcoords="offset points", va="center")
        axes.margins(x=0.14)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("texts a second, from text to label (faster →)")
        axes.set_title(f"{measured.texts[task]} sentences of {task}, 6 × 768, {measured.threads} threads")

    return drawn_for_any_page(bars, inches=0.9 + 0.34 * len(ways))
