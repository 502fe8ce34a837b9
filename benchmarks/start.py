"""From a command typed to its answer, beside a transformers pipeline in a process of its own: time and memory.

    python benchmarks/start.py [ROUNDS]                (needs transformers, torch and ../shared)
    python benchmarks/start.py --steps [ROUNDS]        (ours alone, step by step: needs neither)

Both run a model of the same shape; transformers in float32, for on a processor float16 is slower. Rounds are
interleaved (each once a round), because machines are noisy; medians. Memory is VmHWM, which a process reads of itself
at its end: what wait4 tells of a child can be its parent's.
"""

from __future__ import annotations

import json
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
# What `distilbert classify` does until its first answer, and what it does once a machine: each step's name
# -> the program. The clock is the system's, which the parent reads too.
STEPS = {
    "import click": "import click",
    "import numpy": "import numpy",
    "import tokenizers": "import tokenizers",
    "import onnxruntime": "import os; os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1'); import onnxruntime",
    "import distilbert": (
        "import distilbert.cli.classify, distilbert.files.table_writer, distilbert.files.tables, distilbert.pipelines"
    ),
    "find the bundle, whose files are known": (
        "bundle = distilbert.pipelines.find_bundle('distilbert-sst2');"
        "config = distilbert.pipelines.DistilBertConfig.from_folder(bundle.folder)"
    ),
    "start the session": "engine = distilbert.pipelines.load_engine(bundle, config)",
    "load the tokenizer": "tokenizer = distilbert.pipelines.DistilBertTokenizer.from_pretrained(bundle.folder)",
    "first answer": (
        "classify = distilbert.pipelines.TextClassificationPipeline(tokenizer, engine, config);"
        f"classify({TEXT!r})"
    ),
    "second answer": f"classify({TEXT!r})",
    "hash all files (once a machine)": (
        "import distilbert.files.bundle; distilbert.files.bundle.verify_files(bundle.folder)"
    ),
}
STEPPED = """
import json, sys, time
marks, names = [(time.perf_counter(), 0)], {}
for step in json.loads(sys.argv[1]):
    exec(step, names)
    marks.append((time.perf_counter(), int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])))
print(json.dumps(marks))
"""
WAYS = {"distilbert classify, int8": OURS, "transformers pipeline, float32": THEIRS}


def main() -> None:
    """Print a table; the bars that it is about are those of `make bench`."""
    numbers = [word for word in sys.argv[1:] if word != "--steps"]
    rounds = int(numbers[0]) if numbers else ROUNDS
    if "--steps" in sys.argv:
        print(steps_table([steps() for _ in range(rounds + 1)][1:]))  # the first warms up
        return
    if not SHARED.is_dir():
        sys.exit(f"{SHARED} is not there: these figures need the real weights.")
    figures = starts(rounds)
    print("| from start to answer | median s | min to max | VmHWM MB |\n| --- | --- | --- | --- |")
    for name, rows in figures.items():
        seconds, megabytes = zip(*rows, strict=True)
        spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
        print(f"| {name} | {median(seconds):.2f} | {spread} | {median(megabytes):.0f} |")


def starts(rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Each way's seconds and MB, in interleaved rounds of which the first, which warms up, is left out."""
    found = [{name: start(program) for name, program in WAYS.items()} for _ in range(rounds + 1)]
    return {name: [each[name] for each in found[1:]] for name in WAYS}


def environment() -> dict[str, str]:
    """No network, and modules compiled once, as an installation has them, whatever the caller has set."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"HF_HUB_OFFLINE": "1"}


def start(program: str) -> tuple[float, float]:
    """Seconds of a process that runs the program, and its own peak of resident memory in MB."""
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", PEAK + program], check=True, capture_output=True, text=True, env=environment()
    )
    seconds = time.perf_counter() - begun
    return seconds, int(done.stdout.split()[-1]) * 1024 / 1e6


def steps() -> dict[str, tuple[float, float]]:
    """A process that takes one step after the other: seconds of each, and VmHWM after it in MB."""
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", STEPPED, json.dumps(list(STEPS.values()))],
        check=True,
        capture_output=True,
        text=True,
        env=environment(),
    )
    marks = [(begun, 0), *json.loads(done.stdout)]
    return {
        name: (later - earlier, kilobytes * 1024 / 1e6)
        for name, (earlier, _), (later, kilobytes) in zip(
            ["start Python", *STEPS], marks, marks[1:], strict=False
        )
    }


def steps_table(rounds: list[dict[str, tuple[float, float]]]) -> str:
    """Medians of the rounds, in Markdown."""
    lines = ["| step | median ms | min to max | VmHWM MB after it |", "| --- | --- | --- | --- |"]
    for name in rounds[0]:
        seconds, megabytes = zip(*(found[name] for found in rounds), strict=True)
        spread = f"{1e3 * min(seconds):.1f} to {1e3 * max(seconds):.1f}"
        peak = f"{median(megabytes):.0f}" if any(megabytes) else ""
        lines.append(f"| {name} | {1e3 * median(seconds):.1f} | {spread} | {peak} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
