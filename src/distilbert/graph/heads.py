"""What each head makes of the encoder's rows, always in float32: the graph's outputs, by name, with their shapes.

| head                    | outputs                                                          |
| ----------------------- | ---------------------------------------------------------------- |
| none                    | `last_hidden_state` `[B, L, D]`                                  |
| sequence-classification | `logits` `[B, labels]`                                           |
| token-classification    | `logits` `[B, L, labels]`                                        |
| question-answering      | `start_logits` and `end_logits` `[B, L]`                         |
| masked-lm               | `logits` `[B, R, vocabulary]` of the rows at `positions` `[B, R]` |

A language model's logits for every token are 60 MB a text of 512, and computing them takes longer than the
encoder does in int8, while filling a mask reads one row. So its graph has an input more, `positions`, which
has a default: all rows. Who does not know of it gets `[B, L, vocabulary]`, as from transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from distilbert.graph.layers import LayerNorms, activation
from distilbert.graph.weights import FloatWeights

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from distilbert.files.checkpoint import Checkpoint, Head
    from distilbert.graph.nodes import Notepad

    Outputs: TypeAlias = Mapping[str, tuple[str | int, ...]]
    MakeHead: TypeAlias = Callable[[Notepad, Checkpoint, str], Outputs]


def _none(pad: Notepad, checkpoint: Checkpoint, hidden: str) -> Outputs:
    return {pad.add("Identity", hidden, name="last_hidden_state"): ("batch", "length", checkpoint.config.dim)}


def _texts(pad: Notepad, checkpoint: Checkpoint, first: str) -> Outputs:
    """From the first token's rows `[B, 1, D]`: a hidden layer, then a projection to labels.

    DistilBERT: `pre_classifier` and ReLU; BERT: its pooler and tanh.
    """
    config, weights = checkpoint.config, FloatWeights(checkpoint.arrays)
    layer, operator = ("pre_classifier", "Relu") if config.model_type == "distilbert" else ("pooler", "Tanh")
    hidden = pad.add(operator, weights.linear(pad, first, layer, f"{layer}.input"), name=f"{layer}.active")
    logits = weights.linear(pad, hidden, "classifier", "classifier.input")
    return {pad.add("Squeeze", logits, pad.ints(1), name="logits"): ("batch", config.num_labels)}


def _tokens(pad: Notepad, checkpoint: Checkpoint, hidden: str) -> Outputs:
    logits = FloatWeights(checkpoint.arrays).linear(pad, hidden, "classifier", "classifier.input")
    return {pad.add("Identity", logits, name="logits"): ("batch", "length", checkpoint.config.num_labels)}


def _span(pad: Notepad, checkpoint: Checkpoint, hidden: str) -> Outputs:
    both = FloatWeights(checkpoint.arrays).linear(pad, hidden, "qa_outputs", "qa_outputs.input")
    outputs: dict[str, tuple[str | int, ...]] = {}
    for column, name in enumerate(("start_logits", "end_logits")):
        chosen = pad.add("Gather", both, pad.ints(column), name=f"{name}.column", axis=2)
        outputs[pad.add("Squeeze", chosen, pad.ints(2), name=name)] = ("batch", "length")
    return outputs


def _masked_words(pad: Notepad, checkpoint: Checkpoint, hidden: str) -> Outputs:
    """A hidden layer with activation and norm, then the word embeddings again, as rows to compare with."""
    config, arrays = checkpoint.config, checkpoint.arrays
    rows = _rows_at_positions(pad, checkpoint, hidden)
    inner = FloatWeights(arrays).linear(pad, rows, "vocab_transform", "vocab_transform.input")
    active = activation(pad, config.activation, inner, "vocab_transform.active")
    normed = LayerNorms(pad, checkpoint).norm("vocab_layer_norm", active)
    own = "vocab_projector.weight"
    table = own if own in arrays else "embeddings.word_embeddings.weight"
    # Transposed when a session loads, so that the file has the table once.
    words = pad.add(
        "Transpose", pad.constant(table, arrays[table]), name="vocab_projector.words", perm=[1, 0]
    )
    product = pad.add("MatMul", normed, words, name="vocab_projector.product")
    bias = pad.constant("vocab_projector.bias", arrays["vocab_projector.bias"])
    return {pad.add("Add", product, bias, name="logits"): ("batch", "rows", config.vocab_size)}


def _rows_at_positions(pad: Notepad, checkpoint: Checkpoint, hidden: str) -> str:
    """The rows `[B, R, D]` at the input `positions`, `[B, R]` or the same `[1, R]` for all, R at most L."""
    every = np.arange(checkpoint.config.max_position_embeddings)[None]
    positions = pad.default_input("positions", every, ("texts", "rows"))
    length = pad.add("Shape", hidden, name="positions.length", start=1, end=2)
    within = pad.add("Slice", positions, pad.ints(0), length, pad.ints(1), name="positions.within")
    batch = pad.add("Shape", hidden, name="positions.batch", start=0, end=1)
    shape = pad.add("Concat", batch, pad.ints(1), name="positions.shape", axis=0)
    each = pad.add("Expand", within, shape, name="positions.each")
    places = pad.add("Unsqueeze", each, pad.ints(2), name="positions.places")
    return pad.add("GatherND", hidden, places, name="positions.rows", batch_dims=1)


HEADS: Mapping[Head, MakeHead] = {
    "none": _none,
    "sequence-classification": _texts,
    "token-classification": _tokens,
    "question-answering": _span,
    "masked-lm": _masked_words,
}
