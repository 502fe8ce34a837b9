"""The best spans are those that sorting all of them would give, whatever their number and length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from distilbert.tasks.spans import best_spans, highest_ahead

# Few different values make many ties, and a wide range many magnitudes.
SCORES = st.one_of(
    st.integers(-3, 3).map(float),
    st.floats(-1e6, 1e6, width=32),
    st.sampled_from([-1e30, 0.0, -0.0, 1e-30]),
)


def scored(length: int) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    return st.tuples(*(arrays(np.float32, length, elements=SCORES.map(np.float32)) for _ in range(2)))


def every_span_sorted(
    start: np.ndarray, end: np.ndarray, longest: int, count: int
) -> list[tuple[int, int, float]]:
    """The plain definition, slowly."""
    spans = [
        (first, last, float(start[first]) + float(end[last]))
        for first in range(len(start))
        for last in range(first, min(first + longest, len(start)))
    ]
    return sorted(spans, key=lambda span: (-span[2], span[0], span[1]))[:count]


@given(st.integers(0, 14).flatmap(scored), st.integers(1, 20), st.integers(1, 120))
def test_they_are_the_first_of_all_spans_sorted(
    scores: tuple[np.ndarray, np.ndarray], longest: int, count: int
) -> None:
    spans = best_spans(*scores, longest, count)
    rows = list(zip(spans.firsts.tolist(), spans.lasts.tolist(), spans.scores.tolist(), strict=True))
    assert rows == every_span_sorted(*scores, longest, count)


@given(
    st.integers(1, 40).flatmap(lambda length: arrays(np.float64, length, elements=st.floats(-9, 9))),
    st.integers(1, 50),
)
def test_the_highest_ahead_is_the_highest_of_each_window(values: np.ndarray, width: int) -> None:
    expected = [values[place : place + width].max() for place in range(len(values))]
    assert highest_ahead(values, width).tolist() == expected


@pytest.mark.parametrize("longest", [1, 15, 30_000])
def test_a_long_text_has_no_table_of_all_its_spans(longest: int) -> None:
    """30,000 tokens have 450 million spans: 3.6 GB of scores."""
    import tracemalloc

    rng = np.random.default_rng(0)
    start, end = rng.normal(size=(2, 30_000))
    tracemalloc.start()
    spans = best_spans(start, end, longest, 12)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    assert len(spans.scores) == 12
    assert (spans.lasts - spans.firsts < longest).all()
    assert (np.diff(spans.scores) <= 0).all()
