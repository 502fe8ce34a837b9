"""Every peer that is installed really runs, on a model of any family, and labels as float32 does."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from bundles import sentences
from tiny import tiny_checkpoint

from distilbert import pipeline
from distilbert.bench.model import find_source
from distilbert.bench.process import WorkerProcess
from distilbert.bench.ways import PEERS, Source
from distilbert.compile import compile_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from distilbert.bench.ways import Way

pytestmark = pytest.mark.parity
TEXTS = sentences(12, seed=3)
QUICK = [way for way in PEERS if way.name != "torch.compile"]  # which needs half a minute


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Source]:
    """A tiny model of each family, whose heads divide its width as the peers' kernels ask."""
    found = {}
    for family in ("distilbert", "bert"):
        folder = tmp_path_factory.mktemp(family)
        checkpoint = tiny_checkpoint(folder / "checkpoint", model_type=family, max_position_embeddings=64)
        compile_checkpoint(checkpoint, folder / "bundle")
        (folder / "made").mkdir()
        found[family] = Source(folder / "bundle", checkpoint, folder / "made", 1, TEXTS, 64)
    return found


@pytest.mark.parametrize("family", ["distilbert", pytest.param("bert", marks=pytest.mark.full)])
@pytest.mark.parametrize("way", QUICK, ids=lambda way: way.name)
def test_a_peer_answers_as_float32_does(way: Way, family: str, folders: dict[str, Source]) -> None:
    if missing := way.missing():
        pytest.skip(f"needs {missing}")
    source = folders[family]
    expected = pipeline("text-classification", source.bundle, top_k=None)(TEXTS)
    scores = [{each["label"]: each["score"] for each in row} for row in expected]
    tolerance = 0.1 if way.precision == "int8" else 0.01 if "bf16" in way.precision else 1e-5
    with WorkerProcess(way) as process:
        process.load(source)
        process.ask("texts", name="some", texts=TEXTS)
        process.ask("choose", texts="some")
        for alone in (False, True):
            answers = process.ask("answer", texts="some", alone=alone)
            for label, score, right in zip(answers["labels"], answers["scores"], scores, strict=True):
                assert score == pytest.approx(right[label], abs=tolerance)
    if not any(source.made.iterdir()):
        return
    with WorkerProcess(way) as process:  # a second time, from what was made
        process.load(source)
        process.ask("texts", name="some", texts=TEXTS)
        assert process.ask("answer", texts="some", alone=True) == answers


def test_of_a_bundle_peers_get_the_same_weights(tmp_path: Path, tiny_fp32: Path) -> None:
    from distilbert.models.pretrained import read_weights

    source = find_source(str(shutil.copytree(tiny_fp32, tmp_path / "bundle")), tmp_path, 1, TEXTS)
    before, after = read_weights(tiny_fp32), read_weights(source.checkpoint)
    assert before.head == after.head
    assert {name: array.tobytes() for name, array in before.arrays.items()} == {
        name: array.tobytes() for name, array in after.arrays.items()
    }
