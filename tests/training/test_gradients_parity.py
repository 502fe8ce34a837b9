"""Gradients of embedding tables that are kept from step to step are those that PyTorch makes anew."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tiny import tiny_checkpoint

from distilbert.models import model_class
from distilbert.models.pretrained import read_weights
from distilbert.training.gradients import TableGradients

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
