"""A checkpoint becomes a bundle, the same bytes each time, or nothing at all."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from bundles import dequantised_checkpoint, gate_after, open_gate, sentences
from onnx import numpy_helper
from tiny import tiny_arrays, tiny_checkpoint, tiny_config

from distilbert.compile import Int8, compile_checkpoint, float_bundle, verify
from distilbert.errors import CheckpointError, GateError, StorageError, TokenizerError
from distilbert.files.bundle import open_bundle
from distilbert.files.cache import cache_folder
from distilbert.files.checkpoint import read_checkpoint
from distilbert.files.config import DistilBertConfig
from distilbert.runtime import DistilBertForSequenceClassification, DistilBertModel
from distilbert.text.tokenizer import DistilBertTokenizer

if TYPE_CHECKING:
    from pathlib import Path

INT8 = Int8(sentences(40), open_gate)
KINDS = [
    (model_type, head, precision)
    for model_type in ("distilbert", "bert")
    for head in ("sequence-classification", "none")
    for precision in ("fp32", "int8")
]


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def graph_arrays(bundle: Path) -> dict[str, np.ndarray]:
    graph = onnx.load(open_bundle(bundle).graph).graph
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def compiled(source: Path, out: Path, precision: str = "fp32") -> Path:
    compile_checkpoint(source, out, int8=INT8 if precision == "int8" else None)
    return out


@pytest.mark.parametrize(("model_type", "head", "precision"), KINDS)
def test_a_bundle_is_whole_and_verifies_to_the_bit_where_it_was_made(
    tmp_path: Path, model_type: str, head: str, precision: str
) -> None:
    source = tiny_checkpoint(tmp_path / "checkpoint", model_type=model_type, head=head)  # type: ignore[arg-type]
    bundle = compiled(source, tmp_path / "bundle", precision)
    graph = "onnx/model_quantized.onnx" if precision == "int8" else "onnx/model.onnx"
    assert contents(bundle).keys() == {
        "README.md", "bundle.json", "config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", graph
    }  # fmt: skip
    manifest = open_bundle(bundle).manifest
    assert manifest.precision == precision
    assert manifest.task == ("feature-extraction" if head == "none" else "text-classification")
    assert bool(manifest.gate) == bool(manifest.int8) == (precision == "int8")
    assert {len(probe.float32) for probe in manifest.probes} == {32 if head == "none" else 2}
    assert all((probe.int8 is not None) == (precision == "int8") for probe in manifest.probes)
    assert verify(bundle) == 0.0
    assert DistilBertConfig.from_folder(bundle) == DistilBertConfig.from_folder(source)
    text = "It was a very good film, and funny!"
    ours, theirs = (DistilBertTokenizer.from_folder(folder).encode(text) for folder in (bundle, source))
    assert ours == theirs


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_same_checkpoint_gives_the_same_bytes(tmp_path: Path, precision: str) -> None:
    source = tiny_checkpoint(tmp_path / "checkpoint")
    first, again = (compiled(source, tmp_path / place / "bundle", precision) for place in ("one", "two"))
    assert contents(first) == contents(again)


def test_another_process_gives_the_same_bytes_too(tmp_path: Path) -> None:
    source = tiny_checkpoint(tmp_path / "checkpoint")
    (tmp_path / "two").mkdir()
    program = (
        "import sys; from pathlib import Path; from distilbert.compile import compile_checkpoint;"
        "compile_checkpoint(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    subprocess.run(
        [sys.executable, "-c", program, source, tmp_path / "two" / "bundle"], check=True, timeout=60
    )
    assert contents(compiled(source, tmp_path / "one" / "bundle")) == contents(tmp_path / "two" / "bundle")


def test_a_gate_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    source = tiny_checkpoint(tmp_path / "checkpoint")
    (tmp_path / "out").mkdir()
    before = contents(tmp_path)
    with pytest.raises(
        GateError, match=r"No int8 form of this model passes its gate\. The closest: mean error"
    ):
        compile_checkpoint(source, tmp_path / "out" / "bundle", int8=Int8(sentences(20), gate_after(1_000)))
    assert contents(tmp_path) == before
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("moment", ["building", "calibrating", "clipping"])
def test_an_interrupt_leaves_nothing_behind(tmp_path: Path, moment: str) -> None:
    source = tiny_checkpoint(tmp_path / "checkpoint")
    (tmp_path / "out").mkdir()

    def interrupt(line: str) -> None:
        if moment in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compile_checkpoint(source, tmp_path / "out" / "bundle", int8=INT8, say=interrupt)
    assert not list((tmp_path / "out").iterdir())


def test_what_stands_there_is_never_overwritten(tmp_path: Path) -> None:
    source = tiny_checkpoint(tmp_path / "checkpoint")
    bundle = compiled(source, tmp_path / "bundle")
    before = contents(bundle)
    with pytest.raises(StorageError, match="already there"):
        compile_checkpoint(source, bundle)
    assert contents(bundle) == before


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(tmp_path: Path) -> None:
    source = tiny_checkpoint(tmp_path / "checkpoint")
    with (source / "vocab.txt").open("a", encoding="utf-8") as file:
        file.write("onemore\n")
    with pytest.raises(TokenizerError, match=r"'onemore' the id 155, but config\.json's vocab_size is 155"):
        compile_checkpoint(source, tmp_path / "bundle")


def test_a_link_that_leads_out_is_refused_with_a_way_to_do_without(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("{}")
    (tiny_checkpoint(tmp_path / "model") / "notes.json").symlink_to(tmp_path / "outside")
    with pytest.raises(CheckpointError, match=r"notes\.json cannot be read: .* leads out .*\n.*cp -rL"):
        float_bundle(tmp_path / "model")


def test_a_classifiers_encoder_is_the_encoder_it_was_made_from(tmp_path: Path) -> None:
    config = tiny_config()
    classifier = tiny_checkpoint(tmp_path / "classifier", seed=5)
    compile_checkpoint(classifier, tmp_path / "bundle", head=False)
    assert open_bundle(tmp_path / "bundle").manifest.task == "feature-extraction"
    arrays = graph_arrays(tmp_path / "bundle")
    whole = tiny_arrays(config, seed=5)
    assert "classifier.weight" in whole
    assert not any("classifier" in name for name in arrays)
    name = "transformer.layer.1.ffn.lin2.weight"
    np.testing.assert_array_equal(arrays[name], whole[name].T)


def test_an_int8_graph_holds_the_checkpoints_weights_to_half_a_step(tmp_path: Path) -> None:
    source = tiny_checkpoint(tmp_path / "checkpoint")
    bundle = compiled(source, tmp_path / "bundle", "int8")
    restored = dequantised_checkpoint(bundle, tmp_path / "restored")
    config = DistilBertConfig.from_folder(source)
    exact, near = (read_checkpoint(folder, config).arrays for folder in (source, restored))
    assert exact.keys() == near.keys()
    for name, array in exact.items():
        rows = np.abs(array).reshape(len(array), -1).max(axis=1)
        step = rows.reshape(-1, *[1] * (array.ndim - 1)) / 63
        assert (np.abs(array - near[name]) <= 0.501 * step).all(), name


class TestFirstUse:
    """A checkpoint that is named where a bundle is needed is compiled once."""

    @pytest.fixture(autouse=True)
    def empty_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DISTILBERT_CACHE", str(tmp_path / "cache"))

    def bundles(self) -> list[str]:
        return [path.name for path in (cache_folder() / "bundles").iterdir()]

    def test_it_is_found_again(self, tmp_path: Path) -> None:
        source = tiny_checkpoint(tmp_path / "checkpoint")
        first = float_bundle(source)
        written = (first / "bundle.json").stat().st_mtime_ns
        assert float_bundle(source) == first
        assert (first / "bundle.json").stat().st_mtime_ns == written
        assert len(self.bundles()) == 1

    def test_it_is_found_again_under_another_name(self, tmp_path: Path) -> None:
        source = tiny_checkpoint(tmp_path / "checkpoint")
        first = float_bundle(source)
        assert float_bundle(shutil.copytree(source, tmp_path / "copy")) == first

    @pytest.mark.parametrize(
        "file", ["config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"]
    )
    def test_a_changed_file_is_compiled_anew(self, tmp_path: Path, file: str) -> None:
        source = tiny_checkpoint(tmp_path / "checkpoint")
        other = tiny_checkpoint(tmp_path / "other", seed=1, labels=("BAD", "GOOD"))
        (other / "vocab.txt").write_text((source / "vocab.txt").read_text().replace("film", "cinema"))
        (other / "tokenizer_config.json").write_text('{"do_lower_case": false}')
        first = float_bundle(source)
        shutil.copy(other / file, source / file)
        second = float_bundle(source)
        assert first != second
        assert contents(first) != contents(second)

    def test_a_readme_beside_it_changes_nothing(self, tmp_path: Path) -> None:
        source = tiny_checkpoint(tmp_path / "checkpoint")
        first = float_bundle(source)
        (source / "README.md").write_text("About this model")
        assert float_bundle(source) == first

    def test_the_encoder_and_the_classifier_of_one_checkpoint_do_not_get_mixed_up(
        self, tmp_path: Path
    ) -> None:
        source = tiny_checkpoint(tmp_path / "checkpoint")
        ids = np.array([[2, 50, 60, 3]])
        for _ in range(2):
            assert DistilBertForSequenceClassification.from_pretrained(source)(ids).logits.shape == (1, 2)
            assert DistilBertModel.from_pretrained(source)(ids).last_hidden_state.shape == (1, 4, 32)

    def test_two_processes_at_once_agree_on_one_bundle(self, tmp_path: Path) -> None:
        source = tiny_checkpoint(tmp_path / "checkpoint")
        program = (
            "import sys; from pathlib import Path; from distilbert.compile import float_bundle;"
            "print(float_bundle(Path(sys.argv[1])))"
        )
        runs = [
            subprocess.Popen([sys.executable, "-c", program, source], stdout=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        folders = {run.communicate(timeout=60)[0] for run in runs}
        assert [run.returncode for run in runs] == [0, 0, 0]
        assert len(folders) == 1
        assert len(self.bundles()) == 1
