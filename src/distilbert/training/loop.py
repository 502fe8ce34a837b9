"""The training loop: one for fine-tuning and for distillation, which differ by their `Objective`.

A run is a function of its model, its data and its recipe. Everything that a step needs, its rows, its learning rate,
what its dropout draws, follows from its number; so who knows the number, the weights and the optimiser goes on as if
nothing had happened: in one process on a processor, with the same number of threads, to the bit.

Several processes (accelerate) cut each batch among them. The loss is the mean over the whole batch, whoever computes
which rows: one process and eight take the same steps.
"""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from distilbert.errors import TrainingError
from distilbert.training.batches import epoch_batches, micro_batches, seed_of, share_of, steps_an_epoch
from distilbert.training.events import Evaluated, Step
from distilbert.training.gradients import TableGradients
from distilbert.training.hardware import resident_mb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import numpy as np
    from accelerate import Accelerator
    from numpy.typing import NDArray
    from torch import nn

    from distilbert.training.data import Batch, Data
    from distilbert.training.evaluation import Evaluation
    from distilbert.training.events import Event
    from distilbert.training.objectives import Objective
    from distilbert.training.recipe import LoopRecipe
    from distilbert.training.state import Position, RunFolder


@dataclass(frozen=True)
class Trainer:
    """What a run is made of; `train` runs it."""

    model: nn.Module
    data: Data
    objective: Objective
    evaluate: Callable[[nn.Module], Evaluation] | None
    recipe: LoopRecipe
    accelerator: Accelerator
    precision: Callable[[], AbstractContextManager[Any]]
    folder: RunFolder
    tell: Callable[[Event], None]
    evaluates_first: bool = False  # before the first step too

    @property
    def steps_an_epoch(self) -> int:
        """Steps in which every row is seen once."""
        return steps_an_epoch(len(self.data.lengths), self.recipe.batch_size)

    @property
    def steps(self) -> int:
        """Steps in all."""
        return self.steps_an_epoch * self.recipe.epochs

    def train(self) -> Position:
        """Train from where the folder's state is to the end. Raises `TrainingError` for a loss that is no number."""
        self.model.to(self.accelerator.device)
        optimizer = adamw(self.model, self.recipe)
        self.folder.restore(self.model, optimizer)
        position = self.folder.position
        model, optimizer = self.accelerator.prepare(self.model, optimizer)
        # several processes exchange dense gradients, and a GPU fills one in no time
        tables = TableGradients(self.model) if _is_one_processor(self.accelerator) else None
        evaluations = evaluation_steps(self.steps_an_epoch, self.steps, self.recipe.evaluations)
        if self.evaluates_first and self.evaluate is not None and position.best_step is None:
            self._evaluate(position)
            self.folder.save(position, self.model, optimizer)
        saved = time.monotonic()
        for rows in self._batches(position.step):
            step = self._step(model, optimizer, tables, rows, position.step)
            position.step, position.seconds = step.step, position.seconds + step.seconds
            self.tell(step)
            self.folder.record(_log_line(step, position.seconds))
            is_evaluated = self.evaluate is not None and step.step in evaluations
            if is_evaluated:
                self._evaluate(position)
            minutes = (time.monotonic() - saved) / 60
            due = self.recipe.save_steps is not None and step.step % self.recipe.save_steps == 0
            if (
                is_evaluated
                or due
                or minutes >= self.recipe.save_minutes
                or step.step % self.steps_an_epoch == 0
            ):
                self.folder.save(position, self.model, optimizer)
                saved = time.monotonic()
        self.accelerator.wait_for_everyone()
        return position

    def _batches(self, done: int) -> Iterator[NDArray[np.int64]]:
        """The rows of each step that is yet to come."""
        first, skipped = divmod(done, self.steps_an_epoch)
        for epoch in range(first, self.recipe.epochs):
            batches = epoch_batches(self.data.lengths, self.recipe.batch_size, self.recipe.seed, epoch)
            yield from batches[skipped if epoch == first else 0 :]

    def _step(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        tables: TableGradients | None,
        rows: NDArray[np.int64],
        done: int,
    ) -> Step:
        start, here = time.perf_counter(), self.accelerator
        torch.manual_seed(seed_of(self.recipe.seed, done, here.process_index))
        rate = learning_rate(done, self.steps, self.recipe)
        for group in optimizer.param_groups:
            group["lr"] = rate
        model.train()
        parts = self._backward(model, rows, done)
        if tables:
            tables.fill()
        norm = self._clip(model)
        loss = sum(self.objective.weights[name] * value for name, value in parts.items())
        if not math.isfinite(loss) or not math.isfinite(norm):
            self._refuse(rows, done, loss, norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return Step(
            step=done + 1,
            steps=self.steps,
            epoch=(done + 1) / self.steps_an_epoch,
            loss=loss,
            parts=parts,
            gradient=norm,
            learning_rate=rate,
            tokens=int(self.data.lengths[rows].sum()),
            seconds=time.perf_counter() - start,
        )

    def _backward(self, model: nn.Module, rows: NDArray[np.int64], done: int) -> dict[str, float]:
        """Add the batch's gradient to the model's, and give the means of the parts of the loss over the whole batch."""
        here, weights = self.accelerator, self.objective.weights
        batches, weight = self._pieces(rows, done // self.steps_an_epoch)
        counted = [self.objective.counts(batch) for batch in batches]
        local = torch.tensor([weight * sum(counts[name] for counts in counted) for name in weights])
        counts = here.reduce(local.to(here.device)).clamp(min=1)
        sums = torch.zeros(len(weights), device=here.device)
        for number, batch in enumerate(batches, start=1):
            with nullcontext() if number == len(batches) else here.no_sync(model), self.precision():
                parts = self.objective.sums(model, batch)
                means = torch.stack([parts[name] for name in weights]) / counts
                scales = torch.tensor([*weights.values()], device=here.device)
                # several processes' gradients are averaged, and these are parts of one sum
                loss = (scales * means).sum() * weight * here.num_processes
            here.backward(loss)
            sums += weight * means.detach()
        return dict(zip(weights, here.reduce(sums).tolist(), strict=True))

    def _pieces(self, rows: NDArray[np.int64], epoch: int) -> tuple[list[Batch], float]:
        """The share of a batch that this process computes, and its weight.

        A process without a row computes one that does not count: all must take part in each exchange of gradients.
        """
        here = self.accelerator
        mine = share_of(rows, here.process_index, here.num_processes)
        pieces = micro_batches(mine if len(mine) else rows[:1], self.recipe.micro_batch)
        batches = [self.data.batch(piece, epoch) for piece in pieces]
        return [_moved(batch, here.device) for batch in batches], float(len(mine) > 0)

    def _clip(self, model: nn.Module) -> float:
        """Scale a gradient that is too long; its norm as it was."""
        longest = self.recipe.max_grad_norm or math.inf
        return float(torch.nn.utils.clip_grad_norm_(model.parameters(), longest))

    def _evaluate(self, position: Position) -> None:
        assert self.evaluate is not None
        evaluation = self.evaluate(self.model.eval())
        is_best = position.best is None or evaluation.value > position.best
        if is_best:
            position.best, position.best_step = evaluation.value, position.step
            position.best_figures = evaluation.figures
            self.folder.save_best(position, self.model)
        epoch = position.step / self.steps_an_epoch
        self.folder.record({"evaluation": position.step, "epoch": round(epoch, 4), **evaluation.figures})
        self.tell(Evaluated(position.step, epoch, evaluation.figures, is_best))

    def _refuse(self, rows: NDArray[np.int64], done: int, loss: float, norm: float) -> None:
        self.folder.keep_bad_batch(self.data.originals(rows))
        what = f"loss is {loss}" if not math.isfinite(loss) else f"gradient's norm is {norm}"
        raise TrainingError(
            f"Step {done + 1:,}: the {what}. Its rows are in {self.folder.bad_batch}.",
            "Lower learning_rate, or look at these rows; --resume starts from the state before.",
        )


def _is_one_processor(accelerator: Accelerator) -> bool:
    return bool(accelerator.num_processes == 1 and accelerator.device.type == "cpu")


def _moved(batch: Batch, device: torch.device) -> Batch:
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


def _log_line(step: Step, seconds: float) -> dict[str, Any]:
    parts = {name: round(value, 6) for name, value in step.parts.items()} if len(step.parts) > 1 else {}
    return {
        "step": step.step,
        "epoch": round(step.epoch, 4),
        "loss": round(step.loss, 6),
        **parts,
        "gradient": round(step.gradient, 4),
        "learning_rate": step.learning_rate,
        "tokens_a_second": round(step.tokens / step.seconds),
        "memory_mb": resident_mb(),
        "seconds": round(seconds, 3),
    }


def learning_rate(done: int, steps: int, recipe: LoopRecipe) -> float:
    """The rate of the step after `done` steps: it rises linearly over the warm-up and falls linearly to 0.

    >>> from types import SimpleNamespace
    >>> recipe = SimpleNamespace(learning_rate=1.0, warmup=0.4)
    >>> [round(learning_rate(done, 10, recipe), 2) for done in range(10)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.83, 0.67, 0.5, 0.33, 0.17]
    """
    rising = round(recipe.warmup * steps)
    share = (done + 1) / rising if done < rising else (steps - done) / (steps - rising)
    return recipe.learning_rate * share


def evaluation_steps(steps_an_epoch: int, steps: int, times: int) -> frozenset[int]:
    """After which steps to evaluate: `times` an epoch, evenly, the last at its end.

    >>> sorted(evaluation_steps(steps_an_epoch=10, steps=20, times=3))
    [3, 7, 10, 13, 17, 20]
    """
    return frozenset(
        start + max(1, round(steps_an_epoch * part / times))
        for start in range(0, steps, steps_an_epoch)
        for part in range(1, times + 1)
    )


def adamw(model: nn.Module, recipe: LoopRecipe) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, 2019) with BERT's β 0.9 and 0.999; vectors (biases, norms) do not decay."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)
