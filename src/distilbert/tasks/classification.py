"""Text classification: one label and its score a text, called and answering as transformers' pipeline does."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from distilbert.errors import OptionError, TruncationWarning
from distilbert.text.batching import TEXTS_PER_BATCH, Batch, answer_in_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distilbert.engines.base import Engine, Floats
    from distilbert.files.config import DistilBertConfig
    from distilbert.text.tokenizer import DistilBertTokenizer, EncodedTexts

Text: TypeAlias = "str | Mapping[str, str]"  # a text, or {"text": ..., "text_pair": ...}
Scored: TypeAlias = "dict[str, str | float]"  # {"label": ..., "score": ...}

UNSAID: Any = "unsaid"  # top_k=None asks for every label, so leaving it out needs a value of its own

OPTIONS = ("top_k", "function_to_apply", "truncation", "max_length", "batch_size", "padding")
TRUNCATIONS = (None, True, False, "longest_first", "only_first", "only_second")


def softmax(logits: Floats) -> Floats:
    """Probabilities that sum to 1, from the logits `[labels]` of one text."""
    exponentials: Floats = np.exp(logits - logits.max())
    scores: Floats = exponentials / exponentials.sum()
    return scores


def sigmoid(logits: Floats) -> Floats:
    """Each logit's own probability."""
    # 1 / (1 + exp(-x)), but of nothing above 0, so that nothing overflows.
    scores: Floats = np.exp(np.minimum(logits, 0)) / (1 + np.exp(-np.abs(logits)))
    return scores


FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {
    "softmax": softmax,
    "sigmoid": sigmoid,
    "none": lambda logits: logits,
}


class TextClassificationPipeline:
    """Classifies texts. Options given here are the defaults of every call.

    >>> from distilbert import pipeline
    >>> classify = pipeline("text-classification")
    >>> classify("A warm and funny film.")[0]["label"]
    'POSITIVE'
    >>> [answer["label"] for answer in classify(["Dull.", "Delightful!"])]
    ['NEGATIVE', 'POSITIVE']
    """

    task = "text-classification"

    def __init__(
        self, tokenizer: DistilBertTokenizer, engine: Engine, config: DistilBertConfig, **options: Any
    ) -> None:
        self.tokenizer, self.engine, self.config = tokenizer, engine, config
        self._options = options
        self._cut_was_said = False
        self._call({})  # wrong options are refused here, not at the first text

    def __call__(self, inputs: Text | Iterable[Text], **options: Any) -> Any:
        """Classify a text, a list of texts, or any iterable of them (which answers as an iterator).

        A text is a string or `{"text": ..., "text_pair": ...}`. A string gets a list with one answer, a list
        gets a list, as in transformers. Options:

        - `top_k`: so many labels a text, best first; None: all of them; left out: the best one, not in a list
        - `function_to_apply`: "softmax", "sigmoid" or "none"; by default what the model's problem type asks for
        - `truncation`: True cuts texts that are too long; False refuses them; None, the default, cuts and warns
          once; or a strategy for pairs: "longest_first", "only_first", "only_second"
        - `max_length`: in tokens; by default what the model can read
        - `batch_size`: texts computed together at most; it changes the speed, never the answer
        - `padding`: taken for compatibility; it changes nothing

        Raises `OptionError` for an option that cannot be used and `TokenizerError` for what is no text.
        """
        call = self._call(options)
        if isinstance(inputs, str):
            [answer] = self._answers([inputs], call)
            return answer if "top_k" in options else [answer]
        if isinstance(inputs, Mapping):
            [answer] = self._answers([inputs], call)
            return answer
        if isinstance(inputs, list | tuple):
            return list(self._answers(list(inputs), call))
        if not isinstance(inputs, Iterable):
            raise OptionError(
                f"A text must be a string, a dict with text and text_pair, or many of those, not {inputs!r}.",
                "Give a string or a list of strings.",
            )
        return self._answers(inputs, call)

    def logits(self, texts: Iterable[Text], **options: Any) -> Iterator[Floats]:
        """The model's raw outputs, float32 `[labels]` a text, in the texts' order. Options as in a call."""
        return self._run(texts, self._call(options))

    def _call(self, options: Mapping[str, Any]) -> _Call:
        options = {**self._options, **options}
        if unknown := [name for name in options if name not in OPTIONS]:
            raise OptionError(
                f"{unknown[0]} is no option of {self.task}, which has {', '.join(OPTIONS)}.",
                "Check the spelling, or leave it out.",
            )
        return _Call(self.config, self.tokenizer.model_max_length, **options)

    def _answers(self, texts: Iterable[Text], call: _Call) -> Iterator[Scored | list[Scored]]:
        return map(call.present, self._run(texts, call))

    def _run(self, texts: Iterable[Text], call: _Call) -> Iterator[Floats]:
        return answer_in_order(
            texts,
            partial(self._encode, call=call),
            self._logits_of_batch,
            workers=self.engine.workers,
            batch_size=call.batch_size,
        )

    def _encode(self, texts: Sequence[Text], call: _Call) -> EncodedTexts:
        strategy = call.truncation if isinstance(call.truncation, str) else "longest_first"
        encoded = self.tokenizer.encode_texts(
            [_pair(text) for text in texts], max_length=call.max_length, strategy=strategy
        )
        cut = any(encoded.truncated)
        if cut and call.truncation is False:
            raise OptionError(
                f"truncation is False, and this text has more than {call.max_length} tokens: "
                f"{_beginning(texts[encoded.truncated.index(True)])!r}…",
                "Shorten it, or let it be cut with truncation=True.",
            )
        if cut and call.truncation is None and not self._cut_was_said:
            self._cut_was_said = True
            warnings.warn(
                f"A text has more than {call.max_length} tokens: what is beyond is not read. This is said once; "
                "truncation=True accepts it, truncation=False refuses such texts.",
                TruncationWarning,
                stacklevel=2,
            )
        return encoded

    def _logits_of_batch(self, batch: Batch) -> Floats:
        return self.engine.run(batch.inputs)["logits"]


class _Call:
    """The options of one call, checked, and how they turn logits into an answer."""

    def __init__(
        self,
        config: DistilBertConfig,
        tokenizer_limit: int,
        *,
        top_k: int | None = UNSAID,
        function_to_apply: Literal["softmax", "sigmoid", "none"] | None = None,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        batch_size: int = TEXTS_PER_BATCH,
        padding: object = None,  # noqa: ARG002 - transformers' callers pass it
    ) -> None:
        self.labels = config.labels
        self.top_k = top_k if top_k is UNSAID or top_k is None else _positive("top_k", top_k)
        self.function = FUNCTIONS[
            _one_of(
                "function_to_apply",
                _default_function(config) if function_to_apply is None else function_to_apply,
                tuple(FUNCTIONS),
            )
        ]
        self.truncation = _one_of("truncation", truncation, TRUNCATIONS)
        limit = min(config.max_position_embeddings, tokenizer_limit)
        self.max_length = limit if max_length is None else min(limit, _positive("max_length", max_length))
        self.batch_size = _positive("batch_size", batch_size)

    def present(self, logits: Floats) -> Scored | list[Scored]:
        scores = self.function(logits)
        if self.top_k is UNSAID:
            best = int(scores.argmax())
            return {"label": self.labels[best], "score": float(scores[best])}
        order = np.argsort(-scores, kind="stable")[: self.top_k]
        return [{"label": self.labels[place], "score": float(scores[place])} for place in order]


def _default_function(config: DistilBertConfig) -> str:
    if config.problem_type == "regression":
        return "none"
    if config.problem_type == "multi_label_classification" or config.num_labels == 1:
        return "sigmoid"
    return "softmax"


def _one_of(option: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    if isinstance(value, bool | str | None) and value in allowed:  # 0 and 1 are no booleans here
        return value
    choices = ", ".join(map(repr, allowed))
    raise OptionError(f"{option} must be one of {choices}, not {value!r}.", "Leave it out for the default.")


def _positive(option: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise OptionError(
        f"{option} must be a whole number of at least 1, not {value!r}.", "Leave it out for the default."
    )


def _beginning(text: Text) -> str:
    return (text["text"] if isinstance(text, Mapping) else text)[:40]


def _pair(text: Text) -> str | tuple[str, str]:
    """A text as the tokenizer takes it; what is no text the tokenizer refuses, with its place."""
    if not isinstance(text, Mapping):
        return text
    if not {"text"} <= text.keys() <= {"text", "text_pair"}:
        raise OptionError(
            f"A pair must have the keys text and text_pair, not {', '.join(map(str, text))}.",
            'Give {"text": "...", "text_pair": "..."}.',
        )
    second = text.get("text_pair")
    return text["text"] if second is None or second == "" else (text["text"], second)  # "" as in transformers
