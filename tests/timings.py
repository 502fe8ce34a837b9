"""Runs of the benchmark that never were, with timings of one's choice."""

from __future__ import annotations

from typing import Any

from distilbert.bench.measured import Found, LeftOut, Measured, Timed

TASK, TEXTS = "SST-2 dev", 100


def found(
    name: str, seconds: float, alone: float = 5.0, *, ours: bool = False, rounds: int = 3, **more: Any
) -> Found:
    """A way with that many rounds, of which the second was disturbed; one text in three takes twice as long."""
    labels = ["NEGATIVE"] * more.pop("flips", 0)
    labels += ["POSITIVE"] * (TEXTS - len(labels))
    times = [seconds, 2 * seconds, *[seconds] * (rounds - 2)]
    timed = Timed("16 texts", 0.25, labels, times, [[alone, alone, 2 * alone]] * rounds)
    tasks = dict.fromkeys(more.pop("tasks", (TASK,)), timed)
    settings: dict[str, Any] = {"precision": "int8", "gated": True, **more}
    return Found(
        name, settings["precision"], ours, {}, 50_000_000, [0.5], 120_000_000, settings["gated"], tasks
    )  # fmt: skip


def measured(*ways: Found, left_out: tuple[LeftOut, ...] = (), rounds: int = 3) -> Measured:
    """A run of these ways."""
    tasks = [task for way in ways for task in way.tasks]
    counts, gold = dict.fromkeys(tasks, TEXTS), {TASK: ["POSITIVE"] * TEXTS}
    return Measured("my-model", {"processor": "any"}, 2, rounds, counts, gold, ways, left_out)
