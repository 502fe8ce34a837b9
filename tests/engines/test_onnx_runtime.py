"""ONNX Runtime answers the same wherever it is taken, and its refusals are errors that name the graph."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from distilbert.engines.onnx_runtime import OnnxRuntimeEngine
from distilbert.errors import EngineError
from distilbert.files.bundle import open_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from distilbert.engines.base import Floats

IDS = np.random.default_rng(0).integers(0, 100, (5, 40))
INPUTS = {"input_ids": IDS, "attention_mask": np.ones_like(IDS)}
OTHERS_THAN_TOKENS = [np.array([[1, 10_000]]), np.array([[-1_000, 2]])]

_inherited: OnnxRuntimeEngine | None = None  # what a forked child finds in its memory


def logits_after_fork(_: int) -> Floats:
    assert _inherited is not None
    return _inherited.run(INPUTS)["logits"]


def graph(bundle: Path) -> Path:
    return open_bundle(bundle).graph


@pytest.fixture(scope="module", params=["tiny_fp32", "tiny_int8"])
def bundle(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue(request.param)
    return folder


def test_a_file_and_its_bytes_are_the_same_graph(bundle: Path) -> None:
    file, memory = OnnxRuntimeEngine(graph(bundle)), OnnxRuntimeEngine(graph(bundle).read_bytes())
    assert file.input_names == memory.input_names == ("input_ids", "attention_mask")
    assert file.output_names == memory.output_names == ("logits",)
    assert np.array_equal(file.run(INPUTS)["logits"], memory.run(INPUTS)["logits"])


@pytest.mark.parametrize("in_memory", [False, True], ids=["file", "bytes"])
def test_a_pickled_engine_gives_the_same_bits(bundle: Path, in_memory: bool) -> None:
    model = graph(bundle)
    engine = OnnxRuntimeEngine(model.read_bytes() if in_memory else model, threads=3)
    copy = pickle.loads(pickle.dumps(engine))
    assert copy.workers == 3
    assert np.array_equal(copy.run(INPUTS)["logits"], engine.run(INPUTS)["logits"])


def test_an_engine_that_has_run_survives_a_fork(bundle: Path) -> None:
    global _inherited
    _inherited = OnnxRuntimeEngine(graph(bundle))
    before = _inherited.run(INPUTS)["logits"]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        for answer in pool.map(logits_after_fork, range(4), timeout=60):
            assert np.array_equal(answer, before)


def test_many_threads_may_call_one_engine(bundle: Path) -> None:
    engine = OnnxRuntimeEngine(graph(bundle))
    alone = engine.run(INPUTS)["logits"]
    with ThreadPoolExecutor(8) as pool:
        for answers in pool.map(engine.run, [INPUTS] * 64):
            assert np.array_equal(answers["logits"], alone)


@pytest.mark.parametrize("broken", ["not a graph", "truncated", "empty", "absent", "a folder"])
def test_what_is_no_graph_is_refused_by_name(bundle: Path, tmp_path: Path, broken: str) -> None:
    whole = graph(bundle).read_bytes()
    path = tmp_path / "model.onnx"
    contents = {"not a graph": b"<html>not found</html>", "truncated": whole[: len(whole) // 2], "empty": b""}
    if broken in contents:
        path.write_bytes(contents[broken])
        with pytest.raises(EngineError, match="a graph of"):
            OnnxRuntimeEngine(contents[broken])
    elif broken == "a folder":
        path.mkdir()
    with pytest.raises(EngineError, match=r"model\.onnx") as refusal:
        OnnxRuntimeEngine(path)
    assert len(str(refusal.value).splitlines()) == 2


@pytest.mark.parametrize("ids", OTHERS_THAN_TOKENS, ids=["too large", "negative"])
def test_ids_that_the_model_does_not_have_are_refused_by_name(bundle: Path, ids: np.ndarray) -> None:
    engine = OnnxRuntimeEngine(graph(bundle))
    with pytest.raises(EngineError, match=r"could not run .*\.onnx") as refusal:
        engine.run({"input_ids": ids, "attention_mask": np.ones_like(ids)})
    assert len(str(refusal.value).splitlines()) == 2
    assert np.array_equal(  # and the engine still answers
        engine.run(INPUTS)["logits"], OnnxRuntimeEngine(graph(bundle)).run(INPUTS)["logits"]
    )


def test_more_tokens_than_the_model_has_positions_are_refused(bundle: Path) -> None:
    ids = np.ones((1, 513), np.int64)
    with pytest.raises(EngineError, match="could not run"):
        OnnxRuntimeEngine(graph(bundle)).run({"input_ids": ids, "attention_mask": ids})
