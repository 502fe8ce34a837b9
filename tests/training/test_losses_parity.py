"""Losses and their gradients, against slow plain references: loops over the equations, and finite differences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from distilbert.training.losses import (
    IGNORED,
    cosine_loss,
    label_loss,
    soft_label_set_loss,
    soft_span_loss,
    soft_target_loss,
    squared_loss,
    token_loss,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

pytestmark = pytest.mark.parity

CLOSE = 1e-6


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)  # a second one costs more than it brings to a dozen numbers


class Drawn(NamedTuple):
    """A student's and a teacher's numbers `[rows, tokens, n]`, chosen tokens `[rows, tokens]`, a temperature."""

    student: Any
    teacher: Any
    where: Any
    temperature: float

    def tensors(self, dtype: torch.dtype = torch.float64) -> Drawn:
        student, teacher = (torch.tensor(values, dtype=dtype) for values in self[:2])
        return Drawn(student.requires_grad_(), teacher, torch.tensor(self.where), self.temperature)


def softmax(logits: Any, temperature: float = 1.0) -> list[float]:
    powers = [math.exp(logit / temperature) for logit in logits]
    return [power / sum(powers) for power in powers]


def kl(p: Any, q: Any) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def softened(student: Any, teacher: Any, temperature: float) -> float:
    return temperature**2 * kl(softmax(teacher, temperature), softmax(student, temperature))


def one_minus_cos(a: Any, b: Any) -> float:
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return 1 - product / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def over_tokens(d: Drawn, cost: Callable[[Any, Any], float]) -> float:
    rows, tokens = np.shape(d.where)
    return sum(
        cost(d.student[i][j], d.teacher[i][j]) for i in range(rows) for j in range(tokens) if d.where[i][j]
    )


def slow_span(d: Drawn) -> float:
    total = 0.0
    for student, teacher, among in zip(d.student, d.teacher, d.where, strict=True):
        if any(among):
            total += softened(student[among, 0], teacher[among, 0], d.temperature)
    return total


def slow_label_set(student: Any, teacher: Any, temperature: float) -> float:
    """Each label as a classifier of two."""
    labels = zip(student, teacher, strict=True)
    return sum(softened((s, 0.0), (t, 0.0), temperature) for s, t in labels) / len(student)


def slow_binary(logits: Any, wanted: Any) -> float:
    chances = [1 / (1 + math.exp(-logit)) for logit in logits]
    return -sum(math.log(c if yes else 1 - c) for c, yes in zip(chances, wanted, strict=True)) / len(logits)


def masked_labels(d: Drawn) -> Tensor:
    return d.teacher.argmax(dim=-1).masked_fill(~d.where, IGNORED)


class Case(NamedTuple):
    ours: Callable[[Drawn], Tensor]
    slow: Callable[[Drawn], float]


TEACHER = {
    "soft targets of chosen tokens": Case(
        lambda d: soft_target_loss(d.student, d.teacher, d.temperature, d.where),
        lambda d: over_tokens(d, lambda s, t: softened(s, t, d.temperature)),
    ),
    "soft spans": Case(
        lambda d: soft_span_loss(d.student[..., 0], d.teacher[..., 0], d.temperature, d.where), slow_span
    ),
    "cosine of chosen tokens": Case(
        lambda d: cosine_loss(d.student, d.teacher, d.where), lambda d: over_tokens(d, one_minus_cos)
    ),
    "squared error of chosen tokens": Case(
        lambda d: squared_loss(d.student, d.teacher, d.where),
        lambda d: over_tokens(d, lambda s, t: sum((s - t) ** 2) / len(s)),
    ),
    "soft label sets": Case(
        lambda d: soft_label_set_loss(d.student[:, 0], d.teacher[:, 0], d.temperature),
        lambda d: over_tokens(only_first(d), lambda s, t: slow_label_set(s, t, d.temperature)),
    ),
}
LABELS = {
    "masked words": Case(
        lambda d: token_loss(d.student, masked_labels(d)),
        lambda d: over_tokens(d, lambda s, t: -math.log(softmax(s)[np.argmax(t)])),
    ),
    "one label": Case(
        lambda d: label_loss(d.student[:, 0], d.teacher[:, 0].argmax(dim=-1), "single_label_classification"),
        lambda d: over_tokens(only_first(d), lambda s, t: -math.log(softmax(s)[np.argmax(t)])),
    ),
    "several labels": Case(
        lambda d: label_loss(
            d.student[:, 0], (d.teacher[:, 0] > 0).to(d.student), "multi_label_classification"
        ),
        lambda d: over_tokens(only_first(d), lambda s, t: slow_binary(s, t > 0)),
    ),
    "a number": Case(
        lambda d: label_loss(d.student[:, 0], d.teacher[:, 0, 0], "regression"),
        lambda d: over_tokens(only_first(d), lambda s, t: (s[0] - t[0]) ** 2),
    ),
}
CASES = TEACHER | LABELS
MASKED = [*TEACHER][:4]


def only_first(d: Drawn) -> Drawn:
    """Of losses over rows: a row is the first token's."""
    where = np.zeros_like(d.where)
    where[:, 0] = True
    return d._replace(where=where)


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4)))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    most = draw(st.sampled_from([1, 8, 64]))  # few numbers are often equal, or all 0
    # eighths: exact in float32, and 0 or far from it
    student, teacher = (random.integers(-most, most, shape, endpoint=True) / 8 for _ in range(2))
    where = random.random(shape[:2]) < draw(st.sampled_from([0.0, 0.5, 1.0]))
    return Drawn(student, teacher, where, draw(st.sampled_from([0.5, 1.0, 2.0, 8.0])))


def slow_gradient(slow: Callable[[Drawn], float], d: Drawn, step: float = 3e-6) -> Any:
    found = np.zeros(d.student.shape)
    for place in np.ndindex(found.shape):
        beside = []
        for sign in (1, -1):
            moved = d.student.copy()
            moved[place] += sign * step
            beside.append(slow(d._replace(student=moved)))
        found[place] = (beside[0] - beside[1]) / (2 * step)
    return found


def gradient(case: Case, tensors: Drawn) -> Tensor:
    return torch.autograd.grad(case.ours(tensors), tensors.student)[0]


@pytest.mark.parametrize("name", CASES)
@given(d=drawn())
def test_values_and_gradients_are_those_of_the_equation(name: str, d: Drawn) -> None:
    case = CASES[name]
    if "cosine" in name:
        assume(d.student.any(axis=-1).all() and d.teacher.any(axis=-1).all())
    value, slope = case.slow(d), slow_gradient(case.slow, d)
    assert case.ours(d.tensors()).item() == pytest.approx(value, abs=CLOSE, rel=CLOSE)
    np.testing.assert_allclose(gradient(case, d.tensors()), slope, atol=CLOSE, rtol=CLOSE)
    # float32 holds seven digits of logits of up to 8, and the loss goes with T times their difference
    single = d.tensors(torch.float32)
    size = 16 * max(1, d.temperature) * d.where.size
    assert case.ours(single).dtype is torch.float32
    assert case.ours(single).item() == pytest.approx(value, abs=CLOSE * size, rel=CLOSE)
    np.testing.assert_allclose(gradient(case, single), slope, atol=CLOSE * d.temperature, rtol=3e-6)


@pytest.mark.parametrize("name", CASES)
@given(d=drawn(), cut=st.integers(0, 3))
def test_the_sums_of_pieces_are_the_sum_of_the_whole(name: str, d: Drawn, cut: int) -> None:
    ours, whole = CASES[name].ours, d.tensors()
    halves = slice(None, cut), slice(cut, None)
    pieces = [Drawn(*(part[half] for part in whole[:3]), d.temperature) for half in halves]
    assert sum(ours(piece).item() for piece in pieces) == pytest.approx(ours(whole).item(), abs=1e-9)


@pytest.mark.parametrize("name", TEACHER)
@given(d=drawn())
def test_a_student_that_is_its_teacher_costs_nothing_and_stays(name: str, d: Drawn) -> None:
    assume("cosine" not in name or d.teacher.any(axis=-1).all())
    same = d._replace(student=d.teacher).tensors(torch.float32)
    assert TEACHER[name].ours(same).item() == 0
    torch.testing.assert_close(
        gradient(TEACHER[name], same), torch.zeros_like(same.student), atol=CLOSE, rtol=0
    )


@pytest.mark.parametrize("name", ["soft targets of chosen tokens", "soft spans", "masked words"])
@given(d=drawn(), constant=st.floats(-50, 50))
def test_a_constant_added_to_logits_changes_nothing(name: str, d: Drawn, constant: float) -> None:
    ours = CASES[name].ours
    shifted = d._replace(student=d.student + constant, teacher=d.teacher + constant / 3)
    assert ours(shifted.tensors()).item() == pytest.approx(ours(d.tensors()).item(), abs=1e-9)


@pytest.mark.parametrize("name", MASKED)
@given(d=drawn(), strange=st.sampled_from([math.nan, math.inf, -math.inf, 1e30]))
def test_what_is_not_chosen_may_be_anything_and_has_no_gradient(name: str, d: Drawn, strange: float) -> None:
    ours = CASES[name].ours
    student = d.student.copy()
    student[~d.where] = strange
    teacher = d.teacher.copy()
    teacher[~d.where] = strange
    changed = d._replace(student=student, teacher=teacher).tensors()
    assert ours(changed).item() == ours(d.tensors()).item()
    assert not gradient(CASES[name], changed)[~changed.where].any()


@pytest.mark.parametrize("name", CASES)
def test_under_bfloat16_autocast_they_still_compute_in_float32(name: str) -> None:
    random = np.random.default_rng(0)
    d = Drawn(*random.normal(0, 3, (2, 4, 5, 7)), random.random((4, 5)) < 0.5, 2.0)
    half = d.tensors(torch.bfloat16)
    exact = half._replace(student=half.student.double(), teacher=half.teacher.double())
    with torch.autocast("cpu", torch.bfloat16):
        found = CASES[name].ours(half)
    assert found.dtype is torch.float32
    assert found.item() == pytest.approx(CASES[name].ours(exact).item(), rel=CLOSE)


@pytest.mark.parametrize(
    "name", [name for name in CASES if name not in ("a number", "squared error of chosen tokens")]
)
@pytest.mark.parametrize("temperature", [0.1, 10.0])
def test_huge_logits_give_numbers(name: str, temperature: float) -> None:
    student = torch.tensor([[[1e4, -1e4, 0.0]]], requires_grad=True)
    d = Drawn(student, -student.detach(), torch.tensor([[True]]), temperature)
    assert CASES[name].ours(d).isfinite()
    assert gradient(CASES[name], d).isfinite().all()


def test_a_state_of_zeros_or_nearly_so_counts_as_at_right_angles_and_has_no_gradient() -> None:
    student = torch.tensor([[0.0, 0.0], [3.0, 4.0], [1e-10, 0.0]], requires_grad=True)
    teacher = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    loss = cosine_loss(student, teacher)
    loss.backward()
    assert loss.item() == 3
    assert not student.grad.any()


def test_small_angles_keep_their_digits() -> None:
    """1 - cos of an angle a is a² / 2, which float32 cannot tell from 0 where it computes cos first."""
    loss = cosine_loss(torch.tensor([[1.0, 1e-5]]), torch.tensor([[1.0, 0.0]]))
    assert loss.item() == pytest.approx(0.5e-10, rel=1e-4)


def test_worked_examples() -> None:
    """With T = 2, logits of 2 ln 3 and 0 are chances of 3/4 and 1/4, and equal logits are 1/2 and 1/2.

    KL is 3/4 ln(3/2) + 1/4 ln(1/2) = 0.130812, and T² times it 0.523248.
    """
    teacher, student = torch.tensor([[2 * math.log(3), 0.0]]), torch.tensor([[5.0, 5.0]])
    assert soft_target_loss(student, teacher, 2.0).item() == pytest.approx(0.523248, abs=CLOSE)
    # the same for the first of two labels, where the second is agreed on: half of it
    two = torch.tensor([[2 * math.log(3), -1.0]]), torch.tensor([[0.0, -1.0]])
    assert soft_label_set_loss(two[1], two[0], 2.0).item() == pytest.approx(0.261624, abs=CLOSE)
    # and for an answer that starts at the first or second token, where the third is padding
    padded = torch.tensor([[2 * math.log(3), 0.0, 9.0]]), torch.tensor([[5.0, 5.0, 7.0]])
    among = torch.tensor([[True, True, False]])
    assert soft_span_loss(padded[1], padded[0], 2.0, among).item() == pytest.approx(0.523248, abs=CLOSE)
    # (3, 4) · (4, 3) = 24, over 5 · 5
    assert cosine_loss(torch.tensor([[3.0, 4.0]]), torch.tensor([[4.0, 3.0]])).item() == pytest.approx(0.04)
    # ((1 - 3)² + (2 - 5)²) / 2
    assert squared_loss(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 5.0]])).item() == 6.5
