"""How much memory and work a graph can ask for, found without running it: each tensor's largest shape, in order.

Only the operators that our graphs use are known. Their shapes follow from their inputs' shapes, but for those that
take a shape, a bound or axes as an input: there the values must be constants, or the text's own length. Each shape
is an upper bound, so a form in which a smaller input could make a larger output is refused.
"""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from distilbert.engines.graph_file import FLOAT, INT64, GraphFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from distilbert.engines.graph_file import Graph, Node

Shape: TypeAlias = tuple[int, ...]

_MOST_AXES = 8
INPUTS = ("input_ids", "attention_mask", "token_type_ids", "positions")


class _Tensor(NamedTuple):
    shape: Shape
    values: Shape | None = None  # of whole numbers that are known


class _Limit(NamedTuple):
    """For so many texts of so many tokens: numbers in memory together, and multiplications, at most.

    Each is what is given here, or so many times the file's size in bytes, whichever is more. A file has at least a
    byte for each weight, a token costs one multiplication a weight, and logits of a vocabulary are the largest tensor.
    """

    texts: int
    tokens: int
    numbers: int
    numbers_a_byte: int
    work: int
    work_a_byte: int


_LIMITS = (
    _Limit(1, 1, 1 << 22, 1, 1 << 28, 8),  # what a single token costs: no more than the weights are worth
    _Limit(4, 512, 1 << 26, 16, 1 << 35, 1 << 13),
    _Limit(16, 128, 1 << 26, 16, 1 << 35, 1 << 13),  # as many tokens: the largest batches of pipelines
)


def check_graph(graph: Graph) -> None:
    """Raise `GraphFault` for a graph with operators, inputs or outputs that no bundle's has, or beyond `_LIMITS`."""
    strange = [node.operator for node in graph.nodes if node.operator not in _SHAPES]
    if strange:
        raise GraphFault(f"has an operator {strange[0]!r:.40}, which no graph of a bundle has")
    wrong = [name for name, kind in graph.inputs.items() if name not in INPUTS or kind != INT64]
    wrong += [name for name, kind in graph.outputs.items() if kind != FLOAT]
    if wrong:
        raise GraphFault(
            f"has an input or output {wrong[0]!r:.60}, which no graph of a bundle has in this form"
        )
    for limit in _LIMITS:
        numbers, work = _cost(graph, limit.texts, limit.tokens)
        if numbers > max(limit.numbers, limit.numbers_a_byte * graph.size) or work > max(
            limit.work, limit.work_a_byte * graph.size
        ):
            raise GraphFault(
                f"asks for {numbers:,} numbers in memory and {work:,} multiplications for {limit.texts} texts of "
                f"{limit.tokens} tokens, far beyond its own size"
            )


def _cost(graph: Graph, texts: int, tokens: int) -> tuple[int, int]:
    """The most numbers that are in memory together, weights not counted, and all multiplications."""
    known = {name: _Tensor(weight.shape, weight.values) for name, weight in graph.weights.items()}
    for name in graph.inputs:  # one that may be left out is a weight too
        default = known.get(name, _Tensor(()))
        known[name] = _Tensor(_broadcast((texts, tokens), default.shape))
    weights = set(known)
    uses = Counter(name for node in graph.nodes for name in node.inputs)
    held = most = work = 0
    for node in graph.nodes:
        try:
            inputs = [known[name] for name in node.inputs]
            result = _SHAPES[node.operator](node, inputs)
        except (LookupError, ValueError, TypeError) as error:
            raise GraphFault(
                f"has an operator {node.output!r:.60} in a form that no graph of a bundle has"
            ) from error
        if node.output in known or len(result.shape) > _MOST_AXES or min(result.shape, default=0) < 0:
            raise GraphFault(f"makes {node.output!r:.60} twice, or of a shape that no graph of a bundle has")
        known[node.output] = result
        size = prod(result.shape)
        held += size
        most = max(most, held)
        work += size * (inputs[0].shape[-1] if node.operator == "MatMul" else 1)
        for name in node.inputs:
            uses[name] -= 1
            if not uses[name] and name not in weights:
                held -= prod(known[name].shape)
    return most, work


def _same(_: Node, inputs: list[_Tensor]) -> _Tensor:
    return _Tensor(inputs[0].shape)


def _broadcast(*shapes: Shape) -> Shape:
    """The shape that arrays grow to when they are combined; 1 fits any size, and the larger bound holds."""
    rank = max(map(len, shapes))
    return tuple(map(max, *((1,) * (rank - len(shape)) + shape for shape in shapes), (0,) * rank))


def _together(_: Node, inputs: list[_Tensor]) -> _Tensor:
    first, second = inputs
    return _Tensor(_broadcast(first.shape, second.shape))


def _matmul(_: Node, inputs: list[_Tensor]) -> _Tensor:
    (*left, rows, _inner), (*right, _inner, columns) = inputs[0].shape, inputs[1].shape
    return _Tensor((*_broadcast(tuple(left), tuple(right)), rows, columns))


def _transpose(node: Node, inputs: list[_Tensor]) -> _Tensor:
    return _Tensor(tuple(inputs[0].shape[axis] for axis in node.attributes["perm"]))


def _shape(node: Node, inputs: list[_Tensor]) -> _Tensor:
    [start], [end] = node.attributes["start"], node.attributes["end"]
    values = inputs[0].shape[start:end]
    return _Tensor((len(values),), values)


def _concat(_: Node, inputs: list[_Tensor]) -> _Tensor:
    """Only of a few whole numbers: it puts a shape together."""
    values = [number for tensor in inputs for number in _values(tensor)]
    if len(values) > _MOST_AXES:
        raise ValueError(values)
    return _Tensor((len(values),), tuple(values))


def _reshape(node: Node, inputs: list[_Tensor]) -> _Tensor:
    data, shape = inputs
    sizes = _values(shape)
    if "allowzero" in node.attributes:
        raise ValueError(sizes)
    return _Tensor(tuple(size or data.shape[axis] for axis, size in enumerate(sizes)))


def _expand(_: Node, inputs: list[_Tensor]) -> _Tensor:
    data, shape = inputs
    return _Tensor(_broadcast(data.shape, _values(shape)))


def _slice(_: Node, inputs: list[_Tensor]) -> _Tensor:
    data, starts, ends, axes = inputs
    shape = list(data.shape)
    for start, end, axis in zip(_values(starts), _values(ends), _values(axes), strict=True):
        if start == 0 <= end:
            shape[axis] = min(shape[axis], end)
    return _Tensor(tuple(shape))


def _gather(node: Node, inputs: list[_Tensor]) -> _Tensor:
    data, places = inputs
    [axis] = node.attributes.get("axis", (0,))
    if axis < 0:
        raise ValueError(axis)
    return _Tensor((*data.shape[:axis], *places.shape, *data.shape[axis + 1 :]))


def _gather_nd(node: Node, inputs: list[_Tensor]) -> _Tensor:
    data, places = inputs
    [batch] = node.attributes["batch_dims"]
    if batch < 0 or places.shape[-1] != 1:
        raise ValueError(batch)
    return _Tensor((*places.shape[:-1], *data.shape[batch + 1 :]))


def _unsqueeze(_: Node, inputs: list[_Tensor]) -> _Tensor:
    data, axes = inputs
    shape = list(data.shape)
    for axis in sorted(_axes(axes)):
        shape.insert(axis, 1)
    return _Tensor(tuple(shape))


def _squeeze(_: Node, inputs: list[_Tensor]) -> _Tensor:
    data, axes = inputs
    gone = _axes(axes)
    return _Tensor(tuple(size for axis, size in enumerate(data.shape) if axis not in gone))


def _values(tensor: _Tensor) -> Shape:
    if tensor.values is None or len(tensor.shape) != 1:
        raise ValueError(tensor)
    return tensor.values


def _axes(tensor: _Tensor) -> Shape:
    """Axes counted from the first: from the last they would mean others once a rank is misjudged."""
    if min(values := _values(tensor)) < 0:
        raise ValueError(tensor)
    return values


_SHAPES: dict[str, Callable[[Node, list[_Tensor]], _Tensor]] = {
    **dict.fromkeys(("Add", "Mul", "Sub"), _together),
    **dict.fromkeys(("Cast", "DequantizeLinear", "Gelu", "Identity", "LayerNormalization"), _same),
    **dict.fromkeys(("QuantizeLinear", "Relu", "Sigmoid", "Softmax", "Tanh"), _same),
    "Concat": _concat,
    "Expand": _expand,
    "Gather": _gather,
    "GatherND": _gather_nd,
    "MatMul": _matmul,
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
