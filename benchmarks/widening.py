"""Models of other shapes than those that were trained: wider ones that compute the same, fresh ones for speed alone.

A widened model computes what the narrow one does: every unit stands there twice, so the weights of each linear map are
halved; a head keeps its units, now 64, and its queries are divided by √2, for a score adds up twice as many products
but is divided by √64 instead of √32. Sizes and speed are those of BERT-base and DistilBERT-base, and labels are real.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from distilbert.files.checkpoint import Checkpoint

if TYPE_CHECKING:
    from pathlib import Path


def widened(checkpoint: Checkpoint) -> Checkpoint:
    """The same function with every hidden unit twice."""
    config = checkpoint.config
    doubled = {config.dim, config.hidden_dim}
    arrays = {}
    for name, array in checkpoint.arrays.items():
        is_table = array.ndim == 2 and name.startswith("embeddings.")  # its rows are no units
        is_linear = array.ndim == 2 and not is_table
        for axis, size in enumerate(array.shape):
            if size in doubled and not (is_table and axis == 0):
                array = np.repeat(array, 2, axis=axis)  # a unit's twin is beside it: in the same head
        scale = (0.5 if is_linear else 1.0) * (0.5**0.5 if ".q_lin." in name else 1.0)
        arrays[name] = array * np.float32(scale)
    wide = dataclasses.replace(config, dim=2 * config.dim, hidden_dim=2 * config.hidden_dim)
    return Checkpoint(wide, checkpoint.head, arrays)


def narrowed(checkpoint: Checkpoint) -> Checkpoint:
    """The first half of each feed-forward's units: for speed alone, since it is another function."""
    half = checkpoint.config.hidden_dim // 2
    arrays = dict(checkpoint.arrays)
    for name, array in checkpoint.arrays.items():
        if ".ffn.lin1." in name:
            arrays[name] = np.ascontiguousarray(array[:half])
        elif name.endswith(".ffn.lin2.weight"):
            arrays[name] = np.ascontiguousarray(array[:, :half])
    return Checkpoint(dataclasses.replace(checkpoint.config, hidden_dim=half), checkpoint.head, arrays)


def shortened(checkpoint: Checkpoint, layers: int = 3) -> Checkpoint:
    """The first layers alone: for speed alone."""
    dropped = tuple(f"transformer.layer.{layer}." for layer in range(layers, checkpoint.config.n_layers))
    arrays = {name: array for name, array in checkpoint.arrays.items() if not name.startswith(dropped)}
    return Checkpoint(dataclasses.replace(checkpoint.config, n_layers=layers), checkpoint.head, arrays)


def save(checkpoint: Checkpoint, tokenizer_of: Path, out: Path) -> None:
    """Write a checkpoint in Hugging Face's layout, with the tokenizer of another folder."""
    from distilbert.models import model_class
    from distilbert.text.tokenizer import DistilBertTokenizer

    model = model_class(checkpoint.config.model_type, checkpoint.head).from_checkpoint(checkpoint)
    model.save_pretrained(out, DistilBertTokenizer.from_folder(tokenizer_of))
