"""A small corpus on disk, with the interface of `distilbert.corpus`, until that room is here."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from bundles import sentences
from tiny import VOCABULARY

from distilbert.text.tokenizer import DistilBertTokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


def tokenizer() -> DistilBertTokenizer:
    """That of the tiny models."""
    return DistilBertTokenizer({word: place for place, word in enumerate(VOCABULARY)})


class SmallCorpus:
    """Token ids of texts, in memory."""

    def __init__(self, texts: Sequence[Sequence[int]], vocabulary: Sequence[str] = VOCABULARY) -> None:
        self.texts, self.vocabulary = [np.asarray(text, np.int32) for text in texts], vocabulary

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.array([len(text) for text in self.texts], np.int64)

    def text_ids(self, row: int) -> NDArray[Any]:
        return self.texts[row]


def corpus_of(texts: Sequence[str]) -> SmallCorpus:
    """Texts as the tiny models' tokenizer has them."""
    return SmallCorpus([tokenizer()(text, add_special_tokens=False).input_ids for text in texts])


def save_corpus(folder: Path, texts: int, longest: int = 12, vocabulary: Sequence[str] = VOCABULARY) -> Path:
    """Write a corpus of so many texts."""
    corpus = corpus_of(sentences(texts, longest=longest))
    folder.mkdir()
    ends = np.cumsum([0, *corpus.lengths])
    np.savez(folder / "corpus.npz", ids=np.concatenate(corpus.texts), ends=ends, words=np.array(vocabulary))
    return folder


def open_corpus(folder: Path) -> SmallCorpus:
    """Read it back."""
    with np.load(folder / "corpus.npz") as saved:
        ids, ends, words = (saved[name] for name in ("ids", "ends", "words"))
    texts = [ids[start:end] for start, end in pairwise(ends)]
    return SmallCorpus(texts, words.tolist())
