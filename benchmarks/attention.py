"""Attention for training on a processor: PyTorch's fused kernel beside the same step by step.

    python benchmarks/attention.py [ROUNDS]        (needs torch)

32 texts, 12 heads of 64, dropout 0.1, a mask with padding; forward and backward, one thread; ms of processor time,
median of interleaved rounds.
"""

from __future__ import annotations

import sys
import time
from statistics import median

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from distilbert.models.encoder import attend

DROPOUT = 0.1


def fused(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Let PyTorch choose among its kernels."""
    return scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=DROPOUT)


def step_by_step(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Compute the scores, their softmax and its product with the values one after the other."""
    return attend(query, key, value, mask, DROPOUT)[0]


def main() -> None:
    """Print a row for each type and length."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    torch.set_num_threads(1)
    print("type, tokens: fused, step by step")
    for dtype in (torch.float32, torch.bfloat16):
        for length in (16, 32, 64, 128):
            inputs = [torch.randn(32, length, 12, 64, dtype=dtype, requires_grad=True) for _ in range(3)]
            mask = torch.ones(32, 1, 1, length, dtype=torch.bool)
            mask[::2, ..., -3:] = False
            seconds: dict[object, list[float]] = {fused: [], step_by_step: []}
            for _ in range(rounds + 1):
                for way in (fused, step_by_step):
                    start = time.process_time()
                    found = way(*(rows.transpose(1, 2) for rows in inputs), mask)
                    found.backward(torch.ones_like(found))
                    seconds[way].append(time.process_time() - start)
            one, other = (median(values[1:]) * 1000 for values in seconds.values())
            print(f"{dtype}, {length}: {one:.1f}, {other:.1f}")


if __name__ == "__main__":
    main()
