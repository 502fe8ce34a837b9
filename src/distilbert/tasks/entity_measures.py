"""How a tagger is measured: its entities against those of labelled sentences."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from distilbert.errors import DataError, OptionError
from distilbert.metrics.entities import (
    EntityScore,
    beginning_with,
    entity_counts,
    entity_score_by_type,
    scheme_of,
)
from distilbert.metrics.intervals import bootstrap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from distilbert.files.conll import Sentence


def _figure(name: str) -> Callable[[NDArray[np.int64]], float]:
    return lambda counts: float(getattr(EntityScore(*map(int, counts.sum(axis=0))), name))


# Of `entity_counts`, `[rows, 3]`.
ENTITY_FIGURES: Mapping[str, Callable[[NDArray[np.int64]], float]] = {
    name: _figure(name) for name in ("precision", "recall", "f1")
}


def measure_entities(
    predicted: Sequence[Sequence[str]], sentences: Sequence[Sentence], scheme: str
) -> dict[str, Any]:
    """Entities' `precision`, `recall` and `f1`, each with its 95 % bootstrap interval over sentences, and `types`.

    Inputs: a label for each word of the sentences, as `labels_of_words` gives them, and their `gold_scheme`, in which
    entities are counted by seqeval's strict rules.
    """
    gold = [sentence.labels for sentence in sentences]
    counts = entity_counts(predicted, gold, scheme)
    figures: dict[str, Any] = {"words": sum(map(len, gold)), "scheme": scheme}
    for name, statistic in ENTITY_FIGURES.items():
        figures[name] = statistic(counts)
        figures[f"{name}_interval"] = astuple(bootstrap(statistic, counts))
    figures["types"] = {
        kind: {"entities": score.gold, "precision": score.precision, "recall": score.recall, "f1": score.f1}
        for kind, score in entity_score_by_type(predicted, gold, scheme).items()
    }
    return figures


def gold_scheme(sentences: Sequence[Sentence], labels: Sequence[str]) -> str:
    """The scheme that sentences are labelled in, one of the model's `labels` for each word.

    IOB1 and IOB2 have the same labels: a file is in IOB1 where entities begin with I. Raises `OptionError` for a model
    whose labels are of no scheme; `DataError` for the first word whose label the model does not have, and where some
    entities begin as in IOB1 and others as in IOB2.
    """
    scheme = scheme_of(labels)
    if scheme is None:
        raise OptionError(
            f"A model of entities has labels as B-PER and I-PER; this one has {', '.join(labels)}.",
            "Name another model.",
        )
    for sentence in sentences:
        for word, label in enumerate(sentence.labels):
            if label not in labels:
                raise DataError(
                    f"{sentence.place(word)}: the model has no label {label!r}; it knows {', '.join(labels)}.",
                    "Rename the label, or name another model.",
                )
    if scheme not in ("IOB1", "IOB2"):
        return scheme
    of_iob1, of_iob2 = (
        next((one.place(word) for one in sentences for word in beginning_with(letter, one.labels)), None)
        for letter in "IB"
    )
    if of_iob1 and of_iob2:
        raise DataError(
            f"{of_iob1}: an entity begins with I, as in IOB1; but with B, as in IOB2, at {of_iob2}.",
            "Mend one of them: in IOB2 every entity begins with B.",
        )
    return "IOB1" if of_iob1 else "IOB2"
