"""Ways that do what libraries do at their worst: print, fail, die, or never come back. Workers load them by name."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from distilbert.bench.ways import Loaded, Setting, Way

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distilbert.bench.ways import Source


def way(name: str, needs: tuple[str, ...] = (), engine: str = "") -> Way:
    """A way that this module loads."""
    return Way(name, f"bench_ways:{name}", "fp32", needs, ("numpy",), f"pip install {name}", engine=engine)


def _label(texts: list[str]) -> list[dict[str, object]]:
    return [{"label": "POSITIVE" if "good" in text else "NEGATIVE", "score": 0.75} for text in texts]


def _one_by_one(lengths: Sequence[int]) -> list[list[int]]:
    return [[place] for place in range(len(lengths))]


def _all(lengths: Sequence[int]) -> list[list[int]]:
    return [[*range(len(lengths))]]


def _slowly(texts: list[str]) -> list[dict[str, object]]:
    time.sleep(0.05)
    return _label(texts)


def steady(source: Source) -> Loaded:
    return Loaded([Setting("slow", _slowly, _one_by_one), Setting("quick", _label, _all)], _label)


def chatty(source: Source) -> Loaded:
    print("a library greets you")
    os.system("echo so does its child")
    return Loaded([Setting("all", _label, _all)], _label)


def contrary(source: Source) -> Loaded:
    """Of another opinion on every text."""

    def answer(texts: list[str]) -> list[dict[str, object]]:
        return [
            {**each, "label": "NEGATIVE" if each["label"] == "POSITIVE" else "POSITIVE"}
            for each in _label(texts)
        ]

    return Loaded([Setting("all", answer, _all)], answer)


def broken(source: Source) -> Loaded:
    raise RuntimeError("cannot convert aten::nothing\nand a long story")


def dying(source: Source) -> Loaded:
    print("out of memory", file=sys.stderr)
    os._exit(9)


def failing_later(source: Source) -> Loaded:
    calls = 0

    def answer(texts: list[str]) -> list[dict[str, object]]:
        nonlocal calls
        calls += len(texts) > 1
        if calls > 4:
            raise ValueError("enough")
        return _label(texts)

    return Loaded([Setting("all", answer, _all)], answer)


def hanging(source: Source) -> Loaded:
    time.sleep(600)
    raise AssertionError("nobody waits for so long")


def heavy(source: Source) -> Loaded:
    """Its second setting takes 300 MB, at its first call."""

    def answer(texts: list[str]) -> list[dict[str, object]]:
        bytearray(b"x" * 300_000_000)
        return _slowly(texts)

    return Loaded([Setting("light", _label, _all), Setting("heavy", answer, _all)], _label)


def uneven(source: Source) -> Loaded:
    """The setting that is the faster one is slow when it begins, and again when it is disturbed."""
    turns = {"even": iter([0.0, 0.3, 0.3, 0.3]), "late": iter([0.6, 0.5, 0.05, 0.5])}

    def setting(name: str) -> Setting:
        def answer(texts: list[str]) -> list[dict[str, object]]:
            time.sleep(next(turns[name]))
            return _label(texts)

        return Setting(name, answer, _all)

    return Loaded([setting("even"), setting("late")], _label)
