"""Questions as token ids: a row for each window of a context beside its question, and where in it the answer stands.

A window that has not the whole answer has none, for which [CLS] stands: the answer's first token and its last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from distilbert.errors import DataError, OptionError
from distilbert.files.squad import read_squad
from distilbert.tasks.answers import Context, Search, windows_beside
from distilbert.training.data import Source, Texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from distilbert.files.squad import Question
    from distilbert.tasks.answers import Window
    from distilbert.text.tokenizer import DistilBertTokenizer
    from distilbert.training.data import Batch, Padding
    from distilbert.training.recipe import LabelledRecipe


@dataclass(frozen=True, eq=False)
class AskedTexts:
    """Windows of contexts, a row each, beside their questions."""

    texts: Texts
    windows: list[Window]  # [rows]
    asked: NDArray[np.int64]  # which of `questions` each row is of, ascending: [rows]
    spans: NDArray[np.int64]  # the answer's first and last token in its row: [rows, 2]
    questions: list[Question]
    padding: Padding

    @property
    def lengths(self) -> NDArray[np.int64]:
        """See `Data`."""
        return self.texts.lengths

    def originals(self, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
        """See `Data`."""
        asked = (self.questions[question] for question in self.asked[rows])
        return [
            {"place": one.place, "question": one.question, "context": one.context, "answers": [*one.answers]}
            for one in asked
        ]

    def batch(self, rows: NDArray[np.int64], epoch: int = 0) -> Batch:  # noqa: ARG002 - the same in every epoch
        """See `Data`: with `spans` `[rows, 2]`, and `among`, where an answer may stand: `[rows, longest]`."""
        batch = self.padding.batch(self.texts, rows)
        among = np.zeros(batch["input_ids"].shape, bool)
        for place, row in enumerate(rows):
            among[place, self.windows[row].places] = True
        return batch | {"spans": torch.from_numpy(self.spans[rows]), "among": torch.from_numpy(among)}


def asked_tables(
    recipe: LabelledRecipe, tokenizer: DistilBertTokenizer, padding: Padding
) -> tuple[AskedTexts, AskedTexts | None]:
    """The questions to train on, and those to judge by. `max_rows` and `hold_back` count questions.

    Questions on one context stay together. Raises `DataError` for a file that cannot be read, or a question or context
    without words, and `OptionError` where nothing were left to train on.
    """
    train = [*read_squad(recipe.train)]
    dev = [*read_squad(recipe.dev)] if recipe.dev else []
    if recipe.hold_back:
        train, dev = _held_back(train, recipe)
    if recipe.max_rows is not None:
        train = _drawn(train, recipe)

    def read(questions: Sequence[Question], path: str) -> AskedTexts:
        return _asked(questions, path, tokenizer, Search(recipe.max_length), padding)

    return read(train, recipe.train), read(dev, recipe.dev or recipe.train) if dev else None


def _held_back(
    questions: Sequence[Question], recipe: LabelledRecipe
) -> tuple[list[Question], list[Question]]:
    contexts = [*dict.fromkeys(question.context for question in questions)]
    counts = dict.fromkeys(contexts, 0)
    for question in questions:
        counts[question.context] += 1
    held: set[str] = set()
    total = 0
    for place in np.random.default_rng(0).permutation(len(contexts)):
        if total >= recipe.hold_back:
            break
        held.add(contexts[place])
        total += counts[contexts[place]]
    if len(held) == len(contexts):
        raise OptionError(
            f"hold_back {recipe.hold_back:,} leaves none of the {len(questions):,} questions of {recipe.train} to "
            "train on.",
            "Hold fewer back.",
        )
    return (
        [question for question in questions if question.context not in held],
        [question for question in questions if question.context in held],
    )


def _drawn(questions: Sequence[Question], recipe: LabelledRecipe) -> list[Question]:
    count = recipe.max_rows or 0
    if count > len(questions):
        raise OptionError(
            f"{recipe.train} has {len(questions):,} questions, and {count:,} were asked for.",
            "Ask for fewer (max_rows).",
        )
    drawn = np.sort(np.random.default_rng(0).permutation(len(questions))[:count])
    return [questions[place] for place in drawn]


def _asked(
    questions: Sequence[Question],
    path: str,
    tokenizer: DistilBertTokenizer,
    search: Search,
    padding: Padding,
) -> AskedTexts:
    rows, windows, asked, spans = [], [], [], []
    context = None
    for number, question in enumerate(questions):
        if context is None or context.text != question.context:  # many questions on one context read it once
            context = Context.of(question.context, tokenizer, align_to_words=search.align_to_words)
        ids = tokenizer.text_ids(question.question)[: search.max_question_len]
        if not ids or not context.ids:
            raise DataError(
                f"{question.place}: the {'context' if ids else 'question'} has no words.", "Leave it out."
            )
        if search.max_seq_len <= tokenizer.pair_frame.size + len(ids):
            raise OptionError(
                f"{question.place}: max_length is {search.max_seq_len}, which leaves a context no token beside it.",
                "Choose a greater max_length.",
            )
        for window, row in windows_beside(ids, context, tokenizer.pair_frame, search):
            rows.append(row)
            windows.append(window)
            asked.append(number)
            spans.append(_span(question, window))
    ids_of_rows = [np.array(ids, np.int32) for ids, _ in rows]
    texts = Texts(
        sources=(Source(path, "question", ("question", "context")),),
        source=np.zeros(len(rows), np.int64),
        lines=np.array(asked, np.int64) + 1,
        ids=np.concatenate(ids_of_rows),
        types=np.concatenate([np.array(types, np.uint8) for _, types in rows]),
        ends=np.cumsum([0, *map(len, ids_of_rows)]),
        cut=np.zeros(len(rows), bool),
    )
    return AskedTexts(texts, windows, np.array(asked), np.array(spans, np.int64), [*questions], padding)


def _span(question: Question, window: Window) -> tuple[int, int]:
    """The first and last token of the first right answer in its row, or [CLS]'s where the window has it not whole."""
    if not question.answers:
        return 0, 0
    answer, context = question.answers[0], window.context
    first = int(np.searchsorted(context.ends, answer.start, "right")) - window.first
    last = int(np.searchsorted(context.begins, answer.start + len(answer.text), "left")) - 1 - window.first
    if 0 <= first <= last < window.tokens:
        return window.place + first, window.place + last
    return 0, 0
