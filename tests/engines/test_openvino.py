"""OpenVINO answers what ONNX Runtime answers, wherever it is taken, and refuses what that refuses, by name."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tiny import tiny_checkpoint

from distilbert.compile import compile_checkpoint, float_bundle
from distilbert.engines.choice import installed
from distilbert.engines.onnx_runtime import OnnxRuntimeEngine
from distilbert.errors import EngineError, NotInstalledError
from distilbert.files.bundle import open_bundle
from distilbert.files.config import DistilBertConfig
from distilbert.tasks.classification import TextClassificationPipeline, softmax
from distilbert.text.tokenizer import DistilBertTokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from distilbert.engines.base import Floats, TokenIds

if installed("openvino") is None:
    pytest.skip("needs the extra openvino", allow_module_level=True)

from distilbert.engines import openvino
from distilbert.engines.openvino import OpenVinoEngine, import_openvino

IDS = np.random.default_rng(0).integers(0, 100, (5, 40))
INPUTS = {"input_ids": IDS, "attention_mask": np.ones_like(IDS)}
HEADS = ("none", "sequence-classification", "token-classification", "question-answering", "masked-lm")

_inherited: OpenVinoEngine | None = None  # what a forked child finds in its memory


def logits_after_fork(_: int) -> Floats:
    assert _inherited is not None
    return _inherited.run(INPUTS)["logits"]


def graph(bundle: Path) -> Path:
    return open_bundle(bundle).graph


@pytest.fixture(scope="module", params=["tiny_fp32", "tiny_int8"])
def bundle(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue(request.param)
    return folder


@pytest.mark.parametrize("model_type", ["distilbert", "bert"])
@pytest.mark.parametrize("head", HEADS)
def test_float32_answers_are_onnx_runtime_s(head: str, model_type: str, tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint(tmp_path / "checkpoint", head=head, model_type=model_type)
    compile_checkpoint(checkpoint, tmp_path / "bundle")
    ours, theirs = (
        kind(graph(tmp_path / "bundle"), threads=2) for kind in (OpenVinoEngine, OnnxRuntimeEngine)
    )
    assert sorted(ours.input_names) == sorted(theirs.input_names)
    assert ours.output_names == theirs.output_names
    mask = (np.arange(40) < [[40], [3], [17], [1], [39]]).astype(np.int64)
    inputs = {"input_ids": IDS, "attention_mask": mask, "token_type_ids": IDS % 2}
    for chosen in ({}, {"positions": IDS[:, :7] % 40}, {"positions": IDS[:1, :7] % 40}):
        if "positions" in ours.input_names or not chosen:
            answers, expected = ours.run(inputs | chosen), theirs.run(inputs | chosen)
            for name in theirs.output_names:
                np.testing.assert_allclose(answers[name], expected[name], rtol=0, atol=1e-4)


def test_a_file_and_its_bytes_are_the_same_graph(bundle: Path) -> None:
    file, memory = OpenVinoEngine(graph(bundle)), OpenVinoEngine(graph(bundle).read_bytes())
    assert file.input_names == memory.input_names == ("input_ids", "attention_mask")
    np.testing.assert_allclose(file.run(INPUTS)["logits"], memory.run(INPUTS)["logits"], atol=1e-5)


@pytest.mark.parametrize("in_memory", [False, True], ids=["file", "bytes"])
def test_a_pickled_engine_gives_the_same_answers(bundle: Path, in_memory: bool) -> None:
    model = graph(bundle)
    engine = OpenVinoEngine(model.read_bytes() if in_memory else model, threads=3)
    copy = pickle.loads(pickle.dumps(engine))
    assert copy.workers == 3
    np.testing.assert_allclose(copy.run(INPUTS)["logits"], engine.run(INPUTS)["logits"], atol=1e-5)


def test_an_engine_that_has_run_survives_a_fork(bundle: Path) -> None:
    global _inherited
    _inherited = OpenVinoEngine(graph(bundle))
    before = _inherited.run(INPUTS)["logits"]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        for answer in pool.map(logits_after_fork, range(4), timeout=60):
            np.testing.assert_allclose(answer, before, atol=1e-5)
    np.testing.assert_allclose(_inherited.run(INPUTS)["logits"], before, atol=1e-5)


def test_a_text_alone_gets_all_threads_and_the_bits_it_gets_in_one(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[int, int]] = []
    open_graph = openvino._open

    def watched(model: Path | bytes, streams: int, threads: int, *, cached: bool) -> openvino._Opened:
        opened.append((streams, threads))
        return open_graph(model, streams, threads, cached=cached)

    monkeypatch.setattr(openvino, "_open", watched)
    texts = [{name: ids[row : row + 1] for name, ids in INPUTS.items()} for row in range(len(IDS))]
    engine = OpenVinoEngine(graph(bundle), threads=2)
    engine.run(INPUTS)
    first = engine.run(texts[0])["logits"]
    assert opened == [(2, 2)]  # a first one may be the only one, as a command's is
    again = [engine.run(text)["logits"] for text in texts]
    assert opened == [(2, 2), (1, 2)]
    assert np.array_equal(first, again[0])
    of_one_thread = OpenVinoEngine(graph(bundle), threads=1)
    for logits, text in zip(again, texts, strict=True):
        assert np.array_equal(logits, of_one_thread.run(text)["logits"])
    assert opened == [(2, 2), (1, 2), (1, 1)]


def test_texts_that_come_beside_each_other_get_a_thread_each(bundle: Path) -> None:
    engine = OpenVinoEngine(graph(bundle), threads=2)
    streams: list[int] = []
    both, run = Barrier(2, timeout=60), engine._run

    def meeting(inputs: Mapping[str, TokenIds], found: int) -> dict[str, Floats]:
        both.wait()  # each call waits here until the other is under way too
        streams.append(found)
        return run(inputs, found)

    engine._run = meeting  # type: ignore[method-assign]
    text = {name: ids[:1] for name, ids in INPUTS.items()}
    with ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            list(pool.map(engine.run, [text] * 2))
    assert streams.count(2) >= 5  # of each two at least the one that began later


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("child", ["pass", "engine.run(inputs)"], ids=["idle", "running"])
def test_a_forked_child_comes_to_its_end(child: str, rows: int, tiny_int8: Path) -> None:
    program = f"""
import os, sys
from pathlib import Path
import numpy as np
from distilbert.engines.openvino import OpenVinoEngine
engine, ids = OpenVinoEngine(Path(sys.argv[1]), threads=2), np.ones(({rows}, 9), np.int64)
inputs = {{"input_ids": ids, "attention_mask": ids}}
for _ in range(3):
    engine.run(inputs)
if process := os.fork():
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
else:
    {child}
    sys.exit(7)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, graph(tiny_int8)], capture_output=True, text=True, timeout=120
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "7\n", "")


def test_many_threads_may_call_one_engine(bundle: Path) -> None:
    engine = OpenVinoEngine(graph(bundle), threads=2)
    draw = np.random.default_rng(1)
    batches = [draw.integers(0, 100, (rows, length)) for rows, length in draw.integers(1, (5, 30), (64, 2))]
    inputs = [{"input_ids": ids, "attention_mask": np.ones_like(ids)} for ids in batches]
    alone = [engine.run(each)["logits"] for each in inputs]
    with ThreadPoolExecutor(8) as pool:
        for answers, expected in zip(pool.map(engine.run, inputs), alone, strict=True):
            np.testing.assert_allclose(answers["logits"], expected, atol=1e-5)


def test_answers_stay_as_they_were_when_the_next_batch_is_run(bundle: Path) -> None:
    engine = OpenVinoEngine(graph(bundle), threads=1)
    first = engine.run(INPUTS)["logits"]
    kept = first.copy()
    engine.run({"input_ids": IDS[::-1].copy(), "attention_mask": np.ones_like(IDS)})
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("broken", ["not a graph", "truncated", "empty", "absent", "a folder"])
def test_what_is_no_graph_is_refused_by_name(bundle: Path, tmp_path: Path, broken: str) -> None:
    whole = graph(bundle).read_bytes()
    path = tmp_path / "model.onnx"
    contents = {"not a graph": b"<html>not found</html>", "truncated": whole[: len(whole) // 2], "empty": b""}
    if broken in contents:
        path.write_bytes(contents[broken])
        with pytest.raises(EngineError, match="a graph of"):
            OpenVinoEngine(contents[broken])
    elif broken == "a folder":
        path.mkdir()
    with pytest.raises(EngineError, match=r"model\.onnx") as refusal:
        OpenVinoEngine(path)
    assert len(str(refusal.value).splitlines()) == 2


STRANGE = {
    "too large": np.array([[1, 10_000]]),
    "negative": np.array([[-1, 2]]),
    "more than it has positions": np.ones((1, 513), np.int64),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("ids", STRANGE.values(), ids=STRANGE)
def test_ids_that_the_model_does_not_have_are_refused_by_name(
    bundle: Path, ids: np.ndarray, threads: int
) -> None:
    engine = OpenVinoEngine(graph(bundle), threads)
    before = engine.run(INPUTS)["logits"]
    for _ in range(3):
        with pytest.raises(EngineError, match=r"could not run .*\.onnx") as refusal:
            engine.run({"input_ids": ids, "attention_mask": np.ones_like(ids)})
        assert len(str(refusal.value).splitlines()) == 2
    np.testing.assert_allclose(engine.run(INPUTS)["logits"], before, atol=1e-5)  # and it still answers


def test_an_input_left_out_is_not_taken_from_the_call_before(bundle: Path) -> None:
    engine = OpenVinoEngine(graph(bundle))
    engine.run(INPUTS)
    with pytest.raises(EngineError, match="attention_mask is missing"):
        engine.run({"input_ids": IDS})


@pytest.mark.parametrize(
    ("token_types", "says"),
    [(np.full_like(IDS, 2), "token_type_ids run from 2 to 2, and it has 2"), (IDS * 0.0, "is float64")],
)
def test_token_types_that_the_model_does_not_have_are_refused_too(
    tmp_path: Path, token_types: np.ndarray, says: str
) -> None:
    bundle = float_bundle(tiny_checkpoint(tmp_path / "bert", model_type="bert"))
    with pytest.raises(EngineError, match=says):
        OpenVinoEngine(graph(bundle)).run({**INPUTS, "token_type_ids": token_types})


def test_an_error_says_what_was_wrong_and_not_where_in_openvino_s_sources(tiny_fp32: Path) -> None:
    with pytest.raises(EngineError) as refusal:
        OpenVinoEngine(graph(tiny_fp32)).run({name: np.ones((1, 513), np.int64) for name in INPUTS})
    assert "Exception from" not in str(refusal.value)


def test_a_graph_that_was_changed_within_a_second_is_compiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILBERT_CACHE", str(tmp_path / "cache"))
    graphs = [graph(float_bundle(tiny_checkpoint(tmp_path / f"{n}", seed=n))).read_bytes() for n in (0, 1)]
    assert len(graphs[0]) == len(graphs[1])
    path, found = tmp_path / "model.onnx", []
    for nanoseconds, written in enumerate(graphs):
        path.write_bytes(written)
        os.utime(path, ns=(10**9, 10**9 + nanoseconds))
        found.append(OpenVinoEngine(path).run(INPUTS)["logits"])
        np.testing.assert_allclose(found[-1], OpenVinoEngine(written).run(INPUTS)["logits"], atol=1e-5)
    assert not np.allclose(*found, atol=1e-3)


def test_outputs_of_another_task_are_refused(tiny_fp32: Path) -> None:
    with pytest.raises(EngineError, match="gives logits; for its task it must give last_hidden_state"):
        OpenVinoEngine(graph(tiny_fp32), outputs={"last_hidden_state": ("batch", "length", 32)})
    engine = OpenVinoEngine(graph(tiny_fp32), outputs={"logits": ("batch", 3)})
    with pytest.raises(
        EngineError, match=r"gives logits of shape \[5, 2\]; for its task it must be \[5, 3\]"
    ):
        engine.run(INPUTS)


@pytest.mark.parametrize("cache", ["a file", "damaged", "another graph's"])
def test_a_cache_that_is_of_no_use_costs_only_time(
    cache: str, tiny_int8: Path, tiny_fp32: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILBERT_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "model.onnx"
    path.write_bytes(graph(tiny_int8).read_bytes())
    shutil.rmtree(tmp_path / "cache")
    if cache == "a file":
        (tmp_path / "cache").write_text("")
    else:
        OpenVinoEngine(path)
        [blob] = (tmp_path / "cache").rglob("*.blob")
        if cache == "damaged":
            blob.write_bytes(blob.read_bytes()[:1000])
        else:
            path.write_bytes((tiny_fp32 / "onnx" / "model.onnx").read_bytes())
            os.utime(path, (1, 1))
    expected = OpenVinoEngine(path.read_bytes()).run(INPUTS)["logits"]
    np.testing.assert_allclose(OpenVinoEngine(path).run(INPUTS)["logits"], expected, atol=1e-5)


def test_it_tells_nobody_and_leaves_no_trace_but_the_cache(tiny_fp32: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    program = (
        "import sys; from pathlib import Path; from distilbert.engines.openvino import OpenVinoEngine;"
        "OpenVinoEngine(Path(sys.argv[1])); print('openvino_telemetry.main' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, graph(tiny_fp32)],
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "False\n", "")
    assert not list(home.rglob("*"))


def test_where_it_is_not_installed_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(NotInstalledError, match=r"pip install 'distilbert\[openvino\]'"):
        import_openvino()


TEXTS = (
    "A warm and funny film.",
    "Dull.",
    "It is not without charm, but two hours are long.",
    "",
    "The battery died after a week and support never answered my letters.",
    "Ein Satz auf Deutsch.",
    "Not bad at all!",
    "I expected a comedy and got two hours of silence. " * 12,
)


def test_alone_or_in_a_batch_the_embedded_model_s_answer_is_the_same(embedded: Path) -> None:
    config = DistilBertConfig.from_folder(embedded)
    classify = TextClassificationPipeline(
        DistilBertTokenizer.from_folder(embedded),
        OpenVinoEngine(open_bundle(embedded).graph, threads=2),
        config,
        truncation=True,
    )
    texts = [text[start:] for text in TEXTS for start in range(0, min(len(text), 36) + 1, 3)]
    together = softmax(np.array(list(classify.logits(texts, batch_size=16))))
    alone = softmax(np.array(list(classify.logits(texts, batch_size=1))))
    assert np.abs(together - alone).max() <= 0.005
    assert (together.argmax(axis=1) == alone.argmax(axis=1)).mean() >= 0.999
