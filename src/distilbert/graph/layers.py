"""Layers that the encoder and heads share, always in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distilbert.files.config import ACTIVATIONS

if TYPE_CHECKING:
    from distilbert.files.checkpoint import Checkpoint
    from distilbert.graph.nodes import Notepad


class LayerNorms:
    """Layer normalisation over the last axis, with the arrays `name.weight` and `name.bias`."""

    def __init__(self, pad: Notepad, checkpoint: Checkpoint) -> None:
        self._pad, self._arrays = pad, checkpoint.arrays
        self._epsilon = checkpoint.config.layer_norm_eps

    def add_and_norm(self, name: str, update: str, rows: str) -> str:
        """Note the norm of a sum, the end of each half of a layer."""
        return self.norm(name, self._pad.add("Add", update, rows, name=f"{name}.sum"))

    def norm(self, name: str, x: str) -> str:
        """Note the norm of `x` `[..., D]`."""
        scale, bias = (
            self._pad.constant(f"{name}.{part}", self._arrays[f"{name}.{part}"])
            for part in ("weight", "bias")
        )
        return self._pad.add("LayerNormalization", x, scale, bias, name=name, axis=-1, epsilon=self._epsilon)


def activation(pad: Notepad, kind: str, x: str, name: str) -> str:
    """Note the activation that a config calls `kind`, of each value of `x`."""
    match ACTIVATIONS[kind]:
        case "gelu":
            return pad.add("Gelu", x, name=name, approximate="none")
        case "gelu_tanh":
            return pad.add("Gelu", x, name=name, approximate="tanh")
        case "silu":
            return pad.add("Mul", x, pad.add("Sigmoid", x, name=f"{name}.gate"), name=name)
        case _:
            return pad.add("Relu", x, name=name)
