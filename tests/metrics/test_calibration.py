"""Calibration: the error is that of counting by hand, bin by bin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilbert.errors import OptionError
from distilbert.metrics.calibration import calibration

ANSWERS = st.lists(
    st.tuples(st.one_of(st.floats(0, 1), st.integers(0, 15).map(lambda n: n / 15)), st.booleans()), min_size=1
)


def by_hand(answers: list[tuple[float, bool]], bins: int) -> tuple[float, list[tuple[int, float, float]]]:
    """The error, and of each bin with answers: how many, mean confidence, accuracy."""
    error, filled = 0.0, []
    for place in range(bins):
        inside = [
            (sure, right)
            for sure, right in answers
            if place / bins < sure <= (place + 1) / bins or (place == 0 and sure == 0)
        ]
        if inside:
            confidence = sum(sure for sure, _ in inside) / len(inside)
            accuracy = sum(right for _, right in inside) / len(inside)
            error += len(inside) / len(answers) * abs(confidence - accuracy)
            filled.append((len(inside), confidence, accuracy))
    return error, filled


@given(ANSWERS, st.integers(1, 20))
def test_error_and_bins_are_those_of_counting_by_hand(answers: list[tuple[float, bool]], bins: int) -> None:
    found = calibration([sure for sure, _ in answers], [right for _, right in answers], bins)
    error, filled = by_hand(answers, bins)
    assert found.error == pytest.approx(error, abs=1e-12)
    assert [each.rows for each in found.bins] == [rows for rows, _, _ in filled]
    for each, (_, confidence, accuracy) in zip(found.bins, filled, strict=True):
        assert each.confidence == pytest.approx(confidence)
        assert each.accuracy == pytest.approx(accuracy)
        assert each.low < each.high


def test_a_model_that_is_as_often_right_as_it_is_sure_has_no_error() -> None:
    found = calibration([0.75] * 400, np.arange(400) % 4 > 0)
    assert found.error == pytest.approx(0)


def test_one_that_is_always_sure_and_half_the_time_wrong_is_off_by_a_half() -> None:
    assert calibration([1.0] * 10, [True, False] * 5).error == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([], []), "no rows"),
        (([0.5], [True, False]), "differ in shape"),
        (([1.1], [True]), "between 0 and 1"),
        (([-0.1], [True]), "between 0 and 1"),
        (([float("nan")], [True]), "between 0 and 1"),
        (([0.5], [True], 0), "bins is at least 1, not 0"),
    ],
)
def test_what_is_no_confidence_is_refused(arguments: tuple, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        calibration(*arguments)
