"""Hostile ONNX graphs, each made from a whole one: weights kept elsewhere, bombs, loops without end, strange forms.

A way whose name ends in "!" must be refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    Way = Callable[[random.Random, Path], None]


def _model(edit: Callable[[random.Random, ModelProto], object]) -> Way:
    def attack(rng: random.Random, path: Path) -> None:
        model = onnx.load(path)
        edit(rng, model)
        path.write_bytes(model.SerializeToString())

    return attack


# ---------------------------------------------------------------- weights elsewhere


def _external(location: str, *, link: bool = False) -> Way:
    """Move a weight's bytes to another file: a whole copy of them lies wherever the name might lead."""

    def attack(rng: random.Random, path: Path) -> None:
        model = onnx.load(path)
        tensor = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
        folder = path.parent.parent
        outside = folder.parent / f"{folder.name}-outside"
        outside.mkdir(exist_ok=True)
        places = {"outside": outside / "weights.bin", "inside": path.parent / "weights.bin"}
        aim = places["inside" if location == "weights.bin" and not link else "outside"]
        aim.write_bytes(tensor.raw_data)
        if link:
            places["inside"].symlink_to(aim)
        entries = {
            "location": location.format(outside=outside, beside=f"../../{outside.name}"),
            "offset": "0",
            "length": str(len(tensor.raw_data)),
        }
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in entries.items():
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
        path.write_bytes(model.SerializeToString())

    return attack


def _unmarked(rng: random.Random, model: ModelProto) -> None:
    """It names another file, but does not say that its bytes are there."""
    entry = model.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "/dev/zero"


EXTERNAL = {
    "weights beside the graph!": _external("weights.bin"),
    "weights beside the folder!": _external("{beside}/weights.bin"),
    "weights at an absolute path!": _external("{outside}/weights.bin"),
    "weights behind a link!": _external("weights.bin", link=True),
    "weights from a device!": _external("/dev/zero"),
    "weights from memory!": _external("*/_ORT_MEM_ADDR_/*"),
    "weights from nowhere!": _external(""),
    "weights named and not used!": _model(_unmarked),
}

# ---------------------------------------------------------------- bombs and loops


def _detour(make: Callable[[GraphProto, str], str]) -> Way:
    """Let the logits depend on something else too: a one-element result of `make(graph, logits)` is added."""

    def edit(rng: random.Random, model: ModelProto) -> None:
        graph = model.graph
        for node in graph.node:
            if "logits" in node.output:
                node.output[0] = "own_logits"
        extra = make(graph, "own_logits")
        graph.node.append(helper.make_node("Add", ["own_logits", extra], ["logits"], name="detour"))

    return _model(edit)


def _constant(graph: GraphProto, name: str, array: np.ndarray) -> str:
    graph.initializer.append(numpy_helper.from_array(array, name))
    return name


def _ints(graph: GraphProto, *values: int) -> str:
    return _constant(graph, f"detour_ints_{len(graph.initializer)}", np.array(values, np.int64))


def _node(graph: GraphProto, operator: str, *inputs: str, **attributes: object) -> str:
    name = f"detour_{operator}_{len(graph.node)}"
    graph.node.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
    return name


def _first(graph: GraphProto, big: str, axes: int) -> str:
    """One element of something big."""
    few = _node(graph, "Slice", big, _ints(graph, *[0] * axes), _ints(graph, *[1] * axes))
    return _node(graph, "Reshape", few, _ints(graph, 1))


def _float_mask(graph: GraphProto) -> str:
    return _node(graph, "Cast", "attention_mask", to=1)


def _expand(graph: GraphProto, logits: str) -> str:
    """10 GB at load, where constants are folded."""
    one = _constant(graph, "detour_one", np.zeros((1, 1), np.float32))
    return _first(graph, _node(graph, "Expand", one, _ints(graph, 50_000, 50_000)), 2)


def _expand_input(graph: GraphProto, logits: str) -> str:
    """As above, but at the first text."""
    rows = _node(graph, "Reshape", _first(graph, _float_mask(graph), 2), _ints(graph, 1, 1))
    return _first(graph, _node(graph, "Expand", rows, _ints(graph, 50_000, 50_000)), 2)


def _outer(operator: str) -> Callable[[GraphProto, str], str]:
    def make(graph: GraphProto, logits: str) -> str:
        """A column and a row of 40,000 numbers make 6 GB."""
        line = _constant(graph, "detour_line", np.zeros((1, 40_000), np.float32))
        column = _constant(graph, "detour_column", np.zeros((40_000, 1), np.float32))
        factor = _node(graph, "Add", column, _first(graph, logits, 2))
        return _first(graph, _node(graph, operator, factor, line), 2)

    return make


def _doubling(graph: GraphProto, logits: str) -> str:
    """Thirty nodes that double what they are given."""
    grown = _first(graph, logits, 2)
    for _ in range(30):
        grown = _node(graph, "Concat", grown, grown, axis=0)
    return _first(graph, grown, 1)


def _gathering(graph: GraphProto, logits: str) -> str:
    """Each step takes a row for each element of the last one's ids."""
    table = _constant(graph, "detour_table", np.zeros((2, 300), np.int64))
    ids = _node(graph, "Gather", table, _ints(graph, 0, 1))
    for _ in range(3):
        ids = _node(graph, "Gather", table, ids)
    return _first(graph, _node(graph, "Cast", ids, to=1), 5)


def _squaring(graph: GraphProto, logits: str) -> str:
    """A thousand products of 1,000 by 1,000: nothing large, and minutes of work."""
    square = _constant(graph, "detour_square", np.zeros((1_000, 1_000), np.float32))
    power = _node(graph, "Add", square, _first(graph, logits, 2))
    for _ in range(1_000):
        power = _node(graph, "MatMul", power, square)
    return _first(graph, power, 2)


def _computed_shape(graph: GraphProto, logits: str) -> str:
    """The size of a bomb that stands nowhere in the file: it is multiplied out of the text's length."""
    length = _node(graph, "Shape", "input_ids", start=1, end=2)
    size = _node(graph, "Mul", length, _ints(graph, 100_000_000))
    return _first(graph, _node(graph, "Expand", _first(graph, logits, 2), size), 1)


def _constant_of_shape(graph: GraphProto, logits: str) -> str:
    return _first(graph, _node(graph, "ConstantOfShape", _ints(graph, 50_000, 50_000)), 2)


def _range(graph: GraphProto, logits: str) -> str:
    ends = [_constant(graph, f"detour_{n}", np.array(n, np.int64)) for n in (0, 2**40, 1)]
    return _first(graph, _node(graph, "Cast", _node(graph, "Range", *ends), to=1), 1)


def _loop(graph: GraphProto, logits: str) -> str:
    """2**62 times nothing."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["still"]), helper.make_node("Identity", ["x"], ["y"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [1]),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [1]),
        ],
    )
    times = _constant(graph, "detour_times", np.array(2**62, np.int64))
    always = _constant(graph, "detour_always", np.array(True))
    return _node(graph, "Loop", times, always, _first(graph, logits, 2), body=body)


def _branches(depth: int) -> Callable[[GraphProto, str], str]:
    def make(graph: GraphProto, logits: str) -> str:
        always = _constant(graph, "detour_always", np.array(True))
        inner = _node(graph, "Identity", _first(graph, logits, 2))
        branch = helper.make_graph(
            [helper.make_node("Identity", [inner], ["b0"])],
            "g",
            [],
            [helper.make_tensor_value_info("b0", 1, [1])],
        )
        for level in range(1, depth):
            name = f"b{level}"
            node = helper.make_node("If", [always], [name], then_branch=branch, else_branch=GraphProto())
            branch = helper.make_graph([node], "g", [], [helper.make_tensor_value_info(name, 1, [1])])
        return _node(
            graph, "If", always, then_branch=branch, else_branch=branch if depth < 3 else GraphProto()
        )

    return make


BOMBS = {
    "a constant expanded to 10 GB!": _detour(_expand),
    "an input expanded to 10 GB!": _detour(_expand_input),
    "an outer product of 6 GB!": _detour(_outer("MatMul")),
    "an outer sum of 6 GB!": _detour(_outer("Add")),
    "thirty doublings!": _detour(_doubling),
    "rows of rows of rows!": _detour(_gathering),
    "a thousand large products!": _detour(_squaring),
    "a shape that is computed!": _detour(_computed_shape),
    "a constant of 10 GB!": _detour(_constant_of_shape),
    "a range of 2**40!": _detour(_range),
    "a loop without end!": _detour(_loop),
    "a branch!": _detour(_branches(1)),
    "branches nested!": _detour(_branches(15)),
}

# ---------------------------------------------------------------- strange forms


def _some_node(edit: Callable[[random.Random, NodeProto], object]) -> Way:
    return _model(lambda rng, model: edit(rng, rng.choice(model.graph.node)))


def _some_tensor(edit: Callable[[random.Random, TensorProto], object]) -> Way:
    return _model(lambda rng, model: edit(rng, rng.choice(model.graph.initializer)))


def _set_dims(rng: random.Random, tensor: TensorProto) -> None:
    chosen = rng.choice([[2**31, 2**31], [2**62, 4], [-1], [10**10], [0], [], [1] * 10_000, [2**63 - 1]])
    tensor.dims[:] = chosen if list(tensor.dims) != chosen else [2**40]


def _huge_and_empty(rng: random.Random, tensor: TensorProto) -> None:
    """Ten thousand million numbers that nobody wrote down."""
    tensor.ClearField("raw_data")
    tensor.dims[:] = rng.choice([[10**10], [50_000, 50_000]])


def _change_attribute(rng: random.Random, model: ModelProto) -> None:
    node = rng.choice([node for node in model.graph.node if node.attribute])
    attribute = rng.choice(node.attribute)
    new = rng.choice(
        [2**62, -(2**62), -1, 99, 0.5, float("nan"), "x" * 10_000, [2**62] * 4, [-1, -1], [0] * 1_000]
    )
    node.attribute.remove(attribute)
    node.attribute.append(helper.make_attribute(attribute.name, new))


def _rewire(rng: random.Random, model: ModelProto) -> None:
    node = rng.choice([node for node in model.graph.node if node.input])
    names = [tensor.name for tensor in model.graph.initializer] + [
        other.output[0] for other in model.graph.node
    ]
    node.input[rng.randrange(len(node.input))] = rng.choice([*names, "", "nowhere", node.output[0]])


def _change_ints(rng: random.Random, model: ModelProto) -> None:
    """Other shapes, axes and bounds: those of the graph's small whole-number constants."""
    tensor = rng.choice(
        [tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.INT64]
    )
    values = np.frombuffer(tensor.raw_data, np.int64).copy()
    if values.size:
        values[rng.randrange(values.size)] = rng.choice([2**62, -(2**62), 10**9, -1, 0, 3, 7])
    tensor.raw_data = values.tobytes()


def _change_values(rng: random.Random, tensor: TensorProto) -> None:
    """Random weights; among floats every infinity and NaN."""
    tensor.raw_data = rng.randbytes(len(tensor.raw_data))


def _function(rng: random.Random, model: ModelProto) -> None:
    node = helper.make_node("Identity", ["a"], ["b"])
    model.functions.append(
        helper.make_function("evil", "f", ["a"], ["b"], [node], [helper.make_opsetid("", 20)])
    )
    model.opset_import.append(helper.make_opsetid("evil", 1))
    for logits in model.graph.node:
        if "logits" in logits.output:
            logits.output[0] = "own_logits"
    model.graph.node.append(helper.make_node("f", ["own_logits"], ["logits"], domain="evil"))


def _sparse(rng: random.Random, model: ModelProto) -> None:
    values = helper.make_tensor("sparse", TensorProto.FLOAT, [1], [1.0])
    indices = helper.make_tensor("places", TensorProto.INT64, [1], [0])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [10**10]))


def _tensor_attribute(rng: random.Random, model: ModelProto) -> None:
    tensor = helper.make_tensor("t", TensorProto.FLOAT, [1], [1.0])
    model.graph.node.append(helper.make_node("Constant", [], ["constant"], value=tensor))


def _strings(rng: random.Random, model: ModelProto) -> None:
    model.graph.initializer.append(
        helper.make_tensor("strings", TensorProto.STRING, [1_000], [b"x" * 100] * 1_000)
    )


def _reference(rng: random.Random, node: NodeProto) -> None:
    node.attribute.append(AttributeProto(name="ref", ref_attr_name="x", type=AttributeProto.INT))


def _two_graphs(rng: random.Random, path: Path) -> None:
    """Readers of protocol buffers merge a field that is there twice."""
    extra = ModelProto(graph=GraphProto(node=[helper.make_node("Loop", [], ["x"])]))
    path.write_bytes(path.read_bytes() + extra.SerializeToString())


def _groups(rng: random.Random, path: Path) -> None:
    """A form of nesting that readers still follow, a hundred thousand levels deep."""
    path.write_bytes(path.read_bytes() + b"\x9b\x06" * 100_000)


def _long_varint(rng: random.Random, path: Path) -> None:
    path.write_bytes(b"\x08" + b"\xff" * rng.choice([10, 11, 1_000_000]) + b"\x01" + path.read_bytes())


def _long_claim(rng: random.Random, path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\x3a" + b"\xff" * 8 + b"\x7f" + b"xyz")


def _many_nodes(rng: random.Random, path: Path) -> None:
    """Two million operators of two bytes each, in a graph that readers would merge with the first."""
    nodes = b"\x0a\x00" * 2_000_000
    path.write_bytes(b"\x3a" + _varint(len(nodes)) + nodes + path.read_bytes())


def _many_dims(rng: random.Random, tensor: TensorProto) -> None:
    tensor.dims.extend([1] * 2_000_000)


def _varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(high) if high else bytes([low])


def _constant_input(rng: random.Random, model: ModelProto) -> None:
    """An input that may be left out; what is known of its size when it is given?"""
    model.graph.initializer.append(numpy_helper.from_array(np.full((1, 1), 5, np.int64), "input_ids"))


def _flip_structure(rng: random.Random, path: Path) -> None:
    """Flip bits, but not in the weights."""
    content = bytearray(path.read_bytes())
    places = set(range(len(content)))
    for tensor in onnx.load(path).graph.initializer:
        if len(tensor.raw_data) > 64:
            start = content.find(tensor.raw_data)
            places -= set(range(start, start + len(tensor.raw_data)))
    structure = sorted(places)
    for _ in range(rng.choice([1, 1, 2, 8])):
        content[rng.choice(structure)] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def _some_number(edit: Callable[[random.Random, AttributeProto], object]) -> Way:
    """Change an attribute that is one whole number."""

    def change(rng: random.Random, model: ModelProto) -> None:
        attributes = [attribute for node in model.graph.node for attribute in node.attribute]
        kind = AttributeProto.INT
        edit(rng, rng.choice([attribute for attribute in attributes if attribute.type == kind]))

    return _model(change)


def _added(extra: bytes) -> Callable[[random.Random, AttributeProto | TensorProto], None]:
    """A field in a form that is not its own: readers skip it, and write it again."""
    return lambda rng, message: message.MergeFromString(extra)


def _seventy_bits(rng: random.Random, path: Path) -> None:
    """An attribute's number beyond 64 bits, of which readers take the lowest."""
    content = path.read_bytes()
    number = b"\x18" + b"\xff" * 9  # field 3: -1, but for its last byte
    assert number + b"\x01" in content
    path.write_bytes(content.replace(number + b"\x01", number + rng.choice([b"\x03", b"\x7f"])))


def _two_attributes(rng: random.Random, model: ModelProto) -> None:
    node = rng.choice([node for node in model.graph.node if node.attribute])
    node.attribute.append(node.attribute[0])


FORMS = {
    "a number in the form of a text!": _some_number(_added(b"\x1a\x01\x05")),
    "a number in the form of a float!": _some_number(_added(b"\x1d\x05\x00\x00\x00")),
    "a weight's type in the form of a text!": _some_tensor(_added(b"\x12\x01\x07")),
    "a field without a number!": lambda rng, path: path.write_bytes(path.read_bytes() + b"\x02\x00"),
    "a number of seventy bits!": _seventy_bits,
    "a number twice!": _some_number(lambda rng, a: a.ints.append(rng.choice([0, 1, 2**40]))),
    "a number of another type!": _some_number(
        lambda rng, a: setattr(a, "type", rng.choice([0, 1, 3, 4, 5, 7]))
    ),
    "two attributes of one name!": _model(_two_attributes),
    "a weight without a name!": _some_tensor(lambda rng, t: setattr(t, "name", "")),
    "bits of its structure flipped": _flip_structure,
    "bits of its structure flipped again": _flip_structure,  # the most fruitful one
    "dimensions that do not fit!": _some_tensor(_set_dims),
    "huge weights without a byte!": _some_tensor(_huge_and_empty),
    "weights cut short!": _some_tensor(lambda rng, t: setattr(t, "raw_data", t.raw_data[:-1])),
    "weights of another type": _some_tensor(
        lambda rng, t: setattr(t, "data_type", rng.choice([0, 2, 6, 7, 8, 11, 16, 99]))
    ),
    "weights under another name": _some_tensor(
        lambda rng, t: setattr(t, "name", rng.choice(["", "x", "input_ids"]))
    ),
    "random weights": _some_tensor(_change_values),
    "a weight less": _model(lambda rng, m: m.graph.initializer.remove(rng.choice(m.graph.initializer))),
    "sparse weights!": _model(_sparse),
    "weights of text!": _model(_strings),
    "other shapes and axes": _model(_change_ints),
    "another attribute": _model(_change_attribute),
    "a tensor as an attribute!": _model(_tensor_attribute),
    "an attribute that refers to another!": _some_node(_reference),
    "an operator of another maker!": _some_node(
        lambda rng, node: setattr(node, "domain", rng.choice(["com.microsoft", "evil"]))
    ),
    "an operator that nobody knows!": _some_node(
        lambda rng, node: setattr(node, "op_type", rng.choice(["Evil", "", "x" * 10_000, "PyOp"]))
    ),
    "another operator": _some_node(
        lambda rng, node: setattr(
            node, "op_type", rng.choice(["Add", "MatMul", "Expand", "Gather", "Concat", "Shape"])
        )
    ),
    "another edge": _model(_rewire),
    "a node less": _model(lambda rng, m: m.graph.node.remove(rng.choice(m.graph.node))),
    "nodes in another order": _model(
        lambda rng, m: m.graph.node.append(m.graph.node.pop(rng.randrange(len(m.graph.node))))
    ),
    "a function!": _model(_function),
    "an input less": _model(lambda rng, m: m.graph.input.pop()),
    "an input more": _model(
        lambda rng, m: m.graph.input.append(
            helper.make_tensor_value_info("more", rng.choice([1, 7, 8]), rng.choice([None, [], [1], [2**40]]))
        )
    ),
    "an input of another type": _model(
        lambda rng, m: setattr(m.graph.input[0].type.tensor_type, "elem_type", rng.choice([0, 1, 6, 8, 99]))
    ),
    "an output less": _model(lambda rng, m: m.graph.output.pop()),
    "an output more": _model(
        lambda rng, m: m.graph.output.append(
            helper.make_tensor_value_info(rng.choice(m.graph.node).output[0], 1, None)
        )
    ),
    "an output of another name": _model(
        lambda rng, m: (
            setattr(m.graph.output[0], "name", "x"),
            m.graph.node.append(helper.make_node("Identity", ["logits"], ["x"])),
        )
    ),
    "an output of whole numbers": _model(
        lambda rng, m: (
            setattr(m.graph.output[0], "name", "x"),
            setattr(m.graph.output[0].type.tensor_type, "elem_type", 7),
            m.graph.node.append(helper.make_node("Cast", ["logits"], ["x"], to=7)),
        )
    ),
    "another version": _model(lambda rng, m: setattr(m, "ir_version", rng.choice([0, 1, 99, 2**62]))),
    "another set of operators": _model(
        lambda rng, m: setattr(m.opset_import[0], "version", rng.choice([0, 1, 7, 13, 99, 2**62]))
    ),
    "two graphs!": _two_graphs,
    "millions of operators!": _many_nodes,
    "millions of dimensions!": _some_tensor(_many_dims),
    "a name of a million letters!": _some_node(lambda rng, node: node.output.__setitem__(0, "x" * 1_000_000)),
    "two weights of one name!": _model(
        lambda rng, m: m.graph.initializer.append(rng.choice(m.graph.initializer))
    ),
    "an input that is a constant": _model(_constant_input),
    "groups in groups!": _groups,
    "a number without end!": _long_varint,
    "a length beyond the file!": _long_claim,
    "no graph at all!": _model(lambda rng, m: m.ClearField("graph")),
}

GRAPHS = {**EXTERNAL, **BOMBS, **FORMS}
