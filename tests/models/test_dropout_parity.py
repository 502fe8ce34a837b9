"""Dropout zeroes as many values as it should, each on its own, and keeps the sum that is to be expected."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.9])
def test_so_many_values_are_zero_and_the_others_scaled_in_forward_and_backward(rate: float) -> None:
    import torch

    from distilbert.models.dropout import dropout

    torch.manual_seed(0)
    values = torch.ones(400, 999, requires_grad=True)  # not a multiple of the four values of a draw
    dropped = dropout(values, rate)
    dropped.sum().backward()
    zeros = dropped == 0
    deviation = (rate * (1 - rate) / values.numel()) ** 0.5
    assert zeros.float().mean().item() == pytest.approx(rate, abs=5 * deviation)
    assert torch.equal(dropped.detach(), torch.where(zeros, 0.0, 1 / (1 - rate)))
    assert torch.equal(values.grad, dropped.detach())
    for shift in (1, 2, 3, 4, 999):  # neighbours, among them those of one draw, know nothing of each other
        both = (zeros.flatten()[shift:] & zeros.flatten()[:-shift]).float().mean().item()
        assert both == pytest.approx(rate**2, abs=5 * deviation)


@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3, 7)])
@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_the_seed_decides_and_shape_and_type_stay(shape: tuple[int, ...], kind: str) -> None:
    import torch

    from distilbert.models.dropout import dropout

    values = torch.ones(shape, dtype=getattr(torch, kind))
    torch.manual_seed(3)
    first = dropout(values, 0.5)
    torch.manual_seed(3)
    assert torch.equal(dropout(values, 0.5), first)
    assert (first.shape, first.dtype) == (values.shape, values.dtype)


def test_a_rate_of_zero_keeps_all_and_one_keeps_nothing_and_a_judged_model_drops_nothing() -> None:
    import torch

    from distilbert.models.dropout import Dropout

    values = torch.ones(50)
    assert torch.equal(Dropout(0.0)(values), values)
    assert not Dropout(1.0)(values).any()
    assert torch.equal(Dropout(0.9).eval()(values), values)
