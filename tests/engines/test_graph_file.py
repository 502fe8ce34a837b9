"""A graph's file is understood before it is opened: what our writer makes passes, all else is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from tiny import tiny_checkpoint

from distilbert.engines.graph_file import GraphFault, _varint, _weight, read_graph
from distilbert.engines.graph_sizes import _cost, check_graph
from distilbert.engines.onnx_runtime import OnnxRuntimeEngine
from distilbert.errors import EngineError
from distilbert.files.checkpoint import read_checkpoint
from distilbert.files.config import DistilBertConfig
from distilbert.graph.encoder import build_graph
from distilbert.graph.weights import FloatWeights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEADS = ("none", "sequence-classification", "token-classification", "question-answering", "masked-lm")


def written(tmp_path: Path, **settings: str) -> Path:
    folder = tiny_checkpoint(tmp_path / "checkpoint", **settings)
    checkpoint = read_checkpoint(folder, DistilBertConfig.from_folder(folder))
    path = tmp_path / "model.onnx"
    path.write_bytes(build_graph(checkpoint, FloatWeights(checkpoint.arrays)).SerializeToString())
    return path


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(
    ("model_type", "activation"), [("distilbert", "gelu"), ("bert", "gelu_new"), ("bert", "silu")]
)
def test_every_graph_that_we_write_passes(
    tmp_path: Path, head: str, model_type: str, activation: str
) -> None:
    path = written(tmp_path, head=head, model_type=model_type, activation=activation)
    graph, model = read_graph(path), onnx.load(path).graph
    check_graph(graph)
    assert [(node.operator, list(node.inputs), node.output) for node in graph.nodes] == [
        (node.op_type, list(node.input), node.output[0]) for node in model.node
    ]
    assert {name: weight.shape for name, weight in graph.weights.items()} == {
        tensor.name: tuple(tensor.dims) for tensor in model.initializer
    }
    for tensor in model.initializer:
        values = graph.weights[tensor.name].values
        assert values is None or values == tuple(numpy_helper.to_array(tensor).ravel())


def test_the_shipped_graph_passes(embedded: Path) -> None:
    check_graph(read_graph(embedded / "onnx" / "model_quantized.onnx"))


def test_no_tensor_is_larger_than_was_foreseen(tiny_fp32: Path, tmp_path: Path) -> None:
    """Every tensor is made an output, and its size compared with the bound that the check works with."""
    path = tiny_fp32 / "onnx" / "model.onnx"
    model = onnx.load(path)
    names = [node.output[0] for node in model.graph.node if node.output[0] != "logits"]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    engine = OnnxRuntimeEngine(model.SerializeToString())
    ids = np.ones((3, 17), np.int64)
    made = sum(array.size for array in engine.run({"input_ids": ids, "attention_mask": ids}).values())
    graph = read_graph(path)
    everything, work = _cost(graph, 3, 17)
    assert everything <= made <= work


def two_outputs(model: onnx.ModelProto) -> None:
    model.graph.node[0].output.append("second")


def ten_gigabytes(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array([50_000, 50_000]), "huge"))
    model.graph.node.append(helper.make_node("Expand", ["one", "huge"], ["x"]))


def with_attribute(model: onnx.ModelProto) -> list[onnx.AttributeProto]:
    """The attributes of the first operator that has any."""
    return next(node.attribute for node in model.graph.node if node.attribute)


FAULTS: dict[str, tuple[Callable[[onnx.ModelProto], object], str]] = {
    "a loop": (
        lambda m: m.graph.node.append(helper.make_node("Loop", ["one"], ["x"])),
        "has an operator 'Loop', which no graph of a bundle has",
    ),
    "another maker": (
        lambda m: setattr(m.graph.node[0], "domain", "evil"),
        r"part that no graph .*\(field 7\)",
    ),
    "two outputs": (two_outputs, "with 2 outputs instead of 1"),
    "weights elsewhere": (
        lambda m: setattr(m.graph.initializer[0], "data_location", 1),
        "keeps weights in another file; a bundle's graph has them within itself",
    ),
    "weights cut short": (
        lambda m: setattr(m.graph.initializer[0], "raw_data", b"123"),
        "has a weight '.*' of 3 bytes, which its type and shape do not need",
    ),
    "a function": (lambda m: m.functions.add(), r"part that no graph .*\(field 25\)"),
    "another input": (
        lambda m: m.graph.input.append(helper.make_tensor_value_info("password", 7, ["a"])),
        "has an input or output 'password'",
    ),
    "two attributes of one name": (
        lambda m: with_attribute(m).append(with_attribute(m)[0]),
        "two weights, inputs, outputs or attributes of one name",
    ),
    "an attribute of another type": (
        lambda m: setattr(with_attribute(m)[0], "type", 1),
        "an attribute '.*' whose value is not of its type",
    ),
    "an attribute of two types": (
        lambda m: setattr(with_attribute(m)[0], "f", 1.0),
        "an attribute '.*' whose value is not of its type",
    ),
    "a number in the form of a text": (
        lambda m: with_attribute(m)[0].MergeFromString(b"\x1a\x01\x05"),
        r"part that no graph .*\(field 3\)",
    ),
    "a weight's type in the form of a text": (
        lambda m: m.graph.initializer[0].MergeFromString(b"\x12\x01\x07"),
        r"part that no graph .*\(field 2\)",
    ),
    "a weight without a name": (
        lambda m: setattr(m.graph.initializer[0], "name", ""),
        "has a name without a letter",
    ),
    "no graph": (lambda m: m.ClearField("graph"), "has a model with 0 fields graph instead of 1"),
    "ten gigabytes": (ten_gigabytes, "asks for 2,500,"),
}


@pytest.mark.parametrize(("spoil", "fault"), FAULTS.values(), ids=FAULTS)
def test_what_no_graph_of_ours_has_is_named(
    spoil: Callable[[onnx.ModelProto], object], fault: str, tiny_fp32: Path, tmp_path: Path
) -> None:
    model = onnx.load(tiny_fp32 / "onnx" / "model.onnx")
    spoil(model)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(EngineError, match=rf"model\.onnx .*{fault}") as refusal:
        OnnxRuntimeEngine(path)
    assert len(str(refusal.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("extra", "fault"),
    [(b"\x02\x00", r"\(field 0\)"), (b"\x0b\x0c", "damaged"), (b"\x0a\x01\x09", r"\(field 1\)")],
    ids=["a field without a number", "a group", "its version in the form of a text"],
)
def test_a_field_that_readers_skip_is_refused(
    extra: bytes, fault: str, tiny_fp32: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes((tiny_fp32 / "onnx" / "model.onnx").read_bytes() + extra)
    with pytest.raises(GraphFault, match=fault):
        read_graph(path)


@given(number=st.integers(0, 2**72), padding=st.integers(0, 3))
def test_a_number_is_read_as_other_readers_do_or_refused(number: int, padding: int) -> None:
    """Seven bits a byte, the lowest first, with needless zeros behind them; ONNX's reader is asked."""
    groups = [number >> shift & 0x7F for shift in range(0, max(1, number.bit_length()), 7)] + [0] * padding
    written = bytes(group | 0x80 for group in groups[:-1]) + bytes(groups[-1:])
    try:
        ours, _ = _varint(memoryview(written), 0)
    except GraphFault:
        assert number >= 2**64 or len(written) > 10
    else:
        theirs = onnx.TensorProto.FromString(b"\x08" + written).dims[0]
        assert ours == number == theirs % 2**64


def test_numbers_may_be_packed(tiny_fp32: Path) -> None:
    """Readers take a list one number a field, as we write it, and all in one field alike."""
    model = onnx.load(tiny_fp32 / "onnx" / "model.onnx")
    for tensor in model.graph.initializer:
        unpacked = b"".join(b"\x08" + varint(size) for size in tensor.dims)
        packed = b"".join(map(varint, tensor.dims))
        whole = tensor.SerializeToString()
        assert whole.startswith(unpacked)
        spelled = b"\x0a" + varint(len(packed)) + packed + whole[len(unpacked) :]
        assert onnx.TensorProto.FromString(spelled) == tensor
        assert _weight(memoryview(spelled)) == _weight(memoryview(whole))


def varint(number: int) -> bytes:
    return bytes([number & 0x7F | 0x80]) + varint(number >> 7) if number > 0x7F else bytes([number])


@given(data=st.binary(max_size=300))
@settings(max_examples=300)
def test_any_bytes_are_a_graph_or_a_fault(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.onnx"
    path.write_bytes(data)
    try:
        check_graph(read_graph(path))
    except GraphFault as fault:
        assert str(fault)  # noqa: PT017
