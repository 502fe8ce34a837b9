"""Intervals: they hold what they should as often as they say, and the quick one is the slow one."""

from __future__ import annotations

import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilbert.errors import OptionError
from distilbert.metrics.classification import accuracy, f1, pearson
from distilbert.metrics.intervals import Interval, bootstrap, over_seeds, paired_difference, paired_ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray


def mean(column: NDArray[Any]) -> float:
    return float(column.mean())


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.integers(0, 9))
def test_the_same_seed_gives_the_same_interval_within_the_data(column: list[float], seed: int) -> None:
    first = bootstrap(mean, column, resamples=20, seed=seed)
    assert first == bootstrap(mean, column, resamples=20, seed=seed)
    slack = 1e-9 * max(map(abs, column))
    assert min(column) - slack <= first.low <= first.high <= max(column) + slack


def test_another_seed_gives_another_interval() -> None:
    column = np.arange(100.0)
    assert bootstrap(mean, column, seed=0) != bootstrap(mean, column, seed=1)


def test_rows_are_drawn_with_all_their_columns() -> None:
    gold = np.arange(50) % 3
    assert bootstrap(accuracy, gold, gold) == Interval(1.0, 1.0)
    assert bootstrap(lambda a, b: f1(a, b, "macro"), gold, gold) == Interval(1.0, 1.0)


def test_a_higher_level_gives_a_wider_interval() -> None:
    column = np.random.default_rng(0).normal(size=200)
    narrow, wide = (bootstrap(mean, column, level=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_the_interval_of_accuracy_is_that_of_the_normal_approximation() -> None:
    right = np.arange(2_000) % 10 > 0  # 0.9
    half = 1.96 * np.sqrt(0.9 * 0.1 / 2_000)
    found = bootstrap(mean, right, resamples=4_000)
    assert found.low == pytest.approx(0.9 - half, abs=0.001)
    assert found.high == pytest.approx(0.9 + half, abs=0.001)


def test_of_a_hundred_intervals_about_ninety_hold_the_truth_at_level_090() -> None:
    draw = np.random.default_rng(7)
    found = [bootstrap(mean, draw.random(200) < 0.8, resamples=300, level=0.9, seed=n) for n in range(300)]
    held = np.mean([interval.low <= 0.8 <= interval.high for interval in found])
    assert 0.85 <= held <= 0.94


@given(st.integers(0, 2**32 - 1))
def test_the_paired_difference_is_that_of_the_accuracies(seed: int) -> None:
    a, b = np.random.default_rng(seed).random((2, 40)) < 0.5
    found = paired_difference(a, b, resamples=200)
    assert found.value == pytest.approx(b.mean() - a.mean())
    back = paired_difference(b, a, resamples=200)
    assert back.value == pytest.approx(-found.value)
    assert -1 <= found.interval.low <= found.interval.high <= 1


def test_the_paired_difference_has_the_interval_of_drawing_the_rows_themselves() -> None:
    draw = np.random.default_rng(3)
    a = draw.random(1_000) < 0.9
    b = np.where(draw.random(1_000) < 0.03, ~a, a)
    quick = paired_difference(a, b, resamples=10_000).interval
    slow = bootstrap(lambda x, y: float(y.mean() - x.mean()), a, b, resamples=10_000)
    assert quick.low == pytest.approx(slow.low, abs=0.0011)  # one row is 0.001
    assert quick.high == pytest.approx(slow.high, abs=0.0011)


def test_models_that_answer_alike_differ_by_nothing() -> None:
    assert paired_difference([1, 0, 1], [1, 0, 1]).interval == Interval(0.0, 0.0)


def test_the_paired_ratio_is_that_of_the_figures_on_the_same_rows() -> None:
    draw = np.random.default_rng(5)
    gold = draw.integers(0, 2, 300)
    a, b = (np.where(draw.random(300) < share, gold, 1 - gold) for share in (0.9, 0.8))
    found = paired_ratio(accuracy, a, b, gold, resamples=200, seed=3)
    assert found.value == pytest.approx((b == gold).mean() / (a == gold).mean())
    rows = np.random.default_rng(3)
    ratios = []
    for _ in range(200):
        drawn = rows.integers(0, 300, 300)
        ratios.append((b == gold)[drawn].mean() / (a == gold)[drawn].mean())
    assert found.interval.low == pytest.approx(np.quantile(ratios, 0.025))
    assert found.interval.high == pytest.approx(np.quantile(ratios, 0.975))


def test_a_model_keeps_all_of_itself() -> None:
    gold = np.arange(60) % 2
    said = np.where(np.arange(60) % 7 == 0, 1 - gold, gold)
    found = paired_ratio(accuracy, said, said, gold)
    assert (found.value, found.interval) == (1.0, Interval(1.0, 1.0))


@pytest.mark.parametrize(("statistic", "a"), [(accuracy, [0, 0, 0, 0]), (pearson, [4, 3, 2, 1])])
def test_of_nothing_or_less_no_share_can_be_kept(statistic: Any, a: list[int]) -> None:
    gold = [1, 1, 1, 1] if statistic is accuracy else [1, 2, 3, 4]
    found = paired_ratio(statistic, a, gold, gold, resamples=10)
    assert np.isnan([found.value, found.interval.low, found.interval.high]).all()


def gain(a: float, b: float) -> float:
    return b - a


def test_with_one_seed_each_the_interval_is_the_paired_one() -> None:
    a, b = np.random.default_rng(2).random((2, 1_000)) < [[0.8], [0.9]]
    over = over_seeds(gain, a, b, resamples=10_000)
    paired = paired_difference(a, b, resamples=10_000)
    assert over.value == pytest.approx(paired.value)
    assert over.interval.low == pytest.approx(paired.interval.low, abs=0.0011)  # one row is 0.001
    assert over.interval.high == pytest.approx(paired.interval.high, abs=0.0011)


def test_seeds_that_differ_make_a_figure_less_sure() -> None:
    alike = np.random.default_rng(4).random((1, 2_000)) < np.full((3, 1), 0.8)
    lucky = np.random.default_rng(4).random((1, 2_000)) < [[0.7], [0.8], [0.9]]
    widths = []
    for group in (alike, lucky):
        found = over_seeds(lambda share: share, group)
        assert found.value == group.mean()
        widths.append(found.interval.high - found.interval.low)
    assert widths[1] > 3 * widths[0]


def test_groups_need_the_same_rows_and_not_the_same_number_of_seeds() -> None:
    ones = np.ones((3, 20))
    assert over_seeds(gain, ones, ones[:1]).interval == Interval(0.0, 0.0)
    with pytest.raises(OptionError, match=r"not \[19, 20\]"):
        over_seeds(gain, ones, ones[:, 1:])


def test_ten_thousand_rows_take_little_time_and_memory() -> None:
    a, b = np.random.default_rng(0).random((2, 10_000)) < 0.9
    tracemalloc.start()
    try:
        begun = time.perf_counter()
        paired_difference(a, b, resamples=1_000)
        spent = time.perf_counter() - begun
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert spent < 0.5  # seconds; 10,000 rows drawn 1,000 times over take longer
    assert peak < 2_000_000  # bytes; rows × resamples would be 10 MB at one byte each


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"resamples": 0}, "resamples is at least 1, not 0"),
        ({"level": 1.0}, "level lies between 0 and 1, not at 1.0"),
        ({"level": float("nan")}, "not at nan"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], says: str) -> None:
    for call in (lambda: bootstrap(mean, [1], **options), lambda: paired_difference([1], [1], **options)):
        with pytest.raises(OptionError, match=says):
            call()


@pytest.mark.parametrize(
    ("arrays", "lengths"), [(([1, 2], [1]), r"\[1, 2\]"), (([], []), r"\[0\]"), ((1, 1), r"\[0\]")]
)
def test_lengths_that_differ_and_no_rows_are_refused(arrays: tuple[Any, Any], lengths: str) -> None:
    for call in (lambda: bootstrap(accuracy, *arrays), lambda: paired_difference(*arrays)):
        with pytest.raises(OptionError, match=f"not {lengths}"):
            call()
