"""Vectors of tokens from an encoder, called and answering as transformers' feature extraction."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from distilbert.errors import OptionError
from distilbert.tasks.base import Call, Reading, TextPipeline, one_of, tokenizer_dict, without_none
from distilbert.text.batching import Batch, answer_in_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from distilbert.engines.base import Engine, Floats
    from distilbert.files.config import DistilBertConfig
    from distilbert.tasks.base import Text
    from distilbert.text.tokenizer import DistilBertTokenizer


class FeatureExtractionPipeline(TextPipeline["Floats"]):
    """Gives each token's vector. Options given here are the defaults of every call.

    >>> from distilbert import pipeline
    >>> extract = pipeline("feature-extraction", model="my-encoder/", return_tensors=True)  # doctest: +SKIP
    >>> extract("A warm and funny film.").shape  # doctest: +SKIP
    (1, 8, 768)
    """

    task = "feature-extraction"
    options = ("return_tensors", "tokenize_kwargs")
    largest_window = 64  # texts: 100 MB when all have 512 tokens

    def __call__(self, inputs: Text | Iterable[Text], **options: Any) -> Any:
        """The vectors of a text's tokens, special ones included, `[1, length, dim]`: nested lists of floats.

        A list of texts gets a list, any other iterable an iterator; texts are never padded for each other's
        sake. Options, beside those of every task (`TextPipeline`):

        - `return_tensors`: True or "np" gives float32 arrays instead, which are many times smaller and faster
        - `tokenize_kwargs`: options for the tokenizer, such as `{"padding": "max_length", "max_length": 20}`

        Raises `OptionError` for an option that cannot be used and `TokenizerError` for what is no text.
        """
        return super().__call__(inputs, **options)

    def _merged(self, options: Mapping[str, Any]) -> dict[str, Any]:
        ours, theirs = _with_truncation_told(self._options), _with_truncation_told(options)
        told = {**ours["tokenize_kwargs"], **theirs["tokenize_kwargs"]}
        return {**ours, **theirs, "tokenize_kwargs": told}

    def _plan(
        self,
        *,
        return_tensors: bool | Literal["np"] | None = None,
        tokenize_kwargs: Mapping[str, Any] | None = None,
        **reading: Any,
    ) -> Call[Floats]:
        as_arrays = one_of("return_tensors", return_tensors, (None, False, True, "np"))
        return Call(
            Reading.of(self.config, self.tokenizer, tokenizer_options=tokenize_kwargs, **reading),
            self._vectors,
            np.copy if as_arrays else _as_lists,  # a copy lets go of the batch
        )

    def _vectors(self, batch: Batch) -> Iterable[Floats]:
        hidden = self.engine.run(batch.inputs)["last_hidden_state"]
        return [rows[None, :length] for rows, length in zip(hidden, batch.lengths, strict=True)]


def _as_lists(vectors: Floats) -> Any:
    return vectors.tolist()


def _with_truncation_told(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with `truncation` among those for the tokenizer, where transformers puts it."""
    said = without_none(options)
    told = tokenizer_dict(said.pop("tokenize_kwargs", None))
    if "truncation" in said:
        if "truncation" in told:
            raise OptionError(
                "truncation is given twice, by itself and in tokenize_kwargs.", "Leave out one of them."
            )
        told["truncation"] = said.pop("truncation")
    return {**said, "tokenize_kwargs": told}


def sample_vectors(
    texts: Sequence[str | tuple[str, str]],
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
