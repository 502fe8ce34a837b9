"""Texts side by side in rows: nothing is lost, little is padding, and nobody sees a neighbour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from bundles import sentences
from corpora import SmallCorpus, corpus_of, tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from packed import CLS, MASK, SEP, SPECIAL, packed
from tiny import VOCABULARY, tiny_config

from distilbert.errors import DataError
from distilbert.models import model_class
from distilbert.training.losses import IGNORED
from distilbert.training.packing import pack
from distilbert.training.triple import Guesser, TripleLoss

if TYPE_CHECKING:
    from torch import Tensor

    from distilbert.training.packing import PackedTexts, Packing

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def data() -> PackedTexts:
    return packed(corpus_of(sentences(500, longest=30)))


# Rows


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=60).filter(any), st.integers(3, 20), st.integers(0, 3)
)
def test_each_token_of_each_text_stands_in_one_row_of_at_most_so_many(
    lengths: list[int], max_length: int, seed: int
) -> None:
    packing = pack(np.arange(100, 100 + len(lengths)), np.array(lengths), max_length, seed)
    found = sorted(
        (int(text), token)
        for text, start, size in zip(packing.text, packing.start, packing.size, strict=True)
        for token in range(start, start + size)
    )
    assert found == [(100 + text, token) for text, length in enumerate(lengths) for token in range(length)]
    assert packing.ends[-1] == len(packing.text)
    assert packing.lengths.max() <= max_length
    assert packing.size.min() > 0
    again = pack(np.arange(100, 100 + len(lengths)), np.array(lengths), max_length, seed)
    assert all(np.array_equal(*pair) for pair in zip(parts(packing), parts(again), strict=True))


def parts(packing: Packing) -> list[Any]:
    return [packing.text, packing.start, packing.size, packing.ends]


@pytest.mark.parametrize("max_length", [64, 128, 512])
def test_almost_nothing_is_padding(max_length: int) -> None:
    lengths = np.random.default_rng(0).lognormal(4, 1, 20_000).astype(np.int64)  # of paragraphs
    packing = pack(np.arange(len(lengths)), lengths, max_length, seed=0)
    assert packing.lengths.sum() / (len(packing.lengths) * max_length) >= 0.998


def test_another_seed_packs_other_texts_together() -> None:
    lengths = np.random.default_rng(0).integers(1, 40, 500)
    a, b = (pack(np.arange(500), lengths, 64, seed) for seed in (0, 1))
    assert not np.array_equal(a.text, b.text)
    assert sorted(a.text) == sorted(b.text)


def test_texts_without_tokens_are_nothing_to_learn_from() -> None:
    with pytest.raises(DataError, match="all are empty"):
        pack(np.arange(2), np.zeros(2, np.int64), 8, seed=0)


# Batches


def test_a_row_is_its_pieces_one_after_the_other_each_framed_with_positions_from_0() -> None:
    texts = [50, 51, 52, 53, 54, 55, 56], [60], [70, 71, 72]
    data = packed(SmallCorpus(texts), max_length=7, share=0.0)
    batch = data.batch(np.array([0, 1, 2]), 0)
    assert batch["input_ids"].tolist() == [
        [CLS, 50, 51, 52, 53, 54, SEP],
        [CLS, 70, 71, 72, SEP, 0, 0],
        [CLS, 55, 56, SEP, CLS, 60, SEP],
    ]
    assert batch["pieces"].tolist() == [[1] * 7, [1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 2, 2, 2]]
    assert batch["position_ids"].tolist() == [[*range(7)], [0, 1, 2, 3, 4, 0, 0], [0, 1, 2, 3, 0, 1, 2]]
    assert (batch["labels"] == IGNORED).all()


def test_a_share_of_words_is_guessed_as_bert_does_and_special_tokens_never(data: PackedTexts) -> None:
    rows = np.arange(len(data.lengths))
    batch, plain = data.batch(rows, 0), packed(data.corpus, share=0.0).batch(rows, 0)["input_ids"]
    guessed = batch["labels"] != IGNORED
    assert torch.equal(plain[guessed], batch["labels"][guessed])
    assert not torch.isin(plain[guessed], torch.tensor(SPECIAL)).any()
    assert torch.equal(plain[~guessed], batch["input_ids"][~guessed])
    words = int((~torch.isin(plain, torch.tensor(SPECIAL))).sum())
    assert guessed.sum().item() / words == pytest.approx(0.15, abs=0.02)
    after = batch["input_ids"][guessed]
    assert (after == MASK).float().mean().item() == pytest.approx(0.8, abs=0.05)
    assert (after == plain[guessed]).float().mean().item() == pytest.approx(0.1, abs=0.04)


def test_a_piece_is_masked_alike_wherever_it_is_packed_and_otherwise_in_another_epoch(
    data: PackedTexts,
) -> None:
    elsewhere = packed(data.corpus)
    object.__setattr__(elsewhere, "packing", pack(np.arange(500), data.corpus.lengths, 24, seed=7))
    first, moved, later = (pieces_of(which, epoch) for which, epoch in ((data, 0), (elsewhere, 0), (data, 1)))
    assert first == moved
    assert first.keys() == later.keys()
    assert first != later


def pieces_of(data: PackedTexts, epoch: int) -> dict[tuple[int, int], list[int]]:
    found = {}
    for row in range(len(data.lengths)):
        batch = data.batch(np.array([row]), epoch)
        for number, piece in enumerate(data.packing.row(row), start=1):
            here = batch["pieces"][0] == number
            name = int(data.packing.text[piece]), int(data.packing.start[piece])
            found[name] = batch["input_ids"][0][here].tolist()
    return found


def test_a_bad_row_is_told_as_its_texts(data: PackedTexts) -> None:
    lines = sentences(500, longest=30)
    for original in data.originals(np.array([0, 3])):
        said = original["text"].replace(" ", "")
        assert said in tokenizer().decode(data.corpus.text_ids(original["number"])).replace(" ", "")
        assert lines[original["number"]]


# Nobody sees a neighbour


def models(width: int = 32) -> tuple[Guesser, Guesser]:
    """A student, and a BERT as its teacher, that do not drop out."""
    torch.manual_seed(0)
    still = {"dropout": 0.0, "attention_dropout": 0.0, "initializer_range": 0.2}
    student = model_class("distilbert", "masked-lm")(tiny_config(**still, dim=width))
    teacher = model_class("bert", "masked-lm")(tiny_config(**still, model_type="bert"))
    return Guesser(student, 32).train(), Guesser(teacher).train()


def losses(data: PackedTexts, rows: Any, who: Guesser, objective: TripleLoss) -> dict[str, Tensor]:
    batch = data.batch(np.asarray(rows), 0)
    sums, counts = objective.sums(who, batch), objective.counts(batch)
    return {name: torch.stack([sums[name].double(), torch.tensor(float(counts[name]))]) for name in sums}


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.lists(st.integers(5, len(VOCABULARY) - 1), min_size=1, max_size=30), min_size=2, max_size=12),
    st.sampled_from(["student", "teacher"]),
    st.sampled_from(["all", "masked"]),
)
def test_packed_rows_give_the_losses_and_gradients_of_single_texts(
    texts: list[list[int]], trained: str, soft_on: Any
) -> None:
    """Each piece alone in its row, without padding, and through the usual mask, is what packing must equal."""
    student, teacher = models()
    who, other = (student, teacher) if trained == "student" else (teacher, student)
    objective = TripleLoss({"soft": 5.0, "masked": 2.0, "cosine": 1.0}, other, 2.0, soft_on)
    together = packed(SmallCorpus(texts), max_length=24, share=0.4)
    alone = packed(SmallCorpus(texts), max_length=24, share=0.4)
    split = pack(np.arange(len(texts)), together.corpus.lengths, 24, seed=1)
    object.__setattr__(split, "ends", np.arange(len(split.text) + 1))
    object.__setattr__(alone, "packing", split)
    found = []
    for data, batches in (
        (together, [np.arange(len(together.lengths))]),
        (alone, np.arange(len(split.text))[:, None]),
    ):
        who.zero_grad()
        pieces = [losses(data, rows, who, objective) for rows in batches]
        totals = {name: sum(piece[name] for piece in pieces) for name in objective.weights}
        loss = sum(
            objective.weights[name] * total[0] / total[1].clamp(min=1) for name, total in totals.items()
        )
        loss.backward()
        slopes = {name: p.grad.clone() for name, p in who.named_parameters() if p.grad is not None}
        found.append(({name: total[0] / total[1].clamp(min=1) for name, total in totals.items()}, slopes))
    (values, slopes), (values_alone, slopes_alone) = found
    assert slopes.keys() == slopes_alone.keys()
    for name, value in values.items():
        assert value.item() == pytest.approx(values_alone[name].item(), abs=1e-5, rel=1e-5)
    for name, slope in slopes.items():
        torch.testing.assert_close(slope, slopes_alone[name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", ["distilbert", "bert"])
@pytest.mark.parametrize("want_shares", [False, True])
def test_a_packed_row_reads_as_texts_do_through_the_usual_mask(
    data: PackedTexts, family: str, want_shares: bool
) -> None:
    torch.manual_seed(0)
    model = model_class(family, "masked-lm")(tiny_config(model_type=family, initializer_range=0.2)).eval()
    batch = data.batch(np.arange(4), 0)
    own = batch["pieces"][:, :, None] == batch["pieces"][:, None, :]
    with torch.no_grad():
        rows = model(
            batch["input_ids"], own, position_ids=batch["position_ids"], output_attentions=want_shares
        )
        for row in range(4):
            for number in range(1, int(batch["pieces"][row].max()) + 1):
                here = batch["pieces"][row] == number
                text = batch["input_ids"][row][here][None]
                alone = model(text, torch.ones_like(text)).logits[0]
                torch.testing.assert_close(rows.logits[row][here], alone, atol=1e-5, rtol=0)
    if want_shares:
        assert not rows.attentions[0].masked_select(~own[:, None]).any()


def test_a_classifier_takes_such_a_mask_too() -> None:
    """The first token's row alone, as `only_first` has it, sees whom the mask says."""
    torch.manual_seed(0)
    model = model_class("distilbert", "sequence-classification")(tiny_config(initializer_range=0.2)).eval()
    ids = torch.tensor([[CLS, 40, 50, SEP, 60, 61]])
    mask = torch.zeros(1, 6, 6, dtype=torch.long)
    mask[:, :, :4] = 1
    with torch.no_grad():
        torch.testing.assert_close(model(ids, mask).logits, model(ids[:, :4]).logits, atol=1e-6, rtol=0)
