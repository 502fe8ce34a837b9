"""The graph says what the formulas say, in standard operators, for any number of texts of any length."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import onnx
import plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, numpy_helper
from tiny import tiny_checkpoint

from distilbert.engines.onnx_runtime import OnnxRuntimeEngine
from distilbert.files.checkpoint import Checkpoint, read_checkpoint
from distilbert.files.config import DistilBertConfig
from distilbert.graph.calibration import observe
from distilbert.graph.encoder import build_graph, build_taps, input_names, linear_names
from distilbert.graph.weights import WEIGHT_MAX, FloatWeights, Int8Weights

if TYPE_CHECKING:
    from pathlib import Path

FAMILIES = ("distilbert", "bert")
HEADS = ("none", "sequence-classification")
KINDS = list(itertools.product(FAMILIES, HEADS))
KEPT = frozenset({"transformer.layer.0.ffn.lin2"})
POSITIONS = 24


class Texts(NamedTuple):
    """A padded batch and how long each text is."""

    inputs: dict[str, np.ndarray]
    lengths: list[int]


@st.composite
def batches(draw: st.DrawFn) -> Texts:
    lengths = draw(st.lists(st.integers(1, POSITIONS), min_size=1, max_size=5))
    shape = (len(lengths), draw(st.integers(max(lengths), POSITIONS)))
    rng = np.random.default_rng(draw(st.integers(0, 1_000)))
    mask = (np.arange(shape[1]) < np.array(lengths)[:, None]).astype(np.int64)
    ids, types = rng.integers(0, 100, shape), rng.integers(0, 2, shape)  # what stands in padding is masked
    return Texts({"input_ids": ids, "attention_mask": mask, "token_type_ids": types}, lengths)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Checkpoint]:
    folder = tmp_path_factory.mktemp("checkpoints")
    return {(family, head): checkpoint(folder / family / head, family, head) for family, head in KINDS}


def checkpoint(folder: Path, family: str, head: str, **overrides: object) -> Checkpoint:
    settings = {"max_position_embeddings": POSITIONS, "labels": ("A", "B", "C"), **overrides}
    folder = tiny_checkpoint(folder, model_type=family, head=head, **settings)
    return read_checkpoint(folder, DistilBertConfig.from_folder(folder))


def float_graph(checkpoint: Checkpoint) -> onnx.ModelProto:
    return build_graph(checkpoint, FloatWeights(checkpoint.arrays))


def ranges(checkpoint: Checkpoint) -> dict[str, tuple[float, float]]:
    taps = OnnxRuntimeEngine(
        build_taps(checkpoint, FloatWeights(checkpoint.arrays)).SerializeToString(), threads=1
    )
    rng = np.random.default_rng(0)

    def run(ids: list[int]) -> dict[str, np.ndarray]:
        tokens = np.array([ids])
        types = np.zeros_like(tokens)
        return taps.run({"input_ids": tokens, "attention_mask": types + 1, "token_type_ids": types})

    texts = [rng.integers(0, 100, rng.integers(2, POSITIONS)).tolist() for _ in range(20)]
    return {site: histogram.range(100) for site, histogram in observe(run, texts).items()}


def int8_graph(checkpoint: Checkpoint) -> onnx.ModelProto:
    return build_graph(checkpoint, Int8Weights(checkpoint.arrays, ranges(checkpoint), KEPT))


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def expected(checkpoint: Checkpoint, texts: Texts, row: int) -> np.ndarray:
    length = texts.lengths[row]
    ids, types = (texts.inputs[name][row, :length].tolist() for name in ("input_ids", "token_type_ids"))
    hidden = plain.hidden_states(checkpoint, ids, types)
    return plain.logits(checkpoint, hidden[0]) if checkpoint.head != "none" else hidden


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_answers_are_those_of_the_formulas_whatever_the_padding(
    checkpoints: dict[tuple[str, str], Checkpoint], kind: tuple[str, str]
) -> None:
    checkpoint = checkpoints[kind]
    engine = OnnxRuntimeEngine(float_graph(checkpoint).SerializeToString(), threads=1)

    @settings(max_examples=25)
    @given(batches())
    def check(texts: Texts) -> None:
        [answers] = engine.run(texts.inputs).values()
        assert answers.dtype == np.float32
        for row, length in enumerate(texts.lengths):
            answer = answers[row] if checkpoint.head != "none" else answers[row, :length]
            np.testing.assert_allclose(answer, expected(checkpoint, texts, row), atol=2e-5)

    check()


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu", "silu"])
@pytest.mark.parametrize("sizes", [(8, 1, 1, 8), (24, 3, 3, 20), (20, 1, 5, 7)], ids=str)
def test_every_activation_and_size_is_that_of_the_formulas(
    tmp_path: Path, activation: str, sizes: tuple[int, int, int, int]
) -> None:
    dim, layers, heads, hidden = sizes
    shape = {"dim": dim, "n_layers": layers, "n_heads": heads, "hidden_dim": hidden}
    one = checkpoint(tmp_path, "distilbert", "none", activation=activation, **shape)
    ids = list(range(POSITIONS))
    tokens = np.array([ids])
    [answer] = (
        OnnxRuntimeEngine(float_graph(one).SerializeToString(), threads=1)
        .run({"input_ids": tokens, "attention_mask": np.ones_like(tokens)})
        .values()
    )
    np.testing.assert_allclose(answer[0], plain.hidden_states(one, ids), atol=2e-5)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=15)
@given(texts=batches())
def test_computing_the_last_layer_for_the_first_token_alone_changes_nothing(
    checkpoints: dict[tuple[str, str], Checkpoint], family: str, texts: Texts
) -> None:
    classifier = checkpoints[family, "sequence-classification"]
    whole = replace(classifier, head="none")
    [logits] = OnnxRuntimeEngine(float_graph(classifier).SerializeToString(), 1).run(texts.inputs).values()
    [hidden] = OnnxRuntimeEngine(float_graph(whole).SerializeToString(), 1).run(texts.inputs).values()
    np.testing.assert_allclose(logits, plain.logits(classifier, hidden[:, 0]), atol=1e-5)


@pytest.mark.parametrize("build", [float_graph, int8_graph])
@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_graphs_are_standard_whole_and_dynamic(
    checkpoints: dict[tuple[str, str], Checkpoint], kind: tuple[str, str], build: object
) -> None:
    family, head = kind
    model = build(checkpoints[kind])  # type: ignore[operator]
    onnx.checker.check_model(model, full_check=True)
    assert {opset.domain for opset in model.opset_import} == {""}
    assert {node.domain for node in model.graph.node} == {""}
    assert {tensor.data_location for tensor in model.graph.initializer} == {TensorProto.DEFAULT}
    shapes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    taken = ["input_ids", "attention_mask", *(["token_type_ids"] if family == "bert" else [])]
    output = {"last_hidden_state": ["batch", "length", 32]} if head == "none" else {"logits": ["batch", 3]}
    assert shapes == {**{name: ["batch", "length"] for name in taken}, **output}
    assert {value.type.tensor_type.elem_type for value in model.graph.input} == {TensorProto.INT64}
    assert tuple(taken) == input_names(checkpoints[kind].config)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_an_int8_graph_holds_no_float_weight_but_the_heads_and_those_kept(
    checkpoints: dict[tuple[str, str], Checkpoint], kind: tuple[str, str]
) -> None:
    checkpoint = checkpoints[kind]
    stored = constants(int8_graph(checkpoint))
    matrices = {
        name
        for name, array in stored.items()
        if array.dtype == np.float32 and array.ndim == 2 and array.shape[1] > 1
    }  # an embedding table's scales are [rows, 1]
    hidden_layer = "pre_classifier" if kind[0] == "distilbert" else "pooler"
    head = {f"{hidden_layer}.weight", "classifier.weight"} if checkpoint.head != "none" else set()
    kept = {f"{name}.weight" for name in KEPT}
    assert matrices == head | kept
    tables = {
        name for name in checkpoint.arrays if name.startswith("embeddings.") and "LayerNorm" not in name
    }
    linears = {f"{name}.weight" for name in linear_names(checkpoint.config)} - kept
    quantised = {
        name.removesuffix(".int8"): array for name, array in stored.items() if array.dtype == np.int8
    }
    assert quantised.keys() == tables | linears
    assert max(np.abs(array).max() for array in quantised.values()) == WEIGHT_MAX


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_int8_answers_stay_near_those_of_float32(
    checkpoints: dict[tuple[str, str], Checkpoint], kind: tuple[str, str]
) -> None:
    checkpoint = checkpoints[kind]
    rng = np.random.default_rng(3)
    ids = rng.integers(0, 100, (16, POSITIONS))
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    exact, near = (
        next(iter(OnnxRuntimeEngine(build(checkpoint).SerializeToString(), 1).run(inputs).values())).ravel()
        for build in (float_graph, int8_graph)
    )
    assert np.corrcoef(exact, near)[0, 1] > 0.98
    assert not np.array_equal(exact, near)


def test_calibration_taps_every_linears_input_over_all_rows(
    checkpoints: dict[tuple[str, str], Checkpoint],
) -> None:
    checkpoint = checkpoints["distilbert", "sequence-classification"]
    taps = OnnxRuntimeEngine(build_taps(checkpoint, FloatWeights(checkpoint.arrays)).SerializeToString(), 1)
    ids = np.arange(10)[None]
    rows = {
        site: values.shape[1]
        for site, values in taps.run({"input_ids": ids, "attention_mask": np.ones_like(ids)}).items()
    }
    for layer, ones in ((0, 10), (1, 1)):  # in the last layer only the first token goes past keys and values
        name = f"transformer.layer.{layer}"
        assert rows.pop(f"{name}.attention.input") == 10
        for site in ("attention.out_lin.input", "ffn.lin1.input", "ffn.lin2.input"):
            assert rows.pop(f"{name}.{site}") == ones
    assert not rows
