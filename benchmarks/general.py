"""What the paper's distillation would cost: tokens a second of `distilbert distil --task fill-mask`, at two shapes.

    python benchmarks/general.py OUT        (needs the extra train and transformers, ../shared, and an idle machine)

The small shape is that of the project's own run (12 layers of 384 teach 6), the paper's is BERT-base's (12 of 768 teach
6). Weights are random: a step costs the same whatever they are. Each shape takes a few steps on rows of 128 tokens, of
Wikipedia; the figure is the median of the steps after the first two. English Wikipedia and BookCorpus, the paper's
texts, are some 3.3 billion words (Devlin et al., 2019), 4.4 billion tokens, seen three times.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

SHARED = Path(__file__).parent.parent.parent / "shared"
VOCABULARY = SHARED / "weights" / "e5-small"
CORPUS = SHARED / "data" / "corpus" / "wikipedia_en.txt.gz"
SHAPES = {"12 × 384 teaches 6 × 384": 384, "12 × 768 teaches 6 × 768, as in the paper": 768}
TEXTS = 800  # some 18 steps
PAPER = 3 * 4.4e9  # tokens


def random_teacher(dim: int, folder: Path) -> None:
    """Save a BERT of 12 layers and heads, which are its defaults, with a head that guesses words."""
    from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

    config = BertConfig(hidden_size=dim, intermediate_size=4 * dim)
    BertForMaskedLM(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(VOCABULARY).save_pretrained(folder)


def distilbert(*words: object) -> None:
    """Run a command, or stop."""
    if code := subprocess.call([sys.executable, "-m", "distilbert", *map(str, words)]):
        sys.exit(code)


def tokens_a_second(dim: int, data: Path, out: Path) -> float:
    """Distil for some steps."""
    teacher, student = out / f"teacher-{dim}", out / f"student-{dim}"
    random_teacher(dim, teacher)
    distilbert(
        "distil", "--task", "fill-mask", "--teacher", teacher, "--data", data, "--max-texts", TEXTS,
        "--epochs", 1, "--out", student,
    )  # fmt: skip
    lines = [json.loads(line) for line in (student / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return median([line["tokens_a_second"] for line in lines if "loss" in line][2:])


def main() -> None:
    """Print the table."""
    if len(sys.argv) != 2 or not CORPUS.is_file():
        sys.exit(f"Name the folder to write: benchmarks/general.py OUT; {CORPUS} must be there.")
    out = Path(sys.argv[1])
    out.mkdir(parents=True)
    distilbert("prepare", CORPUS, "--tokenizer", VOCABULARY, "--out", out / "data")
    print("| shape | tokens a second | the paper's tokens would take |", flush=True)
    print("| --- | --- | --- |", flush=True)
    for shape, dim in SHAPES.items():
        speed = tokens_a_second(dim, out / "data", out)
        print(f"| {shape} | {speed:,.0f} | {PAPER / speed / 86400:,.0f} days |", flush=True)


if __name__ == "__main__":
    main()
