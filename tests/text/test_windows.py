"""Long texts are read in windows that answer for every token once, with context on either side."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilbert.errors import OptionError
from distilbert.text.windows import windows

sizes = st.integers(1, 40).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1)))


@given(st.integers(0, 300), sizes)
def test_every_token_is_answered_exactly_once_and_in_order(tokens, size_and_overlap):
    answered = [token for w in windows(tokens, *size_and_overlap) for token in range(w.first, w.last)]
    assert answered == list(range(tokens))


@given(st.integers(0, 300), sizes)
def test_a_window_is_never_larger_than_asked_and_all_but_a_single_one_are_full(tokens, size_and_overlap):
    size, overlap = size_and_overlap
    cut = list(windows(tokens, size, overlap))
    assert all(w.stop - w.start == size for w in cut) or (len(cut) == 1 and cut[0].stop <= size)
    assert all(a.stop - b.start >= overlap for a, b in pairwise(cut))


@given(st.lists(st.integers(0, 9), max_size=200), sizes, st.data())
def test_what_depends_on_k_neighbours_is_the_same_in_windows_for_k_up_to_half_the_overlap(
    text, size_and_overlap, data
):
    size, overlap = size_and_overlap
    reach = data.draw(st.integers(0, overlap // 2), label="k")

    def answer(tokens: list[int]) -> list[int]:
        return [sum(tokens[max(0, i - reach) : i + reach + 1]) for i in range(len(tokens))]

    stitched: list[int] = []
    for w in windows(len(text), size, overlap):
        stitched += answer(text[w.start : w.stop])[w.first - w.start : w.last - w.start]
    assert stitched == answer(text)


@given(st.integers(1, 2000), sizes)
def test_no_token_is_answered_near_an_edge_that_is_not_the_texts_own(tokens, size_and_overlap):
    size, overlap = size_and_overlap
    for w in windows(tokens, size, overlap):
        left, right = w.first - w.start, w.stop - w.last
        assert w.start == 0 or left >= overlap // 2
        assert w.stop == tokens or right >= overlap // 2


@pytest.mark.parametrize(("size", "overlap"), [(4, 4), (4, 5), (0, 0), (4, -1)])
def test_windows_that_cannot_move_on_are_refused(size, overlap):
    with pytest.raises(OptionError, match="overlap"):
        list(windows(10, size, overlap))


def test_the_answered_parts_weigh_as_much_as_the_text():
    assert np.sum([w.answered for w in windows(1000, 512, 128)]) == 1000
