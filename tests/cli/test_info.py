"""`distilbert info`: what a model is, told from its small files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hub_server import serve
from huggingface_hub import constants
from shards import sharded
from situations import Command, Place, complaint, cut
from tiny import tiny_checkpoint

from distilbert.engines.choice import installed
from distilbert.files.bundle import read_manifest
from distilbert.files.checkpoint import TASKS, read_checkpoint
from distilbert.files.config import DistilBertConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub_server import Hub


def told(distilbert: Command, *args: object) -> dict[str, Any]:
    """What --json says; nothing may stand on the error stream."""
    outcome = distilbert("info", *args, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    [described] = outcome.objects()
    return described


def test_the_embedded_model_says_what_it_is_and_where_it_is_at_home(
    distilbert: Command, embedded: Path
) -> None:
    outcome = distilbert("info", "distilbert-sst2")
    assert (outcome.code, outcome.err) == (0, "")
    for part in (
        "distilbert-sst2: a bundle in int8 for text-classification",
        "NEGATIVE, POSITIVE",
        "6 layers of 384, 12 heads, feed-forward 1,536",
        "22.7 million",
        "512 tokens of a vocabulary of 30,522",
        "MB in int8",
        read_manifest(embedded / "bundle.json").gate["onnxruntime"]["said"],
        "mit-weights-trained-on-research-data",
        "stanfordnlp/sst2",
        f"lies in    {embedded}",
        "Where it is at home:\n\nIn sentences about films",
        "| SST-2 dev | 872 | 91.40 % | 91.51 % |",
    ):
        assert part in outcome.out
    assert "## " not in outcome.out  # that section alone


def test_a_bundle_judged_on_two_engines_says_which_would_run_it(
    distilbert: Command, here: Path, tiny_int8: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_int8, here / "bundle")
    manifest = json.loads((here / "bundle" / "bundle.json").read_text())
    manifest["gate"] = {name: {"said": f"{name} flipped none"} for name in ("onnxruntime", "openvino")}
    (here / "bundle" / "bundle.json").write_text(json.dumps(manifest))
    out = distilbert("info", "bundle").out
    assert "onnxruntime: onnxruntime flipped none; openvino: openvino flipped none\n" in out
    assert "  engine     onnxruntime\n" in out  # the tests' own DISTILBERT_ENGINE
    monkeypatch.delenv("DISTILBERT_ENGINE")
    monkeypatch.setenv("DISTILBERT_CACHE", str(here / "cache"))
    unknown = installed("openvino") is not None
    assert told(distilbert, "bundle")["engine"] == (None if unknown else "onnxruntime")
    assert ("the faster of onnxruntime, openvino" in distilbert("info", "bundle").out) == unknown


def test_machines_get_the_same_in_one_object(distilbert: Command, tiny_int8: Path) -> None:
    described = told(distilbert, tiny_int8)
    manifest = read_manifest(tiny_int8 / "bundle.json")
    assert described["kind"] == "bundle"
    assert described["precision"] == "int8"
    assert described["folder"] == str(tiny_int8)
    assert described["gate"] == manifest.gate
    assert described["files"] == {name: (tiny_int8 / name).stat().st_size for name in manifest.files}
    assert described["weights"] == {"int8": (tiny_int8 / "onnx/model_quantized.onnx").stat().st_size}
    assert described["card"]["license"] == []


@pytest.mark.parametrize("model_type", ["distilbert", "bert"])
@pytest.mark.parametrize("head", TASKS)
def test_every_head_s_task_and_parameters_are_those_of_its_tensors(
    head: Any, model_type: str, distilbert: Command, here: Path
) -> None:
    folder = tiny_checkpoint(here / "model", head=head, model_type=model_type, labels=("A", "B", "C"))
    described = told(distilbert, "model")
    arrays = read_checkpoint(folder, DistilBertConfig.from_folder(folder)).arrays
    if head == "none":  # an encoder's pooler takes part in nothing
        arrays = {name: array for name, array in arrays.items() if not name.startswith("pooler.")}
    assert described["kind"] == "checkpoint"
    assert described["task"] == TASKS[head]
    assert described["parameters"] == sum(array.size for array in arrays.values())
    assert described["labels"] == (["A", "B", "C"] if TASKS[head].endswith("classification") else None)


@pytest.mark.parametrize(
    ("dtype", "precision"), [("F64", "fp64"), ("F32", "fp32"), ("F16", "fp16"), ("BF16", "bf16")]
)
def test_a_checkpoint_is_measured_by_its_header_and_says_how_it_becomes_fast(
    dtype: Any, precision: str, distilbert: Command, here: Path
) -> None:
    folder = tiny_checkpoint(here / "model", dtype=dtype)
    header = int.from_bytes((folder / "model.safetensors").read_bytes()[:8], "little")
    size = (folder / "model.safetensors").stat().st_size - 8 - header
    assert told(distilbert, "model")["weights"] == {precision: size}
    out = distilbert("info", "model").out
    assert "in float32, compiled on first use" in out
    assert "distilbert compile model --out my-bundle/ --calibrate" in out


def test_a_checkpoint_in_shards_is_one_model(distilbert: Command, here: Path) -> None:
    tiny_checkpoint(here / "model")
    whole = told(distilbert, "model")
    sharded(here / "model")
    shards = told(distilbert, "model")
    assert (shards["parameters"], shards["weights"]) == (whole["parameters"], whole["weights"])


def test_only_files_that_are_read_are_counted(distilbert: Command, here: Path) -> None:
    folder = here / "model"
    sharded(folder)
    read = {path.name: path.stat().st_size for path in folder.iterdir()}
    (folder / "model-of-another-save.safetensors").write_bytes(bytes(1000))
    (folder / "folder.json").mkdir()
    os.mkfifo(folder / "pipe.json")
    (folder / "circle.txt").symlink_to("circle.txt")
    (folder / "README.md").symlink_to("gone")
    assert told(distilbert, "model")["files"] == read
    assert "there is no card" in distilbert("info", "model").out


def test_what_is_to_be_typed_is_quoted(distilbert: Command, here: Path) -> None:
    tiny_checkpoint(here / "my model;")
    assert "distilbert compile 'my model;' --out" in distilbert("info", "my model;").out


def test_the_shorter_of_what_model_and_tokenizer_read_counts(distilbert: Command, here: Path) -> None:
    folder = tiny_checkpoint(here / "model")
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_max_length": 16}))
    assert told(distilbert, "model")["max_length"] == 16


# The card


@pytest.mark.parametrize(
    ("card", "licence", "at_home"),
    [
        ("---\nlicense: mit\n---\n# A\n\n## Where it is at home\n\nHere.\n\n## More\n", ["mit"], "Here."),
        ("---\nlicense:\n- mit\n- 'cc0-1.0'\n---\n", ["mit", "cc0-1.0"], ""),
        ("---\nlicense: [mit, 'cc0-1.0', ]\n---\n", ["mit", "cc0-1.0"], ""),
        ("---\nlicense: []\n---\n", [], ""),
        ("---\r\nlicense: mit\r\n---\r\n## Where it is at home\r\nHere.", ["mit"], "Here."),
        ("no front matter", [], ""),
        ("---\nnever closed", [], ""),
        ("---\n- a\n: b\nlicense : c\n---\n", [], ""),
    ],
)
def test_a_card_is_read_whoever_wrote_it(
    card: str, licence: list[str], at_home: str, distilbert: Command, here: Path
) -> None:
    (tiny_checkpoint(here / "model") / "README.md").write_bytes(card.encode())
    described = told(distilbert, "model")["card"]
    assert (described["license"], described["at_home"]) == (licence, at_home)
    assert ("does not say" in distilbert("info", "model").out) == (not licence or not at_home)


def test_a_model_without_a_card_says_so(distilbert: Command, here: Path) -> None:
    tiny_checkpoint(here / "model")
    assert told(distilbert, "model")["card"] is None
    assert "there is no card (README.md) here" in distilbert("info", "model").out


def test_what_a_stranger_wrote_moves_no_cursor(distilbert: Command, here: Path) -> None:
    folder = tiny_checkpoint(here / "model", labels=("A\x1b[2J", "B\nC"))
    (folder / "README.md").write_text("---\nlicense: m\x1bt\n---\n## Where it is at home\n\n\x1b[31mred\n")
    out = distilbert("info", "model").out
    assert all(char.isprintable() or char == "\n" for char in out)
    assert "B C" in out


def test_a_thousand_labels_are_counted_and_ten_shown(distilbert: Command, here: Path) -> None:
    tiny_checkpoint(here / "model", labels=tuple(f"L{number}" for number in range(1000)))
    out = distilbert("info", "model").out
    assert "L9, … (1,000 in all)" in out
    assert "L10" not in out


def test_a_long_label_is_cut(distilbert: Command, here: Path) -> None:
    tiny_checkpoint(here / "model", labels=("A" * 40, "B" * 41))
    assert f"  labels     {'A' * 40}, {'B' * 39}…\n" in distilbert("info", "model").out


# A model on the hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with serve() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield hub


def weights_asked_for(hub: Hub) -> list[str]:
    return [name for name in hub.asked() if name.endswith((".safetensors", ".onnx"))]


def test_a_checkpoint_on_the_hub_is_described_before_its_weights_are_here(
    hub: Hub, distilbert: Command, tiny_classifier: Path
) -> None:
    hub.add("owner/model", tiny_classifier)
    described = told(distilbert, "owner/model")
    assert weights_asked_for(hub) == []
    assert not described["here"]
    assert described["parameters"] == told(distilbert, tiny_classifier)["parameters"]
    assert "not known before its weights are downloaded" in distilbert("info", "owner/model").out
    assert distilbert("classify", "--model", "owner/model", "good").code == 0
    assert told(distilbert, "owner/model")["weights"] == told(distilbert, tiny_classifier)["weights"]


def test_shards_in_the_hub_s_cache_are_here_once_all_are(distilbert: Command, here: Path) -> None:
    folder = here / "models--owner--model" / "snapshots" / "0a1b"
    sharded(folder)
    size = told(distilbert, folder)["weights"]
    assert size
    next(folder.glob("*.safetensors")).unlink()
    assert not told(distilbert, folder)["here"]


def test_the_hub_s_cache_is_known_from_within(
    distilbert: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_checkpoint(here / "models--owner--model" / "snapshots" / "0a1b")
    (folder / "model.safetensors").unlink()
    monkeypatch.chdir(folder)
    assert "not known before its weights are downloaded" in distilbert("info", ".").out


def test_a_checkpoint_on_the_hub_that_names_no_architecture_has_no_task_yet(
    hub: Hub, distilbert: Command, here: Path
) -> None:
    hub.add("owner/model", tiny_checkpoint(here / "model", architectures=()))
    described = told(distilbert, "owner/model")
    assert (described["task"], described["parameters"]) == (None, None)
    assert "a task that only its weights tell" in distilbert("info", "owner/model").out


def test_a_bundle_on_the_hub_tells_sizes_and_gate_before_its_weights_are_here(
    hub: Hub, distilbert: Command, tiny_int8: Path
) -> None:
    hub.add("owner/model", tiny_int8)
    described = told(distilbert, "owner/model", "--revision", "main")
    assert weights_asked_for(hub) == []
    local = told(distilbert, tiny_int8)
    same = ("task", "labels", "parameters", "precision", "weights", "files", "gate", "made_by")
    assert {key: described[key] for key in same} == {key: local[key] for key in same}
    assert "the weights are not here yet" in distilbert("info", "owner/model").out
    assert distilbert("classify", "--model", "owner/model", "good").code == 0
    assert told(distilbert, "owner/model")["here"]


# What is wrong is named as elsewhere

LED_OUT = ["link that leads out of the model's folder", "cp -rL"]


def led_out(path: Path) -> None:
    """Move a model's file out of its folder, and leave a link to it there."""
    outside = path.rename(path.parents[2] / "outside")
    path.symlink_to(outside)


@pytest.mark.parametrize(
    ("make", "line", "code", "says"),
    [
        (lambda _: None, "gone-model", 1, ["'gone-model' is no folder here", "spelling"]),
        (lambda p: p.file("model", "x"), "model", 1, ["model is a file", "Name the folder"]),
        (lambda p: (p.folder / "model").mkdir(), "model", 1, ["model has no config.json"]),
        (lambda p: p.checkpoint(n_heads=5), "model", 1, ["cannot be divided into n_heads 5"]),
        (lambda p: cut(p.checkpoint() / "model.safetensors", 1), "model", 1, ["is cut short"]),
        (lambda p: (p.checkpoint() / "model.safetensors").unlink(), "model", 1, ["no model.safetensors"]),
        (lambda p: (p.checkpoint() / "vocab.txt").unlink(), "model", 1, ["model"]),
        (lambda p: led_out(p.checkpoint() / "config.json"), "model", 1, LED_OUT),
        (lambda p: led_out(p.checkpoint() / "vocab.txt"), "model", 1, LED_OUT),
        (lambda p: led_out(p.checkpoint() / "model.safetensors"), "model", 1, LED_OUT),
        (lambda p: led_out(p.bundle() / "bundle.json"), "model", 1, LED_OUT),
        (lambda p: led_out(p.bundle() / "onnx/model_quantized.onnx"), "model", 1, LED_OUT),
        (
            lambda p: cut(p.bundle() / "onnx/model_quantized.onnx", 1),
            "model",
            1,
            ["model_quantized.onnx has"],
        ),
        (lambda p: (p.bundle() / "README.md").unlink(), "model", 1, ["README.md cannot be read"]),
        (lambda p: p.bundle(task="chess"), "model", 1, ["names the task 'chess'"]),
        (lambda p: p.bundle(gate={"engine": []}), "model", 1, ["a gate without figures"]),
        (lambda p: p.bundle(gate=[1]), "model", 1, ["is not a bundle's manifest", "figures by engine"]),
        (lambda p: p.bundle(), "model --revision v1", 2, ["revision is 'v1'"]),
        (lambda _: None, "", 2, ["Missing argument 'MODEL'"]),
    ],
)
def test_what_is_wrong_with_a_model_is_named(
    make: Any, line: str, code: int, says: list[str], place: Place, distilbert: Command
) -> None:
    make(place)
    outcome = distilbert("info", *line.split())
    message = complaint(outcome.err)
    assert [part for part in says if part not in message] == []
    assert (outcome.code, outcome.out) == (code, "")


def test_neither_an_engine_nor_the_hub_is_imported_and_no_weight_is_read(embedded: Path) -> None:
    program = (
        "import sys; sys.argv = ['distilbert', 'info', 'distilbert-sst2']\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: event == 'open' and opened.append(str(args[0])))\n"
        "from distilbert.cli import main\n"
        "try: main()\n"
        "except SystemExit: print(sorted({'onnxruntime', 'onnx', 'huggingface_hub'} & set(sys.modules)),\n"
        "                         [name for name in opened if name.endswith('.onnx')])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.stdout.splitlines()[-1] == "[] []"
