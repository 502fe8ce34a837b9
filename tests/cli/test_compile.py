"""`distilbert compile`: a checkpoint becomes a bundle that answers alike, or nothing at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bundles import sentences
from tiny import save_checkpoint, tiny_arrays, tiny_checkpoint

from distilbert import compile as compiling
from distilbert.files.bundle import open_bundle
from distilbert.files.config import DistilBertConfig
from distilbert.metrics.gate import MIN_OVERLAP
from distilbert.tasks import gates

if TYPE_CHECKING:
    from pathlib import Path

    from situations import Command


def answers(distilbert: Command, model: object) -> list[dict[str, Any]]:
    outcome = distilbert("classify", "--model", model, "--json", *sentences(50, seed=3))
    assert outcome.code == 0
    return outcome.objects()


def test_int8_says_how_it_went_and_how_to_check_it(
    distilbert: Command, here: Path, checkpoint: Path, reviews: Path
) -> None:
    outcome = distilbert(
        "compile", checkpoint, "--out", "small", "--calibrate", reviews, "--label-column", "label"
    )
    assert outcome.code == 0
    assert "calibrating on 512 texts" in outcome.err
    assert "of 2,088 labels flipped (" in outcome.err
    assert outcome.out == "small: int8, 0.1 MB. Try: distilbert verify small\n"
    assert [path.name for path in here.iterdir()] == ["small"]
    manifest = open_bundle(here / "small").manifest
    figures = manifest.gate["onnxruntime"]
    assert manifest.precision == "int8"
    assert manifest.int8["calibration_texts"] == 512
    assert figures["texts"] == 2088
    assert figures["flip_share"] == figures["flips"] / 2088 <= 0.005
    changed = figures["wrong_to_right"] - figures["right_to_wrong"]
    assert figures["accuracy_change"] == pytest.approx(changed / 2088)
    assert figures["accuracy_change_low"] <= figures["accuracy_change"] <= figures["accuracy_change_high"]
    card = (here / "small" / "README.md").read_text()
    assert figures["said"] in card
    assert distilbert("verify", "small").code == 0


def test_both_precisions_answer_as_the_checkpoint_does(
    distilbert: Command, here: Path, checkpoint: Path, reviews: Path
) -> None:
    assert distilbert("compile", checkpoint, "--out", "int8", "--calibrate", reviews).code == 0
    float32 = distilbert("compile", checkpoint, "--out", "fp32", "--precision", "fp32")
    assert (float32.code, float32.out) == (0, "fp32: fp32, 0.1 MB. Try: distilbert verify fp32\n")
    expected = answers(distilbert, checkpoint)
    assert answers(distilbert, "fp32") == expected
    small = answers(distilbert, "int8")
    assert (
        np.mean([row["label"] == other["label"] for row, other in zip(small, expected, strict=True)]) >= 0.95
    )
    assert small != expected


def test_an_encoder_and_a_bert_are_compiled_too(distilbert: Command, here: Path, reviews: Path) -> None:
    tiny_checkpoint(here / "encoder", head="none")
    assert distilbert("compile", "encoder", "--out", "small", "--calibrate", reviews).code == 0
    manifest = open_bundle(here / "small").manifest
    assert manifest.task == "feature-extraction"
    assert manifest.gate["onnxruntime"]["mean_cosine"] >= 0.995
    tiny_checkpoint(here / "bert", model_type="bert")
    assert distilbert("compile", "bert", "--out", "other", "--precision", "fp32").code == 0
    assert answers(distilbert, "other") == answers(distilbert, "bert")


ABOUT = """---
license: mit
tags:
- tiny
---

It was trained on nothing at all.
"""


def test_about_opens_the_card_and_its_front_matter_is_the_card_s(
    distilbert: Command, here: Path, checkpoint: Path
) -> None:
    (here / "about.md").write_text(ABOUT)
    line = ["compile", checkpoint, "--out", "named", "--precision", "fp32", "--about", "about.md"]
    assert distilbert(*line).code == 0
    card = (here / "named" / "README.md").read_text()
    assert card.startswith(
        "---\nlicense: mit\ntags:\n- tiny\n---\n\n# named\n\nIt was trained on nothing at all.\n\n##"
    )
    assert card.count("---") == 2


@pytest.mark.parametrize(
    ("patterns", "kept"),
    [
        (["layer.0.ffn.lin2"], ["layer.0.ffn.lin2"]),
        (["transformer.layer.1.ffn.lin?"], ["layer.1.ffn.lin1", "layer.1.ffn.lin2"]),
        (["*.out_lin", "layer.0.ffn.*"], [
            "layer.0.attention.out_lin",
            "layer.0.ffn.lin1",
            "layer.0.ffn.lin2",
            "layer.1.attention.out_lin",
        ]),
        (["layer.1.*"], [
            *(f"layer.1.attention.{name}_lin" for name in ("k", "out", "q", "v")),
            "layer.1.ffn.lin1",
            "layer.1.ffn.lin2",
        ]),
    ],
)  # fmt: skip
def test_keep_float_names_linears_and_takes_wildcards(
    patterns: list[str], kept: list[str], distilbert: Command, here: Path, checkpoint: Path, reviews: Path
) -> None:
    keep = [word for pattern in patterns for word in ("--keep-float", pattern)]
    outcome = distilbert("compile", checkpoint, "--out", "small", "--calibrate", reviews, *keep)
    assert outcome.code == 0
    assert f", {len(kept)} of 12 linears in float: " in outcome.err
    in_float = open_bundle(here / "small").manifest.int8["linears_in_float"]
    assert in_float == [f"transformer.{name}" for name in kept]
    assert ", ".join(in_float) in (here / "small" / "README.md").read_text()


@pytest.fixture
def split(distilbert: Command, here: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call `compile` and return which texts it would calibrate on, which judge, and with which labels."""

    def split(file: Path, *options: object) -> tuple[list[str], list[str], Any]:
        seen: dict[str, Any] = {}

        def gate(texts: list[str], gold: Any, *_: object) -> tuple[None, None]:
            seen.update(judging=list(texts), gold=gold)
            return None, None

        def compile_nothing(source: Path, *_: object, int8: compiling.Int8, **__: object) -> None:
            from distilbert.files.checkpoint import Checkpoint
            from distilbert.files.config import DistilBertConfig

            seen["calibration"] = list(int8.calibration)
            config = DistilBertConfig.from_folder(source)
            int8.make_gate(Checkpoint(config, "sequence-classification", {}), None)  # type: ignore[arg-type]

        monkeypatch.setitem(gates.GATES, "sequence-classification", gate)
        monkeypatch.setattr(compiling, "compile_checkpoint", compile_nothing)
        assert distilbert("compile", checkpoint, "--out", "none", "--calibrate", file, *options).code == 0
        return seen["calibration"], seen["judging"], seen["gold"]

    return split


def test_no_text_both_calibrates_and_judges(split: Any, here: Path) -> None:
    texts = [f"text {number % 9000}" for number in range(12_000)]
    (here / "texts.txt").write_text("".join(f"{text}\n" for text in texts))
    calibration, judging, gold = split(here / "texts.txt")
    assert (len(calibration), len(judging), gold) == (512, 5000, None)
    assert len({*calibration, *judging}) == 5512


def test_the_seed_decides_the_split(split: Any, reviews: Path) -> None:
    first, again, other = (split(reviews, "--seed", seed) for seed in (0, 0, 1))
    assert first == again
    assert split(reviews) == first
    assert set(first[0]) != set(other[0])
    assert {*first[0], *first[1]} == {*other[0], *other[1]}


def test_labels_stay_with_their_texts(split: Any, here: Path) -> None:
    rows = [{"body": f"text {number}", "stars": ("NEGATIVE", 1)[number % 2]} for number in range(2600)]
    (here / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, judging, gold = split(here / "rows.jsonl", "--column", "body", "--label-column", "stars")
    assert gold.tolist() == [int(text.split()[1]) % 2 for text in judging]


def test_sentences_and_questions_calibrate_as_they_stand_in_their_own_files(split: Any, here: Path) -> None:
    (here / "train.iob2").write_text("".join(f"Ada B-PER\nsaw O\n{number} O\n\n" for number in range(2600)))
    calibration, judging, _ = split(here / "train.iob2")
    assert {*calibration, *judging} == {f"Ada saw {number}" for number in range(2600)}

    questions = [
        {"id": str(number), "question": f"Who saw {number}?", "answers": []} for number in range(2600)
    ]
    document = {"data": [{"paragraphs": [{"context": "Ada did.", "qas": questions}]}]}
    (here / "train.json").write_text(json.dumps(document))
    calibration, judging, _ = split(here / "train.json")
    assert {*calibration, *judging} == {(f"Who saw {number}?", "Ada did.") for number in range(2600)}


def test_a_file_without_columns_has_none_for_labels(
    distilbert: Command, here: Path, checkpoint: Path
) -> None:
    (here / "train.iob2").write_text("Ada B-PER\n")
    line = ("compile", checkpoint, "--out", "small", "--calibrate", "train.iob2", "--label-column", "label")
    outcome = distilbert(*line)
    assert (outcome.code, "train.iob2 has none" in outcome.err) == (2, True)


def test_an_interrupt_leaves_nothing(
    distilbert: Command, here: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("distilbert.compile.bundles.write_manifest", interrupted)
    outcome = distilbert("compile", checkpoint, "--out", "new/out", "--precision", "fp32")
    assert outcome.code == 130
    assert outcome.err.endswith("interrupted\n")
    assert list(here.iterdir()) == []


def test_texts_that_differ_in_their_second_half_alone_are_different_pairs(
    distilbert: Command, here: Path, checkpoint: Path
) -> None:
    rows = "".join(f"is it good?\t{text} {place}\n" for place, text in enumerate(sentences(2600, longest=8)))
    (here / "pairs.tsv").write_text("question\tcontext\n" + rows)
    line = ("compile", checkpoint, "--out", "small", "--calibrate", "pairs.tsv", "--column", "question")
    alone = distilbert(*line)
    assert alone.code == 1
    assert "has 1 different texts" in alone.err
    pairs = distilbert(*line, "--pair-column", "context")
    assert pairs.code == 0
    assert open_bundle(here / "small").manifest.gate["onnxruntime"]["texts"] == 2088


SURE = {"token-classification": "classifier.bias", "masked-lm": "vocab_projector.bias"}


@pytest.mark.parametrize(("head", "figure"), [("token-classification", "tokens"), ("masked-lm", "choices")])
def test_a_tagger_and_a_language_model_that_are_sure_pass_their_gates(
    distilbert: Command, here: Path, reviews: Path, head: Any, figure: str
) -> None:
    folder = tiny_checkpoint(here / "model", head=head)
    config = DistilBertConfig.from_folder(folder)
    arrays = tiny_arrays(config, head)
    arrays[SURE[head]][1] += 50
    save_checkpoint(folder, config, arrays)
    assert distilbert("compile", "model", "--out", "small", "--calibrate", reviews).code == 0
    gate = open_bundle(here / "small").manifest.gate["onnxruntime"]
    assert (gate["flips"], gate[figure] >= 2088) == (0, True)


def test_an_answerer_is_judged_by_how_far_its_answers_overlap(
    distilbert: Command, here: Path, reviews: Path
) -> None:
    tiny_checkpoint(here / "model", head="question-answering")
    questions = ("--calibrate", reviews, "--pair-column", "text")  # each text is asked about itself
    assert distilbert("compile", "model", "--out", "small", *questions).code == 0
    gate = open_bundle(here / "small").manifest.gate["onnxruntime"]
    assert gate["answers"] == 2088
    assert MIN_OVERLAP <= gate["overlap"] < 1


@pytest.mark.parametrize(
    ("head", "said"), [("token-classification", "labels flipped"), ("masked-lm", "choices flipped")]
)
def test_random_weights_of_many_labels_are_refused_with_figures(
    distilbert: Command, here: Path, reviews: Path, head: Any, said: str
) -> None:
    tiny_checkpoint(here / "model", head=head)
    outcome = distilbert("compile", "model", "--out", "small", "--calibrate", reviews)
    assert outcome.code == 1
    assert "No int8 form of this model passes its gate. The closest: " in outcome.err
    assert said in outcome.err
    assert not (here / "small").exists()
