"""The curves of the project's runs, from docs/runs/*.json: loss of the steps, and the figure on held-back rows.

    python runs/curves.py

writes docs/runs/NAME.svg for each. Needs matplotlib: the extra `report`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "docs" / "runs"
STYLE = {
    "font.size": 11,
    "axes.spines.top": False,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "distilbert",  # the same figures, the same bytes
}
LOSS, HELD_BACK = "#7a7f87", "#d55e00"


def draw(name: str, result: dict[str, Any], path: Path) -> None:
    """Loss on the left axis, what chose the checkpoint on the right one, against the epochs."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.2), layout="constrained")
        left = figure.add_subplot(title=name, xlabel="epochs", ylabel="loss of the steps")
        epochs, losses = zip(*result["curve"], strict=True)
        left.plot(epochs, losses, color=LOSS)
        left.set_ylim(bottom=0)
        if evaluations := result["evaluations"]:
            figures = evaluations[0].keys() - {"evaluation", "epoch", "loss"}
            measure = next((name for name in evaluations[0] if name in figures), "loss")
            right = left.twinx()
            right.plot(
                [line["epoch"] for line in evaluations],
                [line[measure] for line in evaluations],
                color=HELD_BACK,
                marker="o",
            )
            right.set_ylabel(f"{measure}, held-back rows", color=HELD_BACK)
        figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Draw every run that has a result."""
    for path in sorted(RESULTS.glob("*.json")):
        draw(path.stem, json.loads(path.read_text(encoding="utf-8")), path.with_suffix(".svg"))


if __name__ == "__main__":
    main()
