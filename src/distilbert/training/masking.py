"""Dynamic masks for a language model: other tokens to guess in every epoch (RoBERTa, Liu et al., 2019, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from distilbert.errors import OptionError
from distilbert.training.losses import IGNORED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from distilbert.text.tokenizer import DistilBertTokenizer
    from distilbert.training.data import Batch, Padding, Texts


@dataclass(frozen=True)
class Vocabulary:
    """What masking must know of a tokenizer."""

    size: int
    mask_id: int
    special_ids: tuple[int, ...]  # never to be guessed


def vocabulary_of(tokenizer: DistilBertTokenizer, size: int) -> Vocabulary:
    """A tokenizer's, whose model has `size` words. Raises `OptionError` where nothing can be masked."""
    if tokenizer.mask_token_id is None:
        raise OptionError("The model's tokenizer has no mask token.", "fill-mask needs one that has.")
    return Vocabulary(size, tokenizer.mask_token_id, tuple(tokenizer.all_special_ids))


@dataclass(frozen=True)
class Masks:
    """Draws which tokens of an example are to be guessed, so that it depends on neither batches nor processes.

    A share of all: of these 80 % are masked, 10 % become a random token and 10 % stay (BERT, section 3.1).
    """

    vocabulary: Vocabulary
    share: float
    seed: int

    def draw(self, ids: NDArray[np.int64], *example: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where tokens are to be guessed, and what stands there instead: a function of the seed, epoch and example."""
        draw = np.random.default_rng([self.seed, *example])
        words = ~np.isin(ids, self.vocabulary.special_ids)
        where = np.flatnonzero((draw.random(len(ids)) < self.share) & words)
        kind = draw.random(len(where))
        masked = self.vocabulary.mask_id
        after = np.where(kind < 0.8, masked, draw.integers(self.vocabulary.size, size=len(where)))
        return where, np.where(kind < 0.9, after, ids[where])


@dataclass(frozen=True, eq=False)
class MaskedTexts:
    """Texts of which a share of tokens is to be guessed; an example is (epoch, the row's line)."""

    texts: Texts
    padding: Padding
    masks: Masks

    @property
    def lengths(self) -> NDArray[np.int64]:
        """See `Data`."""
        return self.texts.lengths

    def originals(self, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
        """See `Data`."""
        return self.texts.originals(rows)

    def batch(self, rows: NDArray[np.int64], epoch: int) -> Batch:
        """See `Data`: with `positions` and `labels` `[rows, most guessed]`, filled up with 0 and `IGNORED`."""
        batch = self.padding.batch(self.texts, rows)
        guessed = [self._guessed(row, epoch) for row in rows]
        most = max(1, *(len(positions) for positions, _, _ in guessed))
        positions = np.zeros((len(rows), most), np.int64)
        labels = np.full((len(rows), most), IGNORED, np.int64)
        for place, (where, before, after) in enumerate(guessed):
            positions[place, : len(where)], labels[place, : len(where)] = where, before
            batch["input_ids"][place, torch.from_numpy(where)] = torch.from_numpy(after)
        return batch | {"positions": torch.from_numpy(positions), "labels": torch.from_numpy(labels)}

    def _guessed(
        self, row: int, epoch: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Where tokens are to be guessed, what stood there, and what stands there instead."""
        ids = self.texts.ids[self.texts.row(row)].astype(np.int64)
        where, after = self.masks.draw(ids, epoch, int(self.texts.lines[row]))
        return where, ids[where], after
