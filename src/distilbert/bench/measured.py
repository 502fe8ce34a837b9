"""What was measured, as the result's file keeps it: every timing and every label, so that figures can be made again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from distilbert.bench.statistics import Spread, percentile, times_as_fast
from distilbert.files.atomic import atomic_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Task:
    """Texts to answer in one call, and the first `alone` of them one a call. `gold`: right labels, where known."""

    name: str
    texts: Sequence[str]
    alone: int = 0
    gold: Sequence[str] = ()
    slow_ways: bool = True  # whether ways that are many times slower than the others take part


@dataclass(frozen=True)
class Timed:
    """One way on one task; seconds and milliseconds by round."""

    setting: str
    padding: float  # share of the computed tokens
    labels: Sequence[str]
    seconds: Sequence[float] = ()
    milliseconds: Sequence[Sequence[float]] = ()

    def alone(self, share: float) -> Spread | None:
        """Milliseconds of one text a call: that percentile of each round, and its spread over rounds."""
        return percentile(self.milliseconds, share) if self.milliseconds else None


@dataclass(frozen=True)
class Found:
    """A way that ran."""

    name: str
    precision: str
    ours: bool
    versions: Mapping[str, str]
    installed: int  # bytes of its packages, and of those that they need
    starts: Sequence[float]  # seconds from a new process to its first answer
    memory: int  # bytes: VmHWM of a new process after the first task in one call; 0 where the system does not tell
    gated: bool = True  # of our int8: whether its bundle passed its gate on this engine
    tasks: Mapping[str, Timed] = field(default_factory=dict)


@dataclass(frozen=True)
class LeftOut:
    """A way that did not run, why, and what would change that."""

    name: str
    reason: str
    next_step: str = ""


@dataclass(frozen=True)
class Measured:
    """One run of the benchmark."""

    model: str
    machine: Mapping[str, str]
    threads: int
    rounds: int
    texts: Mapping[str, int]  # by task
    gold: Mapping[str, Sequence[str]]
    found: Sequence[Found]
    left_out: Sequence[LeftOut] = ()

    def on(self, task: str) -> list[Found]:
        """The ways that were timed on the task, fastest first."""
        timed = [found for found in self.found if task in found.tasks and found.tasks[task].seconds]
        return sorted(timed, key=lambda found: Spread.of(found.tasks[task].seconds).value)

    def best(self, task: str, *, ours: bool) -> Found | None:
        """The fastest of ours that passed its gate, or of the peers; None where there is none."""
        return next((found for found in self.on(task) if found.ours is ours and found.gated), None)

    def ratio(self, task: str, ours: Found, theirs: Found) -> Spread:
        """How many times as fast as `theirs` `ours` is on the task."""
        return times_as_fast(ours.tasks[task].seconds, theirs.tasks[task].seconds)

    def flips(self, task: str, found: Found) -> int | None:
        """Labels that differ from float32's; None where nothing ran in float32."""
        reference = next(
            (each for each in self.found if each.precision == "fp32" and task in each.tasks), None
        )
        if reference is None or task not in found.tasks:
            return None
        pairs = zip(reference.tasks[task].labels, found.tasks[task].labels, strict=True)
        return sum(one != other for one, other in pairs)

    def accuracy(self, task: str, found: Found) -> float | None:
        """The share of right labels; None where they are not known."""
        gold = self.gold.get(task)
        if not gold or task not in found.tasks:
            return None
        pairs = zip(gold, found.tasks[task].labels, strict=True)
        return sum(one == other for one, other in pairs) / len(gold)


def write_measured(path: Path, measured: Measured, **more: Any) -> None:
    """Write a run, and what else belongs to it, as JSON."""
    with atomic_file(path) as whole:
        whole.write_text(
            json.dumps({**asdict(measured), **more}, ensure_ascii=False) + "\n", encoding="utf-8"
        )


def read_measured(values: Mapping[str, Any]) -> Measured:
    """A run, from what `write_measured` wrote; what else the file holds is left aside."""
    found = [
        Found(**{**each, "tasks": {name: Timed(**timed) for name, timed in each["tasks"].items()}})
        for each in values["found"]
    ]
    kept = {name: values[name] for name in Measured.__dataclass_fields__}
    return Measured(**{**kept, "found": found, "left_out": [LeftOut(**each) for each in values["left_out"]]})
