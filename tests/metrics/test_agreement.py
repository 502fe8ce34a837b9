"""What one model keeps of another: flips, logit error and cosine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from distilbert.errors import OptionError
from distilbert.metrics.agreement import LogitError, cosine, flips, logit_error, paired_flips
from distilbert.metrics.classification import accuracy

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LABELS = st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=20).map(np.array)
VECTORS = arrays(np.float64, (4, 3), elements=st.floats(-1e200, 1e200))


@given(LABELS)
def test_flips_are_the_rows_that_are_not_the_same(rows: NDArray[np.int64]) -> None:
    a, b, _ = rows.T
    assert flips(a, b).share == pytest.approx(1 - accuracy(a, b))
    assert flips(a, a).count == 0


def test_a_row_of_several_labels_flips_once() -> None:
    assert flips([[1, 0], [1, 1]], [[0, 1], [1, 1]]).count == 1


@given(LABELS)
def test_paired_flips_add_up_to_the_rows_and_to_the_change_in_accuracy(rows: NDArray[np.int64]) -> None:
    a, b, gold = rows.T
    found = paired_flips(a, b, gold)
    assert found.right_to_wrong + found.wrong_to_right + found.both_right + found.both_wrong == len(rows)
    change = (found.wrong_to_right - found.right_to_wrong) / len(rows)
    assert change == pytest.approx(accuracy(b, gold) - accuracy(a, gold))


def test_a_flip_from_one_wrong_label_to_another_is_no_change() -> None:
    found = paired_flips([1], [2], gold=[0])
    assert (found.both_wrong, found.right_to_wrong, found.wrong_to_right) == (1, 0, 0)


@given(VECTORS, VECTORS)
def test_the_logit_error_is_of_the_sizes_of_the_differences(
    a: NDArray[np.float64], b: NDArray[np.float64]
) -> None:
    found = logit_error(a, b)
    assert found == logit_error(b, a)
    assert 0 <= found.mean <= found.max * (1 + 1e-12)
    assert found.max == np.abs(a - b).max()
    assert logit_error(a, a) == LogitError(0.0, 0.0)


def test_the_logit_error_of_float32_is_measured_in_float64() -> None:
    large = np.float32([3e38])
    assert logit_error(large, -large).max == 2 * float(large[0])  # more than a float32 holds


def test_a_nan_logit_is_not_hidden() -> None:
    assert np.isnan(logit_error([[1.0, float("nan")]], [[1.0, 0.0]]).max)


@given(VECTORS, st.floats(1e-100, 1e100))
def test_cosine_is_one_with_itself_at_any_length_and_zero_for_zeros(
    a: NDArray[np.float64], length: float
) -> None:
    a[np.abs(a) < 1e-100] = 0
    expected = (a != 0).any(axis=1).astype(float)
    assert cosine(a, a * length) == pytest.approx(expected)
    assert cosine(a, -a) == pytest.approx(-expected)


def test_cosine_is_that_of_the_angle() -> None:
    angle = np.linspace(0, np.pi, 7)
    around = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert cosine(around, np.tile([5.0, 0.0], (7, 1))) == pytest.approx(np.cos(angle))


@pytest.mark.parametrize("figure", [flips, lambda a, b: paired_flips(b, a, b), logit_error, cosine])
def test_shapes_that_differ_and_no_rows_are_refused(figure: Callable[..., Any]) -> None:
    with pytest.raises(OptionError, match=r"\[2\] and \[3\]"):
        figure([1, 0], [1, 0, 0])
    with pytest.raises(OptionError):
        figure([], [])


def test_cosine_takes_rows_of_vectors() -> None:
    with pytest.raises(OptionError, match=r"takes \[rows, width\], not \[2\]"):
        cosine([1.0, 2.0], [1.0, 2.0])
