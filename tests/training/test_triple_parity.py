"""The triple loss: the published definition, on numbers derived by hand and by a slow reference; what it costs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from tiny import VOCABULARY, tiny_config
from torch import Tensor, nn

from distilbert.models import model_class
from distilbert.training.losses import IGNORED
from distilbert.training.triple import Guesser, Guesses, TripleLoss

pytestmark = pytest.mark.parity

RELEASED = {"soft": 5.0, "masked": 2.0, "cosine": 1.0}


class Says(nn.Module):
    """Answers with given logits `[rows, length, vocabulary]` and states `[rows, length, width]`."""

    def __init__(self, logits: Tensor, states: Tensor) -> None:
        super().__init__()
        self.logits, self.states = nn.Parameter(logits.double()), nn.Parameter(states.double())

    def forward(self, *, chosen: Tensor, pieces: Tensor, **_: Any) -> Guesses:
        return Guesses(self.logits[chosen], self.states[pieces > 0])


def batch_of(labels: list[list[int]], pieces: list[list[int]]) -> dict[str, Tensor]:
    zeros = torch.zeros(len(labels), len(labels[0]), dtype=torch.long)
    return {
        "labels": torch.tensor(labels),
        "pieces": torch.tensor(pieces),
        "input_ids": zeros,
        "position_ids": zeros,
    }


def loss_of(objective: TripleLoss, student: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    sums, counts = objective.sums(student, batch), objective.counts(batch)
    return torch.stack([objective.weights[name] * sums[name] / counts[name] for name in sums]).sum()


def example() -> tuple[Says, Says, dict[str, Tensor]]:
    """Two real tokens and padding; a vocabulary of two words; the first token is masked, and was word 0.

    Teacher: 2 ln 3 and 0, then 0 and 0. Student: 0 and 0, then 2 ln 3 and 0. States (3, 4) and (4, 3), then equal.
    What stands at the padding is absurd on purpose.
    """
    sure, unsure, absurd = [2 * math.log(3), 0.0], [0.0, 0.0], [1e4, -1e4]
    teacher = Says(
        torch.tensor([[sure, unsure, absurd]]), torch.tensor([[[3.0, 4.0], [1.0, 0.0], [9.0, 9.0]]])
    )
    student = Says(
        torch.tensor([[unsure, sure, [0.0, 0.0]]]), torch.tensor([[[4.0, 3.0], [2.0, 0.0], [-9.0, 9.0]]])
    )
    return student, teacher, batch_of([[0, IGNORED, IGNORED]], [[1, 1, 0]])


def test_the_worked_example_of_the_released_loss() -> None:
    """At T 2, logits 2 ln 3 and 0 are chances 3/4 and 1/4; equal ones 1/2 and 1/2.

    KL at the first token: 3/4 ln(3/2) + 1/4 ln(1/2) = 0.13081204; at the second, p and q the other way round:
    1/2 ln(2/3) + 1/2 ln 2 = 0.14384104. Mean over both tokens, as "batchmean" of the selected ones: 0.13732654.
    Cross entropy of word 0 at the masked token: ln 2 = 0.69314718, a mean over one. 1 - cos: 1 - 24/25 = 0.04 at the
    first, 0 at the second: 0.02. In all 5 · 4 · 0.13732654 + 2 · 0.69314718 + 0.02 = 4.1528251; of masked tokens only
    the first is: 5 · 4 · 0.13081204 + 1.38629436 + 0.02 = 4.0225351.
    """
    student, teacher, batch = example()
    for soft_on, expected in (("all", 4.1528251), ("masked", 4.0225351)):
        objective = TripleLoss(RELEASED, teacher, 2.0, soft_on)
        assert loss_of(objective, student, batch).item() == pytest.approx(expected, abs=1e-6)


def test_the_gradient_of_the_worked_example() -> None:
    """T² · KL has the slope T (q - p) by a logit, over two tokens 2 · (1/2 - 3/4) / 2 = -1/4 at the first; times 5.

    Cross entropy adds 2 · (1/2 - 1) = -1 there: -2.25. At the second, q - p is 3/4 - 1/2: 5 · 2 · 1/4 / 2 = 1.25.
    The slope of 1 - cos by a = (4, 3) is -(b/|b| - cos · a/|a|) / |a| = -((0.6, 0.8) - 0.96 (0.8, 0.6)) / 5 =
    (0.0336, -0.0448), and half of it, as one of two tokens.
    """
    student, teacher, batch = example()
    loss_of(TripleLoss(RELEASED, teacher), student, batch).backward()
    np.testing.assert_allclose(student.logits.grad[0], [[-2.25, 2.25], [1.25, -1.25], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(student.states.grad[0], [[0.0168, -0.0224], [0, 0], [0, 0]], atol=1e-6)
    assert teacher.logits.grad is None


def slow(student: Says, teacher: Says, batch: dict[str, Tensor], temperature: float, soft_on: str) -> float:
    """The published script's three parts, a token at a time."""
    soft, masked, cosine = [], [], []
    rows, length = batch["labels"].shape
    for row in range(rows):
        for place in range(length):
            if batch["pieces"][row, place] == 0:
                continue
            ours, theirs = (who.logits[row, place].tolist() for who in (student, teacher))
            label = int(batch["labels"][row, place])
            if soft_on == "all" or label != IGNORED:
                p, q = chances(theirs, temperature), chances(ours, temperature)
                soft.append(temperature**2 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
            if label != IGNORED:
                masked.append(-math.log(chances(ours, 1.0)[label]))
            a, b = student.states[row, place].tolist(), teacher.states[row, place].tolist()
            cosine.append(1 - sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b))
    return 5 * float(np.mean(soft)) + 2 * float(np.mean(masked)) + float(np.mean(cosine))


def chances(logits: list[float], temperature: float) -> list[float]:
    powers = [math.exp(logit / temperature) for logit in logits]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("soft_on", ["all", "masked"])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_values_and_gradients_are_those_of_a_slow_plain_reference(soft_on: Any, temperature: float) -> None:
    draw = torch.Generator().manual_seed(0)

    def says() -> Says:
        return Says(*(torch.randn(2, 4, n, generator=draw, dtype=torch.float64) for n in (5, 3)))

    student, teacher = says(), says()
    batch = batch_of([[IGNORED, 3, IGNORED, 0], [1, IGNORED, IGNORED, IGNORED]], [[1, 1, 2, 2], [1, 1, 0, 0]])
    loss = loss_of(TripleLoss(RELEASED, teacher, temperature, soft_on), student, batch)
    assert loss.item() == pytest.approx(slow(student, teacher, batch, temperature, soft_on), abs=1e-9)
    loss.backward()
    step = 1e-6
    for values in (student.logits, student.states):
        with torch.no_grad():
            for place in np.ndindex(*values.shape):
                kept, beside = float(values[place]), []
                for sign in (1, -1):
                    values[place] = kept + sign * step
                    beside.append(slow(student, teacher, batch, temperature, soft_on))
                values[place] = kept
                slope = (beside[0] - beside[1]) / (2 * step)
                assert values.grad[place].item() == pytest.approx(slope, abs=1e-6)


# What a part costs


def counted(model: nn.Module, calls: list[tuple[str, int]], who: str) -> Guesser:
    """A guesser that notes each call of its body and its head, and of how many tokens the latter."""
    guesser = Guesser(model)
    model.base_model.register_forward_hook(lambda *_: calls.append((f"{who} body", 0)))
    model.vocab_projector.register_forward_hook(
        lambda _, inputs, __: calls.append((f"{who} head", len(inputs[0])))
    )
    return guesser


BODY = [("student body", 0)]
COSTS: dict[str, tuple[dict[str, float], str, bool, list[tuple[str, int]]]] = {
    "all of them": (
        RELEASED,
        "all",
        True,
        [*BODY, ("student head", 6), ("teacher body", 0), ("teacher head", 6)],
    ),
    "masked tokens only": (
        RELEASED,
        "masked",
        True,
        [*BODY, ("student head", 2), ("teacher body", 0), ("teacher head", 2)],
    ),
    "without soft": (
        {"masked": 2.0, "cosine": 1.0},
        "all",
        True,
        [*BODY, ("student head", 2), ("teacher body", 0)],
    ),
    "without masked": (
        {"soft": 5.0, "cosine": 1.0},
        "all",
        True,
        [*BODY, ("student head", 6), ("teacher body", 0), ("teacher head", 6)],
    ),
    "cosine alone": ({"cosine": 1.0}, "all", True, [*BODY, ("teacher body", 0)]),
    "masked alone": ({"masked": 1.0}, "all", False, [*BODY, ("student head", 2)]),
}


@pytest.mark.parametrize("name", COSTS)
def test_a_part_without_weight_costs_no_work(name: str) -> None:
    weights, soft_on, has_teacher, expected = COSTS[name]
    calls: list[tuple[str, int]] = []
    student, teacher = (
        counted(model_class("distilbert", "masked-lm")(tiny_config()), calls, who)
        for who in ("student", "teacher")
    )
    batch = batch_of(
        [[IGNORED, 40, IGNORED, IGNORED], [41, IGNORED, IGNORED, IGNORED]], [[1, 1, 2, 2], [1, 1, 0, 0]]
    )
    objective = TripleLoss(weights, teacher if has_teacher else None, 2.0, soft_on)  # type: ignore[arg-type]
    sums = objective.sums(student, batch)
    assert sums.keys() == weights.keys() == objective.counts(batch).keys()
    assert calls == expected


def test_a_batch_without_a_masked_token_costs_nothing_and_is_no_fault() -> None:
    student, teacher = (Guesser(model_class("distilbert", "masked-lm")(tiny_config())) for _ in range(2))
    batch = batch_of([[IGNORED] * 4], [[1, 1, 2, 2]])
    objective = TripleLoss(RELEASED, teacher, 2.0, "masked")
    sums = objective.sums(student, batch)
    assert objective.counts(batch) == {"soft": 0, "masked": 0, "cosine": 4}
    assert (sums["soft"].item(), sums["masked"].item()) == (0, 0)
    sum(sums.values()).backward()
    assert all(
        parameter.grad is not None and parameter.grad.isfinite().all() for parameter in student.parameters()
    )


def test_a_narrower_student_is_compared_through_a_projection_that_is_not_saved(tmp_path: Any) -> None:
    student = Guesser(model_class("distilbert", "masked-lm")(tiny_config(dim=16)), width=32, seed=3)
    teacher = Guesser(model_class("bert", "masked-lm")(tiny_config(model_type="bert")))
    batch = batch_of([[IGNORED, 7, IGNORED, IGNORED]], [[1, 1, 1, 1]])
    loss_of(TripleLoss(RELEASED, teacher), student, batch).backward()
    assert student.projection.weight.grad.abs().sum() > 0
    student.save_pretrained(tmp_path / "student")
    again = model_class("distilbert", "masked-lm").from_pretrained(tmp_path / "student")
    assert again.config.vocab_size == len(VOCABULARY)
