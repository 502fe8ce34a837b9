"""Which engine runs a bundle follows from its gate, from what is installed, and from what was measured, once."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from distilbert.engines.choice import choose_engine, foreseen_engine, installed, load_engine
from distilbert.errors import EngineError, NotInstalledError, OptionError
from distilbert.files.bundle import open_bundle
from distilbert.files.config import DistilBertConfig

if TYPE_CHECKING:
    from pathlib import Path

    from distilbert.files.bundle import Bundle

ROW = {"openvino": {"said": "0 of 2,000 labels flipped"}}
FASTER, SLOWER = {"onnxruntime": 1.0, "openvino": 0.5}, {"onnxruntime": 1.0, "openvino": 2.0}
NO_MORE_THAN_EQUAL = {"onnxruntime": 1.0, "openvino": 0.97}


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing was measured, and OpenVINO seems to be installed."""
    monkeypatch.delenv("DISTILBERT_ENGINE", raising=False)
    monkeypatch.setenv("DISTILBERT_CACHE", str(tmp_path / "cache"))
    seem_installed(monkeypatch, openvino="2026.4.1")


def seem_installed(monkeypatch: pytest.MonkeyPatch, openvino: str | None) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name != "openvino":
            return real(name)
        if openvino is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return openvino

    monkeypatch.setattr(importlib.metadata, "version", version)


def bundle_with(folder: Path, out: Path, gate: dict[str, Any]) -> Bundle:
    """A copy of the bundle whose gate has no row for OpenVINO but this one."""
    shutil.copytree(folder, out)
    manifest = json.loads((out / "bundle.json").read_text())
    manifest["gate"] = {"onnxruntime": {"said": "fine"}, **gate} if manifest["precision"] == "int8" else {}
    (out / "bundle.json").write_text(json.dumps(manifest))
    return open_bundle(out)


class Stopwatch:
    """Says what it is told to, counts how often it is asked, and keeps for how many threads."""

    def __init__(self, says: object) -> None:
        self.says, self.asked = says, 0
        self.threads: object = None

    def __call__(self, *given: object) -> Any:
        self.asked, self.threads = self.asked + 1, given[-1]
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


CHOICES = {
    # precision, OpenVINO's row in the gate, its version, what is measured -> engine, how often it is measured
    "no row": ("int8", {}, "2026.4.1", FASTER, "onnxruntime", 0),
    "not installed": ("int8", ROW, None, FASTER, "onnxruntime", 0),
    "faster": ("int8", ROW, "2026.4.1", FASTER, "openvino", 1),
    "slower": ("int8", ROW, "2026.4.1", SLOWER, "onnxruntime", 1),
    "hardly faster": ("int8", ROW, "2026.4.1", NO_MORE_THAN_EQUAL, "onnxruntime", 1),
    "installed, but not to be imported": (
        "int8",
        ROW,
        "2026.4.1",
        NotInstalledError("libtbb is missing"),
        "onnxruntime",
        1,
    ),
    "it refuses the graph": ("int8", ROW, "2026.4.1", EngineError("no"), "onnxruntime", 1),
    "float32": ("fp32", {}, "2026.4.1", FASTER, "onnxruntime", 0),
}


@pytest.mark.parametrize(
    ("precision", "row", "openvino", "measured", "engine", "asked"), CHOICES.values(), ids=CHOICES
)
def test_the_engine_follows_from_gate_machine_and_measurement(
    precision: str,
    row: dict[str, Any],
    openvino: str | None,
    measured: object,
    engine: str,
    asked: int,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seem_installed(monkeypatch, openvino)
    bundle = bundle_with(request.getfixturevalue(f"tiny_{precision}"), tmp_path / "bundle", row)
    config, stopwatch = DistilBertConfig.from_folder(bundle.folder), Stopwatch(measured)
    assert foreseen_engine(bundle) == (None if asked else engine)
    assert choose_engine(bundle, config, measure=stopwatch) == engine
    assert stopwatch.asked == asked


@pytest.mark.parametrize("measured", [FASTER, SLOWER])
def test_it_is_measured_once_for_a_bundle_a_number_of_threads_and_its_engines_versions(
    measured: dict[str, float], tiny_int8: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, stopwatch = bundle_with(tiny_int8, tmp_path / "bundle", ROW), Stopwatch(measured)
    config = DistilBertConfig.from_folder(bundle.folder)
    first = choose_engine(bundle, config, measure=stopwatch)
    assert choose_engine(bundle, config, measure=stopwatch) == first == foreseen_engine(bundle)
    assert stopwatch.asked == 1
    for _ in range(2):
        assert choose_engine(bundle, config, threads=63, measure=stopwatch) == first
    assert (stopwatch.asked, stopwatch.threads) == (2, 63)
    monkeypatch.setenv("DISTILBERT_THREADS", "63")  # as many
    choose_engine(bundle, config, measure=stopwatch)
    assert stopwatch.asked == 2
    seem_installed(monkeypatch, "2027.0.0")
    choose_engine(bundle, config, measure=stopwatch)
    assert stopwatch.asked == 3
    other = bundle_with(tiny_int8, tmp_path / "other", {"openvino": {"said": "another"}})
    choose_engine(other, config, measure=stopwatch)
    assert stopwatch.asked == 4


@pytest.mark.parametrize("damage", ["", "[]", '{"openvino": 1}', '{"openvino": "x", "onnxruntime": 1}'])
def test_a_measurement_that_cannot_be_read_is_made_again(
    damage: str, tiny_int8: Path, tmp_path: Path
) -> None:
    bundle, stopwatch = bundle_with(tiny_int8, tmp_path / "bundle", ROW), Stopwatch(FASTER)
    config = DistilBertConfig.from_folder(bundle.folder)
    choose_engine(bundle, config, measure=stopwatch)
    [stored] = (tmp_path / "cache").rglob("speeds/*.json")
    stored.write_text(damage)
    assert choose_engine(bundle, config, measure=stopwatch) == "openvino"
    assert stopwatch.asked == 2


def test_a_cache_that_cannot_be_written_only_costs_the_measuring(tiny_int8: Path, tmp_path: Path) -> None:
    bundle, stopwatch = bundle_with(tiny_int8, tmp_path / "bundle", ROW), Stopwatch(FASTER)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    (tmp_path / "cache").write_text("a file, where the folder would be")
    config = DistilBertConfig.from_folder(bundle.folder)
    assert [choose_engine(bundle, config, measure=stopwatch) for _ in range(2)] == ["openvino"] * 2
    assert stopwatch.asked == 2


@pytest.mark.parametrize("by", ["the argument", "DISTILBERT_ENGINE"])
def test_a_named_engine_is_taken_unmeasured_or_refused_with_what_to_do(
    by: str, tiny_int8: Path, tiny_fp32: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = bundle_with(tiny_int8, tmp_path / "judged", ROW)
    unjudged = bundle_with(tiny_int8, tmp_path / "unjudged", {})
    float32 = open_bundle(tiny_fp32)
    config, stopwatch = DistilBertConfig.from_folder(tiny_fp32), Stopwatch(FASTER)

    def named(bundle: Bundle, engine: str) -> str:
        if by == "the argument":
            monkeypatch.setenv("DISTILBERT_ENGINE", "of no weight beside it")
            return choose_engine(bundle, config, engine, measure=stopwatch)
        monkeypatch.setenv("DISTILBERT_ENGINE", engine)
        return choose_engine(bundle, config, measure=stopwatch)

    for bundle in (judged, float32):
        assert [named(bundle, name) for name in ("onnxruntime", "openvino")] == ["onnxruntime", "openvino"]
    assert named(unjudged, "onnxruntime") == "onnxruntime"
    with pytest.raises(EngineError, match="passed no gate on openvino") as refusal:
        named(unjudged, "openvino")
    assert "Compile it again with openvino installed" in refusal.value.next_step
    with pytest.raises(OptionError, match="must be one of onnxruntime, openvino, not 'tensorrt'"):
        named(judged, "tensorrt")
    assert stopwatch.asked == 0


@pytest.mark.skipif(installed("openvino") is None, reason="needs the extra openvino")
def test_both_are_measured_and_the_answer_kept(tiny_int8: Path, tmp_path: Path) -> None:
    bundle = bundle_with(tiny_int8, tmp_path / "bundle", ROW)
    config = DistilBertConfig.from_folder(bundle.folder)
    assert load_engine(bundle, config).library in ("onnxruntime", "openvino")
    [stored] = (tmp_path / "cache").rglob("speeds/*.json")
    speeds = json.loads(stored.read_text())
    assert set(speeds) == {"onnxruntime", "openvino"}
    assert all(0 < seconds < 60 for seconds in speeds.values())


def test_a_bundle_without_a_row_never_looks_for_openvino(tiny_int8: Path, tmp_path: Path) -> None:
    """The start of the model that the package ships costs what it did."""
    bundle = bundle_with(tiny_int8, tmp_path / "bundle", {})
    program = (
        "import sys; from distilbert import pipeline; pipeline(model=sys.argv[1])('Dull.');"
        "print({'openvino', 'distilbert.engines.openvino', 'distilbert.engines.speeds'} & set(sys.modules))"
    )
    line = [sys.executable, "-c", program, str(bundle.folder)]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=120, check=True)
    assert ended.stdout == "set()\n"
