"""`make bench`: ours beside every peer that is used well, on real texts, and the project's bars held against it.

    python benchmarks/bench.py [--quick]        (needs the extra bench and ../shared)

The model has DistilBERT's own shape, 6 × 768, two threads; every way answers from text to label, in a process of its
own, in rounds of which each has every way once. Peers are used as their own documentation recommends, which the table
in `src/distilbert/bench/ways.py` cites: texts sorted by length, tokenised by the `tokenizers` library itself, in the
fastest of several batch sizes and modes, tried for each set of texts. Whatever is compiled or quantised is made once,
into `runs/out/bench`.

It writes `benchmarks/results/MACHINE-DATE.json` with every timing and label, the same as tables in `.md`, and
`speed.svg`, again after each part, so that a part that fails costs its own figures alone. It fails where a bar is
missed or could not be shown. `--quick` has fewer texts and rounds and judges no ratio. Use an idle machine.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import re
import subprocess
import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import start
from bars import (
    REVIEWS,
    SENTENCES,
    TEACHER_1,
    TEACHER_32,
    WEIGHTS,
    Agreement,
    Figures,
    Starts,
    all_met,
    bars,
    verdict,
)
from models import FRESH, REPO, SHARED, Shape, shapes, student, teacher, wide
from picture import draw

from distilbert.bench.advice import HEADS, rows
from distilbert.bench.measured import Task, write_measured
from distilbert.bench.process import WayFailedError, WorkerProcess
from distilbert.bench.running import Plan, measure, steps
from distilbert.bench.ways import OURS, PEERS, WAYS, Source
from distilbert.cli.terminal import counted_texts
from distilbert.files.tables import read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from distilbert.bench.measured import Measured
    from distilbert.bench.ways import Way

OUT = REPO / "runs" / "out" / "bench"
RESULTS = REPO / "benchmarks" / "results"
THREADS = 2


@dataclasses.dataclass(frozen=True)
class Size:
    """How much is measured."""

    sentences: int | None
    reviews: int
    alone: int
    rounds: int
    starts: int
    agreement: int


FULL = Size(sentences=None, reviews=200, alone=200, rounds=5, starts=5, agreement=10_000)
QUICK = Size(sentences=200, reviews=20, alone=50, rounds=2, starts=2, agreement=500)


def main() -> None:
    """Measure, write, judge."""
    if not SHARED.is_dir():
        sys.exit(f"{SHARED} is not there: these figures need the real data and weights.")
    os.environ |= {"HF_HUB_OFFLINE": "1", "DISTILBERT_CACHE": str(OUT / "cache")}
    size = QUICK if "--quick" in sys.argv else FULL
    OUT.mkdir(parents=True, exist_ok=True)
    source = wide(OUT, THREADS, say)
    say(f"every way on {student().name}, widened to 6 × 768")
    entries = [(way, source) for way in WAYS]
    figures = Figures(_measure(source.bundle.name, entries, Plan(_tasks(size), size.rounds, starts=1)))
    parts: dict[str, Callable[[], Any]] = {
        "shapes": lambda: _shapes(size),
        "starts": lambda: _starts(size.starts),
        "agreement": lambda: _agreement(source, size.agreement),
    }
    path = _place(figures.wide, quick=size is QUICK)
    for name, part in parts.items():
        _write(path, figures)
        try:
            figures = dataclasses.replace(figures, **{name: part()})
        except Exception as error:  # a library's, a disk's: what was measured before stands
            say(f"{name} could not be measured: {error}")
    _write(path, figures)
    print(path.with_suffix(".md").read_text(encoding="utf-8"))
    say(f"written: {path}, the same as .md, and {path.with_name('speed.svg')}")
    sys.exit(0 if all_met(bars(figures)) else 1)


def say(line: str) -> None:
    """Progress is told on standard error, so that the tables can be kept."""
    print(line, file=sys.stderr, flush=True)


def _tasks(size: Size) -> list[Task]:
    dev, reviews = (SHARED / "data" / name for name in ("sst2/dev.tsv", "imdb/train.jsonl.gz"))
    return [
        _task(SENTENCES, dev, "sentence", size.sentences, alone=size.alone),
        _task(REVIEWS, reviews, "text", size.reviews, slow_ways=False),
    ]


def _task(name: str, path: Path, column: str, most: int | None, **more: Any) -> Task:
    names = {"0": "NEGATIVE", "1": "POSITIVE"}
    read = list(islice(read_rows(path), most))
    gold = [str(row.value("label")) for row in read]
    return Task(
        name, [row.text(column) for row in read], gold=[names.get(each, each) for each in gold], **more
    )


def _measure(name: str, entries: Sequence[tuple[Way, Source]], plan: Plan) -> Measured:
    with counted_texts("measurements", total=steps([way for way, _ in entries], plan)) as tell:
        return measure(name, entries, plan, lambda: tell(1))


def _shapes(size: Size) -> Measured:
    """The shipped shapes on our engines, and transformers' pipeline on the teacher of twelve layers."""
    found = shapes(OUT, THREADS, say)
    checkpoint, trained = teacher(OUT)
    say("the shipped shapes beside the teacher in transformers")
    entries = [
        (dataclasses.replace(way, name=f"{each.name} {_marked(each)}{way.name}"), each.source)
        for each in found
        for way in OURS
    ]
    beside = dataclasses.replace(found[0].source, checkpoint=checkpoint)
    entries += [
        (dataclasses.replace(way, name=name), beside)
        for way, name in zip(PEERS, (TEACHER_1, TEACHER_32), strict=False)
    ]
    task = dataclasses.replace(_tasks(size)[0], alone=0)
    measured = _measure("shipped shapes", entries, Plan([task], size.rounds, starts=1))
    fresh = {} if trained else dict.fromkeys((TEACHER_1, TEACHER_32), "sst2-teacher")
    fresh |= {way.name: way.name.split()[0] for way, _ in entries if FRESH in way.name}
    return dataclasses.replace(
        measured,
        found=[
            dataclasses.replace(each, versions={**each.versions, WEIGHTS: fresh[each.name]})
            if each.name in fresh
            else each
            for each in measured.found
        ],
    )


def _marked(shape: Shape) -> str:
    return f"({shape.instead}) " if shape.instead else ""


def _starts(rounds: int) -> Starts:
    say("cold starts")
    ours, theirs = start.starts(rounds).values()
    seconds = [[second for second, _ in each] for each in (ours, theirs)]
    return Starts(*seconds, megabytes=max(megabytes for _, megabytes in ours))


def _agreement(source: Source, count: int) -> Agreement:
    """The same texts alone and in one call, on each of our engines."""
    say(f"{count:,} sentences on each engine, alone and together")
    texts = [row.text("sentence") for row in read_rows(SHARED / "data" / "sst2" / "train.tsv")]
    drawn = np.random.default_rng(0).choice(len(texts), count, replace=False)
    together, same_alone, differences = {}, {}, {}
    for way in OURS:
        if way.missing():
            continue
        try:
            with WorkerProcess(way) as process:
                process.load(source)
                process.ask("texts", name="all", texts=[texts[place] for place in drawn])
                batch, alone = (process.ask("answer", texts="all", alone=each) for each in (False, True))
        except WayFailedError as fault:
            say(f"{way.name}: {fault}")
            continue
        together[way.name] = batch["labels"]
        same_alone[way.name] = _same(batch["labels"], alone["labels"])
        differences[way.name] = float(np.abs(np.subtract(_positive(batch), _positive(alone))).max())
    between = _same(*together.values()) if len(together) == len(OURS) else None
    return Agreement(count, between, same_alone, differences)


def _positive(answers: dict[str, Any]) -> list[float]:
    """Each text's score of POSITIVE: scores of other labels are not to be compared."""
    pairs = zip(answers["labels"], answers["scores"], strict=True)
    return [score if label == "POSITIVE" else 1 - score for label, score in pairs]


def _same(first: Sequence[str], second: Sequence[str]) -> float:
    return sum(one == other for one, other in zip(first, second, strict=True)) / len(first)


def _place(wide: Measured, *, quick: bool) -> Path:
    machine = re.sub(r"[^A-Za-z0-9]+", "-", wide.machine["processor"]).strip("-")
    folder = OUT if quick else RESULTS
    folder.mkdir(exist_ok=True)
    return folder / f"{machine}-{datetime.datetime.now(datetime.UTC):%Y-%m-%d}.json"


def _write(path: Path, figures: Figures) -> None:
    """The run, as far as it has come, as JSON and as tables, and the picture."""
    commit = _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain") else "")
    more = dataclasses.asdict(figures)
    del more["wide"]
    told = [dataclasses.asdict(bar) for bar in bars(figures)]
    write_measured(path, figures.wide, **more, bars=told, commit=commit)
    page = "\n".join(_page(figures, commit))
    path.with_suffix(".md").write_text(page + "\n", encoding="utf-8")
    path.with_name("speed.svg").write_text(draw(figures.wide, SENTENCES), encoding="utf-8")


def _page(figures: Figures, commit: str) -> list[str]:
    wide = figures.wide
    versions = {name: version for each in wide.found for name, version in each.versions.items()}
    lines = [
        f"# {wide.machine['processor']}, {wide.threads} threads",
        "",
        f"Commit {commit}; {wide.model}; medians of {wide.rounds} interleaved rounds, ratios with the least and "
        "greatest of a round. "
        + ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
        + ".",
    ]
    for measured, tasks in ((wide, (SENTENCES, REVIEWS)), (figures.shapes, (SENTENCES,))):
        if measured is None:
            continue
        for task in tasks:
            lines += ["", f"## {measured.texts[task]} {task}, {measured.model}", ""]
            told = [HEADS, *rows(measured, task)]
            lines += _table(told if measured is wide else _beside_teacher(told, measured))
        lines += ["", *(f"Not run: {left.name}: {left.reason}." for left in measured.left_out)]
    lines += ["", "Settings that were the fastest:", ""]
    lines += [f"- {each.name}: {each.tasks[SENTENCES].setting}" for each in wide.on(SENTENCES)]
    told = [(bar.number, bar.asks, bar.found, verdict(bar)) for bar in bars(figures)]
    return [*lines, "", "## Bars", "", *_table([("", "asks", "found", ""), *told])]


def _beside_teacher(table: Sequence[tuple[str, ...]], measured: Measured) -> list[tuple[str, ...]]:
    """The table of shapes: no variants of one model, so no flips, but each one's share of the teacher's accuracy."""
    timed = measured.on(SENTENCES)
    trained = {
        each.name: measured.accuracy(SENTENCES, each) for each in timed if WEIGHTS not in each.versions
    }
    whole = trained.get(TEACHER_1)
    shares = [
        f"{100 * own / whole:.1f} %" if whole and (own := trained.get(each.name)) else "–" for each in timed
    ]
    column = ["of the teacher's accuracy", *shares]
    return [(*row[:-1], share) for row, share in zip(table, column, strict=True)]


def _table(table: Sequence[tuple[str, ...]]) -> list[str]:
    head, *body = (f"| {' | '.join(row)} |" for row in table)
    return [head, f"| {' | '.join('---' for _ in table[0])} |", *body]


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=REPO, capture_output=True, text=True, check=False
    ).stdout.strip()


if __name__ == "__main__":
    main()
