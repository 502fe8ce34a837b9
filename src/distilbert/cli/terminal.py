"""What is shown on a terminal: strangers' words made harmless, and how far a command has come."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def printable(text: str) -> str:
    """A text on one line, without what would move a terminal's cursor or change its colours."""
    return "".join(char if char.isprintable() else " " for char in text)


class Advance(Protocol):
    """Tell of texts answered since the last call, and of the input's line reached."""

    def __call__(self, texts: int, line: int = 0) -> None: ...  # noqa: D102


@contextmanager
def counted_texts(count_lines: Callable[[], int] | None = None, line: int = 0) -> Iterator[Advance]:
    """Yield `advance`: a live line on a terminal's error stream, nothing elsewhere.

    With a way to count the input's lines there is a bar too, from `line` on, and the time left.
    """
    if not sys.stderr.isatty():
        yield lambda texts, line=0: None  # noqa: ARG005
        return
    from rich import progress
    from rich.console import Console
    from rich.text import Text

    class Count(progress.ProgressColumn):
        def render(self, task: progress.Task) -> Text:
            texts = task.fields["texts"]
            speed = f", {texts / task.elapsed:,.0f} a second" if texts and task.elapsed else ""
            return Text(f"{texts:,} texts{speed}")

    class TimeLeft(progress.ProgressColumn):
        def render(self, task: progress.Task) -> Text:
            seconds = task.time_remaining
            return Text("" if seconds is None else f"{seconds // 60:.0f}:{seconds % 60:02.0f} left")

    columns = [progress.SpinnerColumn(), Count(), progress.TimeElapsedColumn()]
    if count_lines:
        columns += [progress.BarColumn(), progress.TaskProgressColumn(), TimeLeft()]
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as display:
        bar = display.add_task("", total=count_lines() if count_lines else None, completed=line, texts=0)

        def advance(texts: int, line: int = 0) -> None:
            display.update(bar, completed=line, texts=display.tasks[bar].fields["texts"] + texts)

        yield advance
