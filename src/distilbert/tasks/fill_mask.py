"""Filling masks: the likeliest tokens in the place of each [MASK], called and answering as transformers' pipeline."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from distilbert.errors import OptionError, TokenizerError
from distilbert.tasks.base import Call, Reading, TextPipeline, beginning, positive, without_none
from distilbert.tasks.scores import best, softmax

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from distilbert.engines.base import Engine, Floats
    from distilbert.tasks.base import Text
    from distilbert.text.batching import Batch
    from distilbert.text.tokenizer import EncodedTexts

TOP_K = 5


class Filled(NamedTuple):
    """The best tokens for each of a text's M masks."""

    ids: NDArray[np.int64]  # [length], masks included
    places: NDArray[np.int64]  # [M]
    tokens: NDArray[np.int64]  # [M, top_k], best first
    scores: Floats  # [M, top_k]


class FillMaskPipeline(TextPipeline[Filled]):
    """Fills masks. Options given here are the defaults of every call.

    >>> from distilbert import pipeline
    >>> fill = pipeline("fill-mask", model="my-language-model/")  # doctest: +SKIP
    >>> fill("A warm and [MASK] film.", top_k=2)  # doctest: +SKIP
    [{'score': 0.21, 'token': 6057, 'token_str': 'funny', 'sequence': 'a warm and funny film.'}, ...]
    """

    task = "fill-mask"
    options = ("top_k", "targets", "tokenizer_kwargs")

    def __call__(self, inputs: Text | Iterable[Text], **options: Any) -> Any:
        """Fill the masks of a text, a list of texts, or any iterable of them (which answers as an iterator).

        A text with one mask gets a list of `{"score", "token", "token_str", "sequence"}`, best first; one with
        several masks gets such a list for each, as if the others stayed masks. A list of one text is answered
        as that text, as in transformers. Options, beside those of every task (`TextPipeline`):

        - `top_k`: so many tokens a mask; 5 by default
        - `targets`: a word or a list of words to choose from. Their scores are those among the whole vocabulary.
          A word that is no token is stood for by its first one, with a warning
        - `tokenizer_kwargs`: options for the tokenizer, such as `{"truncation": True}`

        Raises `OptionError` for an option that cannot be used and for a text without a mask, `TokenizerError` for
        what is no text.
        """
        answers = super().__call__(inputs, **options)
        return answers[0] if isinstance(inputs, list) and len(inputs) == 1 else answers

    def _merged(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return super()._merged(without_none(options))

    def _plan(
        self,
        *,
        top_k: int | None = None,
        targets: str | Sequence[str] | None = None,
        tokenizer_kwargs: Mapping[str, Any] | None = None,
        **reading: Any,
    ) -> Call[Filled]:
        mask_id = self.tokenizer.mask_token_id
        if mask_id is None:
            raise TokenizerError(
                "This tokenizer has no mask_token, so it has no place to fill.", "Load it with a mask_token."
            )
        chosen = None if targets is None else self._target_ids(targets)
        count = TOP_K if top_k is None else positive("top_k", top_k)
        if chosen is not None:
            count = min(count, len(chosen))
        if count > self.config.vocab_size:
            raise OptionError(
                f"top_k is {count}, but the vocabulary has {self.config.vocab_size} tokens.", "Ask for fewer."
            )
        return Call(
            Reading.of(self.config, self.tokenizer, tokenizer_options=tokenizer_kwargs, **reading),
            partial(self._fill, mask_id=mask_id, count=count, chosen=chosen),
            self._present,
        )

    def _target_ids(self, targets: str | Sequence[str]) -> NDArray[np.int64]:
        words = [targets] if isinstance(targets, str) else targets
        if not (isinstance(words, list | tuple) and all(isinstance(word, str) for word in words)):
            raise OptionError(f"targets must be a word or a list of words, not {targets!r}.", "Give strings.")
        ids = {token_id for word in words if (token_id := self._target_id(word)) is not None}
        if not ids:
            raise OptionError(f"targets must name a token at least, not {targets!r}.", "Give a word.")
        return np.array(sorted(ids), np.int64)

    def _target_id(self, word: str) -> int | None:
        token_id = self.tokenizer.backend_tokenizer.token_to_id(word)
        if token_id is not None:
            return token_id
        ids = self.tokenizer.encode(word, add_special_tokens=False)
        if not ids:
            warnings.warn(f"The target {word!r} has no token, and is left out.", stacklevel=2)
            return None
        token = self.tokenizer.convert_ids_to_tokens(ids[0])
        warnings.warn(f"The target {word!r} is no token; its first one, {token!r}, is taken.", stacklevel=2)
        return ids[0]

    def _encode(self, texts: Sequence[Text], reading: Reading) -> EncodedTexts:
        encoded = super()._encode(texts, reading)
        for text, ids in zip(texts, encoded.input_ids, strict=True):
            if self.tokenizer.mask_token_id not in ids:
                raise OptionError(
                    f"There is no {self.tokenizer.mask_token} in what is read of this text: {beginning(text)!r}…",
                    f"Write {self.tokenizer.mask_token} where a word is to be guessed.",
                )
        return encoded

    def _fill(self, batch: Batch, mask_id: int, count: int, chosen: NDArray[np.int64] | None) -> list[Filled]:
        filled = []
        masked = masked_logits(self.engine, batch, mask_id)
        for row, length, logits in zip(batch.inputs["input_ids"], batch.lengths, masked, strict=True):
            ids = row[:length]
            scores = softmax(logits) if chosen is None else softmax(logits)[:, chosen]
            order = best(scores, count)
            tokens = order if chosen is None else chosen[order]
            places = np.flatnonzero(ids == mask_id)
            filled.append(Filled(ids, places, tokens, np.take_along_axis(scores, order, axis=-1)))
        return filled

    def _present(self, filled: Filled) -> list[dict[str, Any]] | list[list[dict[str, Any]]]:
        answers = [
            [
                self._proposal(filled.ids, place, int(token), float(score), alone=len(filled.places) == 1)
                for token, score in zip(tokens, scores, strict=True)
            ]
            for place, tokens, scores in zip(filled.places, filled.tokens, filled.scores, strict=True)
        ]
        return answers[0] if len(answers) == 1 else answers

    def _proposal(
        self, ids: NDArray[np.int64], place: int, token: int, score: float, *, alone: bool
    ) -> dict[str, Any]:
        filled = ids.copy()
        filled[place] = token
        if self.tokenizer.pad_token_id is not None:
            filled = filled[filled != self.tokenizer.pad_token_id]
        return {
            "score": score,
            "token": token,
            "token_str": self.tokenizer.decode([token]),
            # Other masks are special tokens too, and are to be seen.
            "sequence": self.tokenizer.decode(filled, skip_special_tokens=alone),
        }


def masked_logits(engine: Engine, batch: Batch, mask_id: int) -> list[Floats]:
    """The logits of each text's masks, `[masks, vocabulary]`; those of other tokens are not computed."""
    rows = zip(batch.inputs["input_ids"], batch.lengths, strict=True)
    places = [np.flatnonzero(ids[:length] == mask_id) for ids, length in rows]
    positions = np.zeros((len(places), max(1, *map(len, places))), np.int64)
    for row, own in zip(positions, places, strict=True):
        row[: len(own)] = own
    logits = engine.run({**batch.inputs, "positions": positions})["logits"]
    return [rows[: len(own)] for rows, own in zip(logits, places, strict=True)]
