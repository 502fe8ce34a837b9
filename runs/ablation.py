"""What each part of a student's loss and start is worth: the runs of runs-ablation.toml beside the whole.

    python runs/ablation.py

reads the predictions in docs/runs/ and writes the table of docs/ablation.md and its picture. Intervals are over rows
and seeds. Needs matplotlib: the extra `report`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from curves import STYLE
from ledger import RESULTS, ROOT, write_between
from students import percent, right

from distilbert.metrics.intervals import over_seeds

if TYPE_CHECKING:
    from pathlib import Path

    from distilbert.metrics.intervals import Estimate

PAGE = ROOT / "docs" / "ablation.md"
WHOLE = "ablation-full"


class Variant(NamedTuple):
    """A row of the table: a run by its name in the ledger, and what Sanh et al. (2019), table 4, found for it."""

    run: str
    what: str
    theirs: str = ""  # GLUE points


VARIANTS = [
    Variant("ablation-no-answers", "without the teacher's answers (KL)", "−2.96"),
    Variant("ablation-no-states", "without the direction of its states (cosine)", "−1.46"),
    Variant("ablation-no-labels", "without the labels (theirs: masked words)", "−0.31"),
    Variant("ablation-random", "from random weights", "−3.69"),
    Variant("ablation-first", "from the first six layers"),
    Variant("ablation-last", "from the last six layers"),
    Variant("ablation-three", "three layers"),
    Variant("ablation-more", "with 20,000 sentences of IMDb too"),
    Variant("ablation-general", "from the general student"),
    Variant("ablation-general-labels", "from the general student, labels alone"),
    Variant("ablation-general-random", "from the general student that began at random"),
    Variant("ablation-general-random-labels", "from the same, labels alone"),
]


def effects() -> dict[Variant, Estimate]:
    """Each variant that was run, and by how much its accuracy differs from the whole's."""
    whole = right(WHOLE)
    found = {variant: right(variant.run) for variant in VARIANTS} if len(whole) else {}
    return {
        variant: over_seeds(lambda a, b: b - a, whole, theirs)
        for variant, theirs in found.items()
        if len(theirs)
    }


def table(found: dict[Variant, Estimate]) -> str:
    """The Markdown table; of what was not run yet there is no row."""
    lines = [
        "| student | seeds | SST-2 dev, mean | against the whole [95 %] | GLUE points, Sanh et al. |",
        "| --- | --- | --- | --- | --- |",
    ]
    if found:
        whole = right(WHOLE)
        lines.append(f"| the whole | {len(whole)} | {100 * whole.mean():.2f} % | | |")
    for variant, effect in found.items():
        theirs, points = right(variant.run), percent(effect, "+.2f", "points")
        lines.append(
            f"| {variant.what} | {len(theirs)} | {100 * theirs.mean():.2f} % | {points} | {variant.theirs} |"
        )
    return "\n".join(lines)


def draw(found: dict[Variant, Estimate], path: Path) -> None:
    """Each effect as a point on a line as long as its interval."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.4 * len(found) + 1.2), layout="constrained")
        axes = figure.add_subplot(
            xlabel="points of SST-2 dev's accuracy against the whole, with 95 % intervals"
        )
        axes.axvline(0, color="#7a7f87", linewidth=0.8)
        for place, effect in enumerate(found.values()):
            interval = effect.interval
            axes.plot([100 * interval.low, 100 * interval.high], [place, place], color="#0072b2")
            axes.plot(100 * effect.value, place, "o", color="#0072b2")
        axes.set_yticks(range(len(found)), [variant.what for variant in found])
        axes.invert_yaxis()
        figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Write the table and draw the picture."""
    found = effects()
    write_between("ablation", table(found), PAGE)
    if found:
        draw(found, RESULTS / "ablation.svg")


if __name__ == "__main__":
    main()
