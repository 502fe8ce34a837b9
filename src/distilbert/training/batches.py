"""Which rows a step sees: pure functions of a seed and a position, so that a run goes on exactly where it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

WINDOW = 50  # batches whose rows are sorted together: long enough that rows of a batch are of like length


def epoch_batches(
    lengths: NDArray[np.int64], batch_size: int, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Every row once, in batches of like length, which come in random order.

    The rows are shuffled, cut into windows of `WINDOW` batches, sorted by `lengths` `[rows]` within each and cut into
    batches; then the batches are shuffled. One batch may be smaller. A function of its arguments and nothing else.

    >>> batches = epoch_batches(np.array([5, 9, 5, 9, 5]), batch_size=2, seed=0, epoch=0)
    >>> sorted(len(batch) for batch in batches), sorted(int(row) for batch in batches for row in batch)
    ([1, 2, 2], [0, 1, 2, 3, 4])
    """
    draw = np.random.default_rng([seed, epoch])
    order = draw.permutation(len(lengths))
    window = WINDOW * batch_size
    batches = []
    for start in range(0, len(order), window):
        rows = order[start : start + window]
        rows = rows[np.argsort(-lengths[rows], kind="stable")]
        batches += [rows[cut : cut + batch_size] for cut in range(0, len(rows), batch_size)]
    return [batches[place] for place in draw.permutation(len(batches))]


def steps_an_epoch(rows: int, batch_size: int) -> int:
    """How many batches `epoch_batches` makes.

    >>> steps_an_epoch(5, batch_size=2)
    3
    """
    return -(-rows // batch_size)


def share_of(batch: NDArray[np.int64], process: int, processes: int) -> NDArray[np.int64]:
    """The rows of a batch that one of several processes computes: every n-th, so that all have like lengths."""
    return batch[process::processes]


def micro_batches(rows: NDArray[np.int64], at_once: int | None) -> Sequence[NDArray[np.int64]]:
    """Cut rows into pieces of at most `at_once`."""
    size = at_once or len(rows)
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def seed_of(*position: int) -> int:
    """A seed for PyTorch that belongs to a position: (seed, step, process), say.

    >>> seed_of(0, 1, 0) == seed_of(0, 1, 0) != seed_of(0, 2, 0)
    True
    """
    return int(np.random.SeedSequence(position).generate_state(1, np.uint64)[0] >> 1)
