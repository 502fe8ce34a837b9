"""A stream of texts comes back as its answers, in its order, whatever happens in between."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilbert.text.batching import (
    ATTENTION_PER_BATCH,
    CHARACTERS_PER_WINDOW,
    FIRST_WINDOW,
    TOKENS_PER_BATCH,
    Batch,
    answer_in_order,
    cut,
    pad,
)
from distilbert.text.tokenizer import EncodedTexts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

lengths = st.lists(st.one_of(st.integers(2, 40), st.integers(2, 3 * TOKENS_PER_BATCH)), max_size=80)
batch_sizes = st.integers(1, 40)
workers = st.integers(1, 5)


def encode(texts: Sequence[str]) -> EncodedTexts:
    """A token a character, between two others."""
    return EncodedTexts([[1, *map(ord, text), 2] for text in texts], None, [False] * len(texts))


def encode_lengths(texts: Sequence[int]) -> EncodedTexts:
    """As many tokens as the "text" says, which is also what they are."""
    return EncodedTexts([[length] * length for length in texts], None, [False] * len(texts))


def sums(batch: Batch) -> list[int]:
    """The sum of each text's ids, read through the mask as a model does."""
    ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]
    return [int(row[real == 1].sum()) for row, real in zip(ids, mask, strict=True)]


@given(st.lists(st.text(max_size=60), max_size=100), batch_sizes, workers, st.booleans())
def test_answers_come_in_the_streams_order(
    texts: list[str], batch_size: int, workers: int, as_list: bool
) -> None:
    stream = texts if as_list else iter(texts)
    answers = answer_in_order(stream, encode, sums, workers=workers, batch_size=batch_size)
    assert list(answers) == [1 + sum(map(ord, text)) + 2 for text in texts]


@given(lengths, batch_sizes, workers)
def test_every_batch_keeps_to_its_budget_and_says_each_texts_length(
    lengths: list[int], batch_size: int, workers: int
) -> None:
    def answer(batch: Batch) -> list[int]:
        rows, longest = batch.inputs["input_ids"].shape
        assert rows <= batch_size
        assert rows == 1 or rows * longest <= TOKENS_PER_BATCH
        assert rows == 1 or rows * longest**2 <= ATTENTION_PER_BATCH
        assert longest == max(batch.lengths)
        assert batch.inputs["attention_mask"].sum(axis=1).tolist() == batch.lengths
        return batch.lengths

    answers = answer_in_order(lengths, encode_lengths, answer, workers=workers, batch_size=batch_size)
    assert list(answers) == lengths


@given(lengths, batch_sizes, workers)
def test_cutting_covers_every_place_once_and_leaves_no_worker_idle(
    lengths: list[int], batch_size: int, workers: int
) -> None:
    batches = cut(lengths, batch_size, workers)
    assert sorted(itertools.chain.from_iterable(batches)) == list(range(len(lengths)))
    assert all(len(places) <= -(-len(lengths) // workers) for places in batches)
    in_order = [lengths[place] for place in itertools.chain.from_iterable(batches)]
    assert in_order == sorted(lengths, reverse=True)


@given(st.lists(st.integers(2, 9), min_size=1, max_size=9), st.booleans())
def test_padding_is_zero_everywhere_and_masked(lengths: list[int], pairs: bool) -> None:
    encoded = encode_lengths(lengths)
    if pairs:
        encoded = encoded._replace(token_type_ids=[[1] * length for length in lengths])
    places = list(range(len(lengths)))[::-1]
    inputs = pad(encoded, places).inputs
    for row, place in enumerate(places):
        length = lengths[place]
        assert inputs["input_ids"][row, :length].tolist() == encoded.input_ids[place]
        assert inputs["token_type_ids"][row, :length].tolist() == [int(pairs)] * length
        assert inputs["attention_mask"][row, :length].all()
        assert not any(array[row, length:].any() for array in inputs.values())


def counted(text: Any) -> tuple[Iterator[Any], list[int]]:
    """An endless stream of one text, and the numbers of those that were taken so far."""
    taken: list[int] = []

    def stream() -> Iterator[Any]:
        for number in itertools.count():
            taken.append(number)
            yield text

    return stream(), taken


@pytest.mark.parametrize("workers", [1, 3])
def test_an_endless_stream_is_read_only_as_far_as_its_answers_need(workers: int) -> None:
    stream, taken = counted("abc")
    answers = answer_in_order(stream, encode, sums, workers=workers)
    assert not taken
    next(answers)
    assert len(taken) == FIRST_WINDOW
    for _ in range(FIRST_WINDOW):
        next(answers)
    assert len(taken) == 3 * FIRST_WINDOW  # the second window is twice the first


def test_with_a_batch_size_of_one_each_text_is_answered_before_the_next_is_taken() -> None:
    stream, taken = counted("abc")
    answers = answer_in_order(stream, encode, sums, workers=2, batch_size=1)
    for answered in range(1, 200):
        next(answers)
        assert len(taken) == answered


@pytest.mark.parametrize("shape", ["text", "pair"])
def test_windows_of_huge_texts_are_small(shape: str) -> None:
    half = "a" * (CHARACTERS_PER_WINDOW // 8)
    stream, taken = counted(half + half if shape == "text" else {"text": half, "text_pair": half})
    answers = answer_in_order(
        stream, lambda window: encode(["short"] * len(window)), sums, workers=1, batch_size=16
    )
    next(answers)
    assert len(taken) == 4


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_in_a_worker_reaches_the_caller(workers: int) -> None:
    def answer(batch: Batch) -> list[int]:
        if 7 in batch.lengths:
            raise ValueError("seven")
        return batch.lengths

    with pytest.raises(ValueError, match="seven"):
        list(answer_in_order(range(2, 50), encode_lengths, answer, workers=workers, batch_size=4))


def test_answers_before_an_error_of_the_stream_itself_are_given() -> None:
    def stream() -> Iterator[str]:
        yield from ["a"] * FIRST_WINDOW
        raise OSError("the disk went away")

    answers = answer_in_order(stream(), encode, sums)
    assert len([next(answers) for _ in range(FIRST_WINDOW)]) == FIRST_WINDOW
    with pytest.raises(OSError, match="went away"):
        next(answers)


def test_no_more_batches_run_at_once_than_there_are_workers() -> None:
    running, most = 0, 0
    lock, all_here = threading.Lock(), threading.Barrier(3, timeout=20)

    def answer(batch: Batch) -> list[int]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        all_here.wait()  # three must run beside each other, or this times out
        with lock:
            running -= 1
        return batch.lengths

    list(answer_in_order([3] * 48, encode_lengths, answer, workers=3, batch_size=16))
    assert most == 3


def test_an_engine_that_answers_too_little_is_not_glossed_over() -> None:
    with pytest.raises(ValueError, match="zip"):
        list(answer_in_order(["a", "b"], encode, lambda _: np.zeros(1)))
