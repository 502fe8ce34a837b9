"""Text classification: one label and its score a text, called and answering as transformers' pipeline does."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from distilbert.errors import OptionError
from distilbert.tasks.base import (
    TRUNCATIONS,
    Call,
    Reading,
    Text,
    TextPipeline,
    one_of,
    positive,
    single_text,
    window_size,
)
from distilbert.tasks.scores import sigmoid, softmax
from distilbert.text.windows import OVERLAP, answer_long_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from distilbert.engines.base import Floats
    from distilbert.files.config import DistilBertConfig
    from distilbert.text.batching import Batch

__all__ = ["FUNCTIONS", "TRUNCATIONS", "Scored", "Text", "TextClassificationPipeline", "sigmoid", "softmax"]

Scored: TypeAlias = "dict[str, str | float]"  # {"label": ..., "score": ...}

UNSAID: Any = "unsaid"  # top_k=None asks for every label, so leaving it out needs a value of its own

LONG = {"truncate": True, "error": False, "window": False}  # the truncation that each comes to

FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {
    "softmax": softmax,
    "sigmoid": sigmoid,
    "none": lambda logits: logits,
}


class TextClassificationPipeline(TextPipeline["Floats"]):
    """Classifies texts. Options given here are the defaults of every call.

    >>> from distilbert import pipeline
    >>> classify = pipeline("text-classification")
    >>> classify("A warm and funny film.")[0]["label"]
    'POSITIVE'
    >>> [answer["label"] for answer in classify(["Dull.", "Delightful!"])]
    ['NEGATIVE', 'POSITIVE']
    """

    task = "text-classification"
    options = ("top_k", "function_to_apply", "long")

    def __call__(self, inputs: Text | Iterable[Text], **options: Any) -> Any:
        """Classify a text, a list of texts, or any iterable of them (which answers as an iterator).

        A text is a string or `{"text": ..., "text_pair": ...}`. A string gets a list with one answer, a list
        gets a list, as in transformers. Options, beside those of every task (`TextPipeline`):

        - `top_k`: so many labels a text, best first; None: all of them; left out: the best one, not in a list
        - `function_to_apply`: "softmax", "sigmoid" or "none"; by default what the model's problem type asks for
        - `long`: what becomes of a text that is too long: "truncate", "error" (as `truncation=True` and `False`), or
          "window": it is read whole, in overlapping windows, whose logits are averaged by the tokens they answer for

        Raises `OptionError` for an option that cannot be used and `TokenizerError` for what is no text.
        """
        answers = super().__call__(inputs, **options)
        return [answers] if isinstance(inputs, str) and "top_k" not in options else answers

    def _merged(self, options: Mapping[str, Any]) -> dict[str, Any]:
        merged = super()._merged(options)
        for name, rival in (("long", "truncation"), ("truncation", "long")):
            if name in options and rival not in options:
                merged.pop(rival, None)  # a call's word on long texts replaces that at construction
        return merged

    def logits(self, texts: Iterable[Text], **options: Any) -> Iterator[Floats]:
        """The model's raw outputs, float32 `[labels]` a text, in the texts' order. Options as in a call."""
        return self._run(texts, self._call(options))

    def _plan(
        self,
        *,
        top_k: int | None = UNSAID,
        function_to_apply: Literal["softmax", "sigmoid", "none"] | None = None,
        long: Literal["truncate", "error", "window"] | None = None,
        **reading: Any,
    ) -> Call[Floats]:
        if long is not None:
            if reading.get("truncation") is not None:
                raise OptionError(
                    "long and truncation both say what becomes of long texts.", "Leave one out."
                )
            reading["truncation"] = LONG[one_of("long", long, tuple(LONG))]
        asked = _default_function(self.config) if function_to_apply is None else function_to_apply
        present = partial(
            _present,
            labels=self.config.labels,
            function=FUNCTIONS[one_of("function_to_apply", asked, tuple(FUNCTIONS))],
            top_k=top_k if top_k is UNSAID or top_k is None else positive("top_k", top_k),
        )
        call = Call(Reading.of(self.config, self.tokenizer, **reading), self._logits_of_batch, present)
        return replace(call, run=self._run_in_windows) if long == "window" else call

    def _run_in_windows(self, texts: Iterable[Text], call: Call[Floats]) -> Iterator[Floats]:
        """Each text's logits: its windows are read as texts of their own, a window ahead of their average."""
        size = window_size(call.reading, self.tokenizer)
        for _, parts in answer_long_texts(
            ((None, self.tokenizer.text_ids(single_text(text), row), ()) for row, text in enumerate(texts)),
            self.tokenizer.build_inputs_with_special_tokens,
            call.answer,
            size=size,
            overlap=size // OVERLAP,
            workers=self.engine.workers,
            batch_size=call.reading.batch_size,
        ):
            yield _average([(window.answered, logits) for window, logits in parts])

    def _logits_of_batch(self, batch: Batch) -> Floats:
        return self.engine.run(batch.inputs)["logits"]


def _average(parts: list[tuple[int, Floats]]) -> Floats:
    """The mean of windows' logits, weighed by tokens; a single window's as they are, to the bit."""
    if len(parts) == 1:
        return parts[0][1]
    weights, logits = zip(*parts, strict=True)
    return np.average(logits, axis=0, weights=weights).astype(np.float32)


def _present(
    logits: Floats, labels: tuple[str, ...], function: Callable[[Floats], Floats], top_k: int | None
) -> Scored | list[Scored]:
    scores = function(logits)
    if top_k is UNSAID:
        best = int(scores.argmax())
        return {"label": labels[best], "score": float(scores[best])}
    order = np.argsort(-scores, kind="stable")[:top_k]
    return [{"label": labels[place], "score": float(scores[place])} for place in order]


def _default_function(config: DistilBertConfig) -> str:
    if config.problem_type == "regression":
        return "none"
    if config.problem_type == "multi_label_classification" or config.num_labels == 1:
        return "sigmoid"
    return "softmax"
