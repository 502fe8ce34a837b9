"""What a graph's file may ask for, found out before an engine opens it.

ONNX can name other files, hold loops and branches, and grow a few numbers to gigabytes. The graphs of our bundles do
none of that: `read_graph` takes their form of ONNX and no other (weights in the file itself, no sub-graphs), and
`engines.graph_sizes` knows their operators. It reads the file's structure, never the weights, in milliseconds.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

T = TypeVar("T")

ITEM_SIZES = {1: 4, 2: 1, 3: 1, 7: 8}  # bytes, by ONNX's number: float32, uint8, int8, int64
FLOAT, INT64 = 1, 7
_MOST = 6_000  # of operators, of weights, ...: a layer has 48 operators, and loading takes their square
_SMALL = 16  # elements: shapes, axes and bounds, whose values are read
_LONGEST_NAME = 500  # bytes
_DAMAGED = "is cut short or was damaged"

# The fields that our graphs use, each by its number and its form in the file: a reader of protocol buffers skips one
# in another form. https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
_NUMBER, _BYTES, _FLOAT = 0, 2, 5
_MODEL = {
    (1, _NUMBER): "ir_version",
    (2, _BYTES): "producer_name",
    (7, _BYTES): "graph",
    (8, _BYTES): "opset_import",
    (14, _BYTES): "metadata_props",
}
_GRAPH = {
    (1, _BYTES): "node",
    (2, _BYTES): "name",
    (5, _BYTES): "initializer",
    (11, _BYTES): "input",
    (12, _BYTES): "output",
}
_NODE = {
    (1, _BYTES): "input",
    (2, _BYTES): "output",
    (3, _BYTES): "name",
    (4, _BYTES): "op_type",
    (5, _BYTES): "attribute",
}
_ATTRIBUTE = {
    (1, _BYTES): "name",
    (2, _FLOAT): "f",
    (3, _NUMBER): "i",
    (4, _BYTES): "s",
    (8, _NUMBER): "ints",
    (8, _BYTES): "ints",  # packed
    (20, _NUMBER): "type",
}
_TENSOR = {
    (1, _NUMBER): "dims",
    (1, _BYTES): "dims",  # packed
    (2, _NUMBER): "data_type",
    (8, _BYTES): "name",
    (9, _BYTES): "raw_data",
}
_VALUE = {(1, _BYTES): "name", (2, _BYTES): "type"}
_TYPE = {(1, _BYTES): "tensor_type"}
_TENSOR_TYPE = {(1, _NUMBER): "elem_type", (2, _BYTES): "shape"}
_ATTRIBUTE_TYPES = {1: "f", 2: "i", 3: "s", 7: "ints"}  # ONNX's number -> the field of the value
_ELSEWHERE = {(13, "weight"), (14, "weight")}  # external_data, data_location


class GraphFault(Exception):  # noqa: N818 - the engine makes an error of it that names the file
    """What a file has that no graph of a bundle has."""


@dataclass(frozen=True)
class Node:
    """An operator, the names of the tensors that it reads and makes, and its whole-number attributes."""

    operator: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Weight:
    """A constant's shape and, of a few whole numbers, their values."""

    shape: tuple[int, ...]
    values: tuple[int, ...] | None


@dataclass(frozen=True)
class Graph:
    """A graph without its weights' values. `size` is the file's, in bytes; inputs and outputs have ONNX's types."""

    nodes: list[Node]
    weights: Mapping[str, Weight]
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
    size: int


def read_graph(model: Path | bytes) -> Graph:
    """Read the structure of a graph in a bundle's form. Raises `GraphFault` for any other, and `OSError`."""
    data = model if isinstance(model, bytes) else _mapped(model)
    try:
        return _graph(_only(_message(memoryview(data), _MODEL, "model"), "graph", "model"), len(data))
    except (IndexError, UnicodeDecodeError, TypeError) as error:
        raise GraphFault(_DAMAGED) from error


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        if not file.seek(0, 2):
            raise GraphFault("is empty")
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _graph(data: memoryview, size: int) -> Graph:
    graph = _message(data, _GRAPH, "graph")
    return Graph(
        [_node(node) for node in graph["node"]],
        _by_name([_weight(tensor) for tensor in graph["initializer"]]),
        _by_name([_value(value) for value in graph["input"]]),
        _by_name([_value(value) for value in graph["output"]]),
        size,
    )


def _by_name(rows: list[tuple[str, T]]) -> dict[str, T]:
    named = dict(rows)
    if len(named) < len(rows):
        raise GraphFault("has two weights, inputs, outputs or attributes of one name")
    return named


def _node(data: memoryview) -> Node:
    node = _message(data, _NODE, "operator")
    operator = _text(_only(node, "op_type", "operator"))
    outputs = tuple(map(_text, node["output"]))
    if len(outputs) != 1:
        raise GraphFault(f"has an operator {operator!r:.40} with {len(outputs)} outputs instead of 1")
    return Node(
        operator,
        tuple(map(_text, node["input"])),
        outputs[0],
        _by_name([_attribute(attribute) for attribute in node["attribute"]]),
    )


def _attribute(data: memoryview) -> tuple[str, tuple[int, ...]]:
    """Its name and whole numbers: of its value's type it must have a value, once, and none of another."""
    row = _message(data, _ATTRIBUTE, "attribute")
    name, kind = _text(_only(row, "name", "attribute")), _only(row, "type", "attribute")
    field = _ATTRIBUTE_TYPES.get(kind)
    others = [other for other in _ATTRIBUTE_TYPES.values() if other != field and row[other]]
    if field is None or others or (field != "ints" and len(row[field]) != 1):
        raise GraphFault(f"has an attribute {name!r:.60} whose value is not of its type")
    return name, _ints([*row["i"], *row["ints"]])


def _weight(data: memoryview) -> tuple[str, Weight]:
    tensor = _message(data, _TENSOR, "weight")
    name, raw = _text(_only(tensor, "name", "weight")), _only(tensor, "raw_data", "weight")
    kind, shape = _only(tensor, "data_type", "weight"), _ints(tensor["dims"])
    if kind not in ITEM_SIZES or min(shape, default=0) < 0 or prod(shape) * ITEM_SIZES[kind] != len(raw):
        raise GraphFault(
            f"has a weight {name!r:.60} of {len(raw):,} bytes, which its type and shape do not need"
        )
    values = None
    if kind == INT64 and len(raw) <= 8 * _SMALL:
        values = tuple(
            int.from_bytes(raw[start : start + 8], "little", signed=True) for start in range(0, len(raw), 8)
        )
    return name, Weight(shape, values)


def _value(data: memoryview) -> tuple[str, int]:
    value = _message(data, _VALUE, "value")
    kind = _message(_only(value, "type", "value"), _TYPE, "type")
    tensor = _message(_only(kind, "tensor_type", "type"), _TENSOR_TYPE, "type")
    return _text(_only(value, "name", "value")), _only(tensor, "elem_type", "type")


def _message(data: memoryview, fields: Mapping[tuple[int, int], str], what: str) -> dict[str, list[Any]]:
    """A protocol buffer's fields by name, each a list, for any may be there more than once."""
    found: dict[str, list[Any]] = {name: [] for name in fields.values()}
    place, end = 0, len(data)
    while place < end:
        key, place = _varint(data, place)
        value, place = _FORMS.get(key & 7, _no_form)(data, place)
        if (name := fields.get((key >> 3, key & 7))) is None:
            if (key >> 3, what) in _ELSEWHERE:
                raise GraphFault("keeps weights in another file; a bundle's graph has them within itself")
            raise GraphFault(f"has a {what} with a part that no graph of a bundle has (field {key >> 3})")
        found[name].append(value)
        if len(found[name]) > _MOST:
            raise GraphFault(f"has a {what} with more than {_MOST:,} fields {name}")
    return found


def _only(message: Mapping[str, list[Any]], name: str, what: str) -> Any:
    if len(message[name]) != 1:
        raise GraphFault(f"has a {what} with {len(message[name])} fields {name} instead of 1")
    return message[name][0]


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and the place behind it."""
    if (number := data[place]) < 0x80:  # nearly all are that small
        return number, place + 1
    number = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80 and number < 1 << 64:  # of more bits readers make another number
            return number, place
    raise GraphFault(_DAMAGED)


def _bytes(data: memoryview, place: int, length: int = -1) -> tuple[memoryview, int]:
    """So many bytes, or as many as the number before them says, and the place behind them."""
    if length < 0:
        length, place = _varint(data, place)
    if place + length > len(data):
        raise GraphFault(_DAMAGED)
    return data[place : place + length], place + length


def _no_form(*_: object) -> NoReturn:
    raise GraphFault(_DAMAGED)


# How a field's value is written, by the last three bits of its key.
_FORMS: Mapping[int, Callable[[memoryview, int], tuple[Any, int]]] = {
    _NUMBER: _varint,
    1: partial(_bytes, length=8),
    _BYTES: _bytes,
    _FLOAT: partial(_bytes, length=4),
}


def _ints(values: list[Any]) -> tuple[int, ...]:
    """Whole numbers with sign, one a field or many packed into one."""
    numbers: list[int] = []
    for value in values:
        if isinstance(value, int):
            numbers.append(value)
            continue
        place = 0
        while place < len(value) and len(numbers) <= _SMALL:
            number, place = _varint(value, place)
            numbers.append(number)
    if len(numbers) > _SMALL:
        raise GraphFault(f"has a list of more than {_SMALL} numbers, which no graph of a bundle has")
    return tuple(number - (1 << 64) if number >> 63 else number for number in numbers)


def _text(data: memoryview) -> str:
    """A name. One without a letter is refused: as an input it means that there is none."""
    if not data:
        raise GraphFault("has a name without a letter")
    if len(data) > _LONGEST_NAME:
        raise GraphFault(f"has a name of {len(data):,} bytes, and a bundle's has at most {_LONGEST_NAME}")
    return bytes(data).decode()
