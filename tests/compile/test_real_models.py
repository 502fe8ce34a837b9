"""Real checkpoints become bundles where PyTorch is not installed, and int8 passes its gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bundles import compiled_without_torch, sst2_sentences

from distilbert.compile import verify
from distilbert.files.bundle import open_bundle
from distilbert.metrics.gate import MAX_FLIPS, MIN_COSINE, MIN_TEXTS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.full, pytest.mark.timeout(1_500)]

TASKS = {"distilbert-sst2-starter": "text-classification", "e5-small": "feature-extraction"}


@pytest.fixture(scope="module", params=TASKS)
def source(request: pytest.FixtureRequest, shared: Path) -> Path:
    return shared / "weights" / request.param


def test_float32_is_a_bundle_of_four_bytes_a_weight(source: Path, tmp_path: Path) -> None:
    bundle = compiled_without_torch(source, tmp_path / "bundle", "--precision", "fp32")
    assert open_bundle(bundle).manifest.task == TASKS[source.name]
    stored = (source / "model.safetensors").stat().st_size  # in float16
    assert open_bundle(bundle).graph.stat().st_size == pytest.approx(2 * stored, rel=0.02)
    assert verify(bundle) == 0.0


def test_int8_passes_its_gate_and_is_little_more_than_a_byte_a_weight(source: Path, tmp_path: Path) -> None:
    texts = sst2_sentences(source.parent.parent, tmp_path / "texts.txt", 512 + MIN_TEXTS)
    bundle = compiled_without_torch(source, tmp_path / "bundle", "--calibrate", texts)
    manifest = open_bundle(bundle).manifest
    figures = manifest.gate["onnxruntime"]
    if manifest.task == "text-classification":
        assert figures["texts"] == MIN_TEXTS
        assert figures["flip_share"] <= MAX_FLIPS
        assert not manifest.int8["linears_in_float"]
    else:
        assert figures["tokens"] > MIN_TEXTS
        assert figures["mean_cosine"] >= MIN_COSINE
    stored = (source / "model.safetensors").stat().st_size
    assert open_bundle(bundle).graph.stat().st_size < 0.7 * stored  # 0.5 would be every weight in a byte
    assert verify(bundle) == 0.0
