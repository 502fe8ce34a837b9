"""The gradients of embedding tables, of whose rows a step reads a few hundred: the other rows' are zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class TableGradients:
    """Gives each embedding table of a model a dense gradient that is kept from step to step.

    PyTorch makes it anew in each backward pass, which for BERT's 30,522 words, 384 wide, is 47 MB of zeros and, on a
    processor, a tenth of a step (docs/lab.md). So it is asked for sparse ones, and their rows are written where the
    last step's are wiped out. Clipping and optimiser see what they would have seen.
    """

    def __init__(self, model: nn.Module) -> None:
        tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
        for table in tables:
            table.sparse = True
        self._weights = [table.weight for table in tables]
        # by weight: its gradient, and which rows of that are not 0
        self._kept: dict[Tensor, tuple[Tensor, Tensor]] = {}

    def fill(self) -> None:
        """After the backward passes of a step: make sparse gradients dense.

        One that is dense already stays: that of words which are also the projection of a masked-LM head.
        """
        for weight in self._weights:
            if weight.grad is None or not weight.grad.is_sparse:
                continue
            found = weight.grad.coalesce()
            rows = found.indices()[0]
            dense, written = self._kept.get(weight) or (torch.zeros_like(weight), rows[:0])
            dense.index_fill_(0, written, 0.0).index_copy_(0, rows, found.values())
            self._kept[weight] = dense, rows
            weight.grad = dense
