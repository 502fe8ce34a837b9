"""From a command typed to its answer, beside a transformers pipeline in a process of its own: time and memory.

    python benchmarks/start.py [ROUNDS]        (needs transformers, torch and ../shared)

Both run a model of the same shape; transformers in float32, for on a processor float16 is slower. Rounds are
interleaved (each once a round), because machines are noisy; medians. Memory is VmHWM, which a process reads of itself
at its end: what wait4 tells of a child can be its parent's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

SHARED = Path(__file__).parent.parent.parent / "shared"
STARTER = SHARED / "weights" / "distilbert-sst2-starter"
TEXT = "A warm and funny film."
ROUNDS = 9
MAX_SHARE, MAX_MEGABYTES = 1 / 8, 150

PEAK = """
import atexit
def peak():
    status = open("/proc/self/status").read()
    print("kB", status.split("VmHWM:")[1].split()[0])
atexit.register(peak)
"""
# What the installed script `distilbert` does.
OURS = f"import sys; sys.argv = ['distilbert', 'classify', {TEXT!r}]; from distilbert.cli import main; main()"
THEIRS = f"""
import torch
from transformers import pipeline
print(pipeline("text-classification", {str(STARTER)!r}, dtype=torch.float32)({TEXT!r}))
"""
WAYS = {"distilbert classify, int8": OURS, "transformers pipeline, float32": THEIRS}


def main() -> None:
    """Print a table, and fail where ours needs more than an eighth of their time or than 150 MB."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    if not SHARED.is_dir():
        sys.exit(f"{SHARED} is not there: these figures need the real weights.")
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for number in range(rounds + 1):  # the first warms up
        for name, program in WAYS.items():
            figure = start(program)
            if number:
                figures[name].append(figure)
    print("| from start to answer | median s | min to max | VmHWM MB |\n| --- | --- | --- | --- |")
    for name, rows in figures.items():
        seconds, megabytes = zip(*rows, strict=True)
        spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
        print(f"| {name} | {median(seconds):.2f} | {spread} | {median(megabytes):.0f} |")
    ours, theirs = (median(seconds for seconds, _ in rows) for rows in figures.values())
    peak = max(megabytes for _, megabytes in figures["distilbert classify, int8"])
    print(
        f"\nours is 1/{theirs / ours:.1f} of theirs (at most 1/8), at most {peak:.0f} MB (under {MAX_MEGABYTES})"
    )
    sys.exit(not (ours <= theirs * MAX_SHARE and peak < MAX_MEGABYTES))


def start(program: str) -> tuple[float, float]:
    """Seconds of a process that runs the program, and its own peak of resident memory in MB."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", PEAK + program], check=True, capture_output=True, text=True, env=environment
    )
    seconds = time.perf_counter() - begun
    return seconds, int(done.stdout.split()[-1]) * 1024 / 1e6


if __name__ == "__main__":
    main()
