"""Gradients of embedding tables that are kept from step to step are those that PyTorch makes anew."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from bundles import sentences
from corpora import corpus_of
from packed import packed
from tiny import tiny_checkpoint, tiny_config

from distilbert.models import model_class
from distilbert.models.pretrained import read_weights
from distilbert.training.gradients import TableGradients
from distilbert.training.triple import Guesser, TripleLoss

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("head", ["sequence-classification", "masked-lm"])
@pytest.mark.parametrize("family", ["distilbert", "bert"])
@pytest.mark.parametrize("pieces", [1, 3])
def test_every_step_has_the_gradients_that_pytorch_makes(
    tmp_path: Path, family: Any, head: Any, pieces: int
) -> None:
    checkpoint = read_weights(tiny_checkpoint(tmp_path / "model", model_type=family, head=head))
    theirs = model_class(family, head).from_checkpoint(checkpoint).eval()
    ours = copy.deepcopy(theirs)
    tables = TableGradients(ours)
    draw = torch.Generator().manual_seed(0)
    for _ in range(4):  # each step reads other rows, and some of them twice
        for _ in range(pieces):
            texts = torch.randint(0, 40, (3, 7), generator=draw)  # 0 is padding
            for model in (theirs, ours):
                model(input_ids=texts).logits.square().mean().backward()
        tables.fill()
        for name, parameter in theirs.named_parameters():
            found = ours.get_parameter(name).grad
            assert (found is None) == (parameter.grad is None), name
            if found is not None:
                assert torch.allclose(found, parameter.grad, atol=1e-7, rtol=1e-5), name
                found.mul_(0.5)  # as clipping does, in place
        theirs.zero_grad(set_to_none=True)
        ours.zero_grad(set_to_none=True)


@pytest.mark.parametrize(
    "weights",
    [
        {"soft": 5.0, "masked": 2.0, "cosine": 1.0},
        {"masked": 1.0},
        {"cosine": 1.0},
    ],  # last: tied words unscored
    ids="+".join,
)
@pytest.mark.parametrize("ties", [True, False])
def test_packed_rows_have_the_gradients_that_pytorch_makes(weights: dict[str, float], ties: bool) -> None:
    """Positions begin anew in each text, and the words' table is the head's projection too, unless untied."""
    config = tiny_config(initializer_range=0.2, extra={"tie_word_embeddings": ties})
    theirs, teacher = (Guesser(model_class("distilbert", "masked-lm")(config)).eval() for _ in range(2))
    ours = copy.deepcopy(theirs)
    tables, objective = TableGradients(ours), TripleLoss(weights, teacher)
    data = packed(corpus_of(sentences(40, longest=12)), share=0.3)
    for rows in np.array_split(np.arange(len(data.lengths)), 3):
        for some in np.array_split(rows, 2):
            for who in (theirs, ours):
                sum(objective.sums(who, data.batch(some, 0)).values()).backward()
        tables.fill()
        for name, parameter in theirs.named_parameters():
            found = ours.get_parameter(name).grad
            assert (found is None) == (parameter.grad is None), name
            if found is not None:
                torch.testing.assert_close(found, parameter.grad, atol=1e-5, rtol=1e-5)
        theirs.zero_grad(set_to_none=True)
        ours.zero_grad(set_to_none=True)


def test_a_table_s_gradient_is_the_same_memory_in_every_step(tmp_path: Path) -> None:
    checkpoint = read_weights(tiny_checkpoint(tmp_path / "model"))
    model = model_class("distilbert", checkpoint.head).from_checkpoint(checkpoint)
    tables, places = TableGradients(model), set()
    words = model.base_model.embeddings.word_embeddings.weight
    for _ in range(3):
        model(input_ids=torch.tensor([[1, 5, 2]])).logits.sum().backward()
        tables.fill()
        assert words.grad is not None
        places.add(words.grad.data_ptr())
        model.zero_grad(set_to_none=True)
    assert len(places) == 1
