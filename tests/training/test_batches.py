"""Which rows a step sees: every row once an epoch, rows of like length together, and the same again on request."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilbert.training.batches import epoch_batches, micro_batches, seed_of, share_of, steps_an_epoch

LENGTHS = st.lists(st.integers(3, 60), min_size=1, max_size=300).map(np.array)


@given(LENGTHS, st.integers(1, 40), st.integers(0, 3), st.integers(0, 3))
def test_every_row_is_seen_once_an_epoch(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> None:
    batches = epoch_batches(lengths, batch_size, seed, epoch)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert len(batches) == steps_an_epoch(len(lengths), batch_size)
    assert sorted(map(len, batches))[1:] == [batch_size] * (len(batches) - 1)


@given(LENGTHS, st.integers(1, 40), st.integers(0, 3))
def test_the_same_epoch_comes_in_the_same_order(lengths: np.ndarray, batch_size: int, epoch: int) -> None:
    once, again = (epoch_batches(lengths, batch_size, 7, epoch) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))


def test_another_epoch_or_seed_comes_in_another_order() -> None:
    lengths = np.arange(3, 103)
    orders = {tuple(np.concatenate(epoch_batches(lengths, 8, *at))) for at in [(0, 0), (0, 1), (1, 0)]}
    assert len(orders) == 3


def test_rows_of_like_length_come_together_so_that_little_is_padding() -> None:
    lengths = np.random.default_rng(0).integers(5, 60, 5000)
    batches = epoch_batches(lengths, 32, 0, 0)
    padded = sum(lengths[batch].max() * len(batch) for batch in batches)
    assert padded / lengths.sum() < 1.04
    random = np.random.default_rng(0).permutation(5000)[: 32 * 156].reshape(-1, 32)
    assert lengths[random].max(axis=1).sum() * 32 / lengths[random].sum() > 1.7  # what it would be


def test_long_and_short_batches_are_mixed() -> None:
    lengths = np.random.default_rng(0).integers(5, 60, 5000)
    longest = [lengths[batch].max() for batch in epoch_batches(lengths, 32, 0, 0)]
    assert abs(np.corrcoef(longest, range(len(longest)))[0, 1]) < 0.2


@given(LENGTHS, st.integers(1, 8), st.integers(1, 16) | st.none())
def test_processes_and_pieces_cut_a_batch_without_loss(
    lengths: np.ndarray, processes: int, at_once: int | None
) -> None:
    batch = np.arange(len(lengths))
    shares = [share_of(batch, process, processes) for process in range(processes)]
    pieces = [piece for share in shares if len(share) for piece in micro_batches(share, at_once)]
    assert sorted(np.concatenate(pieces)) == list(batch)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert at_once is None or max(map(len, pieces)) <= at_once


@pytest.mark.parametrize("other", [(0, 2, 0), (1, 1, 0), (0, 1, 1)])
def test_each_step_and_process_draws_its_own_numbers(other: tuple[int, ...]) -> None:
    assert seed_of(0, 1, 0) == seed_of(0, 1, 0) != seed_of(*other)
