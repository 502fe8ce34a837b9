"""What models return: tensors by attribute, by name or by place, as in transformers. What is None has no place.

On request every output has `hidden_states`, the embeddings' rows and each layer's, `n_layers + 1` tensors
`[B, L, D]`, and `attentions`, the share of each token that every token takes (before dropout), `n_layers` tensors
`[B, H, L, L]`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(eq=False)
class ModelOutput:
    """The base of them all."""

    def keys(self) -> tuple[str, ...]:
        """The names of what is there, in order."""
        names = (field.name for field in dataclasses.fields(self))
        return tuple(name for name in names if getattr(self, name) is not None)

    def to_tuple(self) -> tuple[Any, ...]:
        """What is there, in order."""
        return tuple(getattr(self, name) for name in self.keys())

    def __getitem__(self, key: str | int | slice) -> Any:
        if not isinstance(key, str):
            return self.to_tuple()[key]
        if key not in self.keys():
            raise KeyError(key)
        return getattr(self, key)

    def __contains__(self, key: object) -> bool:
        return key in self.keys()


@dataclass(eq=False)
class EncoderOutput(ModelOutput):
    """Of an encoder: `last_hidden_state` `[B, L, D]`, and BERT's `pooler_output` `[B, D]`."""

    last_hidden_state: Tensor
    pooler_output: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass(eq=False)
class LogitsOutput(ModelOutput):
    """Of most heads: `logits`, whose shape is the head's, and the mean `loss` where labels were given."""

    loss: Tensor | None
    logits: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass(eq=False)
class SpanOutput(ModelOutput):
    """Of question answering: `start_logits` and `end_logits` `[B, L]`, and the mean `loss` of both."""

    loss: Tensor | None
    start_logits: Tensor
    end_logits: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
