"""Every head of both families becomes a bundle, in float32 and in int8, whose probes can be replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from bundles import open_gate, sentences
from tiny import tiny_checkpoint

import distilbert
from distilbert.compile import Int8, compile_checkpoint, verify
from distilbert.compile.probes import KEPT_NUMBERS, PROBES, read_one, thinned
from distilbert.errors import CheckpointError
from distilbert.files.bundle import open_bundle
from distilbert.files.checkpoint import TASKS as ALL_TASKS
from distilbert.files.config import DistilBertConfig
from distilbert.graph.heads import HEADS
from distilbert.text.tokenizer import DistilBertTokenizer

if TYPE_CHECKING:
    from pathlib import Path

TASKS = {
    "token-classification": ("token-classification", distilbert.DistilBertForTokenClassification),
    "question-answering": ("question-answering", distilbert.DistilBertForQuestionAnswering),
    "masked-lm": ("fill-mask", distilbert.DistilBertForMaskedLM),
}
TEXTS = sentences(64)
PAIRS = list(zip(sentences(64, longest=5), sentences(64, seed=1), strict=True))


@pytest.mark.parametrize("head", TASKS)
@pytest.mark.parametrize("family", ["distilbert", "bert"])
def test_both_precisions_say_what_they_are_and_answer_alike(tmp_path: Path, family: str, head: str) -> None:
    task, kind = TASKS[head]
    source = tiny_checkpoint(tmp_path / "source", model_type=family, head=head)  # type: ignore[arg-type]
    texts = PAIRS if head == "question-answering" else TEXTS
    compile_checkpoint(source, tmp_path / "fp32")
    compile_checkpoint(source, tmp_path / "int8", int8=Int8(texts, open_gate))
    tokenizer = DistilBertTokenizer.from_folder(source)
    outputs = []
    for precision in ("fp32", "int8"):
        manifest = open_bundle(tmp_path / precision).manifest
        assert (manifest.task, manifest.precision) == (task, precision)
        assert verify(tmp_path / precision) == 0
        model = kind.from_pretrained(tmp_path / precision)
        outputs.append(model(**tokenizer(*PAIRS[3], return_tensors="np")).to_tuple())
    for exact, near in zip(*outputs, strict=True):
        assert not np.array_equal(exact, near)
        assert np.corrcoef(exact.ravel(), near.ravel())[0, 1] > 0.9


def test_a_probe_keeps_of_a_vocabulary_what_fits_in_a_manifest(tmp_path: Path) -> None:
    source = tiny_checkpoint(tmp_path / "source", head="masked-lm", vocab_size=5_000)
    compile_checkpoint(source, tmp_path / "bundle")
    probes = open_bundle(tmp_path / "bundle").manifest.probes
    assert [len(probe.float32) for probe in probes] == [1_000] * len(PROBES)
    assert verify(tmp_path / "bundle") == 0


def test_a_probe_of_a_span_keeps_every_token(tmp_path: Path) -> None:
    source = tiny_checkpoint(tmp_path / "source", head="question-answering")
    compile_checkpoint(source, tmp_path / "bundle")
    tokenizer = DistilBertTokenizer.from_folder(source)
    for probe in open_bundle(tmp_path / "bundle").manifest.probes:
        assert len(probe.float32) == 2 * min(len(tokenizer.encode(probe.text)), 64)


@pytest.mark.parametrize("width", [1, 2, KEPT_NUMBERS, KEPT_NUMBERS + 1, 30_522])
def test_thinning_leaves_small_answers_whole_and_spreads_over_large_ones(width: int) -> None:
    row = np.arange(width, dtype=np.float32)
    few = thinned(row)
    assert len(few) <= KEPT_NUMBERS
    assert width > KEPT_NUMBERS or len(few) == width
    assert few[0] == 0
    assert few[-1] >= width - 1 - width / KEPT_NUMBERS


def test_pairs_are_calibrated_as_pairs(tmp_path: Path) -> None:
    source = tiny_checkpoint(tmp_path, model_type="bert", head="question-answering")
    config, tokenizer = DistilBertConfig.from_folder(source), DistilBertTokenizer.from_folder(source)
    inputs = read_one(tokenizer, config, ("the film", "a good one"))
    row = tokenizer("the film", "a good one")
    assert inputs["input_ids"].tolist() == [row["input_ids"]]
    assert inputs["token_type_ids"].tolist() == [row["token_type_ids"]]
    assert 1 in row["token_type_ids"]


def test_a_language_models_bundle_is_for_others_as_one_without_positions(tmp_path: Path) -> None:
    import onnxruntime

    compile_checkpoint(tiny_checkpoint(tmp_path / "source", head="masked-lm"), tmp_path / "bundle")
    session = onnxruntime.InferenceSession(str(open_bundle(tmp_path / "bundle").graph))
    assert [value.name for value in session.get_inputs()] == ["input_ids", "attention_mask"]
    ids = np.array([[2, 4, 50, 3]])
    [logits] = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    model = distilbert.DistilBertForMaskedLM.from_pretrained(tmp_path / "bundle")
    np.testing.assert_array_equal(logits, model(ids).logits)


@pytest.mark.parametrize("head", TASKS)
def test_the_card_says_how_to_run_it_and_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], head: str
) -> None:
    monkeypatch.chdir(tmp_path)
    source = tiny_checkpoint(tmp_path / "source", head=head, labels=("PER", "O"))  # type: ignore[arg-type]
    compile_checkpoint(source, tmp_path / "bundle")
    card = (tmp_path / "bundle" / "README.md").read_text()
    assert ("- labels: PER, O" in card) == (head == "token-classification")
    exec(card.split("```python\n")[1].split("```")[0], {})
    printed = {
        "masked-lm": "'sequence': ",
        "token-classification": "'entity': 'PER'",
        "question-answering": "'answer': '",
    }
    assert printed[head] in capsys.readouterr().out


def test_there_is_a_graph_for_every_head_but_choosing(tmp_path: Path) -> None:
    assert ALL_TASKS.keys() - HEADS.keys() == {"multiple-choice"}
    source = tiny_checkpoint(tmp_path / "model", head="multiple-choice")
    with pytest.raises(CheckpointError, match="is a model for multiple-choice, for which there is no graph"):
        compile_checkpoint(source, tmp_path / "bundle")
    assert distilbert.DistilBertModel.from_pretrained(source).engine.output_names == ("last_hidden_state",)
