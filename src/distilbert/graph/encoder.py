"""The model itself: DistilBERT (Sanh et al., 2019) or BERT (Devlin et al., 2018) as an ONNX graph.

Shapes: B texts of L tokens, D = `config.dim`, H heads of d = D / H. Inputs are int64 `[B, L]`, both dynamic.
A classifier reads only the first token's row of the last layer, so that layer computes its query, its output
projection and its feed-forward for that row alone: exact, and 14 % of a six-layer model's linear work.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from distilbert.graph.heads import HEADS
from distilbert.graph.layers import LayerNorms, activation
from distilbert.graph.nodes import Notepad

if TYPE_CHECKING:
    import onnx

    from distilbert.files.checkpoint import Checkpoint
    from distilbert.files.config import DistilBertConfig
    from distilbert.graph.weights import FloatWeights, Weights


def build_graph(checkpoint: Checkpoint, weights: Weights) -> onnx.ModelProto:
    """The graph of a checkpoint, with its head, holding its weights as `weights` does.

    What comes out, `graph.heads` says.
    """
    config = checkpoint.config
    pad = Notepad()
    hidden = _encoder(pad, config, weights, checkpoint)
    outputs = HEADS[checkpoint.head](pad, checkpoint, hidden)
    return pad.model(input_names(config), outputs, {"distilbert.head": checkpoint.head})


def build_taps(checkpoint: Checkpoint, weights: FloatWeights) -> onnx.ModelProto:
    """The same graph in float32, whose outputs are the activations that enter each linear, by site."""
    config = checkpoint.config
    pad = Notepad()
    _encoder(pad, config, weights, checkpoint)
    taps = {
        pad.add("Identity", tensor, name=site): ["batch", "rows", "width"]
        for site, tensor in weights.sites.items()
    }
    return pad.model(input_names(config), taps, {})


def input_names(config: DistilBertConfig) -> tuple[str, ...]:
    """What the graph takes: BERT also wants to know which of two texts a token belongs to."""
    names = ("input_ids", "attention_mask")
    return (*names, "token_type_ids") if config.type_vocab_size else names


def linear_names(config: DistilBertConfig) -> list[str]:
    """The encoder's linears, in the order in which a text passes them."""
    parts = [f"attention.{part}" for part in ("q_lin", "k_lin", "v_lin", "out_lin")] + [
        "ffn.lin1",
        "ffn.lin2",
    ]
    return [f"transformer.layer.{layer}.{part}" for layer in range(config.n_layers) for part in parts]


def _encoder(pad: Notepad, config: DistilBertConfig, weights: Weights, checkpoint: Checkpoint) -> str:
    """All layers: `[B, L, D]`, or for a classifier the first token's row of the last one, `[B, 1, D]`."""
    only_first_token = checkpoint.head == "sequence-classification"
    norms = LayerNorms(pad, checkpoint)
    hidden = _embeddings(pad, config, weights, norms)
    mask = _mask(pad)
    for layer in range(config.n_layers):
        rows = hidden
        if only_first_token and layer == config.n_layers - 1:
            rows = _first_token(pad, hidden)
        name = f"transformer.layer.{layer}"
        attended = _attention(pad, config, weights, f"{name}.attention", rows, hidden, mask)
        rows = norms.add_and_norm(f"{name}.sa_layer_norm", attended, rows)
        hidden = norms.add_and_norm(
            f"{name}.output_layer_norm", _feed_forward(pad, config, weights, name, rows), rows
        )
    return hidden


def _embeddings(pad: Notepad, config: DistilBertConfig, weights: Weights, norms: LayerNorms) -> str:
    """Word, position and (BERT) token-type vectors, added and normalised: `[B, L, D]`."""
    words = weights.lookup(pad, "Gather", "embeddings.word_embeddings.weight", "input_ids")
    length = pad.add("Shape", "input_ids", name="length", start=1, end=2)
    positions = weights.lookup(
        pad, "Slice", "embeddings.position_embeddings.weight", pad.ints(0), length, pad.ints(0)
    )
    total = pad.add("Add", words, positions, name="embeddings.sum")
    if config.type_vocab_size:
        types = weights.lookup(pad, "Gather", "embeddings.token_type_embeddings.weight", "token_type_ids")
        total = pad.add("Add", total, types, name="embeddings.sum_with_types")
    return norms.norm("embeddings.LayerNorm", total)


def _mask(pad: Notepad) -> str:
    """What is added to the scores, `[B, 1, 1, L]`: 0 for a token, the lowest float32 for padding.

    Padding then weighs exactly 0 after the softmax, so a text's answer cannot depend on its neighbours.
    """
    lowest = pad.constant("lowest", np.array(np.finfo(np.float32).min, np.float32))
    one = pad.constant("one", np.array(1, np.float32))
    tokens = pad.add("Cast", "attention_mask", name="mask.tokens", to=1)  # 1: float32
    padding = pad.add("Sub", one, tokens, name="mask.padding")
    return pad.add(
        "Unsqueeze", pad.add("Mul", padding, lowest, name="mask.flat"), pad.ints(1, 2), name="mask"
    )


def _first_token(pad: Notepad, hidden: str) -> str:
    return pad.add("Slice", hidden, pad.ints(0), pad.ints(1), pad.ints(1), name=f"{hidden}.first_token")


def _attention(
    pad: Notepad, config: DistilBertConfig, weights: Weights, name: str, rows: str, context: str, mask: str
) -> str:
    """Multi-head attention (Vaswani et al., 2017, section 3.2.2) of `rows` `[B, R, D]` over `context`.

    softmax(Q K^T / sqrt(d) + mask) V, heads side by side, then the output projection.
    """

    def heads(part: str, source: str, order: list[int]) -> str:
        projected = weights.linear(pad, source, f"{name}.{part}", f"{name}.input")
        split = pad.add(
            "Reshape",
            projected,
            pad.ints(0, 0, config.n_heads, config.head_dim),
            name=f"{name}.{part}.split",
        )
        return pad.add("Transpose", split, name=f"{name}.{part}.heads", perm=order)

    # Keys before queries: the site's range is that of all rows, not of the first token's alone.
    key = heads("k_lin", context, [0, 2, 3, 1])  # [B, H, d, L]
    value = heads("v_lin", context, [0, 2, 1, 3])  # [B, H, L, d]
    query = heads("q_lin", rows, [0, 2, 1, 3])  # [B, H, R, d]
    scale = pad.constant("head_scale", np.array(1 / math.sqrt(config.head_dim), np.float32))
    scaled = pad.add("Mul", query, scale, name=f"{name}.query")
    scores = pad.add("MatMul", scaled, key, name=f"{name}.scores")
    masked = pad.add("Add", scores, mask, name=f"{name}.masked")
    shares = pad.add("Softmax", masked, name=f"{name}.shares", axis=-1)
    mixed = pad.add("MatMul", shares, value, name=f"{name}.mixed")
    merged = pad.add("Transpose", mixed, name=f"{name}.merged", perm=[0, 2, 1, 3])
    flat = pad.add("Reshape", merged, pad.ints(0, 0, config.dim), name=f"{name}.flat")
    return weights.linear(pad, flat, f"{name}.out_lin", f"{name}.out_lin.input")


def _feed_forward(pad: Notepad, config: DistilBertConfig, weights: Weights, layer: str, rows: str) -> str:
    inner = weights.linear(pad, rows, f"{layer}.ffn.lin1", f"{layer}.ffn.lin1.input")
    active = activation(pad, config.activation, inner, f"{layer}.ffn.active")
    return weights.linear(pad, active, f"{layer}.ffn.lin2", f"{layer}.ffn.lin2.input")
