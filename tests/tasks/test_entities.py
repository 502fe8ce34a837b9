"""Labels of any scheme become runs of one type; tokens of a word get one row of scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from distilbert.errors import OptionError
from distilbert.metrics.entities import SCHEMES, entities_in
from distilbert.tasks.entities import WORD_SCORES, Runs, word_starts

KINDS = ("PER", "WORK-OF-ART")


def labels_of(scheme: str) -> list[str]:
    return ["O", *(f"{letter}-{kind}" for letter in SCHEMES[scheme].letters for kind in KINDS)]


def runs_in(row: list[str], labels: list[str]) -> list[tuple[str, int, int]]:
    """The runs of a row of labels, those of O left out."""
    ids = np.array([labels.index(label) for label in row], np.intp)
    return [run for run in Runs.of(labels).in_row(ids) if run[0] != "O"]


@pytest.mark.parametrize(
    ("scheme", "row", "expected"),
    [
        ("IOB1", "I-PER I-PER B-PER O", ["PER 0-2", "PER 2-3"]),
        ("IOB2", "B-PER I-PER B-PER O B-WORK-OF-ART", ["PER 0-2", "PER 2-3", "WORK-OF-ART 4-5"]),
        (
            "IOB2",
            "I-PER I-WORK-OF-ART I-WORK-OF-ART",
            ["PER 0-1", "WORK-OF-ART 1-3"],
        ),  # taken for what is meant
        ("BILOU", "B-PER I-PER L-PER L-PER U-PER U-PER", ["PER 0-3", "PER 3-4", "PER 4-5", "PER 5-6"]),
        ("BILOU", "U-PER I-PER", ["PER 0-1", "PER 1-2"]),
        ("IOBES", "S-PER B-PER E-PER I-PER", ["PER 0-1", "PER 1-3", "PER 3-4"]),
    ],
)
def test_every_scheme_is_read(scheme: str, row: str, expected: list[str]) -> None:
    found = runs_in(row.split(), labels_of(scheme))
    assert [f"{kind} {start}-{end}" for kind, start, end in found] == expected


def test_types_alone_are_told_whole_and_neighbours_of_one_are_together() -> None:
    labels = ["O", "NOUN", "WORK-OF-ART", "S-BAR"]
    row = ["NOUN", "NOUN", "O", "WORK-OF-ART", "S-BAR", "S-BAR"]
    assert runs_in(row, labels) == [("NOUN", 0, 2), ("WORK-OF-ART", 3, 4), ("S-BAR", 4, 6)]


@given(
    st.sampled_from(["IOB2", "BILOU", "IOBES"]).flatmap(
        lambda scheme: st.tuples(
            st.just(scheme), st.lists(st.sampled_from(labels_of(scheme)), min_size=1, max_size=20)
        )
    )
)
def test_each_entity_that_keeps_its_scheme_is_a_run(drawn: tuple[str, list[str]]) -> None:
    scheme, row = drawn
    assert {(entity.type, entity.start, entity.end) for entity in entities_in(row, scheme)} <= set(
        runs_in(row, labels_of(scheme))
    )


def test_a_label_of_no_scheme_is_refused_unless_it_is_ignored() -> None:
    labels = ["O", "B-PER", "I-PER", "[PAD]"]
    with pytest.raises(OptionError, match=r"'\[PAD\]' is of no scheme"):
        Runs.of(labels)
    with pytest.raises(OptionError, match=r"'\[PAD\]' is of no scheme"):
        Runs.of(labels, ignored=["PER"])
    assert Runs.of(labels, ignored=["[PAD]"]).types == ("O", "PER", "PER", "[PAD]")


WORDS = np.array([0, 0, 0, 2, 3, 3])
SCORES = np.array([[5, 4], [0, 9], [9, 0], [1, 2], [3, 3], [0, 4]], np.float32)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("first", [[5, 4], [1, 2], [3, 3]]),
        ("average", [[14 / 3, 13 / 3], [1, 2], [1.5, 3.5]]),
        ("max", [[0, 9], [1, 2], [0, 4]]),  # the first of two that are as certain
    ],
)
def test_a_word_has_the_scores_of_its_strategy(strategy: str, expected: list[list[float]]) -> None:
    assert WORD_SCORES[strategy](SCORES, word_starts(WORDS)) == pytest.approx(np.array(expected, np.float32))


@given(
    arrays(np.float32, st.tuples(st.integers(0, 20), st.just(3)), elements=st.floats(0, 1, width=32)),
    st.integers(1, 4),
)
def test_strategies_about_words_agree_with_a_plain_loop(scores: np.ndarray, length: int) -> None:
    words = np.arange(len(scores)) // length
    plain = {
        "first": lambda rows: rows[0],
        "average": lambda rows: rows.mean(axis=0),
        "max": lambda rows: max(rows, key=lambda row: row.max()),
    }
    groups = [scores[words == word] for word in np.unique(words)]
    for strategy, of_word in plain.items():
        found = WORD_SCORES[strategy](scores, word_starts(words))
        expected = np.array([of_word(rows) for rows in groups], np.float32).reshape(-1, 3)
        assert found == pytest.approx(expected, abs=1e-6)
