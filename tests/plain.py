"""DistilBERT and BERT in plain NumPy, one text at a time: slow, short, and what the graph is compared with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from distilbert.files.config import ACTIVATIONS

if TYPE_CHECKING:
    from distilbert.files.checkpoint import Checkpoint

_erf = np.vectorize(math.erf)
_FORMULAS = {
    "gelu": lambda x: x * (1 + _erf(x / math.sqrt(2))) / 2,
    "gelu_tanh": lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x / (1 + np.exp(-x)),
}


def hidden_states(checkpoint: Checkpoint, ids: list[int], types: list[int] | None = None) -> np.ndarray:
    """The last layer's output for one text, float64 `[length, dim]`."""
    config = checkpoint.config
    arrays = {name: array.astype(np.float64) for name, array in checkpoint.arrays.items()}

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ arrays[f"{name}.weight"].T + arrays[f"{name}.bias"]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred**2).mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt(variance + config.layer_norm_eps)
        return scaled * arrays[f"{name}.weight"] + arrays[f"{name}.bias"]

    def attention(x: np.ndarray, name: str) -> np.ndarray:
        heads = []
        projected = [linear(x, f"{name}.{part}_lin") for part in "qkv"]
        for head in range(config.n_heads):
            columns = slice(head * config.head_dim, (head + 1) * config.head_dim)
            query, key, value = (part[:, columns] for part in projected)
            scores = np.exp(query @ key.T / math.sqrt(config.head_dim))
            heads.append(scores / scores.sum(axis=-1, keepdims=True) @ value)
        return linear(np.concatenate(heads, axis=-1), f"{name}.out_lin")

    x = arrays["embeddings.word_embeddings.weight"][ids]
    x = x + arrays["embeddings.position_embeddings.weight"][: len(ids)]
    if config.type_vocab_size:
        x = x + arrays["embeddings.token_type_embeddings.weight"][types or [0] * len(ids)]
    x = norm(x, "embeddings.LayerNorm")
    for layer in range(config.n_layers):
        name = f"transformer.layer.{layer}"
        x = norm(x + attention(x, f"{name}.attention"), f"{name}.sa_layer_norm")
        inner = _FORMULAS[ACTIVATIONS[config.activation]](linear(x, f"{name}.ffn.lin1"))
        x = norm(x + linear(inner, f"{name}.ffn.lin2"), f"{name}.output_layer_norm")
    return x


def head_outputs(checkpoint: Checkpoint, hidden: np.ndarray) -> list[np.ndarray]:
    """What the head makes of one text's rows `[length, dim]`, in the order of the graph's outputs."""
    match checkpoint.head:
        case "none":
            return [hidden]
        case "sequence-classification":
            return [logits(checkpoint, hidden[0])]
        case "token-classification":
            return [_linear(checkpoint, hidden, "classifier")]
        case "question-answering":
            return list(_linear(checkpoint, hidden, "qa_outputs").T)
        case "masked-lm":
            return [vocabulary_logits(checkpoint, hidden)]


def vocabulary_logits(checkpoint: Checkpoint, rows: np.ndarray) -> np.ndarray:
    """A masked language model's logits `[rows, vocabulary]`."""
    arrays, config = checkpoint.arrays, checkpoint.config
    active = _FORMULAS[ACTIVATIONS[config.activation]](_linear(checkpoint, rows, "vocab_transform"))
    centred = active - active.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + config.layer_norm_eps)
    normed = scaled * arrays["vocab_layer_norm.weight"] + arrays["vocab_layer_norm.bias"]
    table = arrays.get("vocab_projector.weight", arrays["embeddings.word_embeddings.weight"])
    return normed @ table.T + arrays["vocab_projector.bias"]


def _linear(checkpoint: Checkpoint, x: np.ndarray, name: str) -> np.ndarray:
    return x @ checkpoint.arrays[f"{name}.weight"].T + checkpoint.arrays[f"{name}.bias"]


def logits(checkpoint: Checkpoint, first_row: np.ndarray) -> np.ndarray:
    """The head's answer `[labels]` to the first token's row of the last layer."""
    layer, function = (
        ("pre_classifier", _FORMULAS["relu"])
        if checkpoint.config.model_type == "distilbert"
        else ("pooler", np.tanh)
    )
    return _linear(checkpoint, function(_linear(checkpoint, first_row, layer)), "classifier")
