"""The figures are scikit-learn's and scipy's, on the data they define them on."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from distilbert.metrics.agreement import cosine
from distilbert.metrics.classification import accuracy, confusion, f1, mean_squared_error, pearson, spearman
from distilbert.metrics.intervals import bootstrap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.random import Generator
    from numpy.typing import NDArray

pytestmark = pytest.mark.parity


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Their warnings on labels that do not occur and on constants say what our docstrings say."""
    pytest.importorskip("sklearn", reason="compares with scikit-learn and scipy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def draws() -> list[Generator]:
    return [np.random.default_rng(seed) for seed in range(50)]


def ids(draw: Generator) -> NDArray[np.int64]:
    """Two columns of labels, from one row to 40 and one label to 5, so that some do not occur."""
    return draw.integers(0, draw.integers(1, 6), (2, draw.integers(1, 40)))


def test_accuracy_confusion_and_f1_of_one_label_a_row() -> None:
    from sklearn import metrics

    for draw in draws():
        ours, gold = ids(draw)
        assert accuracy(ours, gold) == pytest.approx(metrics.accuracy_score(gold, ours))
        assert (confusion(ours, gold, 5) == metrics.confusion_matrix(gold, ours, labels=range(5))).all()
        for average in ("macro", "micro"):
            assert f1(ours, gold, average) == pytest.approx(metrics.f1_score(gold, ours, average=average))
        if max(ours.max(), gold.max()) < 2:
            assert f1(ours, gold) == pytest.approx(metrics.f1_score(gold, ours))


def test_accuracy_and_f1_of_several_labels_a_row() -> None:
    from sklearn import metrics

    for draw in draws():
        ours, gold = draw.integers(0, 2, (2, draw.integers(1, 20), draw.integers(2, 6)))
        assert accuracy(ours, gold) == pytest.approx(metrics.accuracy_score(gold, ours))
        for average in ("macro", "micro"):
            assert f1(ours, gold, average) == pytest.approx(metrics.f1_score(gold, ours, average=average))


def test_correlations_and_squared_error() -> None:
    from scipy import stats
    from sklearn import metrics

    for draw in draws():
        shape = (2, draw.integers(2, 30))
        for a, b in (draw.normal(5, 0.1, shape), draw.integers(0, 4, shape)):  # the second has ties
            assert pearson(a, b) == pytest.approx(stats.pearsonr(a, b).statistic, nan_ok=True)
            assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, nan_ok=True)
            assert mean_squared_error(a, b) == pytest.approx(metrics.mean_squared_error(a, b))


def test_cosine() -> None:
    from sklearn.metrics.pairwise import cosine_similarity

    a, b = np.random.default_rng(0).normal(size=(2, 100, 16)).astype(np.float32)
    a[0] = 0
    assert cosine(a, b) == pytest.approx(np.diag(cosine_similarity(a, b)), abs=1e-6)


@pytest.mark.parametrize("figure", [accuracy, f1, lambda a, b: f1(a, b, "macro")])
def test_the_percentile_bootstrap(figure: Any) -> None:
    from scipy import stats

    draw = np.random.default_rng(1)
    gold = draw.integers(0, 2, 400)
    ours = np.where(draw.random(400) < 0.1, 1 - gold, gold)
    theirs = stats.bootstrap(
        (ours, gold), figure, n_resamples=4_000, paired=True, vectorized=False, method="percentile", rng=5
    ).confidence_interval
    found = bootstrap(figure, ours, gold, resamples=4_000)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.004)
