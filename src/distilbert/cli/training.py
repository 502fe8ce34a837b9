"""How far training has come: a live line on a terminal's error stream, elsewhere a line an epoch."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distilbert.errors import DistilBertError, NotInstalledError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from distilbert.training.events import Answered, Evaluated, Event, Step

_SMOOTHING = 0.98  # of what the live line shows: the mean of about 50 steps


def is_main_process() -> bool:
    """Whether this is the one of several processes that speaks. `accelerate launch` numbers them."""
    return os.environ.get("RANK", "0") == "0"


def needs_training(command: str) -> None:
    """Raise `NotInstalledError` where the extra `train` is not installed."""
    if any(find_spec(name) is None for name in ("torch", "accelerate", "pydantic")):
        raise NotInstalledError(
            f"distilbert {command} needs PyTorch, accelerate and pydantic, and they are not all installed.",
            "Install them with: pip install 'distilbert[train]'",
        )


def tell_result(out: Path, result: Mapping[str, Any]) -> None:
    """Say which step was kept, and what it scored."""
    if is_main_process():
        figures = ", ".join(f"{name} {value:.4f}" for name, value in result["held_back"].items())
        click.echo(
            f"{out}: step {result['kept_step']:,} of {result['steps']:,}{': ' * bool(figures)}{figures}"
        )


@contextmanager
def one_voice() -> Iterator[None]:
    """Let only the main process tell of an error; the others' is the same."""
    try:
        yield
    except DistilBertError:
        if not is_main_process():
            sys.exit(1)
        raise


@contextmanager
def safe_steps_told(out: Path) -> Iterator[None]:
    """Where something ends a run too early, say what of it is safe."""
    try:
        yield
    except (OSError, KeyboardInterrupt, DistilBertError):
        from distilbert.training.state import safe_steps

        if is_main_process() and (steps := safe_steps(out)):
            click.echo(
                f"note: {steps:,} steps are safe in {out}.partial; --resume goes on from there", err=True
            )
        raise


@contextmanager
def shown_training() -> Iterator[Callable[[Event], None]]:
    """Yield what to tell of steps and evaluations."""
    if not is_main_process():
        yield lambda _: None
    elif sys.stderr.isatty():
        with _live() as tell:
            yield tell
    else:
        yield _Lines()


@dataclass
class _Mean:
    """Of an epoch's steps."""

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)

    def add(self, step: Step) -> None:
        self.steps += 1
        self.tokens += step.tokens
        self.seconds += step.seconds
        parts = step.parts if len(step.parts) > 1 else {}
        for name, value in {"loss": step.loss, **parts}.items():
            self.parts[name] = self.parts.get(name, 0.0) + value

    def __str__(self) -> str:
        means = ", ".join(f"{name} {value / self.steps:.4f}" for name, value in self.parts.items())
        return f"{means}, {self.tokens / self.seconds:,.0f} tokens/s"


class _Lines:
    """A line an epoch, and a line an evaluation."""

    def __init__(self) -> None:
        self._mean = _Mean()

    def __call__(self, event: Event) -> None:
        from distilbert.training.events import Answered, Evaluated

        if isinstance(event, Answered):
            click.echo(_answered(event), err=True)
            return
        if isinstance(event, Evaluated):
            click.echo(_evaluation(event), err=True)
            return
        self._mean.add(event)
        if event.epoch == int(event.epoch):
            left = (event.steps - event.step) * self._mean.seconds / self._mean.steps
            click.echo(f"epoch {event.epoch:.0f}: {self._mean}, {_time(left)} left", err=True)
            self._mean = _Mean()


def _evaluation(event: Evaluated) -> str:
    shown = ", ".join(f"{name} {value:.4f}" for name, value in event.figures.items())
    return f"epoch {event.epoch:.4g}, held-back rows: {shown}{' (best)' if event.best else ''}"


def _answered(event: Answered) -> str:
    return f"{event.source}: the teacher has answered {event.rows:,} of {event.of:,} rows"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


@contextmanager
def _live() -> Iterator[Callable[[Event], None]]:
    from rich import progress
    from rich.console import Console

    from distilbert.training.events import Answered, Evaluated

    columns = (
        progress.TextColumn("epoch {task.fields[epoch]:.2f}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[shown]}"),
        progress.TimeElapsedColumn(),
        progress.TextColumn("{task.fields[left]}"),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as display:
        bar = display.add_task("", total=None, epoch=0.0, shown="", left="")
        smooth: dict[str, float] = {}

        def tell(event: Event) -> None:
            if isinstance(event, Answered):
                shown = f"the teacher answers {Path(event.source).name}"
                display.update(bar, total=event.of, completed=event.rows, shown=shown)
                return
            if isinstance(event, Evaluated):
                display.print(_evaluation(event))
                return
            now = {"loss": event.loss, "tokens": event.tokens, "seconds": event.seconds}
            for name, value in now.items():
                smooth[name] = _SMOOTHING * smooth.get(name, value) + (1 - _SMOOTHING) * value
            display.update(
                bar,
                total=event.steps,
                completed=event.step,
                epoch=event.epoch,
                shown=f"loss {smooth['loss']:.4f}, {smooth['tokens'] / smooth['seconds']:,.0f} tokens/s",
                left=f"{_time((event.steps - event.step) * smooth['seconds'])} left",
            )

        yield tell
