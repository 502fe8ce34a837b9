"""Token classification: entities with their exact place in the text, called and answering as transformers' pipeline."""

from __future__ import annotations

from functools import partial
from itertools import accumulate, pairwise, tee
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np

from distilbert.errors import OptionError, TokenizerError
from distilbert.metrics.entities import OUTSIDE
from distilbert.tasks.base import Call, Reading, TextPipeline, one_of, single_text, window_size, without_none
from distilbert.tasks.entities import WORD_SCORES, Runs, word_starts
from distilbert.tasks.scores import softmax
from distilbert.text.windows import OVERLAP, answer_long_texts, line_starts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from distilbert.engines.base import Floats
    from distilbert.tasks.base import Text
    from distilbert.text.batching import Batch
    from distilbert.text.tokenizer import DistilBertTokenizer

    Tagged: TypeAlias = tuple["Tokens", Floats]  # and their logits, float32 [N, labels]

STRATEGIES = ("none", "simple", *WORD_SCORES)


class Tokens(NamedTuple):
    """The N tokens of a text, special ones left out."""

    text: str
    ids: list[int]
    words: NDArray[np.int64]  # [N]: the number of each token's word
    offsets: NDArray[np.int64]  # [N, 2]: the characters of `text`, the first and the first beyond

    def span(self, first: int, beyond: int) -> dict[str, Any]:
        """Where the tokens from `first` up to `beyond` stand in the text, and what stands there."""
        start, end = int(self.offsets[first, 0]), int(self.offsets[beyond - 1, 1])
        return {"start": start, "end": end, "text": self.text[start:end]}

    def line_starts(self) -> list[int]:
        """The tokens at which lines begin, the first one left out."""
        starts = np.searchsorted(self.offsets[:, 0], line_starts(self.text))
        return np.unique(starts[(starts > 0) & (starts < len(self.ids))]).tolist()  # type: ignore[no-any-return]


class TokenClassificationPipeline(TextPipeline["Tagged"]):
    """Finds entities. Options given here are the defaults of every call.

    >>> from distilbert import pipeline
    >>> ner = pipeline("ner", aggregation_strategy="simple")
    >>> ner("Ada Lovelace lived in London.")[0]  # doctest: +SKIP
    {'entity_group': 'PER', 'score': 0.99, 'word': 'ada lovelace', 'start': 0, 'end': 12, 'text': 'Ada Lovelace'}
    """

    task = "token-classification"
    options = ("aggregation_strategy", "ignore_labels", "is_split_into_words", "delimiter", "stride")

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Find the entities of a text, a list of texts, or any iterable of them (which answers as an iterator).

        A text gets a list of dicts with `score`, `word` (its tokens joined again), `start`, `end` and `text`, which is
        `text[start:end]`; and with `entity` and `index` for a token, `entity_group` for several. However long
        a text is, it is read whole: what the model cannot read at once, line by line, and long lines in overlapping
        windows. Options, beside those of every task (`TextPipeline`):

        - `aggregation_strategy`: "none", the default: one answer a token; "simple": neighbours of one type together;
          "first", "average" or "max": a word has one label, of its first token, of its tokens' mean, or of the token
          that is most certain, and neighbours of one type are together
        - `ignore_labels`: labels or types that are not told; `["O"]` by default
        - `is_split_into_words`: a text is a list of words, which stay whole in the strategies about words; offsets
          are those in the words joined by `delimiter`, a space by default. A list of words gets a list of one answer
        - `stride`: so many tokens are shared by neighbouring windows; a quarter of a window by default
        - `truncation`: here None, the default, cuts nothing

        Raises `OptionError` for an option that cannot be used and `TokenizerError` for what is no text.
        """
        if self._merged(options).get("is_split_into_words") and isinstance(inputs, list | tuple):
            texts: Any = inputs if all(isinstance(text, list | tuple) for text in inputs) else [inputs]
            return super().__call__(texts, **options)
        return super().__call__(inputs, **options)

    def labels_of_words(self, texts: Iterable[Sequence[str]]) -> Iterator[list[str]]:
        """Each word's label, for texts that are lists of words: its first token's, since models are trained so.

        A word of which the tokenizer keeps nothing is outside. Raises as a call does.
        """
        return ([label for label, _ in tags] for tags in self.tags_of_words(texts))

    def tags_of_words(self, texts: Iterable[Sequence[str]]) -> Iterator[list[tuple[str, float | None]]]:
        """As `labels_of_words`, each label with its probability; None where the tokenizer keeps nothing of a word."""
        texts, again = tee(texts)
        call = self._call({"is_split_into_words": True})
        for words, (tokens, logits) in zip(again, self._run(texts, call), strict=True):  # type: ignore[arg-type]
            tags: list[tuple[str, float | None]] = [(OUTSIDE, None)] * len(words)
            starts = word_starts(tokens.words)
            own = logits[starts]
            for word, label, scores in zip(
                tokens.words[starts], own.argmax(axis=1), softmax(own), strict=True
            ):
                tags[word] = (self.config.labels[label], float(scores[label]))
            yield tags

    def _merged(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {**without_none(self._options), **without_none(options)}

    def _plan(
        self,
        *,
        aggregation_strategy: Literal["none", "simple", "first", "average", "max"] = "none",
        ignore_labels: Collection[str] = ("O",),
        is_split_into_words: bool = False,
        delimiter: str = " ",
        stride: int | None = None,
        **reading: Any,
    ) -> Call[Tagged]:
        are_many = isinstance(ignore_labels, list | tuple | set | frozenset)
        if not are_many or not all(isinstance(label, str) for label in ignore_labels):
            raise OptionError(
                f"ignore_labels must be a list of labels, not {ignore_labels!r}.", 'Give ["O"].'
            )
        if not isinstance(delimiter, str):
            raise OptionError(f"delimiter must be a string, not {delimiter!r}.", "Leave it out for a space.")
        if isinstance(aggregation_strategy, str):  # transformers takes any case, and members of its enum
            aggregation_strategy = str.lower(aggregation_strategy)  # type: ignore[assignment]
        strategy = one_of("aggregation_strategy", aggregation_strategy, STRATEGIES)
        read = Reading.of(self.config, self.tokenizer, **reading)
        size = window_size(read, self.tokenizer)
        if strategy == "none":
            present = partial(self._present_tokens, ignored=ignore_labels)
        else:
            runs = Runs.of(self.config.labels, ignore_labels)
            present = partial(self._present_runs, ignored=ignore_labels, runs=runs, strategy=strategy)
        joined = one_of("is_split_into_words", is_split_into_words, (True, False))
        run = partial(
            self._run_in_windows,
            size=size,
            overlap=_overlap(stride, size),
            delimiter=delimiter if joined else None,
        )
        return Call(read, self._logits_of_batch, present, run)

    def _run_in_windows(
        self, texts: Iterable[Text], call: Call[Tagged], *, size: int, overlap: int, delimiter: str | None
    ) -> Iterator[Tagged]:
        """Each text with its tokens' logits, each from the window that has it farthest from an edge.

        A text of words is one line, whatever joins them.
        """
        read = (self._read(text, row, call.reading, size, delimiter) for row, text in enumerate(texts))
        before = self.tokenizer.special_tokens_before
        for tokens, parts in answer_long_texts(
            (
                (
                    tokens,
                    tokens.ids,
                    tokens.line_starts() if len(tokens.ids) > size and delimiter is None else (),
                )
                for tokens in read
            ),
            self.tokenizer.build_inputs_with_special_tokens,
            self._logits_of_batch,
            size=size,
            overlap=overlap,
            workers=self.engine.workers,
            batch_size=call.reading.batch_size,
        ):
            own = [
                logits[before + window.first - window.start : before + window.last - window.start]
                for window, logits in parts
            ]
            yield tokens, np.concatenate(own)

    def _read(self, text: Any, row: int, reading: Reading, size: int, delimiter: str | None) -> Tokens:
        if delimiter is None:
            tokens = tokens_of_text(single_text(text), self.tokenizer, row)
        else:
            tokens = tokens_of_words(text, delimiter, self.tokenizer, row)
        if len(tokens.ids) <= size or reading.truncation is None:
            return tokens
        if reading.truncation is False:
            self._tell_of_cut(text, reading)
        kept = slice(size) if self.tokenizer.truncation_side == "right" else slice(-size, None)
        return Tokens(tokens.text, tokens.ids[kept], tokens.words[kept], tokens.offsets[kept])

    def _logits_of_batch(self, batch: Batch) -> Any:
        return self.engine.run(batch.inputs)["logits"]

    def _present_tokens(self, tagged: Tagged, *, ignored: Collection[str]) -> list[dict[str, Any]]:
        tokens, logits = tagged
        scores, labels = softmax(logits), self.config.labels
        return [
            {
                "entity": labels[label],
                "score": float(scores[place, label]),
                "index": self.tokenizer.special_tokens_before + place,
                "word": self._word(tokens, place),
                **tokens.span(place, place + 1),
            }
            for place, label in enumerate(scores.argmax(axis=1))
            if labels[label] not in ignored
        ]

    def _present_runs(
        self, tagged: Tagged, *, ignored: Collection[str], runs: Runs, strategy: str
    ) -> list[dict[str, Any]]:
        tokens, logits = tagged
        scores, starts, spell = softmax(logits), np.arange(len(tokens.ids)), self._spelt
        if strategy != "simple":
            starts, spell = word_starts(tokens.words), self._words
            scores = WORD_SCORES[strategy](scores, starts)
        edges = [*starts.tolist(), len(tokens.ids)]  # of units, in tokens
        label_ids, best = scores.argmax(axis=1), scores.max(axis=1)
        found = []
        for kind, first, beyond in runs.in_row(label_ids):
            if kind not in ignored:
                own = edges[first : beyond + 1]
                found.append(
                    {
                        "entity_group": kind,
                        "score": float(best[first:beyond].mean()),
                        "word": spell(tokens, own),
                        **tokens.span(own[0], own[-1]),
                    }
                )
        return found

    def _words(self, tokens: Tokens, edges: list[int]) -> str:
        """Words joined, where `edges` are the tokens at which they start, and the token beyond the last of them."""
        words = [self._spelt(tokens, [*range(first, beyond + 1)]) for first, beyond in pairwise(edges)]
        return self.tokenizer.convert_tokens_to_string(words)

    def _spelt(self, tokens: Tokens, edges: list[int]) -> str:
        return self.tokenizer.convert_tokens_to_string([self._word(tokens, place) for place in edges[:-1]])

    def _word(self, tokens: Tokens, place: int) -> str:
        """A token as the vocabulary has it; one that is unknown, as it stands in the text."""
        if tokens.ids[place] == self.tokenizer.unk_token_id:
            return str(tokens.span(place, place + 1)["text"])
        return str(self.tokenizer.convert_ids_to_tokens(tokens.ids[place]))


def _overlap(stride: int | None, size: int) -> int:
    """How many tokens neighbouring windows of `size` tokens share."""
    if stride is None:
        return size // OVERLAP
    if type(stride) is int and 0 <= stride < size:
        return stride
    raise OptionError(
        f"stride must be a whole number from 0 to {size - 1}, below a window's {size} tokens, not {stride!r}.",
        "Leave it out for a quarter of a window.",
    )


def tokens_of_text(text: str, tokenizer: DistilBertTokenizer, row: int = 0) -> Tokens:
    """The tokens of a text. Raises `TokenizerError`, with the number of its row, for what is no text."""
    encoding = tokenizer.text_encoding(text, row)
    offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
    return Tokens(text, encoding.ids, np.array(encoding.word_ids, np.int64), offsets)


def tokens_of_words(words: Any, delimiter: str, tokenizer: DistilBertTokenizer, row: int = 0) -> Tokens:
    """The tokens of words, each of its own word, whatever the tokenizer makes of it, in the text that joins them.

    Raises `TokenizerError` for what is no list of words, and, with the number of its row, for one that is no text.
    """
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise TokenizerError(
            f"With is_split_into_words a text must be a list of words, not {words!r:.60}.",
            'Give for example ["Ada", "Lovelace"].',
        )
    encoding = tokenizer.text_encoding(list(words), row)
    begins = np.array([0, *accumulate(len(word) + len(delimiter) for word in words)], np.int64)
    numbers = np.array(encoding.word_ids, np.int64)
    offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2) + begins[numbers, None]
    return Tokens(delimiter.join(words), encoding.ids, numbers, offsets)
