"""Each head says what its formula says; a language model's only of the rows that are asked for, if any are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from tiny import VOCABULARY, tiny_arrays, tiny_checkpoint, tiny_config

from distilbert.engines.onnx_runtime import OnnxRuntimeEngine
from distilbert.files.checkpoint import Checkpoint, read_checkpoint
from distilbert.files.config import DistilBertConfig
from distilbert.graph.encoder import build_graph, build_taps
from distilbert.graph.heads import HEADS
from distilbert.graph.weights import FloatWeights, Int8Weights

if TYPE_CHECKING:
    from pathlib import Path

POSITIONS = 24
KINDS = [
    (family, head)
    for family in ("distilbert", "bert")
    for head in ("token-classification", "question-answering", "masked-lm")
]
OUTPUTS = {
    "token-classification": {"logits": ["batch", "length", 3]},
    "question-answering": {"start_logits": ["batch", "length"], "end_logits": ["batch", "length"]},
    "masked-lm": {"logits": ["batch", "rows", len(VOCABULARY)]},
}


def checkpoint(folder: Path, family: str, head: str, **overrides: object) -> Checkpoint:
    settings = {"max_position_embeddings": POSITIONS, "labels": ("A", "B", "C"), **overrides}
    folder = tiny_checkpoint(folder, model_type=family, head=head, **settings)
    return read_checkpoint(folder, DistilBertConfig.from_folder(folder))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Checkpoint]:
    folder = tmp_path_factory.mktemp("checkpoints")
    return {(family, head): checkpoint(folder / family / head, family, head) for family, head in KINDS}


def graph(checkpoint: Checkpoint) -> onnx.ModelProto:
    return build_graph(checkpoint, FloatWeights(checkpoint.arrays))


def engine(checkpoint: Checkpoint) -> OnnxRuntimeEngine:
    return OnnxRuntimeEngine(graph(checkpoint).SerializeToString(), threads=1)


def batch(lengths: list[int], width: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Texts of these lengths, padded to `width`; what stands in padding is masked."""
    rng = np.random.default_rng(seed)
    shape = (len(lengths), width)
    mask = (np.arange(width) < np.array(lengths)[:, None]).astype(np.int64)
    types = rng.integers(0, 2, shape)
    return {"input_ids": rng.integers(0, 100, shape), "attention_mask": mask, "token_type_ids": types}


def expected(
    checkpoint: Checkpoint, inputs: dict[str, np.ndarray], row: int, length: int
) -> list[np.ndarray]:
    ids, types = (inputs[name][row, :length].tolist() for name in ("input_ids", "token_type_ids"))
    return plain.head_outputs(checkpoint, plain.hidden_states(checkpoint, ids, types))


def test_every_head_that_can_be_read_can_be_built() -> None:
    assert HEADS.keys() == {"none", "sequence-classification", *OUTPUTS}


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_answers_are_those_of_the_formulas_whatever_the_padding(
    checkpoints: dict[tuple[str, str], Checkpoint], kind: tuple[str, str]
) -> None:
    checkpoint = checkpoints[kind]
    run = engine(checkpoint).run

    @settings(max_examples=15)
    @given(st.lists(st.integers(1, POSITIONS), min_size=1, max_size=4), st.integers(0, 9))
    def check(lengths: list[int], padding: int) -> None:
        inputs = batch(lengths, min(max(lengths) + padding, POSITIONS))
        outputs = run(inputs)
        assert list(outputs) == list(OUTPUTS[checkpoint.head])
        for row, length in enumerate(lengths):
            for ours, formula in zip(
                outputs.values(), expected(checkpoint, inputs, row, length), strict=True
            ):
                assert ours.dtype == np.float32
                np.testing.assert_allclose(ours[row, :length], formula, atol=5e-5)

    check()


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu", "silu"])
def test_a_language_models_head_has_the_models_own_activation(tmp_path: Path, activation: str) -> None:
    model = checkpoint(tmp_path, "distilbert", "masked-lm", activation=activation)
    inputs = batch([POSITIONS], POSITIONS)
    [logits] = engine(model).run(inputs).values()
    np.testing.assert_allclose(logits[0], expected(model, inputs, 0, POSITIONS)[0], atol=5e-5)


def test_a_projection_of_its_own_takes_the_place_of_the_word_embeddings(tmp_path: Path) -> None:
    model = checkpoint(tmp_path, "bert", "masked-lm")
    model.arrays["vocab_projector.weight"] = (
        np.random.default_rng(5)
        .normal(size=model.arrays["embeddings.word_embeddings.weight"].shape)
        .astype(np.float32)
    )
    inputs = batch([9], 9)
    [logits] = engine(model).run(inputs).values()
    np.testing.assert_allclose(logits[0], expected(model, inputs, 0, 9)[0], atol=5e-5)


@st.composite
def asked_rows(draw: st.DrawFn) -> tuple[list[int], int, np.ndarray]:
    lengths = draw(st.lists(st.integers(1, POSITIONS), min_size=1, max_size=4))
    width = draw(st.integers(max(lengths), POSITIONS))
    rows = draw(st.integers(1, width))
    texts = draw(st.sampled_from([1, len(lengths)]))  # one list may serve all texts
    positions = draw(st.lists(st.integers(0, width - 1), min_size=texts * rows, max_size=texts * rows))
    return lengths, width, np.array(positions, np.int64).reshape(texts, rows)


@pytest.mark.parametrize("family", ["distilbert", "bert"])
def test_positions_choose_rows_of_what_would_come_without_them(
    checkpoints: dict[tuple[str, str], Checkpoint], family: str
) -> None:
    run = engine(checkpoints[family, "masked-lm"]).run

    @settings(max_examples=25)
    @given(asked_rows())
    def check(asked: tuple[list[int], int, np.ndarray]) -> None:
        lengths, width, positions = asked
        inputs = batch(lengths, width)
        every = run(inputs)["logits"]
        chosen = run({**inputs, "positions": positions})["logits"]
        assert every.shape[:2] == (len(lengths), width)
        each = np.broadcast_to(positions, (len(lengths), positions.shape[1]))
        np.testing.assert_allclose(chosen, np.take_along_axis(every, each[..., None], axis=1), atol=1e-5)

    check()


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_graphs_are_standard_whole_and_dynamic_and_need_no_inputs_but_the_usual(
    checkpoints: dict[tuple[str, str], Checkpoint], kind: tuple[str, str]
) -> None:
    family, head = kind
    model = graph(checkpoints[kind])
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} == {""}
    shapes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    constants = {tensor.name for tensor in model.graph.initializer}
    needed = {value.name for value in model.graph.input} - constants
    types = {"token_type_ids"} if family == "bert" else set()
    assert needed == {"input_ids", "attention_mask"} | types
    assert {name: shapes[name] for name in OUTPUTS[head]} == OUTPUTS[head]
    assert shapes.keys() == needed | OUTPUTS[head].keys() | ({"positions"} if head == "masked-lm" else set())


def test_a_language_models_file_has_the_word_embeddings_once(
    checkpoints: dict[tuple[str, str], Checkpoint],
) -> None:
    model = graph(checkpoints["distilbert", "masked-lm"])
    shape = [len(VOCABULARY), 32]
    tables = [tensor for tensor in model.graph.initializer if list(tensor.dims) in (shape, shape[::-1])]
    assert [tensor.name for tensor in tables] == ["embeddings.word_embeddings.weight"]


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_heads_stay_in_float_and_near_float32_when_the_encoder_is_int8(
    checkpoints: dict[tuple[str, str], Checkpoint], kind: tuple[str, str]
) -> None:
    checkpoint = checkpoints[kind]
    sites = FloatWeights(checkpoint.arrays)
    taps = OnnxRuntimeEngine(build_taps(checkpoint, sites).SerializeToString(), threads=1)
    inputs = batch([POSITIONS] * 8, POSITIONS)
    ranges = {site: (float(x.min()), float(x.max())) for site, x in taps.run(inputs).items()}
    int8 = build_graph(checkpoint, Int8Weights(checkpoint.arrays, ranges))
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in int8.graph.initializer}
    head = {name for name in checkpoint.arrays if not name.startswith(("embeddings.", "transformer."))}
    assert all(stored[name].dtype == np.float32 for name in head)
    near = OnnxRuntimeEngine(int8.SerializeToString(), threads=1).run(inputs)
    for name, exact in engine(checkpoint).run(inputs).items():
        assert np.corrcoef(exact.ravel(), near[name].ravel())[0, 1] > 0.97
        assert not np.array_equal(exact, near[name])


def test_the_tiny_language_model_is_a_fair_trial() -> None:
    arrays = tiny_arrays(tiny_config(), "masked-lm")
    assert np.abs(arrays["vocab_projector.bias"]).max() > 0.1  # a forgotten bias would show
