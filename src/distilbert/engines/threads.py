"""How many threads this process may use: what the scheduler and the container's CPU quota allow.

`os.cpu_count()` counts the host's processors; a container with a quota of two that starts sixty-four threads
is slower than with two.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from distilbert.errors import OptionError

CGROUP = Path("/sys/fs/cgroup")


def choose_threads(threads: int | None = None) -> int:
    """The one knob: an explicit number, else the variable `DISTILBERT_THREADS`, else all that is allowed.

    Raises `OptionError` for what is not a positive whole number.
    """
    name = "threads" if threads is not None else "DISTILBERT_THREADS"
    chosen: object = threads if threads is not None else os.environ.get(name) or None
    if chosen is None:
        return available_threads()
    with suppress(ValueError):
        if not isinstance(chosen, bool | float) and (number := int(str(chosen))) >= 1:
            return number
    raise OptionError(
        f"{name} must be a whole number of at least 1, not {chosen!r}.",
        "Leave it out to use every processor that this process may use.",
    )


def available_threads(cgroup: Path = CGROUP) -> int:
    """Processors that this process may run on, or its CPU quota rounded up where that is less."""
    affinity = getattr(os, "sched_getaffinity", None)
    processors = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = cpu_quota(cgroup)
    return processors if quota is None else max(1, min(processors, -int(-quota // 1)))


def cpu_quota(cgroup: Path = CGROUP) -> float | None:
    """Processors' worth of time that the container may use (cgroup v2, then v1); None where there is no limit."""
    with suppress(OSError, ValueError, ZeroDivisionError):
        limit, period = (cgroup / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    with suppress(OSError, ValueError, ZeroDivisionError):
        limit, period = (
            (cgroup / "cpu" / name).read_text() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        )
        return int(limit) / int(period) if int(limit) > 0 else None
    return None
