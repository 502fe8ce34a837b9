"""How a tagger is measured: its entities against those of labelled sentences."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from distilbert.errors import DataError, OptionError
from distilbert.metrics.entities import (
    EntityScore,
    entity_counts,
    entity_score_by_type,
    scheme_of,
    split_label,
)
from distilbert.metrics.intervals import bootstrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from distilbert.files.conll import Sentence
    from distilbert.tasks.tokens import TokenClassificationPipeline


def measure_entities(tag: TokenClassificationPipeline, sentences: Sequence[Sentence]) -> dict[str, Any]:
    """Entities' `precision`, `recall` and `f1`, each with its 95 % bootstrap interval over sentences, and `types`.

    A word's label is its first token's; entities are counted by seqeval's strict rules, in the sentences' own scheme.
    Raises `DataError` for a word whose label the model does not have or that breaks the scheme, and `OptionError`
    for a model whose labels are of none.
    """
    if scheme_of(tag.config.labels) is None:
        raise OptionError(
            f"A model of entities has labels as B-PER and I-PER; this one has {', '.join(tag.config.labels)}.",
            "Name another model.",
        )
    scheme = gold_scheme(sentences, tag.config.labels)
    gold = [sentence.labels for sentence in sentences]
    predicted = list(tag.labels_of_words(sentence.words for sentence in sentences))
    counts = entity_counts(predicted, gold, scheme)
    figures: dict[str, Any] = {"words": sum(map(len, gold)), "scheme": scheme}
    for name in ("precision", "recall", "f1"):

        def statistic(rows: NDArray[np.int64], name: str = name) -> float:
            return float(getattr(EntityScore(*map(int, rows.sum(axis=0))), name))

        figures[name] = statistic(counts)
        figures[f"{name}_interval"] = astuple(bootstrap(statistic, counts))
    figures["types"] = {
        kind: {"entities": score.gold, "precision": score.precision, "recall": score.recall, "f1": score.f1}
        for kind, score in entity_score_by_type(predicted, gold, scheme).items()
    }
    return figures


def gold_scheme(sentences: Sequence[Sentence], labels: Sequence[str]) -> str:
    """The scheme that sentences are labelled in, one of the model's `labels` for each word.

    IOB1 and IOB2 have the same labels: a file is in IOB1 where entities begin with I. Raises `DataError` for the first
    word whose label the model does not have, and where some entities begin as in IOB1 and others as in IOB2.
    """
    for sentence in sentences:
        for word, label in enumerate(sentence.labels):
            if label not in labels:
                raise DataError(
                    f"{sentence.place(word)}: the model has no label {label!r}; it knows {', '.join(labels)}.",
                    "Rename the label, or name another model.",
                )
    scheme = str(scheme_of(labels))
    if scheme not in ("IOB1", "IOB2"):
        return scheme
    of_iob1, of_iob2 = (next(_beginning_with(letter, sentences), None) for letter in "IB")
    if of_iob1 and of_iob2:
        raise DataError(
            f"{of_iob1}: an entity begins with I, as in IOB1; but with B, as in IOB2, at {of_iob2}.",
            "Mend one of them: in IOB2 every entity begins with B.",
        )
    return "IOB1" if of_iob1 else "IOB2"


def _beginning_with(letter: str, sentences: Sequence[Sentence]) -> Iterator[str]:
    """Where words stand that have this letter and are not behind one of their own type."""
    for sentence in sentences:
        before = ""
        for word, label in enumerate(sentence.labels):
            own, kind = split_label(label)
            if own == letter and kind != before:
                yield sentence.place(word)
            before = kind
