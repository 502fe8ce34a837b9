"""The run itself: each way in its own process, in rounds, so that what disturbs the machine disturbs all alike."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from distilbert.bench.installed import installed_bytes
from distilbert.bench.measured import Found, LeftOut, Measured, Timed
from distilbert.bench.process import WayFailedError, WorkerProcess
from distilbert.errors import EngineError
from distilbert.files.bundle import open_bundle
from distilbert.report.measuring import machine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from distilbert.bench.measured import Task
    from distilbert.bench.ways import Source, Way

PAUSE = 0.2  # seconds after each turn: a library's idle threads may spin for so long
FIRST_TEXT = "A warm and funny film."


@dataclass
class _Running:
    """A way's process, and what was measured of it until now."""

    way: Way
    source: Source
    process: WorkerProcess
    versions: dict[str, str]
    starts: list[float] = field(default_factory=list)
    memory: int = 0
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What is measured: texts, rounds of them, and how many new processes a way's first answer is timed in."""

    tasks: Sequence[Task]
    rounds: int
    starts: int


def steps(ways: Sequence[Way], plan: Plan) -> int:
    """How often `measure` tells that a measurement is done, if all ways run."""
    ready = [way for way in ways if not way.missing()]
    turns = sum(len([task for task in plan.tasks if _takes_part(way, task)]) for way in ready)
    return len(ready) * (1 + plan.starts) + turns * (1 + plan.rounds)


def measure(
    name: str, entries: Sequence[tuple[Way, Source]], plan: Plan, tell: Callable[[], object]
) -> Measured:
    """Run all ways that are installed, each on its own source. `tell` hears of each measurement.

    A peer that fails is left out, with its reason. Raises `EngineError` where none of ours runs.
    """
    left_out: list[LeftOut] = []
    running: list[_Running] = []
    with ExitStack() as stack:
        for way, source in entries:
            if missing := way.missing():
                left_out.append(LeftOut(way.name, f"{' and '.join(missing)} not installed", way.install))
                continue
            if source.fault and not way.ours:
                left_out.append(LeftOut(way.name, source.fault))
                continue
            try:
                with WorkerProcess(way) as process:  # what it makes of the model is made first, and not timed
                    process.load(source)
                tell()
                ready = _ready(way, source, plan, stack, tell)
                _start(ready, plan, tell)
                running.append(ready)
            except WayFailedError as fault:
                left_out.append(LeftOut(way.name, str(fault)))
        _refuse_without_ours(name, running, left_out)
        draw = np.random.default_rng(0)
        for _ in range(plan.rounds):
            for place in draw.permutation(len(running)):
                each = running[place]
                try:
                    _turn(each, plan, tell)
                except WayFailedError as fault:
                    left_out.append(LeftOut(each.way.name, str(fault)))
            running = [each for each in running if each.way.name not in {left.name for left in left_out}]
        _refuse_without_ours(name, running, left_out)
    return Measured(
        model=name,
        machine=machine(["onnxruntime"]),
        threads=entries[0][1].threads,
        rounds=plan.rounds,
        texts={task.name: len(task.texts) for task in plan.tasks},
        gold={task.name: list(task.gold) for task in plan.tasks},
        found=[_found(each) for each in running],
        left_out=left_out,
    )


def _refuse_without_ours(name: str, running: Sequence[_Running], left_out: Sequence[LeftOut]) -> None:
    if not any(each.way.ours for each in running):
        raise EngineError(
            f"{name} could not be run: {left_out[0].reason}.", f"`distilbert verify {name}` may say more."
        )


def _takes_part(way: Way, task: Task) -> bool:
    return task.slow_ways or not way.slow


def _ready(way: Way, source: Source, plan: Plan, stack: ExitStack, tell: Callable[[], object]) -> _Running:
    """Its process, warm: every text answered once, in the setting that is the fastest for these texts."""
    with ExitStack() as own:
        process = own.enter_context(WorkerProcess(way))
        ready = _Running(way, source, process, process.load(source)["versions"])
        for task in plan.tasks:
            timed = _takes_part(way, task)
            if not timed and not way.reference:
                continue
            process.ask("texts", name=task.name, texts=list(task.texts))
            if not timed:
                labels = process.ask("answer", texts=task.name)["labels"]
                ready.tasks[task.name] = {"setting": "", "padding": 0.0, "labels": labels}
                continue
            process.ask("texts", name=f"{task.name}, alone", texts=list(task.texts[: task.alone]))
            chosen = process.ask("choose", texts=task.name)
            labels = process.ask("answer", texts=task.name)["labels"]
            process.ask("alone", texts=f"{task.name}, alone")
            ready.tasks[task.name] = {**chosen, "labels": labels, "seconds": [], "milliseconds": []}
            tell()
        stack.push(own.pop_all())
    return ready


def _start(each: _Running, plan: Plan, tell: Callable[[], object]) -> None:
    """Time its first answer in new processes, and read the peak memory of one of them after a call with many texts.

    They have the setting alone that was the fastest for the first task.
    """
    task = plan.tasks[0]
    setting = each.tasks[task.name]["setting"]
    for number in range(plan.starts):
        begun = time.perf_counter()
        with WorkerProcess(each.way) as process:
            process.load(each.source, setting)
            process.ask("texts", name="first", texts=[FIRST_TEXT])
            process.ask("answer", texts="first")
            each.starts.append(time.perf_counter() - begun)
            if not number:
                process.ask("texts", name="many", texts=list(task.texts))
                process.ask("answer", texts="many")
                each.memory = process.ask("memory")["bytes"]
        tell()


def _turn(each: _Running, plan: Plan, tell: Callable[[], object]) -> None:
    for task in plan.tasks:
        if not _takes_part(each.way, task):
            continue
        timed = each.tasks[task.name]
        timed["seconds"].append(each.process.ask("many", texts=task.name)["seconds"])
        time.sleep(PAUSE)
        if task.alone:
            found = each.process.ask("alone", texts=f"{task.name}, alone")
            timed["milliseconds"].append(found["milliseconds"])
            time.sleep(PAUSE)
        tell()


def _found(each: _Running) -> Found:
    way = each.way
    manifest = open_bundle(each.source.bundle).manifest
    return Found(
        name=way.name,
        precision=manifest.precision if way.ours else way.precision,
        ours=way.ours,
        versions=each.versions,
        installed=installed_bytes(way.runs_on),
        starts=each.starts,
        memory=each.memory,
        gated=not way.ours or manifest.precision == "fp32" or way.engine in manifest.gate,
        tasks={name: Timed(**timed) for name, timed in each.tasks.items()},
    )
