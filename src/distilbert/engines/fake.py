"""An engine for tests: its answers are a plain function of the tokens, so they can be worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from distilbert.engines.base import Floats, TokenIds


@dataclass(frozen=True)
class FakeEngine:
    """Gives `answer(tokens)` for each text, where `tokens` are its ids without padding.

    >>> engine = FakeEngine(lambda tokens: [float(len(tokens)), float(tokens.sum())])
    >>> ids, mask = np.array([[1, 2, 0], [3, 4, 5]]), np.array([[1, 1, 0], [1, 1, 1]])
    >>> engine.run({"input_ids": ids, "attention_mask": mask})["logits"].tolist()
    [[2.0, 3.0], [3.0, 12.0]]
    """

    answer: Callable[[TokenIds], list[float]]
    workers: int = 1
    input_names: tuple[str, ...] = ("input_ids", "attention_mask")
    output_names: tuple[str, ...] = ("logits",)
    library: str = "distilbert"

    def run(self, inputs: Mapping[str, TokenIds]) -> dict[str, Floats]:
        """See `Engine.run`."""
        rows = zip(inputs["input_ids"], inputs["attention_mask"], strict=True)
        answers = [self.answer(ids[mask == 1]) for ids, mask in rows]
        return {self.output_names[0]: np.array(answers, np.float32)}
