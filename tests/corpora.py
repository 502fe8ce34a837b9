"""Small corpora: in memory, or as `distilbert prepare` makes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tiny import VOCABULARY

from distilbert.corpus.prepare import plan, preparation
from distilbert.text.tokenizer import DistilBertTokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def tokenizer(words: Sequence[str] = VOCABULARY) -> DistilBertTokenizer:
    """That of the tiny models."""
    return DistilBertTokenizer({word: place for place, word in enumerate(words)})


class SmallCorpus:
    """Token ids of texts, in memory."""

    tokenizer = Path()

    def __init__(self, texts: Sequence[Sequence[int]]) -> None:
        self.texts = [np.asarray(text, np.uint16) for text in texts]

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.array([len(text) for text in self.texts], np.int64)

    def text_ids(self, row: int) -> NDArray[Any]:
        return self.texts[row]


def corpus_of(texts: Sequence[str]) -> SmallCorpus:
    """Texts as the tiny models' tokenizer has them."""
    return SmallCorpus([tokenizer()(text, add_special_tokens=False).input_ids for text in texts])


def save_corpus(folder: Path, texts: Sequence[str], words: Sequence[str] = VOCABULARY) -> Path:
    """Prepare a corpus of these texts."""
    file = folder.with_suffix(".txt")
    file.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    its = tokenizer(words)
    with preparation(folder, plan([str(file)], "text", its), resume=False) as made:
        made.go_on(iter(texts), its, 1, lambda _: None)
    return folder
