"""A graph of ours -> the checkpoint that it stands for: its weights under their canonical names, in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import onnx
from onnx import numpy_helper

from distilbert.errors import BundleError
from distilbert.files.checkpoint import Checkpoint, tensor_shapes

if TYPE_CHECKING:
    from pathlib import Path

    from distilbert.files.checkpoint import Head
    from distilbert.files.config import DistilBertConfig
    from distilbert.graph.weights import Arrays

# These are kept as rows; linears are kept the way they multiply, [in, out].
_TABLES = ("embeddings.", "vocab_projector.")
_PROJECTOR = "vocab_projector.weight"  # only there where it is not the word embeddings
_AGAIN = "Compile, install or download the bundle again."


def read_graph(path: Path, config: DistilBertConfig) -> Checkpoint:
    """Read the weights back out of a float32 or int8 graph that `graph.encoder.build_graph` made.

    Of int8 it is the integers times their scales: the weights that the graph computes with, though it also rounds
    activations. Raises `BundleError` where it is not such a graph, or not of this config.
    """
    model = onnx.load(path)
    head = {entry.key: entry.value for entry in model.metadata_props}.get("distilbert.head", "")
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    try:
        shapes = tensor_shapes(config, cast("Head", head))
        arrays = {name: _read(stored, name) for name in shapes if name in stored or name != _PROJECTOR}
    except KeyError as error:
        fault = f"{path} is no graph of a model with this config: it has no {error}."
        raise BundleError(fault, _AGAIN) from None
    for name, array in arrays.items():
        if array.shape != shapes[name]:
            raise BundleError(
                f"{path}: {name} has shape {list(array.shape)}, but config.json says {list(shapes[name])}.",
                _AGAIN,
            )
    return Checkpoint(config, cast("Head", head), arrays)


def _read(stored: Arrays, name: str) -> np.ndarray:
    """One tensor, `[out, in]` if it is a linear's; its float form where a language model's graph has both."""
    array = stored[name] if name in stored else _dequantised(stored, name)
    if array.ndim == 2 and not name.startswith(_TABLES):
        array = array.T
    return np.array(array, np.float32, order="C")


def _dequantised(stored: Arrays, name: str) -> np.ndarray:
    if f"{name}.int8" not in stored:
        raise KeyError(name)
    return stored[f"{name}.int8"].astype(np.float32) * stored[f"{name}.scale"]
