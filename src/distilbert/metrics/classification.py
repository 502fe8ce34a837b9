"""How good predictions are: accuracy, F1 and confusion for labels; correlation and squared error for scores.

Labels are ids: integers `[rows]`, or where a row may have several, a 0/1 matrix `[rows, labels]`. Conventions
are scikit-learn's (the axes of a confusion matrix, an F1 of 0 where nothing is there to find) and scipy's
(mean ranks, nan for the correlation of a constant). All raise `OptionError` for no rows or unequal shapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from distilbert.errors import OptionError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def correct(predicted: ArrayLike, gold: ArrayLike) -> NDArray[np.bool_]:
    """Return which rows are right, bool `[rows]`; of several labels, all must be.

    >>> correct([1, 0, 1], [1, 1, 1])
    array([ True, False,  True])
    >>> correct([[1, 0], [1, 1]], [[1, 0], [0, 1]])
    array([ True, False])
    """
    ours, theirs = same_ids(predicted, gold)
    return np.asarray((ours == theirs).reshape(len(ours), -1).all(axis=1))


def accuracy(predicted: ArrayLike, gold: ArrayLike) -> float:
    """Return the share of rows that are right, 0 to 1.

    >>> accuracy([1, 0, 1, 1], [1, 1, 1, 0])
    0.5
    """
    return float(correct(predicted, gold).mean())


def confusion(predicted: ArrayLike, gold: ArrayLike, n: int) -> NDArray[np.int64]:
    """Return the counts of `n` labels, int64 `[n, n]`: a row for each gold label, a column for each given.

    >>> confusion([0, 1, 1, 1], [0, 0, 1, 1], 2)
    array([[1, 1],
           [0, 2]])
    """
    ours, theirs = same_ids(predicted, gold, dimensions=1)
    low, high = min(ours.min(), theirs.min()), max(ours.max(), theirs.max())
    if low < 0 or high >= n:
        raise OptionError(f"{n} labels have ids 0 to {n - 1}, but these go from {low} to {high}.", "Set n.")
    return np.bincount(theirs * n + ours, minlength=n * n).reshape(n, n)


def f1(predicted: ArrayLike, gold: ArrayLike, average: str = "binary", positive: int = 1) -> float:
    """Return F1 = 2·TP / (2·TP + FP + FN), 0 to 1 (van Rijsbergen, Information Retrieval, 1979, chapter 7).

    `average` is "binary": of the label `positive`; "macro": the mean over labels; or "micro": of the counts
    summed over labels (equal to accuracy if each row has one). Labels are those that occur on either side, or
    all columns of a matrix, for which "binary" means nothing and is refused.

    >>> f1([1, 1, 0, 0], [1, 0, 1, 0])  # TP, FP and FN are 1
    0.5
    >>> f1([0, 1, 2, 2], [0, 1, 1, 2], "macro")  # of 0, 1, 2: 1, 2/3, 2/3
    0.7777777777777777
    >>> f1([[1, 0], [1, 1]], [[1, 1], [1, 0]], "micro")  # TP 2, FP 1, FN 1
    0.6666666666666666
    """
    ours, theirs = same_ids(predicted, gold)
    allowed = ("binary", "macro", "micro") if ours.ndim == 1 else ("macro", "micro")
    if average not in allowed:
        fault = f"average of labels {list(ours.shape)} is {' or '.join(allowed)}, not {average!r}."
        raise OptionError(fault, "Choose one of these.")
    if average == "binary":
        ours, theirs = (ours == positive)[:, None], (theirs == positive)[:, None]
    hits, claims = _counts_of_ids(ours, theirs) if ours.ndim == 1 else _counts_of_matrix(ours, theirs)
    if average == "micro":
        hits, claims = hits.sum(keepdims=True), claims.sum(keepdims=True)
    # claims = predicted + gold = 2·TP + FP + FN
    return float(np.divide(2 * hits, claims, out=np.zeros(len(hits)), where=claims > 0).mean())


def _counts_of_ids(ours: NDArray[Any], theirs: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    labels, index = np.unique(np.concatenate([ours, theirs]), return_inverse=True)
    hits = np.bincount(index[: len(ours)][ours == theirs], minlength=len(labels))
    return hits, np.bincount(index, minlength=len(labels))


def _counts_of_matrix(ours: NDArray[Any], theirs: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    return (ours * theirs).sum(axis=0), ours.sum(axis=0) + theirs.sum(axis=0)


def pearson(a: ArrayLike, b: ArrayLike) -> float:
    """Return Pearson's correlation of two columns of scores, -1 to 1; nan if one is constant or not finite.

    r = Σ (a - ā)(b - b̄) / √(Σ (a - ā)² · Σ (b - b̄)²)

    >>> round(pearson([1, 2, 3], [1, 2, 4]), 6)  # 3 / √(2 · 42/9)
    0.981981
    """
    x, y = same_scores(a, b)
    if not (np.isfinite(x).all() and np.isfinite(y).all()) or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    x, y = _unit(x), _unit(y)
    return float(np.clip(x @ y, -1.0, 1.0))


def _unit(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centre and scale to length 1; by the largest value first, so that no square over- or underflows."""
    x = x / np.abs(x).max()
    x = x - x.mean()
    x = x / np.abs(x).max()
    return np.asarray(x / np.sqrt(x @ x))


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Return Spearman's correlation, -1 to 1: Pearson's of the ranks; equal values share their mean rank.

    >>> spearman([1, 2, 3, 4], [1, 10, 100, 1000])
    1.0
    >>> round(spearman([1, 2, 2, 4], [1, 3, 2, 4]), 6)  # ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4
    0.948683
    """
    x, y = same_scores(a, b)
    return float("nan") if np.isnan(x).any() or np.isnan(y).any() else pearson(_ranks(x), _ranks(y))


def _ranks(x: NDArray[np.float64]) -> NDArray[np.float64]:
    _, index, counts = np.unique(x, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[index])


def mean_squared_error(predicted: ArrayLike, gold: ArrayLike) -> float:
    """Return the mean of the squared differences, in the scores' unit squared.

    >>> mean_squared_error([1.0, 2.0], [1.0, 4.0])
    2.0
    """
    ours, theirs = same_scores(predicted, gold)
    return float(np.mean((ours - theirs) ** 2))


def same_ids(a: ArrayLike, b: ArrayLike, dimensions: int = 2) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return two columns (or, if `dimensions` is 2, 0/1 matrices) of ids as int64, or raise `OptionError`."""
    ours, theirs = _same_shape(np.asarray(a), np.asarray(b))
    for ids in (ours, theirs):
        if ids.dtype.kind not in "iub":
            raise OptionError(
                f"Labels are integer ids, not {ids.dtype}.", "Take the argmax, or map names to ids."
            )
        if not 1 <= ids.ndim <= dimensions:
            raise OptionError(
                f"Labels have {dimensions} dimensions at most, not {list(ids.shape)}.", "Reshape them."
            )
        if ids.ndim == 2 and ((ids != 0) & (ids != 1)).any():
            raise OptionError(
                "A matrix of labels holds 0 and 1, but this holds others.", "Give ids as one column."
            )
    return ours.astype(np.int64), theirs.astype(np.int64)


def same_scores(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two columns of scores as float64, or raise `OptionError`."""
    ours, theirs = _same_shape(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))
    if ours.ndim != 1:
        raise OptionError(f"Scores are one column, not {list(ours.shape)}.", "Give one score a row.")
    return ours, theirs


def _same_shape(a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    if a.shape != b.shape:
        raise OptionError(
            f"The two sides differ in shape: {list(a.shape)} and {list(b.shape)}.", "Pair the rows."
        )
    if a.size == 0:
        raise OptionError("There are no rows to measure.", "Give at least one.")
    return a, b
