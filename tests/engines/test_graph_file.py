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

from distilbert.engines.graph_file import GraphFault, read_graph
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


@given(data=st.binary(max_size=300))
@settings(max_examples=300)
def test_any_bytes_are_a_graph_or_a_fault(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.onnx"
    path.write_bytes(data)
    try:
        check_graph(read_graph(path))
    except GraphFault as fault:
        assert str(fault)  # noqa: PT017
