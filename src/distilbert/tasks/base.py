"""What all pipelines share: how texts are given and read, and in which order and shape answers come back."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar

from distilbert.errors import OptionError, TokenizerError, TruncationWarning
from distilbert.text.batching import LARGEST_WINDOW, TEXTS_PER_BATCH, answer_in_order
from distilbert.text.encoding import to_row
from distilbert.text.tokenizer import EncodedTexts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from distilbert.engines.base import Engine
    from distilbert.files.config import DistilBertConfig
    from distilbert.text.batching import Batch
    from distilbert.text.tokenizer import DistilBertTokenizer

Text: TypeAlias = "str | Mapping[str, str]"  # a text, or {"text": ..., "text_pair": ...}
A = TypeVar("A")  # what is kept of the engine's answer to one text

TRUNCATIONS = (None, True, False, "longest_first", "only_first", "only_second")
READING_OPTIONS = ("truncation", "max_length", "batch_size", "padding")
TOKENIZER_OPTIONS = (
    "add_special_tokens",
    "is_split_into_words",
    "max_length",
    "pad_to_multiple_of",
    "padding",
    "return_attention_mask",
    "return_token_type_ids",
    "stride",
    "truncation",
)


@dataclass(frozen=True)
class Reading:
    """How a call reads its texts: `READING_OPTIONS`, checked."""

    truncation: bool | str | None
    max_length: int  # tokens, special ones included
    batch_size: int
    tokenizer_options: Mapping[str, Any] = field(default_factory=dict)  # what is told to the tokenizer itself

    @classmethod
    def of(
        cls,
        config: DistilBertConfig,
        tokenizer: DistilBertTokenizer,
        *,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        batch_size: int = TEXTS_PER_BATCH,
        padding: object = None,  # noqa: ARG003 - transformers' callers pass it
        tokenizer_options: Mapping[str, Any] | None = None,
    ) -> Reading:
        """Check what a caller asked for. Raises `OptionError`, which names the option."""
        told = tokenizer_dict(tokenizer_options)
        if unknown := [name for name in told if name not in TOKENIZER_OPTIONS]:
            raise OptionError(
                f"{unknown[0]} cannot be told to the tokenizer here; {', '.join(TOKENIZER_OPTIONS)} can.",
                "Check the spelling, or leave it out.",
            )
        limit = min(config.max_position_embeddings, tokenizer.model_max_length)
        return cls(
            one_of("truncation", told.pop("truncation", truncation), TRUNCATIONS),
            limit if max_length is None else min(limit, positive("max_length", max_length)),
            positive("batch_size", batch_size),
            told,
        )

    @property
    def strategy(self) -> str:
        """Which of two texts is cut."""
        return self.truncation if isinstance(self.truncation, str) else "longest_first"


@dataclass(frozen=True)
class Call(Generic[A]):
    """One call of a pipeline. `answer` runs in a thread of its own and keeps something of each text of a batch;
    `present` makes of that what the user gets.
    """

    reading: Reading
    answer: Callable[[Batch], Iterable[A]]
    present: Callable[[A], Any]
    run: Callable[[Iterable[Text], Call[A]], Iterator[A]] | None = None  # in place of one batch row a text


class TextPipeline(ABC, Generic[A]):
    """Text in, answers out. Options given at construction are the defaults of every call."""

    task: ClassVar[str]
    options: ClassVar[tuple[str, ...]]  # those of its own, beside `reading_options`
    reading_options: ClassVar[tuple[str, ...]] = READING_OPTIONS
    largest_window: ClassVar[int] = LARGEST_WINDOW  # texts whose answers are in memory together

    def __init__(
        self, tokenizer: DistilBertTokenizer, engine: Engine, config: DistilBertConfig, **options: Any
    ) -> None:
        self.tokenizer, self.engine, self.config = tokenizer, engine, config
        self._options = options
        self._cut_was_said = False
        self._call({})  # wrong options are refused here, not at the first text

    def __call__(self, inputs: Text | Iterable[Text], **options: Any) -> Any:
        """Answer a text, a list of texts, or any iterable of them (which answers as an iterator).

        A text is a string or `{"text": ..., "text_pair": ...}`. Options of every task:

        - `truncation`: True cuts texts that are too long; False refuses them; None, the default, cuts and warns
          once; or a strategy for pairs: "longest_first", "only_first", "only_second"
        - `max_length`: in tokens; by default what the model can read
        - `batch_size`: texts computed together at most; it changes the speed, never the answer
        - `padding`: taken for compatibility; it changes nothing

        Raises `OptionError` for an option that cannot be used and `TokenizerError` for what is no text.
        """
        call = self._call(options)
        if isinstance(inputs, str | Mapping):
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

    @abstractmethod
    def _plan(self, **options: Any) -> Call[A]:
        """Check the options of one call, those given at construction included."""

    def _merged(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options at construction with those of a call, which win."""
        return {**self._options, **options}

    def _call(self, options: Mapping[str, Any]) -> Call[A]:
        options, known = self._merged(options), (*self.options, *self.reading_options)
        if unknown := [name for name in options if name not in known]:
            raise OptionError(
                f"{unknown[0]} is no option of {self.task}, which has {', '.join(known)}.",
                "Check the spelling, or leave it out.",
            )
        return self._plan(**options)

    def _answers(self, texts: Iterable[Text], call: Call[A]) -> Iterator[Any]:
        return map(call.present, self._run(texts, call))

    def _run(self, texts: Iterable[Text], call: Call[A]) -> Iterator[A]:
        if call.run:
            return call.run(texts, call)
        return answer_in_order(
            texts,
            partial(self._encode, reading=call.reading),
            call.answer,
            workers=self.engine.workers,
            batch_size=call.reading.batch_size,
            largest_window=self.largest_window,
        )

    def _encode(self, texts: Sequence[Text], reading: Reading) -> EncodedTexts:
        words = bool(reading.tokenizer_options.get("is_split_into_words"))
        pairs: list[Any] = [text if words else pair_of(text) for text in texts]
        if reading.tokenizer_options:
            encoded = self._encode_as_told(pairs, reading)
        else:
            encoded = self.tokenizer.encode_texts(
                pairs, max_length=reading.max_length, strategy=reading.strategy
            )
        if any(encoded.truncated):
            self._tell_of_cut(texts[encoded.truncated.index(True)], reading)
        return encoded

    def _encode_as_told(self, texts: Sequence[str | tuple[str, str]], reading: Reading) -> EncodedTexts:
        """One call of the tokenizer a text, as transformers' pipelines make it: padding is the text's own.

        What is too long for the model all the same is cut by the pipeline's rule.
        """
        options = dict(reading.tokenizer_options)
        if reading.truncation is not None:
            options["truncation"] = reading.truncation
        cut = {**options, "truncation": reading.strategy, "max_length": reading.max_length}
        rows, truncated = [], []
        for index, text in enumerate(texts):
            parts = to_row(text, index, words=bool(options.get("is_split_into_words")))
            row = self.tokenizer(*parts, **options)
            truncated.append(len(row["input_ids"]) > reading.max_length)
            rows.append(self.tokenizer(*parts, **cut) if truncated[-1] else row)
        ids = [row["input_ids"] for row in rows]
        return EncodedTexts(
            ids,
            [row.get("token_type_ids", [0] * len(own)) for row, own in zip(rows, ids, strict=True)],
            truncated,
            [row.get("attention_mask", [1] * len(own)) for row, own in zip(rows, ids, strict=True)],
        )

    def _tell_of_cut(self, text: Text, reading: Reading) -> None:
        if reading.truncation is False:
            raise OptionError(
                f"Texts are not to be cut, and this one has more than {reading.max_length} tokens: "
                f"{beginning(text)!r}…",
                "Shorten it, or let it be cut: truncation=True, on the command line --long truncate.",
            )
        if reading.truncation is None and not self._cut_was_said:
            self._cut_was_said = True
            warnings.warn(
                f"A text has more than {reading.max_length} tokens: what is beyond is not read (said once). "
                "truncation=True accepts that, False refuses such texts; on the command line --long says which.",
                TruncationWarning,
                stacklevel=2,
            )


def tokenizer_dict(options: object) -> dict[str, Any]:
    """What is to be told to the tokenizer, as a dict that may be changed."""
    if options is None or isinstance(options, Mapping):
        return dict(options or {})
    raise OptionError(
        f"What is told to the tokenizer must be a dict, not {options!r}.", 'For example {"max_length": 20}.'
    )


def without_none(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that say something: None leaves the one at construction as it is."""
    return {name: value for name, value in options.items() if value is not None}


def one_of(option: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    """The value, if it is allowed; else `OptionError`."""
    if isinstance(value, bool | str | None) and value in allowed:  # 0 and 1 are no booleans here
        return value
    choices = ", ".join(map(repr, allowed))
    raise OptionError(f"{option} must be one of {choices}, not {value!r}.", "Leave it out for the default.")


def positive(option: str, value: Any) -> int:
    """The value, if it is a whole number of at least 1; else `OptionError`."""
    return whole(option, value, least=1)


def whole(option: str, value: Any, *, least: int) -> int:
    """The value, if it is a whole number of at least `least`; else `OptionError`."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= least:
        return value
    raise OptionError(
        f"{option} must be a whole number of at least {least}, not {value!r}.",
        "Leave it out for the default.",
    )


def beginning(text: Text) -> str:
    """Enough of a text to find it again."""
    return str(text["text"] if isinstance(text, Mapping) else text)[:40]


def window_size(reading: Reading, tokenizer: DistilBertTokenizer) -> int:
    """How many tokens of a text one window holds beside the special ones; `OptionError` if it is none."""
    size = reading.max_length - tokenizer.num_special_tokens_to_add()
    if size < 1:
        raise OptionError(
            f"max_length is {reading.max_length}, which leaves a window no token.", "Choose a larger one."
        )
    return size


def single_text(text: Text) -> str:
    """A text that is no pair, since windows lie on one text; else `OptionError`."""
    single = pair_of(text)
    if isinstance(single, tuple):
        raise OptionError(
            "This reads single texts, and was given a pair.", "Give its texts one after the other."
        )
    return single


def pair_of(text: Text) -> str | tuple[str, str]:
    """A text as the tokenizer takes it; what is no text the tokenizer refuses, with its place."""
    if isinstance(text, list | tuple):
        raise TokenizerError(
            f"A text must be a string or a dict with text and text_pair, not a {type(text).__name__} in a list.",
            'Give a pair as {"text": "...", "text_pair": "..."}, and lists of texts one after the other.',
        )
    if not isinstance(text, Mapping):
        return text
    if not {"text"} <= text.keys() <= {"text", "text_pair"}:
        raise OptionError(
            f"A pair must have the keys text and text_pair, not {', '.join(map(str, text))}.",
            'Give {"text": "...", "text_pair": "..."}.',
        )
    second = text.get("text_pair")
    return text["text"] if second is None or second == "" else (text["text"], second)  # "" as in transformers
