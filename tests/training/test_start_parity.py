"""What a run starts from says nothing that would have to be unlearned."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from small_runs import knobs
from tiny import tiny_checkpoint

from distilbert.models.pretrained import read_weights
from distilbert.training.finetune import finetune
from distilbert.training.recipe import FinetuneRecipe
from distilbert.training.start import answer_the_usual, classifier, freeze_body, masked_lm

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


@pytest.mark.parametrize(
    ("task", "head"),
    [
        ("fill-mask", {"vocab_transform", "vocab_layer_norm", "vocab_projector"}),
        ("text-classification", {"classifier", "pre_classifier"}),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_frozen_body_keeps_its_weights_to_the_bit_while_its_head_learns(
    tmp_path: Path, task: str, head: set[str]
) -> None:
    recipe = knobs(tmp_path, rows=24, task=task, freeze_body=True, epochs=1, keep="last")
    start = load_file(tmp_path / "start" / "model.safetensors")
    finetune(FinetuneRecipe(**recipe), tmp_path / "out")
    found = load_file(tmp_path / "out" / "model.safetensors")
    body = {name for name in start if name.startswith("distilbert.")}
    assert {name for name in found if name.startswith("distilbert.")} == body
    for name in body:
        assert found[name].tobytes() == start[name].tobytes(), name
    assert {name.split(".")[0] for name in found.keys() - body} == head
    again = FinetuneRecipe(**{**recipe, "learning_rate": 1e-2})
    finetune(again, tmp_path / "other")
    other = load_file(tmp_path / "other" / "model.safetensors")
    assert all((found[name] != other[name]).any() for name in found.keys() - body)


def test_nothing_is_recorded_of_a_frozen_body_and_it_does_not_drop_out(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "start", head="masked-lm", model_type="bert")
    model = masked_lm(read_weights(folder), FinetuneRecipe(model="m", train="t", dropout=0.5))
    freeze_body(model)
    model.train()
    ids = torch.tensor([[2, 40, 50, 60, 3]])
    rows, again = (model.base_model(ids).last_hidden_state for _ in range(2))
    assert not rows.requires_grad
    assert torch.equal(rows, again)
    model(ids).logits.sum().backward()
    trained = {name.split(".")[0] for name, weight in model.named_parameters() if weight.grad is not None}
    assert trained == {"vocab_transform", "vocab_layer_norm", "vocab_projector"}
    assert model.config.dropout == 0.5  # as it will be trained when it is whole
