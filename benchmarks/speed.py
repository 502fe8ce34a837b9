"""How fast the embedded model is beside transformers' pipeline on a float32 model of the same shape, same threads.

    python benchmarks/speed.py [ROUNDS]        (needs transformers, torch and ../shared)

Rounds are interleaved (each way once a round), because machines are noisy; medians, and the ratio to the slowest.
A `make bench` with every peer used at its best comes later.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SENTENCES = 200  # transformers needs seconds for them
SHARED = Path(__file__).parent.parent.parent / "shared"
STARTER = SHARED / "weights" / "distilbert-sst2-starter"
OURS = "from distilbert import pipeline; pipeline('sentiment-analysis')('Dull.')"
THEIRS = f"from transformers import pipeline; pipeline('sentiment-analysis', {str(STARTER)!r})('Dull.')"


def main() -> None:
    """Print two tables: sentences of SST-2 dev in one call, and from process start to a first answer."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    os.environ["HF_HUB_OFFLINE"] = "1"
    _table(
        f"the first {SENTENCES} sentences of SST-2 dev, from text to label",
        _interleaved(_sentence_ways(), rounds),
    )
    _table("process start to first answer", _interleaved(_cold_ways(), rounds))


def _sentence_ways() -> dict[str, Callable[[], object]]:
    import torch
    import transformers

    import distilbert
    from distilbert.engines.threads import choose_threads
    from distilbert.files.tables import read_column

    torch.set_num_threads(choose_threads())
    texts = list(islice(read_column(SHARED / "data" / "sst2" / "dev.tsv", "sentence"), SENTENCES))
    # Stored in float16, which a processor computes many times as slowly: float32 is how to use it well.
    theirs = transformers.pipeline("sentiment-analysis", str(STARTER), dtype=torch.float32)
    float32 = distilbert.pipeline("sentiment-analysis", STARTER)
    int8 = distilbert.pipeline("sentiment-analysis")
    return {
        "transformers, batch_size=1": lambda: theirs(texts, batch_size=1),
        "transformers, batch_size=32": lambda: theirs(texts, batch_size=32),
        "distilbert, float32": lambda: float32(texts),
        "distilbert, int8": lambda: int8(texts),
    }


def _cold_ways() -> dict[str, Callable[[], object]]:
    def start(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)

    return {"transformers": start(THEIRS), "distilbert, int8": start(OURS)}


def _interleaved(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(rounds + 1):  # the first warms up
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if round_number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def _table(title: str, seconds: dict[str, list[float]]) -> None:
    medians = {name: median(values) for name, values in seconds.items()}
    slowest = max(medians.values())
    print(f"\n| {title} | median s | min to max | times as fast |\n| --- | --- | --- | --- |")
    for name, value in medians.items():
        spread = f"{min(seconds[name]):.2f} to {max(seconds[name]):.2f}"
        print(f"| {name} | {value:.2f} | {spread} | {slowest / value:.1f} |")


if __name__ == "__main__":
    main()
