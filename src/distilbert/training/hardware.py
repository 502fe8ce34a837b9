"""What this machine computes in."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal

import torch
from accelerate import Accelerator
from accelerate.utils import GradientAccumulationPlugin
from psutil import Process

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from distilbert.training.recipe import LoopRecipe

Precision = Literal["bfloat16", "float32"]
_MULTIPLY_BFLOAT16 = {
    "avx512_bf16",
    "amx_bf16",
    "bf16",
    "sve_bf16",
}  # by their names in torch.cpu.get_capabilities
# oneDNN and PyTorch's layer over it keep what they compiled for each shape of a product, 1,024 times: gigabytes, unless
# these say otherwise before the first one. A step needs some 40, and its shapes hardly come again (docs/lab.md).
_KEPT_PRODUCTS = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64", "LRU_CACHE_CAPACITY": "64"}


def accelerator(recipe: LoopRecipe) -> Accelerator:
    """Find out which of several processes this is, and its device.

    accelerate's own mixed precision is one for all of a process's life, and its own accumulation takes all pieces for
    equally large; the loop has its own of both. Call it before anything is computed: it bounds what PyTorch keeps.
    """
    for name, most in _KEPT_PRODUCTS.items():
        os.environ.setdefault(name, most)
    return Accelerator(
        cpu=recipe.device == "cpu"
        or not torch.accelerator.is_available(),  # without it, several would not meet
        mixed_precision="no",
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
    )


def precision(recipe: LoopRecipe, device: torch.device) -> Precision:
    """What `recipe.precision` means here: "auto" is bfloat16 where the hardware multiplies it, else float32."""
    if recipe.precision != "auto":
        return recipe.precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    there = {name for name, has in torch.cpu.get_capabilities().items() if has is True}
    return "bfloat16" if device.type == "cpu" and there & _MULTIPLY_BFLOAT16 else "float32"


def resident_mb() -> int:
    """The memory that this process has of the machine's, in MB of 10^6 bytes; a GPU's own is not in it."""
    return round(int(Process().memory_info().rss) / 1e6)


def autocast(device: torch.device, chosen: Precision) -> AbstractContextManager[Any]:
    """Within this, matrices are multiplied in `chosen`; weights, sums, norms and losses stay in float32."""
    return nullcontext() if chosen == "float32" else torch.autocast(device.type, torch.bfloat16)
