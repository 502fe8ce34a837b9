"""How a classifier is measured, by its kind of problem: what is right, what it said, and by which figures."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from distilbert.metrics.classification import accuracy, f1, pearson, spearman
from distilbert.tasks.labels import label_ids, label_number, label_sets
from distilbert.tasks.scores import sigmoid, softmax

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from distilbert.files.config import DistilBertConfig, ProblemType
    from distilbert.files.tables import Row

Answers = NDArray[Any]  # ids [rows], 0/1 [rows, labels], or numbers [rows]


class Measure(NamedTuple):
    """The right answers of rows, a model's scores and answers, the figures by name, and the best constant."""

    gold: Callable[[Iterable[Row], str, DistilBertConfig], Answers]
    scores: Callable[
        [NDArray[Any]], NDArray[Any]
    ]  # of logits, both [rows, labels]: probabilities, or the number
    predicted: Callable[[NDArray[np.float32]], Answers]  # of logits [rows, labels]
    statistics: Callable[[int], Mapping[str, Callable[..., float]]]  # for so many labels
    constant: Callable[[Answers], Answers | None]  # what to answer without looking; None where nothing is


def problem_of(config: DistilBertConfig) -> ProblemType:
    """The kind of problem: what the config says, else one label a text, or a number where there is one logit."""
    return config.problem_type or ("regression" if config.num_labels == 1 else "single_label_classification")


def _most_frequent(gold: Answers) -> Answers:
    return np.full_like(gold, np.bincount(gold).argmax())


def _most_frequent_set(gold: Answers) -> Answers:
    constant = np.zeros_like(gold)
    constant[:, gold.sum(axis=0).argmax()] = 1
    return constant


def _numbers(rows: Iterable[Row], column: str, _: DistilBertConfig) -> Answers:
    return np.array([label_number(row, column) for row in rows])


MEASURES: Mapping[ProblemType, Measure] = {
    "single_label_classification": Measure(
        gold=label_ids,
        scores=softmax,
        predicted=lambda logits: logits.argmax(axis=1),
        statistics=lambda labels: {
            "accuracy": accuracy,
            "f1": partial(f1, average="binary" if labels == 2 else "macro"),
        },
        constant=_most_frequent,
    ),
    "multi_label_classification": Measure(
        gold=label_sets,
        scores=sigmoid,
        predicted=lambda logits: (logits > 0).astype(np.int64),
        statistics=lambda _: {
            "f1_micro": partial(f1, average="micro"),
            "f1_macro": partial(f1, average="macro"),
        },
        constant=_most_frequent_set,
    ),
    "regression": Measure(
        gold=_numbers,
        scores=lambda logits: logits,
        predicted=lambda logits: logits[:, 0],
        statistics=lambda _: {"pearson": pearson, "spearman": spearman},
        constant=lambda _: None,
    ),
}
