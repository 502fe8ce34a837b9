"""DistilBERT's claim at its own shapes: a teacher and its student widened to 12 × 768 and 6 × 768, side by side.

    python benchmarks/shapes.py TEACHER STUDENT OUT        (needs the extras train and report, and ../shared)

`widening.py` says how. OUT gets both checkpoints, an int8 bundle of each, and `report/`: what `distilbert report` finds
on SST-2's dev set.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from widening import save, widened

from distilbert.models.pretrained import read_weights
from distilbert.pipelines import pipeline

SST2 = Path(__file__).parent.parent.parent / "shared" / "data" / "sst2"
TEXTS = ["A warm and funny film.", "Dull.", "The plot is thin, but the acting carries it."]


def main() -> None:
    """Widen, check that the answers are the same, compile, report."""
    if len(sys.argv) != 4:
        sys.exit(
            "Name a teacher, its student, and the folder to write: benchmarks/shapes.py TEACHER STUDENT OUT"
        )
    if not SST2.is_dir():
        sys.exit(f"{SST2} is not there: these figures need the real rows.")
    teacher, student, out = map(Path, sys.argv[1:])
    names = []
    for narrow in (teacher, student):
        wide, bundle = out / narrow.name, out / f"{narrow.name}-int8"
        if not wide.exists():
            save(widened(read_weights(narrow)), narrow, wide)
        before, after = (
            np.array([*pipeline("text-classification", str(folder)).logits(TEXTS)])
            for folder in (narrow, wide)
        )
        assert np.abs(before - after).max() < 1e-4, "widening changed what is computed"
        if not bundle.exists():
            call(
                "compile",
                wide,
                "--out",
                bundle,
                "--calibrate",
                SST2 / "train_sentences.tsv",
                "--column",
                "sentence",
            )
        names += [wide, bundle]
    call("report", *names, "--data", SST2 / "dev.tsv", "--column", "sentence", "--out", out / "report")


def call(*line: str | Path) -> None:
    """Run a command of distilbert, or stop."""
    if code := subprocess.call([sys.executable, "-m", "distilbert", *map(str, line)]):
        sys.exit(code)


if __name__ == "__main__":
    main()
