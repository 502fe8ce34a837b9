"""The `Engine` protocol, and the names of the arrays that pass through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping

TokenIds: TypeAlias = NDArray[np.int64]  # [batch, length]; masks and token types too
Floats: TypeAlias = NDArray[np.float32]


class Engine(Protocol):
    """A loaded graph. `run` may be called from `workers` threads at once with profit, from more without harm."""

    @property
    def library(self) -> str:
        """The package that computes, such as `onnxruntime`: answers are promised from one version of it."""

    @property
    def input_names(self) -> tuple[str, ...]:
        """The arrays it takes: `input_ids`, `attention_mask`, for BERT `token_type_ids`; and `positions`, which may
        be left out, for a language model (`graph.heads`).
        """

    @property
    def output_names(self) -> tuple[str, ...]:
        """The arrays it gives."""

    @property
    def workers(self) -> int:
        """How many calls of `run` are worth making at the same time."""

    def run(self, inputs: Mapping[str, TokenIds]) -> dict[str, Floats]:
        """Answer one padded batch. What is in `inputs` beyond `input_names` is ignored."""
