"""Vectors of tokens from an encoder without head."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from distilbert.text.batching import Batch, answer_in_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distilbert.engines.base import Engine, Floats
    from distilbert.files.config import DistilBertConfig
    from distilbert.text.tokenizer import DistilBertTokenizer


def sample_vectors(
    texts: Sequence[str],
    tokenizer: DistilBertTokenizer,
    engine: Engine,
    config: DistilBertConfig,
    tokens: int = 8,
) -> Floats:
    """Vectors of up to `tokens` tokens a text, evenly spaced from the first to the last: float32 `[rows, dim]`."""

    def answer(batch: Batch) -> list[Floats]:
        hidden = engine.run(batch.inputs)["last_hidden_state"]
        places = [np.unique(np.linspace(0, length - 1, tokens).astype(int)) for length in batch.lengths]
        return [rows[place] for rows, place in zip(hidden, places, strict=True)]

    encode = partial(tokenizer.encode_texts, max_length=config.max_position_embeddings)
    return np.concatenate(list(answer_in_order(texts, encode, answer, workers=engine.workers)))
