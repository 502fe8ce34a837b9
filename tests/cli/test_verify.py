"""`distilbert verify`: a bundle is what its maker wrote, and answers here as it did there."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_checkpoint

from distilbert.compile import verify
from distilbert.engines.choice import installed
from distilbert.errors import DistilBertError
from distilbert.files.bundle import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from situations import Command


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_a_whole_bundle_is_said_to_be_whole(
    precision: str, distilbert: Command, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(f"tiny_{precision}")
    outcome = distilbert("verify", folder)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == (
        f"{folder}: 6 files are as they were written; 8 probes answered as when it was made, to the bit "
        f"({precision}).\n"
    )


@pytest.mark.skipif(installed("openvino") is None, reason="needs the extra openvino")
@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_each_engine_answers_the_probes_as_it_did(
    precision: str, distilbert: Command, request: pytest.FixtureRequest
) -> None:
    outcome = distilbert("verify", request.getfixturevalue(f"tiny_{precision}"), "--engine", "openvino")
    assert (outcome.code, outcome.err) == (0, "")
    assert "8 probes answered as when it was made" in outcome.out


def test_int8_that_was_not_judged_on_an_engine_is_not_verified_on_it(
    distilbert: Command, here: Path, tiny_int8: Path
) -> None:
    shutil.copytree(tiny_int8, here / "bundle")
    manifest = json.loads((here / "bundle" / "bundle.json").read_text())
    manifest["gate"].pop("openvino", None)
    (here / "bundle" / "bundle.json").write_text(json.dumps(manifest))
    for line in (["verify", "bundle"], ["classify", "hello", "--model", "bundle"]):
        outcome = distilbert(*line, "--engine", "openvino")
        assert (outcome.code, outcome.out) == (1, "")
        assert outcome.err.startswith("error: bundle is int8 that passed no gate on openvino")
        assert "Compile it again with openvino installed" in outcome.err


ON_EMBEDDED = {
    "classify": ["classify", "Dull."],
    "score": ["score", "--file", "labelled.csv"],
    "report": ["report", "distilbert-sst2", "checkpoint", "--data", "labelled.csv", "--out", "report"],
    "verify": ["verify", "distilbert-sst2"],
}


@pytest.mark.parametrize("line", ON_EMBEDDED.values(), ids=ON_EMBEDDED)
def test_every_command_asks_the_engine_that_it_is_told_to(
    line: list[str], distilbert: Command, here: Path, embedded: Path, tiny_classifier: Path
) -> None:
    if "openvino" in read_manifest(embedded / "bundle.json").gate:
        pytest.skip("the embedded model runs on both engines")
    (here / "checkpoint").symlink_to(tiny_classifier)
    (here / "labelled.csv").write_text("text,label\nDull.,NEGATIVE\nFine.,POSITIVE\n")
    outcome = distilbert(*line, "--engine", "openvino")
    assert outcome.code == 1
    assert "int8 that passed no gate on openvino" in outcome.err


@pytest.mark.parametrize("command", ["answer", "tag"])
def test_taggers_and_answerers_may_be_told_too(command: str, distilbert: Command) -> None:
    assert "--engine [onnxruntime|openvino]" in distilbert(command, "--help").out


def test_an_encoder_s_bundle_is_verified_too(distilbert: Command, here: Path) -> None:
    tiny_checkpoint(here / "encoder", head="none")
    assert distilbert("compile", "encoder", "--out", "bundle", "--precision", "fp32").code == 0
    assert "8 probes" in distilbert("verify", "bundle").out


def test_a_bundle_can_be_moved(distilbert: Command, here: Path, tiny_int8: Path) -> None:
    shutil.copytree(tiny_int8, here / "elsewhere with a space")
    assert distilbert("verify", "elsewhere with a space").code == 0


def test_the_embedded_model_is_known_by_its_name(distilbert: Command, embedded: Path) -> None:
    outcome = distilbert("verify", "distilbert-sst2")
    assert outcome.code == 0
    assert outcome.out.startswith("distilbert-sst2: ")


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory, tiny_int8: Path) -> Path:
    return shutil.copytree(tiny_int8, tmp_path_factory.mktemp("spoilt") / "bundle")


ANSWERS = st.none() | st.text() | st.lists(st.floats() | st.integers() | st.none() | st.lists(st.floats()))
PROBES = st.lists(st.fixed_dictionaries({"text": st.text(), "float32": ANSWERS, "int8": ANSWERS}), min_size=1)


@given(probes=PROBES, precision=st.sampled_from(["int8", "int4", None]))
def test_probes_that_no_maker_wrote_are_refused(probes: list[Any], precision: Any, spoilt: Path) -> None:
    manifest = json.loads((spoilt / "bundle.json").read_text())
    (spoilt / "bundle.json").write_text(json.dumps(manifest | {"probes": probes, "precision": precision}))
    with pytest.raises(DistilBertError) as raised:
        verify(spoilt)
    assert len(str(raised.value).splitlines()) <= 2
