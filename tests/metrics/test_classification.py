"""Figures of predictions: worked examples, and what must hold for any labels and scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from distilbert.errors import OptionError
from distilbert.metrics.classification import (
    accuracy,
    confusion,
    correct,
    f1,
    mean_squared_error,
    pearson,
    spearman,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Pair = tuple["NDArray[Any]", "NDArray[Any]"]


@st.composite
def two(draw: st.DrawFn, elements: st.SearchStrategy[Any], dtype: type, dimensions: int = 1) -> Pair:
    shape = draw(array_shapes(min_dims=dimensions, max_dims=dimensions, max_side=12))
    return draw(arrays(dtype, shape, elements=elements)), draw(arrays(dtype, shape, elements=elements))


IDS = two(st.integers(0, 3), np.int64)
MATRICES = two(st.integers(0, 1), np.int64, dimensions=2)
SCORES = two(st.floats(-1e150, 1e150), np.float64)


@given(IDS)
def test_the_diagonal_of_the_confusion_is_what_is_right(pair: Pair) -> None:
    counts = confusion(*pair, n=4)
    assert counts.sum() == len(pair[0])
    assert np.trace(counts) == correct(*pair).sum()
    assert (counts.sum(axis=1) == np.bincount(pair[1], minlength=4)).all()


@given(IDS)
def test_micro_f1_of_one_label_a_row_is_accuracy(pair: Pair) -> None:
    assert f1(*pair, "micro") == accuracy(*pair)


@given(IDS)
def test_macro_f1_is_the_mean_of_the_binary_f1_of_labels_that_occur(pair: Pair) -> None:
    each = [f1(*pair, positive=label) for label in np.union1d(*pair)]
    assert f1(*pair, "macro") == pytest.approx(np.mean(each))


@given(IDS, st.sampled_from(["binary", "macro", "micro"]))
def test_f1_is_the_same_with_the_sides_exchanged(pair: Pair, average: str) -> None:
    assert f1(*pair, average) == f1(*pair[::-1], average)
    assert 0 <= f1(*pair, average) <= 1


@given(MATRICES)
def test_macro_f1_of_a_matrix_is_the_mean_over_its_columns(pair: Pair) -> None:
    each = [f1(ours, theirs) for ours, theirs in zip(pair[0].T, pair[1].T, strict=True)]
    assert f1(*pair, "macro") == pytest.approx(np.mean(each))


@given(MATRICES)
def test_micro_f1_of_a_matrix_is_the_binary_f1_of_all_its_cells(pair: Pair) -> None:
    assert f1(*pair, "micro") == f1(pair[0].ravel(), pair[1].ravel())


@given(MATRICES)
def test_a_row_of_several_labels_is_right_if_all_of_them_are(pair: Pair) -> None:
    assert correct(*pair).tolist() == [list(a) == list(b) for a, b in zip(*pair, strict=True)]


def test_f1_is_zero_where_nothing_is_there_to_find() -> None:
    assert f1([0, 0], [0, 0]) == 0.0
    assert f1([[0], [0]], [[0], [0]], "micro") == 0.0


@pytest.mark.parametrize("correlation", [pearson, spearman])
@given(pair=SCORES)
def test_a_correlation_is_symmetric_and_between_minus_one_and_one_or_nan(
    correlation: Callable[..., float], pair: Pair
) -> None:
    with np.errstate(divide="raise", invalid="raise"):
        value = correlation(*pair)
    constant = any(len(set(side)) == 1 for side in pair)
    assert np.isnan(value) == constant
    assert constant or (-1 <= value <= 1 and value == pytest.approx(correlation(*pair[::-1]), abs=1e-12))


@given(SCORES)
def test_spearman_asks_for_order_only(pair: Pair) -> None:
    moved = np.unique(pair[0], return_inverse=True)[1] ** 3 - 5.0
    assert spearman(moved, pair[1]) == pytest.approx(spearman(*pair), nan_ok=True)


def test_pearson_survives_squares_that_over_or_underflow() -> None:
    for size in (1e-300, 1.0, 5e307):
        assert pearson([size, 2 * size, 3 * size], [1, 2, 4]) == pytest.approx(3 / np.sqrt(2 * 42 / 9))


@pytest.mark.parametrize("figure", [pearson, spearman, mean_squared_error])
def test_a_score_that_is_nan_makes_the_figure_nan(figure: Callable[..., float]) -> None:
    assert np.isnan(figure([1, 2, float("nan")], [1, 2, 3]))


ALL = [correct, accuracy, f1, lambda a, b: confusion(a, b, 9), pearson, spearman, mean_squared_error]


@pytest.mark.parametrize("figure", ALL)
def test_lengths_that_differ_and_no_rows_are_refused(figure: Callable[..., Any]) -> None:
    with pytest.raises(OptionError, match=r"differ in shape: \[2\] and \[3\]"):
        figure([0, 1], [0, 1, 1])
    with pytest.raises(OptionError, match="no rows"):
        figure([], [])


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "scores as labels": (lambda: accuracy([0.9, 0.2], [1, 0]), "Labels are integer ids, not float64"),
    "names as labels": (lambda: accuracy(["a"], ["a"]), "Labels are integer ids, not <U1"),
    "ids in a matrix": (lambda: f1([[0, 2]], [[0, 1]], "micro"), "A matrix of labels holds 0 and 1"),
    "three dimensions": (lambda: correct([[[1]]], [[[1]]]), r"2 dimensions at most, not \[1, 1, 1\]"),
    "one number": (lambda: accuracy(1, 1), r"not \[\]"),
    "confusion of a matrix": (lambda: confusion([[1]], [[1]], 2), r"1 dimensions at most, not \[1, 1\]"),
    "an id beyond n": (lambda: confusion([0, 2], [0, 1], 2), "ids 0 to 1, but these go from 0 to 2"),
    "a negative id": (lambda: confusion([0, 1], [0, -1], 2), "ids 0 to 1, but these go from -1 to 1"),
    "an unknown average": (lambda: f1([1], [1], "weighted"), "binary or macro or micro, not 'weighted'"),
    "binary of a matrix": (lambda: f1([[1]], [[1]]), r"labels \[1, 1\] is macro or micro, not 'binary'"),
    "a matrix of scores": (lambda: pearson([[1.0]], [[1.0]]), r"Scores are one column, not \[1, 1\]"),
}


@pytest.mark.parametrize(("call", "says"), REFUSED.values(), ids=REFUSED)
def test_wrong_use_is_refused_with_the_value_seen(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(OptionError, match=says) as caught:
        call()
    assert caught.value.next_step
