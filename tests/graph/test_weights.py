"""Quantised weights stay within half a step of themselves, and in 7 bits."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from distilbert.graph.weights import WEIGHT_MAX, activation_scale, quantize_rows

magnitudes = st.floats(-1e4, 1e4, width=32).map(lambda value: value if abs(value) > 1e-20 else 0.0)
matrices = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=magnitudes)


@given(matrices)
def test_each_weight_stays_within_half_a_step_of_its_row(matrix: np.ndarray) -> None:
    integers, scale = quantize_rows(matrix)
    assert integers.dtype == np.int8
    assert scale.dtype == np.float32
    assert np.abs(integers).max() <= WEIGHT_MAX
    error = np.abs(integers * scale[:, None].astype(np.float64) - matrix)
    assert (error <= 0.5001 * scale[:, None]).all()


@given(matrices)
def test_a_row_uses_its_own_range_to_the_full_and_no_other_rows(matrix: np.ndarray) -> None:
    integers, scale = quantize_rows(matrix)
    for row, integer, step in zip(matrix, integers, scale, strict=True):
        assert np.abs(integer).max() == (WEIGHT_MAX if row.any() else 0)
        alone, alone_step = quantize_rows(row[None])
        assert (alone[0] == integer).all()
        assert alone_step[0] == step


def test_seven_bits_cannot_saturate_the_sums_of_processors_without_vnni() -> None:
    assert np.iinfo(np.int16).max >= 2 * 255 * WEIGHT_MAX


@given(st.floats(-1e4, 1e4), st.floats(0, 1e4))
def test_zero_is_exact_in_an_activation_and_its_range_within_one_step(low: float, width: float) -> None:
    high = low + width
    scale, zero_point = activation_scale(low, high)
    assert scale.dtype == np.float32
    assert zero_point.dtype == np.uint8
    lowest, highest = (
        (end - int(zero_point)) * float(scale) for end in (0, 255)
    )  # what the 256 steps stand for
    assert lowest <= 0 <= highest
    assert lowest <= low + scale
    assert highest >= high - scale
    wanted = max(high, 0.0) - min(low, 0.0)
    assert highest - lowest <= 1.001 * wanted or (wanted < 1e-30 and scale == 1)
