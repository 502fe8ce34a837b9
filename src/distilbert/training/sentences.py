"""Sentences of labelled words as token ids, with a label for each token: what a tagger learns from.

A word's label is that of its first token, by which it is judged. A token within a word gets the label that goes on with
its word's entity (I-X behind B-X), so that a tagger may be read token by token; where the scheme has none such (behind
L, E, U, S) it is no label.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from distilbert.errors import DataError
from distilbert.files.conll import read_conll
from distilbert.metrics.entities import OUTSIDE, scheme_of, split_label
from distilbert.tasks.tokens import tokens_of_words
from distilbert.training.data import Source, Texts, joined
from distilbert.training.losses import IGNORED
from distilbert.training.tables import as_asked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from numpy.typing import NDArray

    from distilbert.files.conll import Sentence
    from distilbert.text.tokenizer import DistilBertTokenizer
    from distilbert.training.data import Batch, Padding
    from distilbert.training.recipe import LabelledRecipe


class Tags(NamedTuple):
    """What each of the tokens of some texts is, special ones included; all `[tokens]`."""

    labels: NDArray[np.int64]  # ids, or IGNORED
    firsts: NDArray[np.bool_]  # whether it is a labelled word's first
    words: NDArray[np.bool_]  # whether it is no special token

    def at(self, tokens: NDArray[np.int64]) -> Tags:
        """Those of these tokens."""
        return Tags(self.labels[tokens], self.firsts[tokens], self.words[tokens])


class SentenceSource(Source):
    """A file of labelled words, whose sentences are told by the line of their first word."""

    def originals(self, lines: NDArray[np.int64]) -> list[dict[str, Any]]:
        """See `Source`."""
        wanted = {int(line) for line in lines}
        return [
            {"place": sentence.place(0), "words": sentence.words, "labels": sentence.labels}
            for sentence in (read_conll(self.path) if wanted else ())
            if sentence.lines[0] in wanted
        ]


@dataclass(frozen=True, eq=False)
class TaggedTexts:
    """Texts with a label for each token."""

    texts: Texts
    tags: Tags
    padding: Padding

    @property
    def lengths(self) -> NDArray[np.int64]:
        """See `Data`."""
        return self.texts.lengths

    def take(self, rows: NDArray[np.int64]) -> Self:
        """These rows alone, in this order."""
        return dataclasses.replace(
            self, texts=self.texts.take(rows), tags=self.tags.at(_tokens_of(self.texts, rows))
        )

    def originals(self, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
        """See `Data`."""
        return self.texts.originals(rows)

    def batch(self, rows: NDArray[np.int64], epoch: int = 0) -> Batch:  # noqa: ARG002 - the same in every epoch
        """See `Data`: with `labels`, filled up with `IGNORED`, and `words`, whether it is one: `[rows, longest]`."""
        batch = self.padding.batch(self.texts, rows)
        tags = self.tags.at(_tokens_of(self.texts, rows))
        mask = batch["attention_mask"].numpy() > 0
        labels, words = np.full(mask.shape, IGNORED, np.int64), np.zeros(mask.shape, bool)
        labels[mask], words[mask] = tags.labels, tags.words
        return batch | {"labels": torch.from_numpy(labels), "words": torch.from_numpy(words)}

    def gold(self, row: int) -> NDArray[np.int64]:
        """The labels of a row's words, `[words]`."""
        place = self.texts.row(row)
        return self.tags.labels[place][self.tags.firsts[place]]


def _tokens_of(texts: Texts, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.arange(texts.ends[row], texts.ends[row + 1]) for row in rows])


def tagged_tables(
    recipe: LabelledRecipe,
    tokenizer: DistilBertTokenizer,
    padding: Padding,
    own: Sequence[str],
    *,
    all_there: bool,
) -> tuple[TaggedTexts, TaggedTexts | None, list[str]]:
    """The sentences to train on, those to judge by, and the names of the labels, in the order of their ids.

    These are the recipe's; else the model's `own`, if all that occur are among them, or must be (`all_there`); else
    those that occur. Raises `DataError` for a file that cannot be read and for a label that is no such name, and
    `OptionError` for names of no known scheme.
    """
    files = {path: [*read_conll(path)] for path in (recipe.train, recipe.dev) if path}
    found = {label for sentences in files.values() for sentence in sentences for label in sentence.labels}
    in_order = sorted(found, key=lambda label: (label != OUTSIDE, *split_label(label)[::-1]))
    names = [*(recipe.labels or (own if all_there or found <= {*own} else in_order))]
    scheme_of(names)
    read = {
        path: _tagged(sentences, names, tokenizer, recipe.max_length, padding)
        for path, sentences in files.items()
    }
    return *as_asked(recipe, read[recipe.train], read.get(recipe.dev or "")), names


def untagged(texts: Texts, tokenizer: DistilBertTokenizer, padding: Padding) -> TaggedTexts:
    """Texts without labels, for a teacher to label."""
    before = tokenizer.special_tokens_before
    behind = tokenizer.num_special_tokens_to_add() - before
    words = np.ones(len(texts.ids), bool)
    for place in range(before):
        words[texts.ends[:-1] + place] = False
    for place in range(behind):
        words[texts.ends[1:] - 1 - place] = False
    return TaggedTexts(texts, Tags(np.full(words.shape, IGNORED), np.zeros_like(words), words), padding)


def joined_texts(pieces: Sequence[TaggedTexts]) -> TaggedTexts:
    """The rows of several, one after the other."""
    tags = Tags(*map(np.concatenate, zip(*(piece.tags for piece in pieces), strict=True)))
    return TaggedTexts(joined([piece.texts for piece in pieces]), tags, pieces[0].padding)


def _tagged(
    sentences: Sequence[Sentence],
    names: Sequence[str],
    tokenizer: DistilBertTokenizer,
    max_length: int,
    padding: Padding,
) -> TaggedTexts:
    ids_of = {name: place for place, name in enumerate(names)}
    goes_on = np.array([ids_of.get(_going_on(name), IGNORED) for name in names])
    room, before = max_length - tokenizer.num_special_tokens_to_add(), tokenizer.special_tokens_before
    ids, tags, cut = [], [], []
    for sentence in sentences:
        tokens = tokens_of_words(sentence.words, " ", tokenizer)
        row = tokenizer.build_inputs_with_special_tokens(tokens.ids[:room])
        own = slice(before, before + len(tokens.ids[:room]))
        labels = np.array([_id_of(sentence, word, ids_of) for word in range(len(sentence.words))])
        numbers = tokens.words[:room]
        firsts = np.diff(numbers, prepend=-1) > 0
        columns = Tags(np.full(len(row), IGNORED), np.zeros(len(row), bool), np.zeros(len(row), bool))
        columns.labels[own] = np.where(firsts, labels[numbers], goes_on[labels[numbers]])
        columns.firsts[own], columns.words[own] = firsts, True
        ids.append(np.array(row, np.int32))
        tags.append(columns)
        cut.append(len(tokens.ids) > room)
    if not any(columns.firsts.any() for columns in tags):
        raise DataError(
            f"{sentences[0].source}: the tokenizer keeps nothing of any word.", "Give a file of words."
        )
    texts = Texts(
        sources=(SentenceSource(sentences[0].source, "line", ("", None)),),
        source=np.zeros(len(ids), np.int64),
        lines=np.array([sentence.lines[0] for sentence in sentences], np.int64),
        ids=np.concatenate(ids),
        types=None,
        ends=np.cumsum([0, *map(len, ids)]),
        cut=np.array(cut, bool),
    )
    return TaggedTexts(texts, Tags(*map(np.concatenate, zip(*tags, strict=True))), padding)


def _id_of(sentence: Sentence, word: int, ids_of: Mapping[str, int]) -> int:
    label = sentence.labels[word]
    if label in ids_of:
        return ids_of[label]
    listed = ", ".join([*ids_of][:12]) + (", …" if len(ids_of) > 12 else "")
    raise DataError(
        f"{sentence.place(word)}: {label!r} is none of the {len(ids_of)} labels: {listed}.",
        "Correct it, or name all labels (labels).",
    )


def _going_on(name: str) -> str:
    """The label of what goes on with a word of this one, within the word; "" where the scheme has none."""
    letter, kind = split_label(name)
    return {"": name, "B": f"I-{kind}", "I": name}.get(letter, "")
