"""What a student of tokens learns from a teacher that reads the same rows beside it.

The teacher's answers are not kept, as those of a classifier are: they are as many as a text has tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from distilbert.training.losses import IGNORED, cosine_loss, soft_target_loss, token_loss
from distilbert.training.objectives import inputs_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from distilbert.models.pretrained import PretrainedModel
    from distilbert.training.data import Batch


class Read(NamedTuple):
    """What a model says of a padded batch."""

    logits: Tensor  # [rows, longest, n]
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
        """Read a padded batch."""
        encoded = self.model.base_model(**inputs)
        states = encoded.last_hidden_state
        logits = self.model.score(encoded)  # type: ignore[operator]
        return Read(logits, self.projection(states) if self.projection else states)

    def save_pretrained(self, folder: Path) -> None:
        """Save the model alone."""
        self.model.save_pretrained(folder)


@dataclass(frozen=True, eq=False)
class TokenDistillation:
    """Label tokens as a teacher does, on batches of `training.sentences`.

    `weights` names the parts: "soft", T² · KL(teacher ‖ student) of all tokens but special ones; "cosine", 1 - cos of
    their last states; "label", the labels' own cross entropy. Each is a mean over tokens. Without the first two the
    teacher is not asked.
    """

    weights: Mapping[str, float]
    teacher: Reader | None
    temperature: float

    def counts(self, batch: Batch) -> dict[str, int]:
        """See `Objective`: tokens, and of "label" those that have one."""
        words, labelled = int(batch["words"].sum()), int((batch["labels"] != IGNORED).sum())
        return {name: labelled if name == "label" else words for name in self.weights}

    def sums(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """See `Objective`; `model` is the student as a `Reader`."""
        inputs, words, parts = inputs_of(batch), batch["words"], {}
        student: Read = model(**inputs)
        if "label" in self.weights:
            parts["label"] = token_loss(student.logits, batch["labels"])
        if self.teacher is not None:
            with torch.no_grad():
                teacher: Read = self.teacher(**inputs)
            if "soft" in self.weights:
                parts["soft"] = soft_target_loss(student.logits, teacher.logits, self.temperature, words)
            if "cosine" in self.weights:
                parts["cosine"] = cosine_loss(student.states, teacher.states, words)
        return parts
