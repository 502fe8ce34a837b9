"""What a run starts from says nothing that would have to be unlearned."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from tiny import tiny_checkpoint

from distilbert.models.pretrained import read_weights
from distilbert.training.recipe import FinetuneRecipe
from distilbert.training.start import answer_the_usual, classifier

if TYPE_CHECKING:
    from pathlib import Path

    from distilbert.models.pretrained import PretrainedModel

pytestmark = pytest.mark.parity
NAMES = ["rare", "usual", "never", "always"]
SETS = np.tile(np.array([[0, 1, 0, 1]], np.float32), (100, 1))
SETS[:3, 0], SETS[:30, 1] = 1, 0
NUMBERS = np.array([1, 2, 6], np.float32)


def started(folder: Path, names: list[str], kind: Any) -> PretrainedModel:
    recipe = FinetuneRecipe(model=str(folder), train="rows.csv", problem_type=kind)
    with warnings.catch_warnings(action="ignore"):
        model = classifier(read_weights(folder), recipe, names, kind).eval()
    model.classifier.weight.data.zero_()  # so that the bias alone answers
    return model


@pytest.mark.parametrize(
    ("kind", "names", "targets", "usual"),
    [
        ("multi_label_classification", NAMES, SETS, [-3.2, 0.83, -4.62, 4.62]),
        ("regression", ["stars"], NUMBERS, [3.0]),
        ("single_label_classification", ["no", "yes"], np.array([1, 1, 0]), [0.0, 0.0]),
    ],
)
def test_a_new_head_begins_with_the_best_constant_answer_and_a_learned_one_stays(
    tmp_path: Path, kind: Any, names: list[str], targets: Any, usual: list[float]
) -> None:
    model = started(tiny_checkpoint(tmp_path / "start", head="none"), names, kind)
    answer_the_usual(model, targets, kind)
    with torch.no_grad():
        said = model(torch.tensor([[1, 5, 6, 2]])).logits[0].tolist()
    assert said == pytest.approx(usual, abs=0.01)
    model.classifier.bias.data.add_(1)
    before = model.classifier.bias.detach().clone()
    answer_the_usual(model, 1 - targets, kind)
    assert torch.equal(model.classifier.bias, before)
