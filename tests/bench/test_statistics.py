"""Ratios are of the same round; padding is what is computed for nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilbert.bench.statistics import Spread, padding, percentile, times_as_fast
from distilbert.text.batching import cut

SECONDS = st.lists(st.floats(0.01, 100), min_size=1, max_size=9)


def test_a_busy_minute_that_hits_both_does_not_change_the_ratio() -> None:
    quiet, busy = 1.0, 50.0
    assert times_as_fast([quiet, busy, quiet], [2 * quiet, 2 * busy, 2 * quiet]) == Spread(2.0, 2.0, 2.0)


@given(SECONDS, st.floats(0.1, 10))
def test_as_many_times_as_fast_as_itself_slowed_down(seconds: list[float], times: float) -> None:
    spread = times_as_fast(seconds, [times * each for each in seconds])
    assert spread.low <= spread.value <= spread.high
    assert spread.value == pytest.approx(times)


def test_rounds_of_unequal_number_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="shorter"):
        times_as_fast([1.0, 2.0], [1.0])


def test_a_percentile_is_each_rounds_own() -> None:
    assert percentile([[1, 2, 3], [10, 20, 30], [2, 3, 4]], 50) == Spread(3.0, 2.0, 20.0)


@given(st.lists(st.integers(1, 512), min_size=1, max_size=60), st.integers(1, 32))
def test_padding_is_a_share_and_none_where_each_text_is_alone(lengths: list[int], size: int) -> None:
    assert 0 <= padding(lengths, cut(lengths, size, 2)) < 1
    assert padding(lengths, [[place] for place in range(len(lengths))]) == 0
    arrived = padding(lengths, [[*range(len(lengths))]])
    assert padding(lengths, cut(lengths, size, 1)) <= arrived  # sorted and cut: never more
