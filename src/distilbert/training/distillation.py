"""What a student learns from its teacher: the parts of the loss, and the student as they see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from distilbert.training.losses import (
    cosine_loss,
    label_loss,
    soft_label_set_loss,
    soft_target_loss,
    squared_loss,
)
from distilbert.training.objectives import inputs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from distilbert.models.pretrained import PretrainedModel
    from distilbert.training.data import Batch
    from distilbert.training.recipe import ProblemType


class Learnt(NamedTuple):
    """What a student says of a batch."""

    logits: Tensor  # [rows, labels]
    states: Tensor  # of the first token, as wide as the teacher's: [rows, layers, width]


class Learner(nn.Module):
    """A student and, where the teacher's states are of another width, a projection onto them, learnt and then dropped.

    Its states are those after the last layer, or with `every_layer` after each; 0 layers where `wants_states` is false.
    The projection is one for all layers (TinyBERT, Jiao et al., 2020, equation 8).
    """

    def __init__(
        self, student: PretrainedModel, width: int, *, wants_states: bool, every_layer: bool, seed: int
    ) -> None:
        super().__init__()
        self.student, self.wants_states, self.every_layer = student, wants_states, every_layer
        torch.manual_seed(seed)
        differs = wants_states and width != student.config.dim
        self.projection = nn.Linear(student.config.dim, width, bias=False) if differs else None

    def forward(self, **inputs: Tensor) -> Learnt:
        """Read a padded batch."""
        encoded = self.student.base_model(**inputs, only_first=True, output_hidden_states=self.every_layer)
        logits = self.student.score(encoded)  # type: ignore[operator]
        if not self.wants_states:
            return Learnt(logits, logits.new_empty(len(logits), 0, 0))
        kept = encoded.hidden_states[1:] if self.every_layer else [encoded.last_hidden_state]
        states = torch.stack([rows[:, 0] for rows in kept], dim=1)
        return Learnt(logits, states if self.projection is None else self.projection(states))

    def save_pretrained(self, folder: Path) -> None:
        """Save the student alone."""
        self.student.save_pretrained(folder)


@dataclass(frozen=True, eq=False)
class Distillation:
    """Learn from a teacher's answers, `teacher` `[rows, labels]` and `states` `[rows, layers, width]` in each batch.

    `weights` names the parts (their losses: `PARTS`); one that is left out costs nothing. For the part "label" a batch
    has `labels` as `objectives.Labels` and `labelled`, which of its rows have one.
    """

    weights: Mapping[str, float]
    problem_type: ProblemType
    temperature: float

    def counts(self, batch: Batch) -> dict[str, int]:
        """See `Objective`: rows, and of "label" those that have one."""
        rows = len(batch["input_ids"])
        return {name: int(batch["labelled"].sum()) if name == "label" else rows for name in self.weights}

    def sums(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """See `Objective`."""
        learnt = model(**inputs_of(batch))
        return {name: PARTS[name](self, learnt, batch) for name in self.weights}


def _soft(objective: Distillation, learnt: Learnt, batch: Batch) -> Tensor:
    if objective.problem_type == "regression":
        return squared_loss(learnt.logits, batch["teacher"])
    loss = {
        "single_label_classification": soft_target_loss,
        "multi_label_classification": soft_label_set_loss,
    }[objective.problem_type]
    return loss(learnt.logits, batch["teacher"], objective.temperature)


def _label(objective: Distillation, learnt: Learnt, batch: Batch) -> Tensor:
    labelled = batch["labelled"]
    return label_loss(learnt.logits[labelled], batch["labels"][labelled], objective.problem_type)


def _cosine(_: Any, learnt: Learnt, batch: Batch) -> Tensor:
    return cosine_loss(learnt.states[:, -1], batch["states"][:, -1])


def _logits(_: Any, learnt: Learnt, batch: Batch) -> Tensor:
    return squared_loss(learnt.logits, batch["teacher"])


def _hidden(_: Any, learnt: Learnt, batch: Batch) -> Tensor:
    return squared_loss(learnt.states, batch["states"]) / learnt.states.shape[1]


PARTS: Mapping[str, Callable[[Distillation, Learnt, Batch], Tensor]] = {
    "soft": _soft,  # T² · KL, or of regression the squared error
    "label": _label,
    "cosine": _cosine,  # of the states after the last layer
    "logits": _logits,
    "hidden": _hidden,  # of the states after each layer, their mean over layers
}
