"""Probes: texts of our own whose answers are stored in a bundle, to be replayed on any machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from distilbert.engines.choice import ONNX_RUNTIME, load_engine
from distilbert.errors import BundleError
from distilbert.files.bundle import Probe, verify_files
from distilbert.files.config import DistilBertConfig
from distilbert.text.batching import pad
from distilbert.text.tokenizer import DistilBertTokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import TypeAlias

    from distilbert.engines.base import Engine, Floats, TokenIds

    Text: TypeAlias = str | tuple[str, str]

# Mixed scripts, an empty text, a long one; from no data set.
PROBES = (
    "I love learning about DistilBERT!",
    "The battery died after two days and nobody answered my letters.",
    "Not bad at all, though the second half drags a little.",
    "Ein Satz auf Deutsch, mit Umlauten: schön, größer, über.",
    "価格は高いけど、品質はとても良い。",
    "Great 👍👍 but the café's crème brûlée was cold 😕",
    "",
    "It was late, and it rained, and we walked on. " * 20,
)

# How far an answer may be from the stored one on another processor. Float sums differ in their last bits there;
# in int8 such a bit can move a value to the next of 256 steps.
TOLERANCE = {"fp32": 1e-4, "int8": 0.05}
KEPT_NUMBERS = 1024  # of each answer: a vocabulary's logits would be megabytes a bundle


def make_probes(
    tokenizer: DistilBertTokenizer, config: DistilBertConfig, engines: Mapping[str, Engine]
) -> list[Probe]:
    """Answer every probe with the engines at hand: `fp32` and, if there are any, `int8` and those of other names."""
    probes = []
    for text in PROBES:
        inputs = read_one(tokenizer, config, text)
        answers = {name: answer_one(engine, inputs).tolist() for name, engine in engines.items()}
        probes.append(Probe(text, answers.pop("fp32"), answers.pop("int8", None), answers))
    return probes


def verify(folder: Path, engine: str = ONNX_RUNTIME) -> float:
    """Read every byte of a bundle again and replay its probes; the largest difference found, 0.0 for equal bits.

    Raises `BundleError` for a changed file, or a probe whose answer is further off than `TOLERANCE`; and what
    `engines.choice.load_engine` does for an engine that cannot run the bundle.
    """
    bundle = verify_files(folder)
    config = DistilBertConfig.from_folder(folder)
    tokenizer = DistilBertTokenizer.from_folder(folder)
    loaded = load_engine(bundle, config, engine=engine)
    precision = bundle.manifest.precision
    largest = 0.0
    for probe in bundle.manifest.probes:
        stored = np.array(_stored(probe, precision, engine), np.float32)
        answer = answer_one(loaded, read_one(tokenizer, config, probe.text))
        difference = float(np.abs(answer - stored).max()) if answer.shape == stored.shape else np.inf
        if not difference <= TOLERANCE[precision]:
            raise BundleError(
                f"{folder} answers the probe {probe.text[:40]!r} with {_shown(answer)}, not {_shown(stored)}.",
                "Do not use it on this machine; please report the processor and the versions in bundle.json.",
            )
        largest = max(largest, difference)
    return largest


def _stored(probe: Probe, precision: str, engine: str) -> list[float]:
    """What this engine answered when the bundle was made; nothing, where that was not kept."""
    int8 = probe.int8 if engine == ONNX_RUNTIME else probe.elsewhere.get(engine)
    return (int8 or []) if precision == "int8" else probe.float32


def read_one(tokenizer: DistilBertTokenizer, config: DistilBertConfig, text: Text) -> dict[str, TokenIds]:
    """One text or pair as the model reads it, cut at its last position: a batch of one."""
    encoded = tokenizer.encode_texts([text], max_length=config.max_position_embeddings)
    return pad(encoded, [0]).inputs


def answer_one(engine: Engine, inputs: Mapping[str, TokenIds]) -> Floats:
    """The logits of one text; what is given a token, of the first token; of a span, all starts and all ends."""
    outputs = [thinned(output[0]) for output in engine.run(inputs).values()]
    return np.concatenate([output if output.ndim == 1 else output[0] for output in outputs])


def thinned(output: Floats) -> Floats:
    """At most `KEPT_NUMBERS` of the last axis, evenly spaced."""
    few: Floats = output[..., :: -(-output.shape[-1] // KEPT_NUMBERS)]
    return few


def _shown(answer: Floats) -> str:
    return np.array2string(answer, precision=3, threshold=6)
