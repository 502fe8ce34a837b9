"""Remedies are tried in the order of their cost until the gate passes, and what was done is said."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bundles import gate_after, open_gate, sentences
from tiny import save_checkpoint, tiny_arrays, tiny_checkpoint, tiny_config

from distilbert.compile import Gate, Int8
from distilbert.compile.quantise import PERCENTILES, Candidate, quantise
from distilbert.engines.choice import installed
from distilbert.engines.onnx_runtime import OnnxRuntimeEngine
from distilbert.errors import EngineError, GateError, OptionError
from distilbert.files.checkpoint import read_checkpoint
from distilbert.files.config import DistilBertConfig
from distilbert.graph.encoder import build_graph, linear_names
from distilbert.graph.weights import FloatWeights
from distilbert.metrics.gate import Verdict
from distilbert.text.tokenizer import DistilBertTokenizer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from distilbert.engines.base import Engine, Floats
    from distilbert.files.checkpoint import Checkpoint

TEXTS = sentences(40)
LINEARS = linear_names(tiny_config())
HURT = "transformer.layer.0.ffn.lin2"


def attempt(source: Path, int8: Int8) -> tuple[Candidate, list[str]]:
    """The candidate that `quantise` settles for, and what it said on the way."""
    checkpoint = read_checkpoint(source, DistilBertConfig.from_folder(source))
    reference = OnnxRuntimeEngine(
        build_graph(checkpoint, FloatWeights(checkpoint.arrays)).SerializeToString()
    )
    said: list[str] = []
    return quantise(checkpoint, DistilBertTokenizer.from_folder(source), reference, int8, said.append), said


def tries(said: list[str]) -> list[tuple[float, int]]:
    """Percentile and number of linears in float of each candidate that the gate judged."""
    found = (
        re.match(r"clipping at ([\d.]+) %(?:, (\d+) of 12 linears in float)?: mean error", line)
        for line in said
    )
    return [(float(match[1]), int(match[2] or 0)) for match in found if match]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with one linear that int8 cannot hold: each row has a huge weight, for an input that is 0."""
    config = tiny_config(labels=("A", "B", "C"))
    arrays = tiny_arrays(config)
    arrays[f"{HURT.replace('lin2', 'lin1')}.bias"][0] = -100.0
    arrays[f"{HURT}.weight"][:, 0] = 40.0
    folder = tiny_checkpoint(tmp_path_factory.mktemp("source") / "checkpoint", labels=config.labels)
    return save_checkpoint(folder, config, arrays)


@pytest.mark.parametrize("failures", [0, 1, 2, 3, 5])
def test_clipping_comes_before_linears_in_float_and_the_first_to_pass_is_taken(
    source: Path, failures: int
) -> None:
    candidate, said = attempt(source, Int8(TEXTS, gate_after(failures)))
    made = tries(said)
    assert len(made) == failures + 1
    assert made[:3] == [(percentile, 0) for percentile in PERCENTILES][: len(made)]
    assert [count for _, count in made[3:]] == list(range(1, len(made) - 2))
    assert len({percentile for percentile, _ in made[3:]}) <= 1
    assert made[-1] == (candidate.percentile, len(candidate.keep_float))
    assert candidate.verdict.passed
    assert candidate.settings()["calibration_texts"] == len(TEXTS)
    assert candidate.settings()["linears_in_float"] == sorted(candidate.keep_float)
    assert candidate.gate_figures()["onnxruntime"]["said"] == candidate.verdict.said


def test_the_linear_that_int8_hurts_most_goes_to_float_first(source: Path) -> None:
    candidate, said = attempt(source, Int8(TEXTS, gate_after(3)))
    assert candidate.keep_float == {HURT}
    errors = [
        float(line.rsplit(" ", 1)[1]) for line in said if line.startswith("clipping") and "mean error" in line
    ]
    assert errors[-1] < 0.5 * min(errors[:-1])


@pytest.mark.skipif(installed("openvino") is None, reason="needs the extra openvino")
@pytest.mark.parametrize("passes", [True, False])
def test_the_other_engine_is_judged_on_the_chosen_graph_and_never_moves_the_choice(
    source: Path, passes: bool
) -> None:
    engines: list[str] = []

    def make_gate(checkpoint: Checkpoint, tokenizer: DistilBertTokenizer) -> Gate:
        plain = open_gate(checkpoint, tokenizer)

        def score(engine: Engine) -> Any:
            engines.append(engine.library)
            return plain.score(engine)

        def judge(reference: Any, candidate: Any) -> Verdict:
            error = plain.judge(reference, candidate).error
            return Verdict(
                engines[-1] == "onnxruntime" or passes, error, {"error": error}, f"error {error:.4f}"
            )

        return Gate(score, judge)

    candidate, said = attempt(source, Int8(TEXTS, make_gate))
    assert engines == ["onnxruntime", "onnxruntime", "openvino"]
    figures = candidate.gate_figures()
    assert list(figures) == ["onnxruntime", "openvino"][: 1 + passes]
    assert said[-1].startswith("on openvino: error ")
    assert said[-1].endswith(": no int8 there") != passes
    if passes:
        assert figures["openvino"]["said"] in said[-1]
        assert abs(figures["openvino"]["error"] - figures["onnxruntime"]["error"]) < 0.05


@pytest.mark.parametrize(
    "missing", [None, EngineError("it cannot load a graph.")], ids=["not there", "broken"]
)
def test_an_engine_that_does_not_work_here_costs_only_its_row(
    missing: EngineError | None, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(engine: str, graph: bytes) -> Engine:
        if engine == "openvino":
            raise missing or AssertionError("it is not installed")
        return OnnxRuntimeEngine(graph)

    monkeypatch.setattr("distilbert.compile.quantise.installed", lambda _: "2026.4.1" if missing else None)
    monkeypatch.setattr("distilbert.compile.quantise.open_graph", opened)
    candidate, said = attempt(source, Int8(TEXTS, open_gate))
    assert list(candidate.gate_figures()) == ["onnxruntime"]
    assert ("on openvino: not judged, so no int8 there: it cannot load a graph." in said) == bool(missing)


def gate_that_likes(liked: Callable[[int], bool]) -> Callable[[Checkpoint, DistilBertTokenizer], Gate]:
    """A gate whose verdicts' errors are small for the candidates, by number, that it likes; none passes."""

    def make_gate(checkpoint: Checkpoint, tokenizer: DistilBertTokenizer) -> Gate:
        judged = 0

        def judge(_: Floats, __: Floats) -> Verdict:
            nonlocal judged
            judged += 1
            error = 0.1 if liked(judged) else 0.9
            return Verdict(False, error, {}, f"mean error {error}, candidate {judged}")

        return Gate(lambda _: np.zeros((1, 1), np.float32), judge)

    return make_gate


@pytest.mark.parametrize("best", [1, 2, 3])
def test_linears_are_put_in_float_at_the_percentile_that_came_closest(source: Path, best: int) -> None:
    said: list[str] = []
    checkpoint = read_checkpoint(source, DistilBertConfig.from_folder(source))
    reference = OnnxRuntimeEngine(
        build_graph(checkpoint, FloatWeights(checkpoint.arrays)).SerializeToString()
    )
    int8 = Int8(TEXTS[:8], gate_that_likes(lambda number: number == best))
    with pytest.raises(GateError, match=f"The closest: mean error 0.1, candidate {best}"):
        quantise(checkpoint, DistilBertTokenizer.from_folder(source), reference, int8, said.append)
    later = tries(said)[3:]
    assert later == [(PERCENTILES[best - 1], count) for count in (1, 2, 3)]


def test_when_a_quarter_of_the_linears_in_float_does_not_help_the_closest_is_named(source: Path) -> None:
    with pytest.raises(GateError) as refusal:
        attempt(source, Int8(TEXTS, gate_after(1_000)))
    assert re.fullmatch(
        r"No int8 form of this model passes its gate\. The closest: mean error 0\.\d+\.", refusal.value.fault
    )
    assert "--keep-float" in refusal.value.next_step


@pytest.mark.parametrize(
    ("patterns", "kept"),
    [
        ((), []),
        (("layer.0.ffn.lin2",), ["transformer.layer.0.ffn.lin2"]),
        (("transformer.layer.0.ffn.lin2",), ["transformer.layer.0.ffn.lin2"]),
        (("layer.1.*",), [name for name in LINEARS if ".1." in name]),
        (("*.ffn.lin2", "layer.0.attention.q_lin"), [LINEARS[0], LINEARS[5], LINEARS[11]]),
        (("*",), LINEARS),
    ],
)
def test_what_the_user_keeps_in_float_is_kept(
    source: Path, patterns: tuple[str, ...], kept: list[str]
) -> None:
    candidate, _ = attempt(source, Int8(TEXTS, open_gate, patterns))
    assert candidate.keep_float == set(kept)


def test_remedies_add_to_what_the_user_keeps(source: Path) -> None:
    candidate, _ = attempt(source, Int8(TEXTS, gate_after(3), ("layer.1.ffn.lin1",)))
    assert candidate.keep_float == {"transformer.layer.1.ffn.lin1", HURT}


@pytest.mark.parametrize("pattern", ["layer.2.*", "ffn.lin2", "layer.0.ffn", "classifier", ""])
def test_a_pattern_that_names_no_linear_is_refused(source: Path, pattern: str) -> None:
    with pytest.raises(OptionError, match="names no linear of this model") as refusal:
        attempt(source, Int8(TEXTS, open_gate, ("layer.0.*", pattern)))
    assert repr(pattern) in refusal.value.fault
    assert "layer.0.attention.q_lin to layer.1.ffn.lin2" in refusal.value.next_step
