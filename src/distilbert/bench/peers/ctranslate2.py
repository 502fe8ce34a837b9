"""CTranslate2: the encoder in int8; the classifier's head, which it does not know, in numpy.

As its guide has it for DistilBERT: https://opennmt.net/CTranslate2/guides/transformers.html
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from distilbert.bench.peers.batches import SIZES, answering, settings
from distilbert.bench.ways import Loaded
from distilbert.files.checkpoint import read_checkpoint
from distilbert.files.config import DistilBertConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from distilbert.bench.peers.batches import Ids, Logits, Run
    from distilbert.bench.ways import Source


def int8(source: Source) -> Loaded:
    """All threads in one batch, or a batch for each thread."""
    import ctranslate2

    path = source.made / "ctranslate2-int8"
    if not path.exists():
        unfinished = path.with_name("ctranslate2-partial")
        ctranslate2.converters.TransformersConverter(str(source.checkpoint)).convert(
            str(unfinished), quantization="int8", force=True
        )
        unfinished.replace(path)
    head = _head(source)

    def encoder(beside: int, inside: int) -> Run:
        threads = {"inter_threads": beside, "intra_threads": inside}
        return _run(partial(ctranslate2.Encoder, str(path), compute_type="int8", **threads), head, beside)

    one = encoder(1, source.threads)
    many = [
        *settings(one, source, SIZES, ", intra_threads"),
        *settings(encoder(source.threads, 1), source, SIZES, ", inter_threads"),
    ]
    return Loaded(many, answering(one, source, 1))


def _run(encoder: Callable[[], Any], head: Callable[[Logits], Logits], beside: int) -> Run:
    from ctranslate2 import StorageView

    opened = cache(encoder)  # at the first call: a start pays for one mode

    def forward(batch: tuple[Ids, Ids]) -> Logits:
        ids, lengths = batch[0].astype(np.int32), batch[1].sum(axis=1).astype(np.int32)
        states = opened().forward_batch(StorageView.from_array(ids), StorageView.from_array(lengths))
        return head(np.array(states.last_hidden_state)[:, 0])

    def run(batches: Sequence[tuple[Ids, Ids]]) -> list[Logits]:
        opened()
        if beside == 1 or len(batches) == 1:
            return [forward(batch) for batch in batches]
        with ThreadPoolExecutor(beside) as pool:  # a call waits for its batch
            return list(pool.map(forward, batches))

    return run


def _head(source: Source) -> Callable[[Logits], Logits]:
    config = DistilBertConfig.from_folder(source.checkpoint)
    arrays = read_checkpoint(source.checkpoint, config).arrays
    first = "pre_classifier" if config.model_type == "distilbert" else "pooler"
    weight, bias = arrays[f"{first}.weight"].T, arrays[f"{first}.bias"]
    last, last_bias = arrays["classifier.weight"].T, arrays["classifier.bias"]

    def head(states: Logits) -> Logits:
        hidden = states @ weight + bias
        hidden = np.maximum(hidden, 0) if config.model_type == "distilbert" else np.tanh(hidden)
        logits: Logits = hidden @ last + last_bias
        return logits

    return head
