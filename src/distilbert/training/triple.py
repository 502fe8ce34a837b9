"""The triple loss of Sanh et al. (2019), section 2, on packed rows: soft targets, masked words, directions of states.

As in its published code, each part is a mean over tokens; and the teacher reads what the student reads, masked anew in
every epoch, so its answers cannot be kept and it runs beside the student.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor, nn

from distilbert.models.outputs import EncoderOutput
from distilbert.training.losses import IGNORED, cosine_loss, soft_target_loss, token_loss

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from distilbert.models.pretrained import PretrainedModel
    from distilbert.training.data import Batch


class Guesses(NamedTuple):
    """What a model says of packed rows. What nobody asked for is empty."""

    logits: Tensor  # of chosen tokens: [chosen, vocabulary]
    states: Tensor  # after the last layer, of all tokens but padding: [tokens, width]


class Guesser(nn.Module):
    """A model with a masked-LM head that reads packed rows, and computes no more than is asked for.

    Where its states are to be compared with some of another width, a projection onto these is learnt and then dropped.
    """

    def __init__(self, model: PretrainedModel, width: int | None = None, seed: int = 0) -> None:
        super().__init__()
        self.model, here = model, model.config.dim
        torch.manual_seed(seed)
        self.projection = None if width in (None, here) else nn.Linear(here, width or here, bias=False)

    def forward(
        self,
        input_ids: Tensor,
        position_ids: Tensor,
        pieces: Tensor,
        *,
        chosen: Tensor | None,
        want_states: bool,
    ) -> Guesses:
        """Read a batch of `PackedTexts`; logits of the tokens where `chosen` `[rows, length]` is true, or of none."""
        own = pieces[:, :, None] == pieces[:, None, :]  # padding sees padding, as something it must see
        rows = self.model.base_model(input_ids, own, position_ids=position_ids).last_hidden_state
        nothing = rows.new_empty(0, rows.shape[-1])
        logits = nothing if chosen is None else self.model.score(EncoderOutput(rows[chosen]))  # type: ignore[operator]
        states = rows[pieces > 0] if want_states else nothing
        return Guesses(logits, self.projection(states) if self.projection and want_states else states)

    def save_pretrained(self, folder: Path) -> None:
        """Save the model alone."""
        self.model.save_pretrained(folder)


@dataclass(frozen=True, eq=False)
class TripleLoss:
    """Guess masked tokens as a teacher does, on batches of `PackedTexts`; one process's or several'.

    `weights` names the parts: "soft", T² · KL(teacher ‖ student) over the vocabulary, of all tokens or of masked ones;
    "masked", the cross entropy of masked ones; "cosine", 1 - cos of the last states of all tokens. One that is left out
    costs nothing: without "soft" the teacher computes no vocabulary, without "cosine" too it is not needed.
    """

    weights: Mapping[str, float]
    teacher: Guesser | None
    temperature: float = 2.0
    soft_on: Literal["all", "masked"] = "all"

    def counts(self, batch: Batch) -> dict[str, int]:
        """See `Objective`: tokens."""
        masked, tokens = int((batch["labels"] != IGNORED).sum()), int((batch["pieces"] > 0).sum())
        counts = {"soft": tokens if self.soft_on == "all" else masked, "masked": masked, "cosine": tokens}
        return {name: counts[name] for name in self.weights}

    def sums(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """See `Objective`; `model` is the student as a `Guesser`."""
        weights, read = self.weights, {name: batch[name] for name in ("input_ids", "position_ids", "pieces")}
        masked, want_states = batch["labels"] != IGNORED, "cosine" in weights
        of_all = self.soft_on == "all" and "soft" in weights
        chosen = batch["pieces"] > 0 if of_all else masked
        student: Guesses = model(
            **read, chosen=chosen if weights.keys() & {"soft", "masked"} else None, want_states=want_states
        )
        parts = {}
        if "masked" in weights:
            logits = student.logits[masked[chosen]] if of_all else student.logits
            parts["masked"] = token_loss(logits[None], batch["labels"][masked][None])
        if self.teacher is not None:
            with torch.no_grad():
                teacher = self.teacher(
                    **read, chosen=chosen if "soft" in weights else None, want_states=want_states
                )
            if "soft" in weights:
                parts["soft"] = soft_target_loss(student.logits, teacher.logits, self.temperature)
            if want_states:
                parts["cosine"] = cosine_loss(student.states, teacher.states)
        return parts
