"""Long texts are read in windows that answer for every token once, with context on either side."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilbert.errors import OptionError
from distilbert.text.tokenizer import DistilBertTokenizer
from distilbert.text.windows import answer_long_texts, line_starts, windows

if TYPE_CHECKING:
    from pathlib import Path

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


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12), sizes)
def test_parts_are_cut_as_texts_of_their_own(parts, size_and_overlap):
    begins = [sum(parts[:place]) for place in range(1, len(parts))]
    apart = [
        replace(w, **{edge: getattr(w, edge) + begin for edge in ("start", "stop", "first", "last")})
        for begin, part in zip([0, *begins], parts, strict=True)
        for w in windows(part, *size_and_overlap)
    ]
    assert list(windows(sum(parts), *size_and_overlap, begins)) == apart


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        (" \n\t\n", []),
        ("one line", ["one line"]),
        ("a list:\n  apples\nand some pears\n", ["a list:\n", "  apples\n", "and some pears\n"]),
        (
            "wrapped as New\nYork is, twice\nhere\n\nand on",
            ["wrapped as New\nYork is, twice\nhere\n\n", "and on"],
        ),
        ("as Windows has\r\nit\r\n\r\nit is", ["as Windows has\r\nit\r\n\r\n", "it is"]),
        ("a short\nand much the longest\n", ["a short\n", "and much the longest\n"]),
    ],
)
def test_lines_begin_where_the_next_word_had_room_in_the_line_before(text: str, lines: list[str]) -> None:
    starts = [*line_starts(text), len(text)]
    assert [text[start:end] for start, end in pairwise(starts)] == lines


@given(st.lists(st.text("ab", min_size=1, max_size=9), min_size=1, max_size=60), st.integers(9, 40))
def test_however_a_line_is_wrapped_it_is_one(words: list[str], width: int) -> None:
    wrapped = textwrap.fill(" ".join(words), width)
    longest = max(map(len, wrapped.splitlines()))
    again = textwrap.fill(" ".join(words), longest)
    assert line_starts(again) == [0]


@pytest.mark.parametrize(("size", "overlap"), [(4, 4), (4, 5), (0, 0), (4, -1)])
def test_windows_that_cannot_move_on_are_refused(size, overlap):
    with pytest.raises(OptionError, match="overlap"):
        list(windows(10, size, overlap))


def test_the_answered_parts_weigh_as_much_as_the_text():
    assert np.sum([w.answered for w in windows(1000, 512, 128)]) == 1000


# The same on texts whose characters, words and tokens are not one and the same

CLUSTERS = (
    *("👩\u200d👩\u200d👧", "👍🏽", "🇩🇪", "e\u0301", "a\u0323\u0302", "\u0301", "क्षि", "Å", "ﷺ"),
    *(
        "שלום",
        "مرحبا",
        "\u202e",
        "\u200f",
        "映",
        "画",
        "한국어",
        "ไทย",
        "good",
        "unbelievably",
        "##s",
        "[SEP]",
    ),
    *(" ", "  ", "\n", "\u200b", "\x00", "."),
)
any_text = st.lists(st.sampled_from(CLUSTERS), max_size=80).map("".join) | st.text(max_size=200)


@pytest.fixture(scope="module")
def tokenizer(embedded: Path) -> DistilBertTokenizer:
    return DistilBertTokenizer.from_folder(embedded)


@given(any_text, sizes)
def test_every_token_of_any_script_is_answered_once_at_its_place_in_the_text(
    tokenizer, text, size_and_overlap
):
    whole = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, places = whole.input_ids, whole["offset_mapping"]
    cut = list(windows(len(ids), *size_and_overlap))
    assert [
        token for w in cut for token in ids[w.start : w.stop][w.first - w.start : w.last - w.start]
    ] == ids
    assert [place for w in cut for place in places[w.first : w.last]] == places


MEGABYTES = {  # a megabyte of UTF-8 -> its tokens
    "one word": ("a" * 10**6, 1),
    "many words": ("a warm and funny film. " * 43_479, 6 * 43_479),
    "Chinese, where each character is a word": ("映画" * 166_667, 333_334),
    "emoji in a row": ("👍" * 250_000, 1),
    "combining marks": ("e\u0301 " * 250_000, 250_000),
    "right-to-left words": ("שלום " * 111_112, 4 * 111_112),
}


@pytest.mark.parametrize("kind", MEGABYTES)
def test_every_token_of_a_megabyte_is_answered_once(kind: str, tokenizer) -> None:
    text, tokens = MEGABYTES[kind]
    assert len(text.encode()) == pytest.approx(10**6, rel=0.01)
    ids = tokenizer.text_ids(text)
    assert len(ids) == tokens
    cut = list(windows(len(ids), size=510, overlap=127))
    assert [place for w in cut for place in range(w.first, w.last)] == list(range(tokens))
    assert max(w.stop - w.start for w in cut) <= 510


def test_a_megabyte_of_one_word_is_one_unknown_word(tokenizer) -> None:
    assert tokenizer.text_ids("a" * 10**6) == [tokenizer.unk_token_id]


@given(
    st.lists(st.lists(st.integers(10, 99), max_size=30), max_size=12), st.integers(1, 2), st.integers(1, 4)
)
def test_long_texts_come_back_in_order_each_with_its_windows_and_their_answers(texts, workers, batch_size):
    """The answer to a window is its ids, so what its windows answer for is the text again."""
    found = answer_long_texts(
        ((place, text, ()) for place, text in enumerate(texts)),
        lambda ids: [1, *ids, 2],
        lambda batch: [
            ids[:length] for ids, length in zip(batch.inputs["input_ids"], batch.lengths, strict=True)
        ],
        size=6,
        overlap=2,
        workers=workers,
        batch_size=batch_size,
    )
    for place, (text, parts) in enumerate(found):
        assert text == place
        assert all((ids[0], ids[-1]) == (1, 2) and len(ids) <= 8 for _, ids in parts)
        own = [ids[1 + window.first - window.start : 1 + window.last - window.start] for window, ids in parts]
        assert np.concatenate(own).tolist() == texts[place]
    assert not texts or place == len(texts) - 1
