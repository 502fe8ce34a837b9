"""The card says first what its author says, then what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tiny import tiny_config

from distilbert.files.bundle import Manifest
from distilbert.files.card import write_card, write_checkpoint_card

if TYPE_CHECKING:
    from pathlib import Path

FLOAT32 = Manifest("text-classification", "fp32", {"distilbert": "0.1.0", "onnx": "1.23"}, [])
INT8 = Manifest(
    "text-classification",
    "int8",
    {"distilbert": "0.1.0"},
    [],
    gate={"onnxruntime": {"said": "3 of 2,000 labels flipped (0.15 %, at most 0.50 %)", "flips": 3}},
    int8={"calibration_texts": 1512, "percentile": 99.99, "linears_in_float": []},
)


def card(folder: Path, manifest: Manifest, about: str = "", labels: tuple[str, ...] = ("BAD", "GOOD")) -> str:
    write_card(folder, "tiny-model", tiny_config(labels=labels), manifest, about)
    return (folder / "README.md").read_text(encoding="utf-8")


def front_matter(text: str) -> str:
    opening, front, _ = text.split("---\n", 2)
    assert opening == ""
    return front


def test_without_an_author_s_words_it_says_that_they_are_missing(tmp_path: Path) -> None:
    text = card(tmp_path, FLOAT32)
    assert front_matter(text) == "library_name: distilbert\npipeline_tag: text-classification\n"
    assert "\n\n# tiny-model\n\nNobody has said yet" in text
    assert "`--about FILE`" in text


def test_it_says_what_the_model_is_and_how_to_run_it(tmp_path: Path) -> None:
    text = card(tmp_path, FLOAT32)
    assert "distilbert, 2 layers of 32, 4 heads, feed-forward 64, at most 64 tokens" in text
    assert "- labels: BAD, GOOD\n" in text
    assert "- precision: fp32\n- made by: distilbert 0.1.0, onnx 1.23\n" in text
    assert 'pipeline("text-classification", model="tiny-model")' in text
    assert "int8 against float32" not in text


def test_an_encoder_s_card_names_no_labels(tmp_path: Path) -> None:
    text = card(tmp_path, Manifest("feature-extraction", "fp32", {}, []))
    assert "labels" not in text
    assert "pipeline_tag: feature-extraction" in text


@pytest.mark.parametrize(
    ("kept", "said"),
    [([], "linears in float: none"), (["a.lin1", "b.lin2"], "linears in float: a.lin1, b.lin2")],
)
def test_int8_comes_with_its_gate_s_figures(kept: list[str], said: str, tmp_path: Path) -> None:
    manifest = Manifest(
        "text-classification", "int8", {}, [], gate=INT8.gate, int8={**INT8.int8, "linears_in_float": kept}
    )
    text = card(tmp_path, manifest)
    assert "- onnxruntime: 3 of 2,000 labels flipped (0.15 %, at most 0.50 %)\n" in text
    assert f"- calibrated on 1,512 texts, clipped at 99.99 %; {said}\n" in text


ABOUT = {
    "words only": ("It reads reviews.\n", "library_name: distilbert\n", "It reads reviews."),
    "front matter and words": ("---\nlicense: mit\n---\nIt reads.\n", "license: mit\n", "It reads."),
    "front matter only": ("---\nlicense: mit\n---\n", "license: mit\n", "Nobody has said yet"),
    "a rule among the words": (
        "Above\n\n---\n\nbelow\n",
        "library_name: distilbert\n",
        "Above\n\n---\n\nbelow",
    ),
    "front matter that never ends": (
        "---\nlicense: mit\n",
        "library_name: distilbert\n",
        "---\nlicense: mit",
    ),
    "other alphabets": ("---\nlanguage: ja\n---\n映画の感想\n", "language: ja\n", "映画の感想"),
    "line ends of another system": ("---\r\nlicense: mit\r\n---\r\nIt.\r\n", "license: mit\n", "It."),
}


@pytest.mark.parametrize("name", ABOUT)
def test_the_author_s_words_open_it(name: str, tmp_path: Path) -> None:
    about, front, words = ABOUT[name]
    (tmp_path / "about.md").write_bytes(about.encode())
    text = card(tmp_path, FLOAT32, (tmp_path / "about.md").read_text(encoding="utf-8"))
    assert front_matter(text).startswith(front)
    assert f"---\n\n# tiny-model\n\n{words}" in text
    assert text.index(words) < text.index("## What it is")


def test_a_checkpoints_card_says_what_it_is_how_to_load_it_and_that_nobody_vouches_for_it(
    tmp_path: Path,
) -> None:
    config = tiny_config(labels=("BAD", "GOOD"), architectures=("DistilBertForSequenceClassification",))
    write_checkpoint_card(tmp_path, "mine", config, "text-classification")
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text.startswith(
        "---\nlibrary_name: transformers\npipeline_tag: text-classification\n---\n\n# mine\n"
    )
    assert "Nobody has said yet what this model was trained on" in text
    assert "distilbert, 2 layers of 32" in text
    assert "labels: BAD, GOOD" in text
    assert "from distilbert.models import DistilBertForSequenceClassification\n" in text
    assert 'DistilBertForSequenceClassification.from_pretrained("mine")' in text
