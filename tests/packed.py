"""Packed rows of the tiny models' vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from corpora import tokenizer
from tiny import VOCABULARY

if TYPE_CHECKING:
    from corpora import SmallCorpus

    from distilbert.training.packing import PackedTexts

SPECIAL = (0, 1, 2, 3, 4)
CLS, SEP, MASK = 2, 3, 4


def packed(corpus: SmallCorpus, max_length: int = 24, share: float = 0.15, seed: int = 1) -> PackedTexts:
    """A corpus in rows of at most so many tokens, of which a share is to be guessed."""
    from distilbert.training.masking import Masks, Vocabulary
    from distilbert.training.packing import PackedTexts, pack

    packing = pack(np.arange(len(corpus.texts)), corpus.lengths, max_length, seed)
    masks = Masks(Vocabulary(len(VOCABULARY), MASK, SPECIAL), share, seed)
    return PackedTexts(corpus, packing, masks, tokenizer())
