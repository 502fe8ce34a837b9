"""What is shown on a terminal: strangers' words made harmless, and how far a command has come."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def printable(text: str) -> str:
    """A text on one line, without what would move a terminal's cursor or change its colours."""
    return "".join(char if char.isprintable() else " " for char in text)


@contextmanager
def counted_texts(
    unit: str = "texts", total: int | None = None, done: int = 0
) -> Iterator[Callable[[int], None]]:
    """Yield a function to tell of more texts: a live line on a terminal's error stream, nothing elsewhere.

    With a `total`, of which `done` were done before, there is a bar too, and the time left.
    """
    if not sys.stderr.isatty():
        yield lambda more: None  # noqa: ARG005
        return
    from rich import progress
    from rich.console import Console
    from rich.text import Text

    class Count(progress.ProgressColumn):
        def render(self, task: progress.Task) -> Text:
            speed = (task.completed - done) / task.elapsed if task.elapsed else 0
            return Text(f"{task.completed:,.0f} {unit}" + (f", {speed:,.0f} a second" if speed else ""))

    class TimeLeft(progress.ProgressColumn):
        def render(self, task: progress.Task) -> Text:
            seconds = task.time_remaining
            return Text("" if seconds is None else f"{seconds // 60:.0f}:{seconds % 60:02.0f} left")

    columns = [progress.SpinnerColumn(), Count(), progress.TimeElapsedColumn()]
    if total is not None:
        columns += [progress.BarColumn(bar_width=16), progress.TaskProgressColumn(), TimeLeft()]
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as display:
        bar = display.add_task("", total=total, completed=done)
        yield lambda more: display.advance(bar, more)
