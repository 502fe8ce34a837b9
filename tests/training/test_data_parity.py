"""Rows in memory, in batches, under masks, with their targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from bundles import sentences
from hypothesis import given
from hypothesis import strategies as st
from tiny import VOCABULARY, tiny_config

from distilbert.models import DistilBertForMaskedLM
from distilbert.text.tokenizer import DistilBertTokenizer
from distilbert.training.data import Examples, Padding, draw_rows, hold_back, read_texts
from distilbert.training.labels import label_names, targets
from distilbert.training.losses import IGNORED
from distilbert.training.masking import MaskedTexts, Masks, Vocabulary
from distilbert.training.objectives import MaskedWords

if TYPE_CHECKING:
    from pathlib import Path

    from distilbert.training.data import Texts

pytestmark = pytest.mark.parity

SPECIAL = (0, 2, 3)  # padding, [CLS], [SEP]


@pytest.fixture(scope="module")
def tokenizer() -> DistilBertTokenizer:
    return DistilBertTokenizer({word: place for place, word in enumerate(VOCABULARY)})


def texts_of(path: Path, tokenizer: DistilBertTokenizer, texts: list[str], max_length: int = 32) -> Texts:
    path.write_text("text\n" + "".join(f"{text}\n" for text in texts))
    return read_texts(str(path), tokenizer, "text", None, max_length)[0]


def test_a_batch_is_what_the_tokenizer_pads(tmp_path: Path, tokenizer: DistilBertTokenizer) -> None:
    lines = sentences(40)
    texts = texts_of(tmp_path / "rows.tsv", tokenizer, lines)
    rows = np.array([3, 17, 5])
    ours = Padding(0).batch(texts, rows)
    theirs = tokenizer(
        [lines[row] for row in rows], padding=True, truncation=True, max_length=32, return_tensors="np"
    )
    assert ours.keys() == {"input_ids", "attention_mask"}
    for name, column in ours.items():
        np.testing.assert_array_equal(column.numpy(), theirs[name])


def test_a_batch_of_pairs_has_token_types(tmp_path: Path, tokenizer: DistilBertTokenizer) -> None:
    lines = sentences(40)
    (tmp_path / "rows.tsv").write_text(
        "a\tb\n" + "".join(f"{a}\t{b}\n" for a, b in zip(lines, lines[::-1], strict=True))
    )
    texts, _ = read_texts(str(tmp_path / "rows.tsv"), tokenizer, "a", "b", 16)
    rows = np.array([1, 39, 20])
    ours = Padding(0).batch(texts, rows)
    theirs = tokenizer(
        [lines[row] for row in rows],
        [lines[39 - row] for row in rows],
        padding=True,
        truncation=True,
        max_length=16,
        return_tensors="np",
        return_token_type_ids=True,
    )
    for name, column in ours.items():
        np.testing.assert_array_equal(column.numpy(), theirs[name])
    assert texts.cut.any()


def test_rows_that_are_taken_keep_their_tokens_and_places(
    tmp_path: Path, tokenizer: DistilBertTokenizer
) -> None:
    texts = texts_of(tmp_path / "rows.tsv", tokenizer, sentences(40))
    some = texts.take(np.array([7, 3]))
    assert some.place(0).endswith("rows.tsv, line 9")
    np.testing.assert_array_equal(some.ids[some.row(1)], texts.ids[texts.row(3)])
    assert [row["line"] for row in some.originals(np.array([0, 1]))] == [5, 9]


def test_equal_texts_are_held_back_together(tmp_path: Path, tokenizer: DistilBertTokenizer) -> None:
    lines = sentences(30) * 3
    texts = texts_of(tmp_path / "rows.tsv", tokenizer, lines)
    train, held = hold_back(texts, 20)
    assert sorted([*train, *held]) == list(range(90))
    assert 20 <= len(held) < 30
    assert not {lines[row] for row in train} & {lines[row] for row in held}


def test_drawn_rows_are_the_same_on_every_machine(tmp_path: Path, tokenizer: DistilBertTokenizer) -> None:
    texts = texts_of(tmp_path / "rows.tsv", tokenizer, sentences(40))
    assert list(draw_rows(texts, 5)) == [4, 11, 23, 24, 27]
    assert list(draw_rows(texts, 40)) == list(range(40))


# Masks


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory, tokenizer: DistilBertTokenizer) -> MaskedTexts:
    texts = texts_of(tmp_path_factory.mktemp("masked") / "rows.tsv", tokenizer, sentences(2000))
    return MaskedTexts(texts, Padding(0), Masks(Vocabulary(len(VOCABULARY), 4, SPECIAL), share=0.15, seed=1))


def test_a_share_of_words_is_guessed_as_bert_does(masked: MaskedTexts) -> None:
    rows = np.arange(2000)
    batch, plain = masked.batch(rows, 0), Padding(0).batch(masked.texts, rows)["input_ids"]
    guessed = batch["labels"] != IGNORED
    where = (torch.arange(2000)[:, None].expand_as(guessed)[guessed], batch["positions"][guessed])
    assert torch.equal(plain[where], batch["labels"][guessed])  # what stood there is what is to be guessed
    assert not torch.isin(plain[where], torch.tensor(SPECIAL)).any()
    changed = plain != batch["input_ids"]
    changed[where] = False
    assert not changed.any()  # nothing else changed
    words = int((~torch.isin(plain, torch.tensor(SPECIAL))).sum())
    assert len(where[0]) / words == pytest.approx(0.15, abs=0.01)
    after = batch["input_ids"][where]
    assert (after == 4).float().mean().item() == pytest.approx(0.8, abs=0.03)
    assert (after == plain[where]).float().mean().item() == pytest.approx(0.1, abs=0.03)


@given(st.permutations(range(12)), st.integers(0, 3))
def test_a_row_is_masked_alike_in_any_batch(masked: MaskedTexts, order: list[int], epoch: int) -> None:
    together = masked.batch(np.array(order), epoch)
    for place, row in enumerate(order):
        alone = masked.batch(np.array([row]), epoch)["input_ids"][0]
        assert torch.equal(together["input_ids"][place, : len(alone)], alone)


def test_another_epoch_masks_other_words(masked: MaskedTexts) -> None:
    a, b = (masked.batch(np.arange(50), epoch)["input_ids"] for epoch in (0, 1))
    assert not torch.equal(a, b)


def test_the_masked_loss_is_the_models_own(masked: MaskedTexts) -> None:
    model, objective = DistilBertForMaskedLM(tiny_config()).eval(), MaskedWords()
    batch = masked.batch(np.arange(20), 0)
    labels = torch.full_like(batch["input_ids"], IGNORED)
    for row, (where, what) in enumerate(zip(batch["positions"], batch["labels"], strict=True)):
        labels[row, where[what != IGNORED]] = what[what != IGNORED]
    own = model(batch["input_ids"], batch["attention_mask"], labels=labels).loss
    ours = objective.sums(model, batch)["masked"] / objective.counts(batch)["masked"]
    assert ours.item() == pytest.approx(own.item(), rel=1e-5)


# Labels


def test_labels_are_names_or_ids(tmp_path: Path, tokenizer: DistilBertTokenizer) -> None:
    texts = texts_of(tmp_path / "rows.tsv", tokenizer, ["a", "b", "c"])
    ids = targets(texts, [("bad",), ("1",), ("good",)], ["bad", "good"], "single_label_classification")
    assert ids.tolist() == [0, 1, 1]
    sets = targets(texts, [("bad", "1"), (), ("good",)], ["bad", "good"], "multi_label_classification")
    assert sets.tolist() == [[1, 1], [0, 0], [0, 1]]
    assert label_names([("b",), ("a", "c"), ()]) == ["a", "b", "c"]


def test_examples_carry_each_target(tmp_path: Path, tokenizer: DistilBertTokenizer) -> None:
    texts = texts_of(tmp_path / "rows.tsv", tokenizer, sentences(10))
    logits = np.arange(20, dtype=np.float32).reshape(10, 2)
    batch = Examples(texts, {"labels": np.arange(10), "teacher": logits}, Padding(0)).batch(np.array([4, 2]))
    assert batch["labels"].tolist() == [4, 2]
    assert batch["teacher"].tolist() == [[8, 9], [4, 5]]
