"""Where a run under way lives: `OUT.partial`, from which it goes on after whatever stopped it.

| file          | holds                                                                                     |
| ------------- | ----------------------------------------------------------------------------------------- |
| recipe.toml   | all knobs as run                                                                          |
| state.pt      | what the run is made from, weights, optimiser, the position: replaced whole, read as data |
| log.jsonl     | a line a step, and a line an evaluation                                                   |
| best-STEP/    | the weights of the best evaluation, whose step the state knows                            |
| bad-batch.jsonl | the rows of a step whose loss was no number                                             |

Random numbers need no keeping: what each step draws is seeded by its number. What the log and the best weights have
beyond the state is dropped by who goes on, and made again.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from distilbert.errors import CheckpointError, OptionError, StorageError
from distilbert.files.atomic import atomic_file, named_errors, try_lock
from distilbert.files.table_writer import write_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO, TextIO

    from torch import nn

FORMAT = 1
_ADVICE = "Free space or choose another place; --resume goes on from what is safe."


@dataclass
class Position:
    """How far a run has come."""

    step: int = 0  # optimiser steps taken
    seconds: float = 0.0  # of work, over all its starts
    best_step: int | None = None  # of the best evaluation yet
    best: float | None = None  # what it scored, higher is better
    best_figures: dict[str, float] = field(default_factory=dict)


@dataclass
class RunFolder:
    """`OUT.partial`, opened by `run_folder`. Only the main process writes."""

    path: Path
    made_from: Mapping[str, Any]
    state: dict[str, Any] | None  # what to go on from
    log: TextIO | None = None  # None in a process that is not the main one

    @property
    def position(self) -> Position:
        """How far it has come."""
        return Position(**self.state["position"]) if self.state else Position()

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Put the state into a model and its optimiser. Raises `CheckpointError` for one of another shape."""
        if self.state is None:
            return
        weights = self.state["model"]
        for name, tensor in model.state_dict().items():
            found = list(weights[name].shape) if name in weights else "missing"
            if found != list(tensor.shape):
                raise CheckpointError(
                    f"{self.path / 'state.pt'}: {name} is {found}, but the model's is {list(tensor.shape)}.",
                    "Resume with the model that the run began with, or remove the folder to start again.",
                )
        model.load_state_dict(weights)
        optimizer.load_state_dict(self.state["optimizer"])
        self.state = {"position": self.state["position"]}  # the tensors are needed no more

    def record(self, entry: Mapping[str, Any]) -> None:
        """Add a line to the log; it is safe when the next state is."""
        if self.log:
            self.log.write(json.dumps(entry) + "\n")

    def flush(self) -> None:
        """Bring the log to the disk."""
        if self.log:
            self.log.flush()
            os.fsync(self.log.fileno())

    def save(self, position: Position, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Make this moment the one to go on from. Raises `StorageError` where the disk refuses."""
        if not self.log:
            return
        with named_errors(self.path, _ADVICE):
            self.flush()
            state = {
                "format": FORMAT,
                "made_from": dict(self.made_from),
                "position": asdict(position),
                "log_bytes": self.log.tell(),
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
            }
            with atomic_file(self.path / "state.pt") as path, path.open("wb") as file:
                _dump(state, file)
        for folder in self.path.glob("best-*"):
            if folder != self.best_folder(position):
                shutil.rmtree(folder)

    @property
    def bad_batch(self) -> Path:
        """Where the rows of a step go whose loss is no number."""
        return self.path / "bad-batch.jsonl"

    def keep_bad_batch(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write them there."""
        if self.log:
            columns = [*dict.fromkeys(column for row in rows for column in row)]  # of several tables
            write_rows(self.bad_batch, [{**dict.fromkeys(columns), **row} for row in rows], columns)

    def best_folder(self, position: Position) -> Path:
        """Where the weights of the best evaluation are."""
        return self.path / f"best-{position.best_step}"

    def save_best(self, position: Position, model: nn.Module) -> None:
        """Keep the weights of this evaluation; they count from the next `save` on."""
        if self.log:
            folder = self.best_folder(position)
            shutil.rmtree(folder, ignore_errors=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.save_pretrained(folder)  # type: ignore[operator]


def _dump(state: Mapping[str, Any], file: BinaryIO) -> None:
    """`torch.save`, whose own error would hide the disk's."""
    try:
        torch.save(state, file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from error
        raise


@contextmanager
def run_folder(
    out: Path, made_from: Mapping[str, Any], recipe: str, *, resume: bool, main: bool
) -> Iterator[RunFolder]:
    """Open `OUT.partial`: new, or with `resume` as it was left.

    `made_from` is all that the result depends on, as JSON by name; `recipe` is kept beside it. Raises `OptionError` to
    resume a run that was made from something else, `StorageError` for a run left here without `resume`, for another
    process at it, or where the disk refuses.
    """
    path = out.with_name(f"{out.name}.partial")
    if not main:
        yield RunFolder(path, made_from, _state_left(path) if resume else None)
        return
    with named_errors(path, _ADVICE), _locked(path):
        state = _state_left(path)
        if state and not resume:
            raise StorageError(
                f"{path} holds {state['position']['step']:,} steps of an interrupted run.",
                "Add --resume to go on from there, or remove it to start again.",
            )
        if state and (change := _change(state, made_from, path)):
            raise OptionError(*change)
        _clear(path, state)
        with atomic_file(path / "recipe.toml") as file:
            file.write_text(recipe, encoding="utf-8")
        with (path / "log.jsonl").open("a", encoding="utf-8") as log:
            log.truncate(state["log_bytes"] if state else 0)
            yield RunFolder(path, made_from, state, log)


def safe_steps(out: Path) -> int:
    """How many steps of the run for `out` are safe in its folder, 0 if there is none."""
    try:
        state = _state_left(out.with_name(f"{out.name}.partial"))
    except CheckpointError:
        return 0
    return int(state["position"]["step"]) if state else 0


def refuse_taken(out: Path) -> None:
    """Raise `StorageError` if something is where the result is to stand."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise StorageError(f"{out} is already there and is never overwritten.", "Choose another --out.")


def _state_left(path: Path) -> dict[str, Any] | None:
    file = path / "state.pt"
    if not file.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        known = state["format"] == FORMAT
    except Exception as error:  # of many classes, torch's own among them
        raise CheckpointError(
            f"{file} cannot be read as a state: {type(error).__name__}.", f"Remove {path} to start again."
        ) from error
    if not known:
        raise CheckpointError(f"{file} is of another version.", f"Remove {path} to start again.")
    return state


def _change(state: Mapping[str, Any], made_from: Mapping[str, Any], path: Path) -> tuple[str, str] | None:
    """The first thing that a run left behind was made from, and this one is not: as an error's words."""
    before = state["made_from"]
    names = dict.fromkeys([*made_from, *before])
    name = next((name for name in names if made_from.get(name) != before.get(name)), None)
    if name is None:
        return None
    return (
        f"The run to resume was made with another {name}: {before.get(name)!s:.40}, now {made_from.get(name)!s:.40}.",
        f"Call it as it was called then, or remove {path} to start again.",
    )


def _clear(path: Path, state: Mapping[str, Any] | None) -> None:
    """Remove what does not belong to the state that is gone on from."""
    kept = f"best-{state['position']['best_step']}" if state else ""
    for folder in path.glob("best-*"):
        if folder.name != kept:
            shutil.rmtree(folder)
    if state is None:
        (path / "state.pt").unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Make the folder and keep other processes off it; an empty one is removed again at the end."""
    path.mkdir(parents=True, exist_ok=True)
    lock = path / "lock"
    with lock.open("w") as file:
        if not try_lock(file):
            raise StorageError(
                f"{path} is in use by another process.", "Wait for its end, or choose another --out."
            )
        try:
            yield
        finally:
            if not (path / "state.pt").exists():  # nothing to go on from
                for name in ("lock", "recipe.toml", "log.jsonl"):
                    with suppress(OSError):
                        (path / name).unlink()
                with suppress(OSError):
                    path.rmdir()
