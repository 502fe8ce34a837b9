"""The README's figures about the embedded model: what it keeps of its float32 weights, on data beside the checkout.

    make figures            (or: python benchmarks/embedded.py [STUDENT] [--json])

STUDENT is the checkpoint that the embedded model was compiled from; `make runs` makes it. Where it is not there, what
is compared with it is left out. The starter is the model that the package came with before: the weights in ../shared.

SST-2 dev is scored once with each model. int8 was calibrated on 512 of SST-2's whole training sentences, drawn as
`distilbert compile` draws them with its default seed, and gated on 5,000 others. "Whole sentences" are all but those
512; "phrases" are 10,000 of GLUE's training rows that are in neither. The contrast set is our own. The IMDb reviews are
the first 500 of the labelled ones, cut at 512 tokens and read whole in windows.
"""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from distilbert import pipeline
from distilbert.compile.split import MAX_GATE_TEXTS, split_texts
from distilbert.files.tables import read_rows
from distilbert.metrics.agreement import flips, paired_flips
from distilbert.metrics.classification import accuracy
from distilbert.metrics.intervals import bootstrap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from distilbert.tasks.classification import TextClassificationPipeline

REPO = Path(__file__).parent.parent
SHARED = REPO.parent / "shared"
STARTER = SHARED / "weights" / "distilbert-sst2-starter"
EMBEDDED = "distilbert-sst2"
PHRASES = 10_000
REVIEWS = 500


def main() -> None:
    """Print the figures as JSON, or as the Markdown rows that stand in the README."""
    if not SHARED.is_dir():
        sys.exit(f"{SHARED} is not there: these figures need the real data and weights.")
    paths = [Path(word) for word in sys.argv[1:] if word != "--json"]
    figures = measure(paths[0] if paths and paths[0].is_dir() else None)
    if "--json" in sys.argv:
        print(json.dumps(figures, indent=1))
        return
    print("| on | rows | starter | float32 | int8 | labels changed | right to wrong | wrong to right |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, row in figures.items():
        print(f"| {' | '.join([name, *_cells(row)])} |")


def _cells(row: dict[str, Any]) -> list[str]:
    low, high = row["int8_interval"]
    int8 = f"{_percent(row['int8'])} [{100 * low:.2f}, {100 * high:.2f}]"
    cells = [f"{row['rows']:,}", _percent(row["starter"]), "", int8, "", "", ""]
    if "float32" in row:
        cells[2] = _percent(row["float32"])
        cells[4:] = [
            f"{row['flips']} ({_percent(row['flip_share'])})",
            str(row["right_to_wrong"]),
            str(row["wrong_to_right"]),
        ]
    return cells


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _labels(model: TextClassificationPipeline, texts: list[str], long: str) -> NDArray[np.int64]:
    return np.array([logits.argmax() for logits in model.logits(texts, long=long)])


def measure(student: Path | None) -> dict[str, dict[str, Any]]:
    """Each data set's name -> the figures of one row; what is said of float32 only where the student is there."""
    starter, int8 = pipeline(model=STARTER), pipeline(model=EMBEDDED)
    float32 = pipeline(model=student) if student else None
    figures = {}
    for name, (texts, gold) in data_sets().items():
        long = "window" if name.endswith("in windows") else "truncate"
        after = _labels(int8, texts, long)
        interval = bootstrap(accuracy, after, gold)
        figures[name] = {
            "rows": len(texts),
            "starter": accuracy(_labels(starter, texts, long), gold),
            "int8": accuracy(after, gold),
            "int8_interval": [interval.low, interval.high],
        }
        if float32:
            before = _labels(float32, texts, long)
            changed, paired = flips(before, after), paired_flips(before, after, gold)
            figures[name] |= {
                "float32": accuracy(before, gold),
                "flips": changed.count,
                "flip_share": changed.share,
                "right_to_wrong": paired.right_to_wrong,
                "wrong_to_right": paired.wrong_to_right,
            }
    return figures


def data_sets() -> dict[str, tuple[list[str], NDArray[np.int64]]]:
    """Texts and gold labels (0: NEGATIVE, 1: POSITIVE) by the name that the README uses."""
    sentences, sentence_gold = _read(SHARED / "data" / "sst2" / "train_sentences.tsv", "sentence")
    phrases, phrase_gold = _read(SHARED / "data" / "sst2" / "train.tsv", "sentence")
    calibration, others = split_texts(sentences, seed=0)
    seen = {sentences[place] for place in calibration + others[:MAX_GATE_TEXTS]}
    fresh = [place for place, phrase in enumerate(phrases) if phrase not in seen]
    drawn = np.random.default_rng(0).choice(fresh, PHRASES, replace=False)
    reviews = _read(SHARED / "data" / "imdb" / "train.jsonl.gz", "text", REVIEWS)
    return {
        "SST-2 dev": _read(SHARED / "data" / "sst2" / "dev.tsv", "sentence"),
        "SST-2 train, whole sentences": ([sentences[place] for place in others], sentence_gold[others]),
        "SST-2 train, phrases": ([phrases[place] for place in drawn], phrase_gold[drawn]),
        "contrast set (our own)": _read(REPO / "tests" / "data" / "contrast.tsv", "text"),
        "IMDb reviews, cut": reviews,
        "IMDb reviews, in windows": reviews,
    }


def _read(path: Path, column: str, most: int | None = None) -> tuple[list[str], NDArray[np.int64]]:
    rows = list(islice(read_rows(path), most))
    names = {"NEGATIVE": 0, "POSITIVE": 1, "0": 0, "1": 1}
    return [row.text(column) for row in rows], np.array([names[str(row.value("label"))] for row in rows])


if __name__ == "__main__":
    main()
