"""What reads every token of a row, to label it or find an answer, and what it learns: labels, or what a teacher says.

A teacher reads the same rows beside its student. What it says is not kept, as a classifier's answers are: it is as
much as a text has tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from distilbert.training.losses import (
    IGNORED,
    cosine_loss,
    soft_span_loss,
    soft_target_loss,
    span_loss,
    token_loss,
)
from distilbert.training.objectives import inputs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from distilbert.models.pretrained import PretrainedModel
    from distilbert.training.data import Batch, Data
    from distilbert.training.evaluation import Evaluation


class Read(NamedTuple):
    """What a model says of a padded batch."""

    logits: Tensor  # [rows, longest, n]; of answers n is 2, for their start and end
    states: Tensor  # after the last layer, as wide as the teacher's: [rows, longest, width]


class Reader(nn.Module):
    """A model with a head that reads every token. Where its states are to be compared with some of another width, a
    projection onto these is learnt and then dropped.
    """

    def __init__(self, model: PretrainedModel, width: int | None = None, seed: int = 0) -> None:
        super().__init__()
        self.model, here = model, model.config.dim
        torch.manual_seed(seed)
        self.projection = None if width in (None, here) else nn.Linear(here, width or here, bias=False)

    def forward(self, **inputs: Tensor) -> Read:
        """Read a padded batch; a model without token types leaves them out."""
        if not self.model.config.type_vocab_size:
            inputs.pop("token_type_ids", None)
        encoded = self.model.base_model(**inputs)
        states = encoded.last_hidden_state
        logits = self.model.score(encoded)  # type: ignore[operator]
        return Read(logits, self.projection(states) if self.projection else states)

    def save_pretrained(self, folder: Path) -> None:
        """Save the model alone."""
        self.model.save_pretrained(folder)


class Lessons(NamedTuple):
    """What a recipe's rows are for a model."""

    model: PretrainedModel  # with the head that they need
    data: Data
    evaluate: Callable[[nn.Module], Evaluation] | None
    held_back: int  # rows to judge by


class Kind(NamedTuple):
    """How a task's parts are computed, from batches as `training.sentences` or `training.questions` make them."""

    label: Callable[[Tensor, Batch], Tensor]  # of logits: the labels' own loss
    soft: Callable[
        [Tensor, Tensor, float, Batch], Tensor
    ]  # of student's and teacher's logits, at a temperature
    counts: Callable[[Batch], dict[str, int]]  # over how many rows or tokens either part's mean goes, by part


@dataclass(frozen=True, eq=False)
class Reading:
    """Learn labels, or what a teacher says, of rows whose every token is read.

    `weights` names the parts: "label", the labels' own cross entropy; "soft", T² · KL(teacher ‖ student); "cosine",
    1 - cos of the states after the last layer, of all tokens but padding. Without the last two no teacher is needed.
    """

    kind: Kind
    weights: Mapping[str, float]
    teacher: Reader | None = None
    temperature: float = 1.0

    def counts(self, batch: Batch) -> dict[str, int]:
        """See `Objective`."""
        counts = {**self.kind.counts(batch), "cosine": int(batch["attention_mask"].sum())}
        return {name: counts[name] for name in self.weights}

    def sums(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """See `Objective`; `model` is a `Reader`."""
        inputs, parts = inputs_of(batch), {}
        student: Read = model(**inputs)
        if "label" in self.weights:
            parts["label"] = self.kind.label(student.logits, batch)
        if self.teacher is not None:
            with torch.no_grad():
                teacher: Read = self.teacher(**inputs)
            if "soft" in self.weights:
                parts["soft"] = self.kind.soft(student.logits, teacher.logits, self.temperature, batch)
            if "cosine" in self.weights:
                parts["cosine"] = cosine_loss(student.states, teacher.states, batch["attention_mask"] > 0)
        return parts


def _soft_tags(student: Tensor, teacher: Tensor, temperature: float, batch: Batch) -> Tensor:
    return soft_target_loss(student, teacher, temperature, batch["words"])


def _soft_spans(student: Tensor, teacher: Tensor, temperature: float, batch: Batch) -> Tensor:
    ends = zip(student.unbind(dim=-1), teacher.unbind(dim=-1), strict=True)
    return torch.stack([soft_span_loss(q, p, temperature, batch["among"]) for q, p in ends]).mean()


def _counts_of_tags(batch: Batch) -> dict[str, int]:
    return {"label": int((batch["labels"] != IGNORED).sum()), "soft": int(batch["words"].sum())}


def _counts_of_spans(batch: Batch) -> dict[str, int]:
    return dict.fromkeys(("label", "soft"), len(batch["spans"]))


TAGS = Kind(lambda logits, batch: token_loss(logits, batch["labels"]), _soft_tags, _counts_of_tags)
SPANS = Kind(
    lambda logits, batch: span_loss(logits, batch["spans"], batch["among"]), _soft_spans, _counts_of_spans
)


def moved_inputs(batch: Batch, device: Any) -> Batch:
    """What of a batch is for the model, on its device."""
    return {name: column.to(device) for name, column in inputs_of(batch).items()}
