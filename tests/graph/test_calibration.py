"""A histogram that never holds its values knows their percentiles to within one of its bins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from distilbert.graph.calibration import BINS, Histogram, observe

values = arrays(np.float32, st.integers(1, 200), elements=st.floats(-5_000, 5_000, width=32))
pieces = st.lists(values, min_size=1, max_size=5)
percentiles = st.one_of(st.sampled_from([99.99, 99.999, 100.0]), st.floats(50, 100))


def histogram_of(pieces: list[np.ndarray]) -> Histogram:
    histogram = Histogram()
    for piece in pieces:
        histogram.add(piece)
    return histogram


def bin_width(histogram: Histogram) -> float:
    return 2 * histogram.reach / BINS


def assert_near_percentile(found: float, values: np.ndarray, percentile: float, slack: float) -> None:
    """`found` may lie between the two values that numpy's percentile lies between, or a bin beside them."""
    percents = np.clip([percentile - 1e-6, percentile + 1e-6], 0, 100)
    lower = np.percentile(values, percents[0], method="lower")
    higher = np.percentile(values, percents[1], method="higher")
    assert lower - slack <= found <= higher + slack


@given(pieces, percentiles)
def test_percentiles_are_numpys_to_within_a_bin(pieces: list[np.ndarray], percentile: float) -> None:
    histogram = histogram_of(pieces)
    everything = np.concatenate(pieces).astype(np.float64)
    low, high = histogram.range(percentile)
    slack = bin_width(histogram)
    if percentile == 100:  # a range always holds 0, which an activation's zero point must hit
        assert (low, high) == (min(everything.min(), 0), max(everything.max(), 0))
    else:
        assert_near_percentile(low, everything, 100 - percentile, slack)
        assert_near_percentile(high, everything, percentile, slack)


@pytest.mark.parametrize("percentile", [99.0, 99.9, 99.99, 99.999])
def test_outliers_beyond_the_percentile_do_not_widen_the_range(percentile: float) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, 1_000_000).astype(np.float32)
    values[:5] = 400.0
    histogram = histogram_of(np.split(values, 10))
    low, high = histogram.range(percentile)
    assert high == pytest.approx(np.percentile(values, percentile), abs=bin_width(histogram) + 0.02)
    assert low == pytest.approx(np.percentile(values, 100 - percentile), abs=bin_width(histogram) + 0.02)
    assert histogram.range(100)[1] == 400.0


@given(pieces, percentiles)
def test_pieces_in_any_order_give_the_same_range(pieces: list[np.ndarray], percentile: float) -> None:
    ordered, reversed_ = histogram_of(pieces), histogram_of(pieces[::-1])
    # A value on the border of two bins may fall on either side of it, before and after the bins double.
    assert ordered.range(percentile) == pytest.approx(
        reversed_.range(percentile), abs=2.001 * bin_width(ordered)
    )
    assert ordered.counts.sum() == sum(piece.size for piece in pieces)


@given(values)
def test_each_value_is_counted_where_numpys_histogram_counts_it(values: np.ndarray) -> None:
    histogram = histogram_of([values])
    expected, _ = np.histogram(values, BINS, (-histogram.reach, histogram.reach))
    assert (histogram.counts == expected).all()


@given(pieces)
def test_the_reach_doubles_until_it_holds_everything_and_no_further(pieces: list[np.ndarray]) -> None:
    largest = max(float(np.abs(piece).max()) for piece in pieces)
    reach = histogram_of(pieces).reach
    assert reach == 1 or reach / 2 < largest
    assert reach >= largest
    assert np.log2(reach).is_integer()


def test_each_site_gathers_the_activations_of_all_texts() -> None:
    def activations(ids: list[int]) -> dict[str, np.ndarray]:
        return {"up": np.array(ids, np.float32), "down": -np.array([ids], np.float32)}

    histograms = observe(activations, [[1, 2], [3], [0, 7, 1]])
    assert {site: histogram.range(100) for site, histogram in histograms.items()} == {
        "up": (0.0, 7.0),
        "down": (-7.0, 0.0),
    }
    assert [histogram.counts.sum() for histogram in histograms.values()] == [6, 6]
