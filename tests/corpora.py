"""A small corpus on disk, with the interface of `distilbert.corpus.shards`, until that room is here."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from bundles import sentences
from tiny import VOCABULARY

from distilbert.text.tokenizer import DistilBertTokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def tokenizer(words: Sequence[str] = VOCABULARY) -> DistilBertTokenizer:
    """That of the tiny models."""
    return DistilBertTokenizer({word: place for place, word in enumerate(words)})


class SmallCorpus:
    """Token ids of texts, in memory."""

    def __init__(self, texts: Sequence[Sequence[int]], tokenizer: Path = Path()) -> None:
        self.texts, self.tokenizer = [np.asarray(text, np.int32) for text in texts], tokenizer

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.array([len(text) for text in self.texts], np.int64)

    def text_ids(self, row: int) -> NDArray[Any]:
        return self.texts[row]


def corpus_of(texts: Sequence[str]) -> SmallCorpus:
    """Texts as the tiny models' tokenizer has them."""
    return SmallCorpus([tokenizer()(text, add_special_tokens=False).input_ids for text in texts])


def save_corpus(folder: Path, texts: int, longest: int = 12, words: Sequence[str] = VOCABULARY) -> Path:
    """Write a corpus of so many texts."""
    corpus = corpus_of(sentences(texts, longest=longest))
    folder.mkdir()
    ends = np.cumsum([0, *corpus.lengths])
    np.savez(folder / "corpus.npz", ids=np.concatenate(corpus.texts), ends=ends)
    tokenizer(words).save_pretrained(folder / "tokenizer")
    return folder


def open_corpus(folder: Path) -> SmallCorpus:
    """Read it back."""
    with np.load(folder / "corpus.npz") as saved:
        ids, ends = saved["ids"], saved["ends"]
    texts = [ids[start:end] for start, end in pairwise(ends)]
    return SmallCorpus(texts, folder / "tokenizer")
