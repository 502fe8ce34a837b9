"""int8 past its gate: calibrate, quantise, compare with float32, and try remedies until it is close enough.

Remedies come in order of cost: wider clipping, then linears in float, those first that lower the error most. They are
chosen on ONNX Runtime; on the other engines at hand the chosen graph is judged, and runs where it passes.
What is compared, and on which texts, the caller says in a `Gate`: this room knows no task.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from distilbert.compile.probes import read_one, thinned
from distilbert.engines.choice import ENGINES, ONNX_RUNTIME, installed, open_graph
from distilbert.engines.onnx_runtime import OnnxRuntimeEngine
from distilbert.errors import EngineError, GateError, NotInstalledError, OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

    from distilbert.compile.probes import Text
    from distilbert.engines.base import Engine, Floats, TokenIds
    from distilbert.files.checkpoint import Checkpoint
    from distilbert.graph.calibration import Histogram
    from distilbert.metrics.gate import Verdict
    from distilbert.text.tokenizer import DistilBertTokenizer

    Inputs: TypeAlias = Mapping[str, TokenIds]

PERCENTILES = (99.99, 99.999, 100.0)
SENSITIVITY_TEXTS = 64
MAX_FLOAT_SHARE = 0.25  # of the linears: with more in float, int8 is no longer worth its name


@dataclass(frozen=True)
class Gate:
    """What int8 must pass: `score` answers the gate's texts with an engine, `judge` compares two such answers."""

    score: Callable[[Engine], Any]
    judge: Callable[[Any, Any], Verdict]


@dataclass(frozen=True)
class Int8:
    """What int8 needs: texts to calibrate on, a gate for the checkpoint, and which linears stay in float.

    `keep_float` are patterns over names such as `layer.0.ffn.lin2`: `layer.0.*` keeps a whole layer.
    """

    calibration: Sequence[Text]
    make_gate: Callable[[Checkpoint, DistilBertTokenizer], Gate]
    keep_float: Sequence[str] = ()


@dataclass(frozen=True)
class Candidate:
    """One way to quantise, its graph, and what the gate said of it; `elsewhere`: on other engines that it passed."""

    percentile: float
    keep_float: frozenset[str]
    calibration_texts: int
    graph: bytes
    verdict: Verdict
    elsewhere: Mapping[str, Verdict] = field(default_factory=dict)

    def gate_figures(self) -> dict[str, dict[str, Any]]:
        """For the manifest: the figures by engine."""
        verdicts = {ONNX_RUNTIME: self.verdict, **self.elsewhere}
        return {name: {**verdict.figures, "said": verdict.said} for name, verdict in verdicts.items()}

    def settings(self) -> dict[str, Any]:
        """For the manifest: how it was quantised."""
        return {
            "calibration_texts": self.calibration_texts,
            "percentile": self.percentile,
            "linears_in_float": sorted(self.keep_float),
        }


def quantise(
    checkpoint: Checkpoint,
    tokenizer: DistilBertTokenizer,
    reference: Engine,
    int8: Int8,
    say: Callable[[str], None],
) -> Candidate:
    """The first candidate that passes the gate on ONNX Runtime, judged on the other engines that are installed too.

    Raises `GateError` with the closest one's figures.
    """
    from distilbert.graph.encoder import linear_names

    names = linear_names(checkpoint.config)
    keep_float = _matching(int8.keep_float, names)
    gate = int8.make_gate(checkpoint, tokenizer)  # first, for it may refuse its texts' labels
    texts = [read_one(tokenizer, checkpoint.config, text) for text in int8.calibration]
    say(f"calibrating on {len(texts):,} texts")
    histograms = _calibrate(checkpoint, texts)
    expected = gate.score(reference)

    def attempt(percentile: float, keep_float: frozenset[str]) -> Candidate:
        graph = _build(checkpoint, histograms, percentile, keep_float)
        verdict = gate.judge(expected, gate.score(OnnxRuntimeEngine(graph)))
        kept = f", {len(keep_float)} of {len(names)} linears in float" if keep_float else ""
        say(f"clipping at {percentile} %{kept}: {verdict.said}")
        return Candidate(percentile, keep_float, len(texts), graph, verdict)

    def errors_without(percentile: float, kept: frozenset[str]) -> dict[str, float]:
        """The error on a few calibration texts with one linear more in float, by its name."""
        few = texts[:SENSITIVITY_TEXTS]
        exact = _outputs(reference, few)
        return {
            name: _error(exact, _build(checkpoint, histograms, percentile, kept | {name}), few)
            for name in names
            if name not in kept
        }

    chosen = _first_past(attempt, errors_without, keep_float, int(len(names) * MAX_FLOAT_SHARE), say)
    return replace(chosen, elsewhere=_judged_elsewhere(chosen.graph, gate, expected, say))


def _first_past(
    attempt: Callable[[float, frozenset[str]], Candidate],
    errors_without: Callable[[float, frozenset[str]], dict[str, float]],
    keep_float: frozenset[str],
    most: int,
    say: Callable[[str], None],
) -> Candidate:
    """Try remedies in order of cost, at most so many linears in float."""
    closest: Candidate | None = None
    for percentile in PERCENTILES:
        closest = _closer(closest, attempt(percentile, keep_float))
        if closest.verdict.passed:
            return closest
    assert closest is not None
    percentile = closest.percentile
    say("looking for the linears that int8 errors_withouts most")
    errors = errors_without(percentile, keep_float)
    for name in sorted(errors, key=errors.__getitem__)[:most]:
        keep_float |= {name}
        closest = _closer(closest, attempt(percentile, keep_float))
        if closest.verdict.passed:
            return closest
    raise GateError(
        f"No int8 form of this model passes its gate. The closest: {closest.verdict.said}.",
        "Keep more in float with --keep-float, calibrate on texts like those it will read, or use fp32.",
    )


def _judged_elsewhere(
    graph: bytes, gate: Gate, expected: object, say: Callable[[str], None]
) -> dict[str, Verdict]:
    """What the gate says on other engines that are installed, of those that it passed: no gate, no int8 there."""
    passed = {}
    for name in ENGINES:
        if name == ONNX_RUNTIME or installed(name) is None:
            continue
        try:
            verdict = gate.judge(expected, gate.score(open_graph(name, graph)))
        except (EngineError, NotInstalledError) as error:  # of what is installed, but does not work here
            say(f"on {name}: not judged, so no int8 there: {error.fault}")
            continue
        say(f"on {name}: {verdict.said}" + ("" if verdict.passed else ": no int8 there"))
        if verdict.passed:
            passed[name] = verdict
    return passed


def _closer(closest: Candidate | None, candidate: Candidate) -> Candidate:
    if closest is None or candidate.verdict.passed or candidate.verdict.error < closest.verdict.error:
        return candidate
    return closest


def _matching(patterns: Sequence[str], names: list[str]) -> frozenset[str]:
    """The linears that the user's patterns name, by their names without `transformer.`."""
    chosen: set[str] = set()
    for pattern in patterns:
        found = fnmatch.filter(names, f"transformer.{pattern.removeprefix('transformer.')}")
        if not found:
            raise OptionError(
                f"keep-float {pattern!r} names no linear of this model.",
                f"Names run from {names[0][12:]} to {names[-1][12:]}; layer.0.* is all of a layer.",
            )
        chosen.update(found)
    return frozenset(chosen)


def _calibrate(checkpoint: Checkpoint, texts: Sequence[Inputs]) -> dict[str, Histogram]:
    from distilbert.graph.calibration import observe
    from distilbert.graph.encoder import build_taps
    from distilbert.graph.weights import FloatWeights

    engine = OnnxRuntimeEngine(build_taps(checkpoint, FloatWeights(checkpoint.arrays)).SerializeToString())
    return observe(engine.run, texts)


def _build(
    checkpoint: Checkpoint, histograms: dict[str, Histogram], percentile: float, keep_float: frozenset[str]
) -> bytes:
    from distilbert.graph.encoder import build_graph
    from distilbert.graph.weights import Int8Weights

    ranges = {site: histogram.range(percentile) for site, histogram in histograms.items()}
    return bytes(
        build_graph(checkpoint, Int8Weights(checkpoint.arrays, ranges, keep_float)).SerializeToString()
    )


def _error(exact: list[Floats], graph: bytes, texts: Sequence[Inputs]) -> float:
    """Mean absolute difference to the float32 outputs of these texts."""
    near = _outputs(OnnxRuntimeEngine(graph), texts)
    return float(np.mean([np.abs(ours - theirs).mean() for ours, theirs in zip(near, exact, strict=True)]))


def _outputs(engine: Engine, texts: Sequence[Inputs]) -> list[Floats]:
    """All that the engine says of each text; of a vocabulary's logits a part."""
    answers = (engine.run(inputs).values() for inputs in texts)
    return [np.concatenate([thinned(output).ravel() for output in outputs]) for outputs in answers]
