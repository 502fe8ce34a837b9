"""What training minimises: a weighted sum of means, each over rows or tokens.

The loop asks an objective for the *sums* of its parts over a piece of a batch, and for the *counts* that they are
means over. So a batch may be cut into pieces and spread over processes in any way: the loss, and its gradient, stay
those of the whole batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from distilbert.training.losses import IGNORED, label_loss, token_loss

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from distilbert.training.data import Batch
    from distilbert.training.recipe import ProblemType

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class Objective(Protocol):
    """Minimises Σ weight · sum / count over its parts."""

    @property
    def weights(self) -> Mapping[str, float]:
        """By part."""

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """Over how many rows or tokens of this batch each part's mean goes."""

    def sums(self, model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Each part, summed over these: float32 scalars."""


def inputs_of(batch: Batch) -> Batch:
    """What of a batch is for the model."""
    return {name: batch[name] for name in _INPUTS if name in batch}


class Labels:
    """Learn the labels of texts: `labels` in each batch, as `training.labels` makes them."""

    def __init__(self, problem_type: ProblemType) -> None:
        self.problem_type = problem_type
        self.weights: Mapping[str, float] = {"label": 1.0}

    def counts(self, batch: Batch) -> dict[str, int]:
        """See `Objective`: rows."""
        return {"label": len(batch["labels"])}

    def sums(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """See `Objective`."""
        logits = model(**inputs_of(batch)).logits
        return {"label": label_loss(logits, batch["labels"], self.problem_type)}


class MaskedWords:
    """Guess masked tokens (BERT, section 3.1): `positions` and `labels` `[rows, most masked]` in each batch."""

    def __init__(self) -> None:
        self.weights: Mapping[str, float] = {"masked": 1.0}

    def counts(self, batch: Batch) -> dict[str, int]:
        """See `Objective`: masked tokens."""
        return {"masked": int((batch["labels"] != IGNORED).sum())}

    def sums(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """See `Objective`."""
        logits = model(**inputs_of(batch), positions=batch["positions"]).logits
        return {"masked": token_loss(logits, batch["labels"])}
