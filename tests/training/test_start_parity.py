"""What a run starts from says nothing that would have to be unlearned."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from tiny import tiny_checkpoint

from distilbert.models.pretrained import read_weights
from distilbert.training.recipe import FinetuneRecipe
from distilbert.training.start import answer_base_rates, classifier

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.parity
KIND = "multi_label_classification"


def test_a_new_head_for_label_sets_starts_from_how_frequent_they_are_and_a_learned_one_stays(
    tmp_path: Path,
) -> None:
    labels = ["rare", "usual", "never", "always"]
    sets = np.tile(np.array([[0, 1, 0, 1]], np.float32), (100, 1))
    sets[:3, 0], sets[:30, 1] = 1, 0
    folder = tiny_checkpoint(tmp_path / "start", head="none")
    recipe = FinetuneRecipe(model=str(folder), train="rows.csv", problem_type=KIND)
    with warnings.catch_warnings(action="ignore"):
        model = classifier(read_weights(folder), recipe, labels, KIND).eval()
    model.classifier.weight.data.zero_()
    answer_base_rates(model, sets)
    with torch.no_grad():
        said = model(torch.tensor([[1, 5, 6, 2]])).logits.sigmoid()[0].tolist()
    assert said == pytest.approx([0.03, 0.7, 0.0, 1.0], abs=0.011)
    assert 0 < said[2] < said[3] < 1
    before = model.classifier.bias.detach().clone()
    answer_base_rates(model, 1 - sets)
    assert torch.equal(model.classifier.bias, before)
