"""Our entity scores are those of seqeval's strict mode."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilbert.metrics.entities import SCHEMES, entities_in, entity_score, entity_score_by_type

pytestmark = pytest.mark.parity

seqeval_scheme = pytest.importorskip("seqeval.scheme", reason="needs seqeval, of the extra dev")
seqeval_metrics = pytest.importorskip("seqeval.metrics", reason="needs seqeval, of the extra dev")


def labels_of(scheme: str) -> st.SearchStrategy[str]:
    kinds = ("PER", "WORK-OF-ART")
    return st.sampled_from(
        ["O", *(f"{letter}-{kind}" for letter in SCHEMES[scheme].letters for kind in kinds)]
    )


def pairs_of(scheme: str) -> st.SearchStrategy[list[list[tuple[str, str]]]]:
    label = labels_of(scheme)
    pair = st.one_of(st.tuples(label, label), label.map(lambda same: (same, same)))
    return st.lists(st.lists(pair, min_size=1, max_size=12), min_size=1, max_size=5)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_any_labels_have_seqeval_s_entities(scheme: str) -> None:
    @given(st.lists(labels_of(scheme), max_size=20))
    def check(labels: list[str]) -> None:
        theirs = seqeval_scheme.Tokens(labels, getattr(seqeval_scheme, scheme)).entities
        assert entities_in(labels, scheme) == [(entity.tag, entity.start, entity.end) for entity in theirs]

    check()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_any_predictions_have_seqeval_s_scores(scheme: str) -> None:
    @given(pairs_of(scheme))
    def check(rows: list[list[tuple[str, str]]]) -> None:
        predicted, gold = ([[pair[side] for pair in row] for row in rows] for side in (0, 1))
        options = {"mode": "strict", "scheme": getattr(seqeval_scheme, scheme)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of scores of nothing, which are 0
            theirs = [
                getattr(seqeval_metrics, f"{name}_score")(gold, predicted, **options)
                for name in ("precision", "recall", "f1")
            ]
            table = seqeval_metrics.classification_report(gold, predicted, output_dict=True, **options)
        ours = entity_score(predicted, gold, scheme)
        assert [ours.precision, ours.recall, ours.f1] == pytest.approx(theirs)
        for kind, score in entity_score_by_type(predicted, gold, scheme).items():
            row = table[kind]
            assert [score.precision, score.recall, score.f1, score.gold] == pytest.approx(
                [row["precision"], row["recall"], row["f1-score"], row["support"]]
            )

    check()
