"""How good a model is on held-back rows, while it is trained: figures, and the one that chooses the checkpoint."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from accelerate.utils import gather_object

from distilbert.metrics.classification import accuracy, f1, pearson, spearman
from distilbert.training.losses import label_loss
from distilbert.training.objectives import inputs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from typing import Any

    from accelerate import Accelerator
    from numpy.typing import NDArray
    from torch import nn

    from distilbert.training.data import Data, Examples
    from distilbert.training.objectives import Objective
    from distilbert.training.recipe import ProblemType

BATCH = 64  # rows at a time: no gradients are kept, so more fit than in training


@dataclass(frozen=True)
class Evaluation:
    """Figures by name, in the order to show them; by `chooses` checkpoints are compared."""

    figures: dict[str, float]
    chooses: str

    @property
    def value(self) -> float:
        """The figure that chooses, turned so that higher is better; one that is no number is worse than any."""
        value = self.figures[self.chooses]
        if math.isnan(value):
            return -math.inf
        return -value if self.chooses == "loss" else value


@dataclass(frozen=True)
class Runner:
    """Runs a model on held-back rows: each process its share."""

    accelerator: Accelerator
    precision: Callable[[], AbstractContextManager[Any]]

    def batches(self, data: Data, at_once: int = BATCH) -> Iterator[NDArray[np.int64]]:
        """The batches of rows that this process computes, in order of length."""
        order = np.argsort(-data.lengths, kind="stable")
        starts = range(0, len(order), at_once)
        mine = starts[self.accelerator.process_index :: self.accelerator.num_processes]
        return (order[start : start + at_once] for start in mine)

    def logits(self, model: nn.Module, examples: Examples) -> NDArray[np.float32]:
        """The logits of all rows, on every process: `[rows, n]`."""
        found: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []
        with torch.inference_mode(), self.precision():
            for rows in self.batches(examples):
                batch = examples.batch(rows)
                inputs = {
                    name: column.to(self.accelerator.device) for name, column in inputs_of(batch).items()
                }
                found.append((rows, model(**inputs).logits.float().cpu().numpy()))
        found = gather_object(found)
        logits = np.concatenate([piece for _, piece in found])
        order = np.concatenate([rows for rows, _ in found])
        return np.asarray(logits[np.argsort(order)])

    def mean_losses(
        self, model: nn.Module, objective: Objective, data: Data, at_once: int = BATCH
    ) -> dict[str, float]:
        """Each part of an objective as a mean over all rows."""
        found: list[tuple[dict[str, float], dict[str, int]]] = []
        with torch.inference_mode(), self.precision():
            for rows in self.batches(data, at_once):
                batch = {
                    name: tensor.to(self.accelerator.device) for name, tensor in data.batch(rows, 0).items()
                }
                sums = {name: float(value) for name, value in objective.sums(model, batch).items()}
                found.append((sums, dict(objective.counts(batch))))
        found = gather_object(found)
        return {
            name: sum(sums[name] for sums, _ in found) / max(1, sum(counts[name] for _, counts in found))
            for name in objective.weights
        }


def evaluate_labels(
    model: nn.Module, runner: Runner, examples: Examples, problem_type: ProblemType
) -> Evaluation:
    """Score a classifier: by accuracy, micro F1 of label sets (those of positive logit), or Pearson's correlation."""
    logits, labels = runner.logits(model, examples), examples.targets["labels"]
    loss = label_loss(torch.from_numpy(logits), torch.from_numpy(labels), problem_type)
    figures = {"loss": float(loss) / len(labels)}
    if problem_type == "regression":
        scores = logits[:, 0]
        return Evaluation(
            figures | {"pearson": pearson(scores, labels), "spearman": spearman(scores, labels)}, "pearson"
        )
    if problem_type == "multi_label_classification":
        chosen, gold = (logits > 0).astype(np.int64), labels.astype(np.int64)
        scores_of_sets = {"f1_micro": f1(chosen, gold, "micro"), "f1_macro": f1(chosen, gold, "macro")}
        return Evaluation(figures | scores_of_sets, "f1_micro")
    return Evaluation(figures | {"accuracy": accuracy(logits.argmax(axis=1), labels)}, "accuracy")


def evaluate_agreement(
    model: nn.Module, runner: Runner, examples: Examples, problem_type: ProblemType
) -> Evaluation:
    """As `evaluate_labels` where the labels are a teacher's, which may be wrong: the figures' names say so."""
    found = evaluate_labels(model, runner, examples, problem_type)
    names = {"loss": "loss", "accuracy": "agreement"}
    names |= {name: f"agreement_{name}" for name in found.figures.keys() - names.keys()}
    return Evaluation({names[name]: value for name, value in found.figures.items()}, names[found.chooses])


def evaluate_losses(
    model: nn.Module, runner: Runner, data: Data, objective: Objective, at_once: int = BATCH
) -> Evaluation:
    """Score by the objective itself, where there is no other figure."""
    parts = runner.mean_losses(model, objective, data, at_once)
    return Evaluation({"loss": sum(objective.weights[name] * value for name, value in parts.items())}, "loss")
