"""Entities are what their scheme allows, and right when type, start and end are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilbert.errors import OptionError
from distilbert.metrics.entities import (
    SCHEMES,
    EntityScore,
    entities_in,
    entity_counts,
    entity_score,
    entity_score_by_type,
    scheme_of,
    split_label,
)


def spans(labels: str, scheme: str) -> str:
    return " ".join(f"{kind}{start}-{end}" for kind, start, end in entities_in(labels.split(), scheme))


@pytest.mark.parametrize(
    ("scheme", "labels", "expected"),
    [
        ("IOB2", "B-X I-X O B-X", "X0-2 X3-4"),
        ("IOB2", "B-X B-X I-X", "X0-1 X1-3"),
        ("IOB2", "I-X O B-X I-Y", "X2-3"),
        ("IOB1", "I-X I-X O I-X B-X I-X", "X0-2 X3-4 X4-6"),
        ("IOB1", "I-X I-Y", "X0-1 Y1-2"),
        ("IOB1", "O B-X O", ""),
        ("BILOU", "B-X I-X L-X U-X U-Y", "X0-3 X3-4 Y4-5"),
        ("BILOU", "B-X I-X O B-X L-Y L-X", ""),
        ("IOBES", "B-X E-X S-Y", "X0-2 Y2-3"),
        ("IOB2", "B-WORK-OF-ART I-WORK-OF-ART", "WORK-OF-ART0-2"),
        ("IOB2", "O O", ""),
        ("IOB2", "", ""),
    ],
)
def test_an_entity_goes_from_its_proper_first_label_to_its_proper_last(
    scheme: str, labels: str, expected: str
) -> None:
    assert spans(labels, scheme) == expected


rows = st.sampled_from([*SCHEMES]).flatmap(
    lambda scheme: st.tuples(
        st.just(scheme),
        st.lists(
            st.sampled_from(
                ["O", *(f"{letter}-{kind}" for letter in SCHEMES[scheme].letters for kind in "XY")]
            ),
            max_size=30,
        ),
    )
)


@given(rows)
def test_entities_are_in_order_never_overlap_and_have_one_type(drawn: tuple[str, list[str]]) -> None:
    scheme, labels = drawn
    end = 0
    for entity in entities_in(labels, scheme):
        assert end <= entity.start < entity.end <= len(labels)
        assert {split_label(label)[1] for label in labels[entity.start : entity.end]} == {entity.type}
        end = entity.end


@given(rows)
def test_what_is_equal_is_all_right_and_types_add_up(drawn: tuple[str, list[str]]) -> None:
    scheme, labels = drawn
    count = len(entities_in(labels, scheme))
    assert entity_score([labels], [labels], scheme) == EntityScore(count, count, count)
    other = [*labels[1:], *labels[:1]]
    whole = entity_score([labels], [other], scheme)
    by_type = entity_score_by_type([labels], [other], scheme).values()
    assert whole == EntityScore(*(sum(getattr(score, name) for score in by_type) for name in vars(whole)))


def test_precision_and_recall_tell_apart_what_is_too_much_and_what_is_missing() -> None:
    gold = [["B-X", "I-X", "O", "B-Y"], ["B-X"]]
    predicted = [["B-X", "I-X", "B-Y", "B-X"], ["O"]]
    score = entity_score(predicted, gold)
    assert (score.precision, score.recall, score.f1) == (1 / 3, 1 / 3, 1 / 3)
    assert entity_counts(predicted, gold).tolist() == [[1, 3, 2], [0, 0, 1]]
    assert entity_score_by_type(predicted, gold) == {"X": EntityScore(1, 2, 2), "Y": EntityScore(0, 1, 1)}


def test_where_nothing_is_to_be_found_scores_are_0() -> None:
    score = entity_score([["O"]], [["O"]])
    assert (score.precision, score.recall, score.f1) == (0, 0, 0)
    assert entity_counts([], []).shape == (0, 3)


@pytest.mark.parametrize(
    ("labels", "scheme"),
    [
        ("O B-X I-X", "IOB2"),
        ("O I-X", "IOB1"),
        ("B-X", "IOB2"),
        ("O B-X I-X L-X U-X", "BILOU"),
        ("B-X I-X L-X", "BILOU"),
        ("O B-X I-X E-X S-X", "IOBES"),
        ("O PER LOC", None),
        ("NOUN S-BAR WORK-OF-ART", None),
        ("O", None),
        ("", None),
    ],
)
def test_labels_tell_their_scheme(labels: str, scheme: str | None) -> None:
    assert scheme_of(labels.split()) == scheme


@pytest.mark.parametrize("labels", ["O B-X I-X Y", "B-X L-X E-X", "B-X I-X X-Y", "B-X I-", "I-X L-X U-X S-X"])
def test_labels_of_no_known_scheme_are_refused_by_name(labels: str) -> None:
    with pytest.raises(OptionError, match="is of no scheme together with") as refusal:
        scheme_of(labels.split())
    assert str(refusal.value).split("'")[1] in labels.split()


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (([["O"]], [["O"], ["O"]]), "as many rows"),
        (([["O", "O"]], [["O"]]), "as many labels"),
        (([["O"]], [["PER"]]), "'PER' is no label of IOB2"),
        (([["B-X"]], [["L-X"]]), "'L-X' is no label of IOB2"),
        (([["O"]], [["O"]], "IOB3"), "not 'IOB3'"),
    ],
)
def test_what_cannot_be_scored_is_refused(arguments: tuple[object, ...], fault: str) -> None:
    with pytest.raises(OptionError, match=fault):
        entity_score(*arguments)  # type: ignore[arg-type]
