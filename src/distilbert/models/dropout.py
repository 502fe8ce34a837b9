"""Dropout that does not hold up training on a processor."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own idiom
from torch import Tensor, nn


def dropout(values: Tensor, rate: float) -> Tensor:
    """Zero each value with probability `rate`, and scale the others so that their sum is to be expected.

    Srivastava et al., 2014. On a processor PyTorch draws a number for each value, on one thread, which takes a tenth of
    a training step (docs/lab.md); here four values share a draw, 16 of its bits each, so that the probability is
    `rate` to within 2^-17. Other devices keep PyTorch's own.
    """
    if values.device.type != "cpu" or not 0 < rate < 1:
        return F.dropout(values, rate)
    draws = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    bits = draws.view(torch.int16)[: values.numel()].view(values.shape)
    kept = bits >= round(rate * 2**16) - 2**15
    return values * kept.to(values.dtype).mul_(1 / (1 - rate))


class Dropout(nn.Dropout):
    """`dropout` in training, nothing else."""

    def forward(self, values: Tensor) -> Tensor:
        """As `dropout`."""
        return dropout(values, self.p) if self.training else values
