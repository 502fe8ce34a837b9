"""What a report asks of a kind of problem. `problems` has a row for each: three of classifiers, taggers, answerers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from distilbert.metrics.agreement import paired_rights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from distilbert.report.stored import Answer, Predictions, Row

    Figures = dict[str, Any]  # what JSON can hold; None where there is no such number
    OfModel = Callable[[Predictions, int], Any]  # what is stored, and the place of a model in it


class Read(NamedTuple):
    """A labelled file as a report needs it."""

    rows: Sequence[Row]  # as they are stored
    labels: tuple[str, ...]  # what answers are made of, in the order of the stored logits
    options: Mapping[str, Any]  # of the pipelines that answer


@dataclass(frozen=True)
class Problem:
    """How models for a problem are asked, and what their stored answers come to.

    A row is what JSON can hold, with the right answer as `gold`; so is an answer, with what is answered as `answer`.
    """

    task: str  # whose pipelines answer
    labelled: bool  # whether answers are made of labels, so that all models must know the same
    unit: str  # what a row is
    sure: str  # what calibration takes for how sure a model is
    read: Callable[
        ..., Read
    ]  # of a file and the reference's config; of classifiers, with what is told of the texts
    answers: Callable[
        [Any, Sequence[Row], Sequence[str]], Iterator[Answer]
    ]  # of a pipeline, to rows; and labels
    measured: Callable[[Predictions, int], NDArray[Any]]  # what the statistics are of, [rows, ...]
    statistics: Callable[
        [int], Mapping[str, Callable[[NDArray[Any]], float]]
    ]  # for so many labels, the main one first
    constant: Callable[
        [Predictions], NDArray[Any] | None
    ]  # the best constant answer, measured, if there is one
    agreement: Callable[[Predictions, int], Figures]  # with the reference
    distances: Callable[[Predictions, int], NDArray[np.float64]]  # from the reference, [rows]; 0: they agree
    points: Callable[
        [Predictions, int], tuple[NDArray[np.float64], NDArray[np.bool_]] | None
    ]  # how sure, and whether right: both [answers]
    told: Callable[
        [Predictions, int, int], Figures
    ]  # a row, its right answer, the reference's and the model's


def agreement(differ: NDArray[np.bool_], was: NDArray[np.bool_], now: NDArray[np.bool_]) -> Figures:
    """The share of rows with the same answer, and what changed from the reference to the model; all `[rows]`."""
    return {
        "share": 1 - float(differ.mean()),
        "changed": int(differ.sum()),
        **asdict(paired_rights(was, now)),
    }
