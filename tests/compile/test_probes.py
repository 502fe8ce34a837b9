"""Probes tell whether a bundle answers here as it did where it was made."""

from __future__ import annotations

import json
import os
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from distilbert.compile import verify
from distilbert.compile.probes import PROBES, TOLERANCE
from distilbert.errors import BundleError
from distilbert.files.bundle import open_bundle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(params=["tiny_fp32", "tiny_int8"])
def bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    return shutil.copytree(request.getfixturevalue(request.param), tmp_path / "bundle")


def change_probe(bundle: Path, change: Callable[[list[float]], Any]) -> None:
    manifest = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    key = {"fp32": "float32", "int8": "int8"}[manifest["precision"]]
    manifest["probes"][2][key] = change(manifest["probes"][2][key])
    (bundle / "bundle.json").write_text(json.dumps(manifest), encoding="utf-8")


def test_a_bundle_answers_its_probes_to_the_bit_where_it_was_made(bundle: Path) -> None:
    assert verify(bundle) == 0.0
    assert [probe.text for probe in open_bundle(bundle).manifest.probes] == list(PROBES)


def test_the_embedded_model_answers_its_probes(embedded: Path) -> None:
    assert verify(embedded) <= TOLERANCE["int8"]


def test_an_answer_within_the_tolerance_is_accepted_and_its_distance_told(bundle: Path) -> None:
    allowed = TOLERANCE[open_bundle(bundle).manifest.precision]
    change_probe(bundle, lambda logits: [logit + allowed / 2 for logit in logits])
    assert verify(bundle) == pytest.approx(allowed / 2, rel=0.01)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda logits: [logits[0], logits[1] + 0.06], id="another answer"),
        pytest.param(lambda logits: [logits[0], float("nan")], id="not a number"),
        pytest.param(lambda logits: logits[:1], id="a label less"),
        pytest.param(lambda logits: [*logits, 0.0], id="a label more"),
        pytest.param(lambda _: [], id="no answer"),
    ],
)
def test_another_answer_is_refused_with_the_probe_and_both_answers(
    bundle: Path, change: Callable[[list[float]], Any]
) -> None:
    change_probe(bundle, change)
    with pytest.raises(
        BundleError, match="answers the probe 'Not bad at all, though the second half"
    ) as refusal:
        verify(bundle)
    assert len(str(refusal.value).splitlines()) == 2


@pytest.mark.parametrize("name", ["onnx", "config.json", "tokenizer.json", "vocab.txt", "README.md"])
def test_a_changed_byte_is_named(bundle: Path, name: str) -> None:
    path = open_bundle(bundle).graph if name == "onnx" else bundle / name
    status, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # size and time say nothing
    with pytest.raises(BundleError, match=f"{re.escape(str(path))} was changed"):
        verify(bundle)


@pytest.mark.parametrize("part", ["train", "dev"])
def test_no_probe_is_a_sentence_of_sst2(shared: Path, part: str) -> None:
    def folded(text: str) -> str:
        return re.sub(r"\W+", "", text).lower()

    lines = (shared / "data" / "sst2" / f"{part}.tsv").read_text(encoding="utf-8").split("\n")[1:]
    sentences = {folded(line.split("\t")[0]) for line in lines}
    assert len(sentences) > 800
    assert not {folded(probe) for probe in PROBES} - {""} & sentences
