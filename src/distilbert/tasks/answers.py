"""Question answering: the parts of a context that answer a question, called and answering as transformers 4's pipeline.

A context of any length is read in overlapping windows, each beside the question. A window gives every token of its part
a probability to be an answer's first, and one to be its last; [CLS], which stands for "no answer here", takes part. A
span's score is the product of both. Spans that stand for one answer, such as those of the tokens of one word, add up.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from distilbert.errors import OptionError, TruncationWarning
from distilbert.tasks.base import Call, Reading, Text, TextPipeline, one_of, positive, whole, without_none
from distilbert.tasks.spans import best_spans
from distilbert.text.batching import answer_in_order
from distilbert.text.tokenizer import EncodedTexts
from distilbert.text.windows import WINDOWS_IN_MEMORY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from distilbert.engines.base import Floats
    from distilbert.tasks.spans import Spans
    from distilbert.text.batching import Batch
    from distilbert.text.encoding import Frame
    from distilbert.text.tokenizer import DistilBertTokenizer

    Answer: TypeAlias = dict[str, Any]  # {"score": ..., "start": ..., "end": ..., "answer": ...}
    Row: TypeAlias = tuple[list[int], list[int]]  # token ids and types

TOP_K, MAX_ANSWER_LEN = 1, 15
MAX_SEQ_LEN, MAX_QUESTION_LEN, DOC_STRIDE = 384, 64, 128  # tokens


@dataclass(frozen=True)
class Search:
    """What a call looks for: the options of `QuestionAnsweringPipeline` of the same names, checked."""

    max_seq_len: int
    top_k: int = TOP_K
    max_answer_len: int = MAX_ANSWER_LEN
    max_question_len: int = MAX_QUESTION_LEN
    doc_stride: int | None = None  # nobody said
    handle_impossible_answer: bool = False
    align_to_words: bool = True

    @property
    def spans(self) -> int:
        """How many of a window's spans are looked at first: some of them will be the same answer."""
        return 2 * self.top_k + 10 if self.align_to_words else self.top_k

    def overlap(self, room: int) -> int:
        """How many tokens neighbouring windows share, where each has room for so many of the context."""
        if self.doc_stride is None:
            usual = min(DOC_STRIDE, self.max_seq_len // 2)
            return usual if usual < room else room // 2
        if self.doc_stride < room:
            return self.doc_stride
        raise OptionError(
            f"doc_stride is {self.doc_stride}, but beside this question a window has {room} tokens of the context.",
            "Choose a smaller doc_stride, or a greater max_seq_len.",
        )


@dataclass(frozen=True)
class Context:
    """A context's T tokens: their ids, and the characters of the context that each, or its whole word, stands for."""

    text: str
    ids: list[int]
    begins: NDArray[np.int64]  # [T]
    ends: NDArray[np.int64]  # [T], the first character beyond

    @classmethod
    def of(cls, text: str, tokenizer: DistilBertTokenizer, row: int = 0, *, align_to_words: bool) -> Context:
        """Read it whole, whatever the tokenizer's limit. Raises `TokenizerError`, with its row, for what is no text."""
        encoding = tokenizer.text_encoding(text, row)
        offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
        firsts = lasts = np.arange(len(offsets))
        if align_to_words:
            words = np.array(encoding.word_ids, np.int64)  # ascending: each word's tokens stand together
            firsts, lasts = np.searchsorted(words, words), np.searchsorted(words, words, "right") - 1
        return cls(text, encoding.ids, offsets[firsts, 0], offsets[lasts, 1])


class Window(NamedTuple):
    """The tokens of a context that a row has, and where in the row they stand."""

    context: Context
    first: int
    place: int
    tokens: int

    @property
    def places(self) -> list[int]:
        """Where in the row an answer may stand: at [CLS], for none, and at the context's tokens."""
        return [0, *range(self.place, self.place + self.tokens)]

    @property
    def is_last(self) -> bool:
        """Whether the context ends here."""
        return self.first + self.tokens == len(self.context.ids)


class Part(NamedTuple):
    """What a model says of a window: start and end logits of [CLS] and of the context's tokens, `[2, 1 + tokens]`."""

    window: Window
    logits: Floats

    def log_probabilities(self) -> NDArray[np.float64]:
        """Of each token to begin, and to end, the answer: `[2, 1 + tokens]`."""
        logits = self.logits.astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        shares: NDArray[np.float64] = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return shares


class QuestionAnsweringPipeline(TextPipeline[list[Part]]):
    """Answers questions out of contexts. Options given here are the defaults of every call.

    >>> from distilbert import pipeline
    >>> answer = pipeline("question-answering", model="my-answerer/")  # doctest: +SKIP
    >>> answer(question="Where do I live?", context="I am Wolfgang and I live in Berlin.")  # doctest: +SKIP
    {'score': 0.98, 'start': 28, 'end': 34, 'answer': 'Berlin'}
    """

    task = "question-answering"
    options = (
        "top_k",
        "doc_stride",
        "max_answer_len",
        "max_seq_len",
        "max_question_len",
        "handle_impossible_answer",
        "align_to_words",
    )
    reading_options = ("batch_size", "padding")

    def __call__(  # type: ignore[override]  # by transformers' names
        self, question: Text | Iterable[Text], context: str | list[str] | None = None, **options: Any
    ) -> Any:
        """Answer a question out of its context; a list of questions out of one context, or each out of its own; a
        dict `{"question": ..., "context": ...}`, a list, or any iterable of them (which answers as an iterator).

        The answer is `{"score", "start", "end", "answer"}`, where `answer == context[start:end]`. A list of one
        question is answered as that question, as in transformers. Options:

        - `top_k`: so many answers, best first, in a list if more than 1 are asked for; no two with the same text,
          capitals aside
        - `max_answer_len`: in tokens; 15
        - `max_seq_len`: tokens of a window, question included; 384, or what the model reads
        - `doc_stride`: tokens that neighbouring windows share; 128, or half of a smaller window
        - `max_question_len`: in tokens; what is beyond 64 of them is not read, which is warned of once
        - `handle_impossible_answer`: whether "" may be the answer: its score is the product of [CLS]'s two
          probabilities, in the window where that is lowest
        - `align_to_words`: False also gives parts of words, which languages without spaces need
        - `batch_size`: windows computed together at most; it changes the speed, never the answer
        - `padding`: taken for compatibility; it changes nothing

        Raises `OptionError` for an option that cannot be used, and for a question or context without words.
        """
        examples = _examples(question, context)
        answers = super().__call__(examples, **options)
        return answers[0] if isinstance(examples, list | tuple) and len(examples) == 1 else answers

    def with_parts(self, examples: Iterable[Text], **options: Any) -> Iterator[tuple[list[Part], Any]]:
        """What the model says of each question's windows, and the answer that a call gives: to compare models by."""
        call = self._call(options)
        for parts in self._run(examples, call):
            yield parts, call.present(parts)

    def _merged(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {**without_none(self._options), **without_none(options)}

    def _plan(
        self,
        *,
        top_k: int = TOP_K,
        doc_stride: int | None = None,
        max_answer_len: int = MAX_ANSWER_LEN,
        max_seq_len: int = MAX_SEQ_LEN,
        max_question_len: int = MAX_QUESTION_LEN,
        handle_impossible_answer: bool = False,
        align_to_words: bool = True,
        **reading: Any,
    ) -> Call[list[Part]]:
        longest = positive("max_seq_len", max_seq_len)
        read = Reading.of(self.config, self.tokenizer, max_length=longest, **reading)
        search = Search(
            read.max_length,
            positive("top_k", top_k),
            positive("max_answer_len", max_answer_len),
            positive("max_question_len", max_question_len),
            None if doc_stride is None else whole("doc_stride", doc_stride, least=0),
            one_of("handle_impossible_answer", handle_impossible_answer, (False, True)),
            one_of("align_to_words", align_to_words, (False, True)),
        )
        return Call(
            read,
            self._logits,
            partial(_present, search=search),
            partial(self._run_in_windows, search=search),
        )

    def _run_in_windows(
        self, examples: Iterable[Text], call: Call[list[Part]], search: Search
    ) -> Iterator[list[Part]]:
        """Each question's parts: windows are read as rows of their own, ahead of the questions they belong to."""
        under_way: deque[Window] = deque()
        parts: list[Part] = []
        for logits in answer_in_order(
            self._rows(examples, search, under_way),
            _encoded,
            self._logits,
            workers=self.engine.workers,
            batch_size=call.reading.batch_size,
            largest_window=WINDOWS_IN_MEMORY,
        ):
            window = under_way.popleft()
            parts.append(Part(window, logits[:, window.places]))
            if window.is_last:
                yield parts
                parts = []

    def _rows(self, examples: Iterable[Text], search: Search, under_way: deque[Window]) -> Iterator[Row]:
        context = None
        for number, example in enumerate(examples):
            question, text = (_text_of(example, name) for name in ("question", "context"))
            asked = self._question_ids(question, number, search)
            if context is None or context.text != text:  # many questions on one context read it once
                context = Context.of(text, self.tokenizer, number, align_to_words=search.align_to_words)
                if not context.ids:
                    raise OptionError(
                        f"The context of {question[:40]!r} has no words: {text[:40]!r}.", "Leave it out."
                    )
            for window, row in windows_beside(asked, context, self.tokenizer.pair_frame, search):
                under_way.append(window)
                yield row

    def _question_ids(self, question: str, row: int, search: Search) -> list[int]:
        ids = self.tokenizer.text_ids(question, row)
        if not ids:
            raise OptionError(f"A question has no words: {question[:40]!r}.", "Ask one, or leave it out.")
        if len(ids) > search.max_question_len and not self._cut_was_said:
            self._cut_was_said = True
            warnings.warn(
                f"A question has more than {search.max_question_len} tokens: what is beyond is not read (said once). "
                "max_question_len says how many are.",
                TruncationWarning,
                stacklevel=2,
            )
        return ids[: search.max_question_len]

    def _logits(self, batch: Batch) -> Any:
        """Start and end logits of each row, `[2, length]`."""
        outputs = self.engine.run(batch.inputs)
        both = np.stack([outputs["start_logits"], outputs["end_logits"]], axis=1)
        return [row[:, :length] for row, length in zip(both, batch.lengths, strict=True)]


def windows_beside(
    question: list[int], context: Context, frame: Frame, search: Search
) -> Iterator[tuple[Window, Row]]:
    """The windows of a context beside a question, each with its row: ids and types of [CLS] question [SEP] part [SEP].

    Raises `OptionError` where they leave a context no token.
    """
    room = search.max_seq_len - frame.size - len(question)
    if room < 1:
        raise OptionError(
            f"max_seq_len is {search.max_seq_len}, which leaves a context no token beside a question of "
            f"{len(question)} and {frame.size} special ones.",
            "Choose a greater max_seq_len, or a smaller max_question_len.",
        )
    tokens, place = len(context.ids), frame.second(len(question))
    overlap = search.overlap(room) if tokens > room else 0
    for first in range(0, max(1, tokens - overlap), room - overlap):
        ids = context.ids[first : first + room]
        row = frame.ids([question, ids]), frame.type_ids([len(question), len(ids)])
        yield Window(context, first, place, len(ids)), row


def _encoded(rows: list[Row]) -> EncodedTexts:
    ids, types = zip(*rows, strict=True)
    return EncodedTexts(list(ids), list(types), [False] * len(rows))


def _examples(question: Any, context: Any) -> Any:
    """Bring every form of input to one: `{"question": ..., "context": ...}`, or many of them."""
    if context is None:
        if isinstance(question, str):
            raise OptionError(
                f"The question {question[:40]!r} has no context.", 'Give one: context="..." holds the answer.'
            )
        return question
    if isinstance(question, str) and isinstance(context, str):
        return {"question": question, "context": context}
    if not isinstance(question, list | tuple):
        raise OptionError(
            f"Many contexts need a list of as many questions, not {question!r:.60}.", "Repeat the question."
        )
    contexts = [context] * len(question) if isinstance(context, str) else context
    if not isinstance(contexts, list | tuple) or len(contexts) != len(question):
        raise OptionError(
            f"{len(question)} questions need one context or a list of as many, not {context!r:.60}.",
            "Give each its own, or all of them one.",
        )
    return [{"question": one, "context": text} for one, text in zip(question, contexts, strict=True)]


def _text_of(example: Any, name: str) -> str:
    """The question or the context of an example; what else it holds, such as a data set's ids, is left alone."""
    text = example.get(name) if isinstance(example, Mapping) else None
    if not isinstance(text, str):
        raise OptionError(
            f"A question must be given as a dict with the texts question and context, not {example!r:.80}.",
            'Give {"question": "...", "context": "..."}, or question=... and context=....',
        )
    if not text:
        raise OptionError(f"A {name} is empty: {example!r:.80}.", "Fill it in, or leave the example out.")
    return text


def _present(parts: list[Part], search: Search) -> Answer | list[Answer]:
    answers = best_answers(parts, search)
    return answers[0] if search.top_k == 1 else answers


def best_answers(parts: list[Part], search: Search) -> list[Answer]:
    """The `top_k` best answers to a question: fewer only where its context has no more of them."""
    shares = [part.log_probabilities() for part in parts]
    count = search.spans
    while True:
        found = [best_spans(own[0, 1:], own[1, 1:], search.max_answer_len, count) for own in shares]
        answers = _merged(map(_answers, parts, found))
        if len(answers) >= search.top_k or all(len(spans.scores) < count for spans in found):
            break
        count *= 2  # too many of them were the same answer
    if search.handle_impossible_answer:
        answers.append({"score": _score_of_none(shares), "start": 0, "end": 0, "answer": ""})
    return sorted(answers, key=lambda answer: -answer["score"])[: search.top_k]


def _score_of_none(shares: list[NDArray[np.float64]]) -> float:
    return float(np.exp(min(own[:, 0].sum() for own in shares)))


def _answers(part: Part, spans: Spans) -> dict[str, Answer]:
    """A window's answers by their text in lower case, each at its best place, with the sum of its spans' scores."""
    answers: dict[str, Answer] = {}
    context, first = part.window.context, part.window.first
    places = zip(context.begins[first + spans.firsts], context.ends[first + spans.lasts], strict=True)
    for (start, end), score in zip(places, np.exp(spans.scores), strict=True):
        text = context.text[start:end]
        own = answers.setdefault(
            text.lower(), {"score": 0.0, "start": int(start), "end": int(end), "answer": text}
        )
        own["score"] += float(score)
    return answers


def _merged(windows: Iterable[dict[str, Answer]]) -> list[Answer]:
    """Each answer once, from the window that is surest of it: what two windows saw is no more likely for that."""
    best: dict[str, Answer] = {}
    for answers in windows:
        for text, answer in answers.items():
            if text not in best or answer["score"] > best[text]["score"]:
                best[text] = answer
    return list(best.values())
