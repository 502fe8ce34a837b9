"""DistilBERT's claim at its own shapes: a teacher and its student widened to 12 × 768 and 6 × 768, side by side.

    python benchmarks/shapes.py TEACHER STUDENT OUT        (needs the extras train and report, and ../shared)

A widened model computes what the narrow one does: every unit stands there twice, so the weights of each linear map are
halved; a head keeps its units, now 64, and its queries are divided by √2, for a score adds up twice as many products
but is divided by √64 instead of √32. Sizes and speed are those of BERT-base and DistilBERT-base, and labels are real.

OUT gets both checkpoints, an int8 bundle of each, and `report/`: what `distilbert report` finds on SST-2's dev set.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np

from distilbert.files.checkpoint import Checkpoint
from distilbert.models import model_class
from distilbert.models.pretrained import read_weights
from distilbert.pipelines import pipeline
from distilbert.text.tokenizer import DistilBertTokenizer

SST2 = Path(__file__).parent.parent.parent / "shared" / "data" / "sst2"
TEXTS = ["A warm and funny film.", "Dull.", "The plot is thin, but the acting carries it."]


def widened(checkpoint: Checkpoint) -> Checkpoint:
    """The same function with every hidden unit twice."""
    config = checkpoint.config
    doubled = {config.dim, config.hidden_dim}
    arrays = {}
    for name, array in checkpoint.arrays.items():
        is_table = array.ndim == 2 and name.startswith("embeddings.")  # its rows are no units
        is_linear = array.ndim == 2 and not is_table
        for axis, size in enumerate(array.shape):
            if size in doubled and not (is_table and axis == 0):
                array = np.repeat(array, 2, axis=axis)  # a unit's twin is beside it: in the same head
        scale = (0.5 if is_linear else 1.0) * (0.5**0.5 if ".q_lin." in name else 1.0)
        arrays[name] = array * np.float32(scale)
    wide = dataclasses.replace(config, dim=2 * config.dim, hidden_dim=2 * config.hidden_dim)
    return Checkpoint(wide, checkpoint.head, arrays)


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
            checkpoint = widened(read_weights(narrow))
            model = model_class(checkpoint.config.model_type, checkpoint.head).from_checkpoint(checkpoint)
            model.save_pretrained(wide, DistilBertTokenizer.from_folder(narrow))
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
