"""Which texts of a file calibrate int8, and which others judge it: decided by a seed, so it can be done again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from distilbert.errors import DataError
from distilbert.metrics.gate import MIN_TEXTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distilbert.compile.probes import Text

CALIBRATION_TEXTS = 512
MAX_GATE_TEXTS = 5_000  # at 0.5 % flips, 5,000 texts give the share to 0.1 points; more only cost time


def split_texts(texts: Sequence[Text], seed: int, source: str = "the file") -> tuple[list[int], list[int]]:
    """Places of the texts to calibrate on, and of all others in random order: the first 5,000 of these judge.

    Of equal texts only the first counts, so that none is on both sides. Raises `DataError` for too few.
    """
    distinct = list({text: place for place, text in reversed(list(enumerate(texts)))}.values())
    needed = CALIBRATION_TEXTS + MIN_TEXTS
    if len(distinct) < needed:
        raise DataError(
            f"{source} has {len(distinct):,} different texts; int8 needs {needed:,}: {CALIBRATION_TEXTS} to calibrate "
            f"on and {MIN_TEXTS:,} others to judge by.",
            "Give more texts (labels are not needed), or use --precision fp32.",
        )
    order = [distinct[place] for place in np.random.default_rng(seed).permutation(len(distinct))]
    return order[:CALIBRATION_TEXTS], order[CALIBRATION_TEXTS:]
