"""The ledger of the project's own runs: does what is missing of runs.toml, in order, and writes it down.

    python runs/ledger.py            all that is missing
    python runs/ledger.py rte stsb   only these
    python runs/ledger.py --table    only the table of its page
    python runs/ledger.py --ledger runs-ablation.toml

What a run makes lies in runs/out/, outside git. What it found is committed: in docs/runs/NAME.json the score, the
curve in 100 points, memory in 20, minutes, machine, versions; in NAME.predictions.tsv.gz (.jsonl.gz of answers) what it
said of each row that it was scored on; of a teacher in NAME.soft-labels.tsv.gz what it says of its training rows. The
ledger's page has a table of them between two comments. A run that is done is not done again, unless its result is
removed; one that was interrupted is gone on with.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "runs"
POINTS = 100  # of a curve


@dataclass(frozen=True)
class Run:
    """An entry of runs.toml, which explains the fields."""

    name: str
    about: str
    make: str
    output: str
    minutes: dict[str, Any]
    score: str = ""
    soft_labels: str = ""
    expect: dict[str, float] = field(default_factory=dict)

    @property
    def trains(self) -> bool:
        """Whether it makes a model, of which there is something to say."""
        return shlex.split(self.make)[1] in ("finetune", "distil")

    @property
    def result(self) -> Path:
        """Where its result is committed."""
        return RESULTS / f"{self.name}.json"

    @property
    def measure(self) -> str:
        """The figure that counts."""
        return next(name for name in self.expect if name != "at_least")

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do: of a model its result is there, of other things they themselves."""
        return self.result.exists() if self.trains else (ROOT / self.output).exists()


def read(path: Path) -> tuple[Path, list[Run]]:
    """A ledger's page and its runs: of an entry with trials or seeds NAME-trial-NUMBER or NAME-SEED for each."""
    ledger, runs = tomllib.loads(path.read_text(encoding="utf-8")), []
    for entry in ledger["run"]:
        trials, seeds = entry.pop("trials", []), entry.pop("seeds", None)
        for number, flags in enumerate(trials):
            about = f"trial for {entry['name']}: `{flags}`"
            unscored = {key: value for key, value in entry.items() if key not in ("score", "expect")}
            runs.append(_variant({**unscored, "about": about}, f"trial-{number}", flags))
        runs += (
            [Run(**entry)]
            if seeds is None
            else [_variant(entry, f"{seed}", f"--seed {seed}") for seed in seeds]
        )
    return ROOT / ledger["page"], runs


def _variant(entry: dict[str, Any], suffix: str, flags: str) -> Run:
    """An entry's run with other flags, under a name and in an output of its own."""
    name, output = f"{entry['name']}-{suffix}", f"{entry['output']}-{suffix}"
    make = f"{entry['make'].replace(entry['output'], output)} {flags}"
    return Run(**{**entry, "name": name, "output": output, "make": make})


def do(run: Run) -> None:
    """Make what a run makes, score it once, and write its result down."""
    if not (ROOT / run.output).exists():
        resume = " --resume" if (ROOT / f"{run.output}.partial" / "state.pt").exists() else ""
        print(f"{run.name}: {run.make}{resume}", flush=True)
        _call(shlex.split(run.make + resume))
    if not run.trains:
        return
    RESULTS.mkdir(exist_ok=True)
    result = {"command": run.make, **_training(ROOT / run.output)}
    if run.score:
        result["score"] = _score(run, run.score, "predictions")
    if run.soft_labels:
        _score(run, run.soft_labels, "soft-labels")
    run.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if run.score and (faults := misses(run, result["score"])):
        sys.exit(f"{run.name}: {faults}")


def _score(run: Run, rows: str, name: str) -> dict[str, Any]:
    """Score a run's model on rows, and keep what it said of each."""
    """Score a run's model on rows, and keep what it said of each."""
    ending = "jsonl" if rows.endswith(".json.gz") else "tsv"  # answers may have line breaks
    kept = RESULTS / f"{run.name}.{name}.{ending}.gz"
    line = f"distilbert score {rows} --model {run.output} --predictions {kept} --json"
    score: dict[str, Any] = json.loads(_call(shlex.split(line), capture=True))
    return score


def misses(run: Run, score: dict[str, Any]) -> str:
    """What a score lacks of the least that counts as done, "" if nothing.

    Its interval must lie above what the best constant answer gets (a correlation's above 0); `at_least` asks for more.
    """
    name = run.measure
    low, constant = score[f"{name}_interval"][0], score.get("constant", {}).get(name, 0.0)
    if not low > constant:
        return f"{name}'s interval begins at {low:.4f}: not above a constant answer's {constant:.4f}"
    if score[name] < run.expect.get("at_least", -1):
        return f"{name} is {score[name]:.4f}, and at least {run.expect['at_least']} was expected"
    return ""


def _call(line: list[str], *, capture: bool = False) -> str:
    """Run a command of runs.toml with this Python and these sources."""
    program = [sys.executable, "-m", "distilbert"] if line[0] == "distilbert" else [sys.executable]
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    began = time.monotonic()
    ended = subprocess.run(
        [*program, *line[1:]],
        cwd=ROOT,
        env=surroundings,
        text=True,
        stdout=subprocess.PIPE if capture else None,
    )
    if ended.returncode:
        sys.exit(
            f"{shlex.join(line)} ended with {ended.returncode} after {(time.monotonic() - began) / 60:.1f} minutes"
        )
    return ended.stdout or ""


def _training(folder: Path) -> dict[str, Any]:
    """What a training run left in its folder: its result and its curve."""
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [line for line in log if "loss" in line and "step" in line]
    noted = [
        (line["epoch"], line["memory_mb"]) for line in steps if "memory_mb" in line
    ]  # not by older sources
    return {
        "training": json.loads((folder / "training.json").read_text(encoding="utf-8")),
        "curve": thinned([(line["epoch"], line["loss"]) for line in steps]),
        "memory_mb": thinned(noted, points=20),
        "evaluations": [line for line in log if "evaluation" in line],
    }


def thinned(curve: list[tuple[float, float]], points: int = POINTS) -> list[tuple[float, float]]:
    """A curve in at most so many points: means of neighbours.

    >>> thinned([(1, 4.0), (2, 2.0), (3, 1.0), (4, 1.0)], points=2)
    [(2, 3.0), (4, 1.0)]
    """
    points = min(points, len(curve))
    cuts = [round(place * len(curve) / max(1, points)) for place in range(points + 1)]
    pieces = [curve[start:end] for start, end in pairwise(cuts)]
    return [(piece[-1][0], round(sum(loss for _, loss in piece) / len(piece), 4)) for piece in pieces]


def table(runs: list[Run]) -> str:
    """The Markdown table of all models: what was found, or that it was not run; of trials there is no score."""
    lines = [
        "| run | what | score [95 %] | best constant answer | held-back rows | expected | minutes |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for run in runs:
        if not run.trains:
            continue
        goal = f"{run.measure} {run.expect[run.measure]}" if run.expect else ""
        if not run.result.exists():
            about = f"about {run.minutes['cpu']} (CPU), {run.minutes['gpu']} (GPU)"
            lines.append(f"| {run.name} | {run.about} | not run | | | {goal} | {about} |")
            continue
        result = json.loads(run.result.read_text(encoding="utf-8"))
        training = result["training"]
        held = ", ".join(f"{key} {value:.4f}" for key, value in training["held_back"].items())
        minutes = f"{training['minutes']} ({training['device']}, {training['precision']})"
        scores = _scores(run.measure, result["score"]) if run.score else "held-back rows only |"
        lines.append(f"| {run.name} | {run.about} | {scores} | {held} | {goal} | {minutes} |")
    return "\n".join(lines)


def _scores(name: str, score: dict[str, Any]) -> str:
    """The cells of a figure and of what a constant answer gets."""
    low, high = score[f"{name}_interval"]
    constant = f"{score['constant'][name]:.4f}" if "constant" in score else "0"
    return f"{name} {score[name]:.4f} [{low:.4f}, {high:.4f}] | {constant}"


def write_between(name: str, text: str, page: Path) -> None:
    """Put text between two comments of a page."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = page.read_text(encoding="utf-8").split(begin)
    after = rest.split(end)[1]
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def main() -> None:
    """Do the runs that the command line names, or all, and write the table."""
    parser = argparse.ArgumentParser(description="Do what is missing of a ledger, and write its table.")
    parser.add_argument("names", nargs="*", help="only these runs")
    parser.add_argument("--ledger", type=Path, default=ROOT / "runs.toml")
    parser.add_argument("--table", action="store_true", help="only the table")
    asked = parser.parse_args()
    page, runs = read(asked.ledger)
    if unknown := set(asked.names) - {run.name for run in runs}:
        sys.exit(f"{asked.ledger} has no {', '.join(unknown)}; it has {', '.join(run.name for run in runs)}")
    for run in runs:
        if not asked.table and (not asked.names or run.name in asked.names) and not run.is_done:
            do(run)
            write_between("runs", table(runs), page)
    write_between("runs", table(runs), page)


if __name__ == "__main__":
    main()
