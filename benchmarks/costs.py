"""What an operator costs: its operations and the bytes that it touches, by its name, types and shapes.

A multiplication and an addition are 2 operations. Bytes are those of inputs and outputs, read or written once.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    Shape = tuple[int, ...]
    Tensor = tuple[str, Shape]  # its type's name, as ONNX Runtime writes it, and its shape

BYTES = {"float": 4, "int64": 8, "int32": 4, "int8": 1, "uint8": 1, "bool": 1}

# Operations of each value that comes out, roughly: exp and erf are polynomials, of some 10 and 25 terms.
PER_VALUE = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Cast", "Relu", "DequantizeLinear"), 1),
    "QuantizeLinear": 4, "LayerNormalization": 8, "Tanh": 24, "Softmax": 24, "Gelu": 50, "BiasGelu": 51,
}  # fmt: skip
PRODUCTS = ("MatMul", "FusedMatMul", "MatMulIntegerToFloat", "Gemm", "FusedGemm")
VIEWS = ("Reshape", "Squeeze", "Unsqueeze", "Identity", "Shape")  # move nothing
PICKS = ("Gather", "Slice")  # read only what they give

# What a node of our graph is for, by its name; the first that fits.
KINDS = {
    r"embeddings\.LayerNorm$|layer_norm$|^MVN_": "layer norm",
    r"\.(uint8|dequantized)$|lin\d?\.weight$|_q$": "quantise",
    r"embeddings\.|^length$": "embeddings",
    r"[qkv]_lin\.product$": "linear: q, k, v",
    r"out_lin\.product$": "linear: out",
    r"ffn\.lin1\.product$": "linear: first of feed-forward",
    r"ffn\.lin2\.product$": "linear: second of feed-forward",
    r"ffn\.active$|^BiasGelu|^Gelu": "GELU",
    r"(q_lin|k_lin|v_lin|out_lin|ffn\.lin\d)$": "bias",
    r"layer_norm\.sum$": "residual",
    r"\.scores\b|\.query$": "attention: scores",
    r"\.masked$|^mask": "attention: mask",
    r"\.shares$": "attention: softmax",
    r"\.mixed$": "attention: mix",
    r"\.(split|heads|merged|flat|first_token)$": "rows and heads apart and together",
    r"^(pre_classifier|classifier|pooler|logits|qa_outputs|start_|end_|vocab_)": "head",
}


@dataclass(frozen=True)
class Cost:
    """Operations on int8 and on float32, and bytes read and written."""

    int8: float = 0
    float32: float = 0
    bytes: float = 0


def kind(name: str) -> str:
    """What a node, or the engine's kernel that stands for it, is for.

    >>> kind("transformer.layer.3.attention.k_lin.product")
    'linear: q, k, v'
    """
    return next((found for pattern, found in KINDS.items() if re.search(pattern, name)), "other")


def cost(operator: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Cost:
    """What an operator costs, by types and shapes. A weight that the engine has packed may have none: `[]`.

    >>> cost("MatMulIntegerToFloat", [("uint8", (2, 3, 4)), ("int8", ())], [("float", (2, 3, 5))])
    Cost(int8=240, float32=0, bytes=164)
    """
    if operator in VIEWS:
        return Cost()
    moved = sum(BYTES.get(kind, 4) * prod(shape) for kind, shape in outputs)
    if operator in PICKS:
        return Cost(bytes=2 * moved)
    values = prod(outputs[0][1])
    if operator in PRODUCTS:
        (left, shape), inner = inputs[0], inputs[0][1][-1]
        is_int8 = left in ("int8", "uint8")
        is_weight = len(inputs) < 2 or len(inputs[1][1]) < 3  # what two texts share
        right = inner * outputs[0][1][-1] * (1 if is_weight else prod(shape[:-2]))
        moved += BYTES[left] * (prod(shape) + right)
        work = 2 * inner * values
        return Cost(int8=work, bytes=moved) if is_int8 else Cost(float32=work, bytes=moved)
    moved += sum(BYTES.get(kind, 4) * prod(shape) for kind, shape in inputs)
    return Cost(float32=PER_VALUE.get(operator, 0) * values, bytes=moved)


def added(costs: Iterable[Cost]) -> Cost:
    """Their sum."""
    rows = list(costs)
    return Cost(*(sum(getattr(row, part) for row in rows) for part in ("int8", "float32", "bytes")))


class Graph:
    """The bundle's own graph, with the shapes of all its tensors for a batch."""

    def __init__(self, path: Path) -> None:
        import onnx

        self._model = onnx.load(path)
        self.nodes = {node.name: node for node in self._model.graph.node}
        self._users: dict[str, set[str]] = defaultdict(set)
        for node in self._model.graph.node:
            for name in node.input:
                self._users[name].add(node.name)
        # Shapes are not inferred through a Slice up to the texts' own length: here that is a constant for each batch.
        graph = self._model.graph
        graph.node.remove(self.nodes["length"])
        self._length = graph.initializer.add(name="length", data_type=onnx.TensorProto.INT64, dims=[1])
        self._tensors: dict[tuple[int, int], dict[str, Tensor]] = {}

    def tensors(self, batch: tuple[int, int]) -> dict[str, Tensor]:
        """Each tensor's type and shape for a batch of `texts, tokens`."""
        import onnx
        from onnx import TensorProto, shape_inference

        if batch not in self._tensors:
            for value in self._model.graph.input:
                for dimension, size in zip(value.type.tensor_type.shape.dim, batch, strict=True):
                    dimension.dim_value = size
            self._length.int64_data[:] = batch[1:]
            found = shape_inference.infer_shapes(self._model).graph
            typed = {
                value.name: (
                    value.type.tensor_type.elem_type,
                    tuple(size.dim_value for size in value.type.tensor_type.shape.dim),
                )
                for value in (*found.value_info, *found.input, *found.output)
            } | {weight.name: (weight.data_type, tuple(weight.dims)) for weight in found.initializer}
            names = {TensorProto.FLOAT: "float"}
            self._tensors[batch] = {
                name: (names.get(number, onnx.TensorProto.DataType.Name(number).lower()), shape)
                for name, (number, shape) in typed.items()
            }
        return self._tensors[batch]

    def cost(self, names: Iterable[str], batch: tuple[int, int]) -> Cost:
        """What one kernel costs that stands for these nodes: what passes between them moves nowhere."""
        inside = {name for name in names if name in self.nodes}
        tensors = self.tensors(batch)
        read, written, work = set(), set(), []
        for name in inside:
            node = self.nodes[name]
            work.append(
                cost(
                    node.op_type,
                    [tensors[self._stored(x)] for x in node.input if x],
                    [tensors[node.output[0]]],
                )
            )
            if node.op_type in PICKS:  # a table is not read as a whole
                written.add(node.output[0])
                continue
            if node.op_type not in VIEWS:
                read |= {self._stored(x) for x in node.input if x not in inside}
            if node.op_type not in VIEWS and (not self._users[name] or self._users[name] - inside):
                written.add(node.output[0])
        moved = sum(
            BYTES.get(kind, 4) * prod(shape) for kind, shape in map(tensors.__getitem__, read | written)
        )
        total = added(work)
        return Cost(total.int8, total.float32, moved)

    def products(self, batch: tuple[int, int]) -> float:
        """Operations of all matrix products."""
        names = [name for name, node in self.nodes.items() if node.op_type in PRODUCTS]
        total = added(self.cost([name], batch) for name in names)
        return total.int8 + total.float32

    def _stored(self, name: str) -> str:
        """The integers of a tensor that is only dequantised to be multiplied."""
        node = self.nodes.get(name)
        return node.input[0] if node is not None and node.op_type == "DequantizeLinear" else name
