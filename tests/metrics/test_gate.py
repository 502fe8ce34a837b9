"""The gate lets through what strays little from float32, and says in figures how little."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilbert.metrics.gate import (
    MAX_CHANGES,
    MAX_ENTITY_CHANGES,
    MAX_FLIPS,
    MIN_CORRELATION,
    MIN_COSINE,
    MIN_OVERLAP,
    Choices,
    Tags,
    Verdict,
    judge_choices,
    judge_entities,
    judge_label_sets,
    judge_labels,
    judge_numbers,
    judge_spans,
    judge_token_labels,
    judge_vectors,
)

if TYPE_CHECKING:
    from collections.abc import Callable

JUDGES = (judge_labels, judge_label_sets, judge_numbers, judge_token_labels, judge_vectors)


def logits(rows: int = 2_000, labels: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2, (rows, labels)).astype(np.float32)


def flipped(before: np.ndarray, count: int) -> np.ndarray:
    """The same logits, but the first `count` texts have those of two labels swapped."""
    after = before.copy()
    after[:count] = after[:count, ::-1]
    return after


@given(st.integers(0, 40), st.integers(200, 3_000))
def test_at_most_half_a_percent_of_the_labels_may_flip(count: int, texts: int) -> None:
    before = logits(texts)
    verdict = judge_labels(before, flipped(before, count))
    assert verdict.passed == (count <= MAX_FLIPS * texts)
    assert verdict.figures["texts"] == texts
    assert verdict.figures["flips"] == count
    assert verdict.figures["flip_share"] == pytest.approx(count / texts)
    assert f"{count} of {texts:,} labels flipped" in verdict.said


def test_with_the_right_labels_the_change_in_accuracy_is_told_with_its_interval() -> None:
    before = logits()
    gold = before.argmax(axis=1)
    gold[:3] = 1 - gold[:3]  # float32 is wrong on three
    figures = judge_labels(before, flipped(before, 8), gold).figures
    assert figures["wrong_to_right"] == 3
    assert figures["right_to_wrong"] == 5
    assert figures["accuracy_change"] == pytest.approx(-2 / 2_000)
    assert figures["accuracy_change_low"] < -2 / 2_000 < figures["accuracy_change_high"]


def test_the_right_labels_change_figures_but_never_the_verdict() -> None:
    before = logits()
    after = flipped(before, 11)
    gold = after.argmax(axis=1)  # each flip makes it better, and is still a flip
    assert not judge_labels(before, after).passed
    assert not judge_labels(before, after, gold).passed


def test_a_text_with_several_labels_flips_once_when_any_of_them_does() -> None:
    before = logits(1_000, 5)
    after = before.copy()
    after[:4] = -after[:4]  # all five labels of four texts
    after[4, 2] = -after[4, 2]
    verdict = judge_label_sets(before, after)
    assert verdict.figures["flips"] == 5
    assert verdict.passed
    after[5, 0] = -after[5, 0]
    assert not judge_label_sets(before, after).passed


@given(st.integers(0, 40), st.integers(200, 3_000))
def test_at_most_half_a_percent_of_the_tokens_may_change_their_label(count: int, tokens: int) -> None:
    before = logits(tokens, 9)
    after = before.copy()
    after[:count] = np.roll(after[:count], 1, axis=1)
    verdict = judge_token_labels(before, after)
    assert verdict.passed == (count <= MAX_FLIPS * tokens)
    assert verdict.figures["tokens"] == tokens
    assert verdict.figures["flips"] == count


@given(st.integers(0, 60), st.integers(200, 3_000))
def test_at_most_one_percent_of_the_words_chosen_may_change(count: int, rows: int) -> None:
    rng = np.random.default_rng(count)
    before = Choices(rng.integers(0, 30_000, (rows, 1)), logits(rows, 3))
    changed = before.chosen.copy()
    changed[:count] += 1
    verdict = judge_choices(before, Choices(changed, before.logits + np.float32(0.25)))
    assert verdict.passed == (count <= MAX_CHANGES * rows)
    assert verdict.figures["choices"] == rows
    assert verdict.figures["flips"] == count
    assert verdict.error == pytest.approx(0.25, abs=1e-6)
    assert f"{count} of {rows:,} choices flipped" in verdict.said
    assert "at most 1.00 %" in verdict.said


@given(st.integers(0, 100), st.integers(0, 100), st.integers(200, 3_000))
def test_answers_may_change_by_a_twentieth_and_those_partly_the_same_count_partly(
    halved: int, elsewhere: int, rows: int
) -> None:
    start = np.arange(rows) * 10
    before = Choices(np.stack([start, start + 6], axis=1), logits(rows))
    after = before.chosen.copy()
    after[:halved, 1] -= 4  # 2 of 6 characters are left: 2·2 / (2 + 6) = 0.5
    after[halved : halved + elsewhere] += 6
    verdict = judge_spans(before, Choices(after, before.logits + np.float32(0.25)))
    overlap = 1 - (halved / 2 + elsewhere) / rows
    assert verdict.figures["overlap"] == pytest.approx(overlap)
    if abs(overlap - MIN_OVERLAP) > 1e-9:
        assert verdict.passed == (overlap > MIN_OVERLAP)
    assert verdict.figures["answers_changed"] == halved + elsewhere
    assert verdict.figures["answers_elsewhere"] == elsewhere
    assert verdict.error == pytest.approx(0.25, abs=1e-6)
    assert f"{halved + elsewhere} of {rows:,} answers changed" in verdict.said


def test_no_answer_is_the_same_as_no_answer() -> None:
    none, one = (Choices(np.full((300, 2), end) * [0, 1], logits(300)) for end in (0, 4))
    assert judge_spans(none, none).figures["overlap"] == 1
    assert judge_spans(none, one).figures["answers_elsewhere"] == 300


@pytest.mark.parametrize(("judge", "parts"), [(judge_choices, 1), (judge_spans, 2)])
def test_a_choice_whose_logits_are_no_numbers_never_passes(
    judge: Callable[[Choices, Choices], Verdict], parts: int
) -> None:
    before = Choices(np.zeros((300, parts), np.int64), logits(300))
    after = before.logits.copy()
    after[7] = np.nan
    assert judge(before, before).passed
    assert not judge(before, Choices(before.chosen, after)).passed


@pytest.mark.parametrize(("noise", "passes"), [(0.01, True), (0.5, False)])
def test_a_regressions_numbers_must_follow_those_of_float32(noise: float, passes: bool) -> None:
    before = logits(labels=1)
    verdict = judge_numbers(before, before + noise * logits(labels=1, seed=1))
    assert verdict.passed == passes
    assert (verdict.figures["correlation"] >= MIN_CORRELATION) == passes
    assert verdict.figures["max_error"] > verdict.figures["mean_error"] > 0


@pytest.mark.parametrize(("noise", "passes"), [(0.05, True), (0.2, False)])
def test_an_encoders_vectors_must_point_where_those_of_float32_do(noise: float, passes: bool) -> None:
    before = logits(500, 64)
    verdict = judge_vectors(before, before + noise * logits(500, 64, seed=1))
    assert verdict.passed == passes
    assert (verdict.figures["mean_cosine"] >= MIN_COSINE) == passes
    assert verdict.figures["lowest_cosine"] <= verdict.figures["mean_cosine"]


@pytest.mark.parametrize("judge", JUDGES)
def test_equal_answers_pass_without_error(judge: object) -> None:
    before = logits(labels=1 if judge is judge_numbers else 3)
    verdict: Verdict = judge(before, before.copy())  # type: ignore[operator]
    assert verdict.passed
    assert verdict.error == 0


@pytest.mark.parametrize("judge", JUDGES)
def test_an_answer_that_is_no_number_never_passes(judge: object) -> None:
    before = -np.abs(logits(labels=1 if judge is judge_numbers else 2))
    before[:, 1:] -= 50  # label 0 wins, which is also what argmax says of nothing but nan
    after = before.copy()
    after[7] = np.nan
    assert not judge(before, after).passed  # type: ignore[operator]


@given(st.floats(0, 1), st.sampled_from(JUDGES))
def test_the_error_that_remedies_lower_is_the_mean_distance(distance: float, judge: object) -> None:
    before = logits(200, labels=1 if judge is judge_numbers else 2)
    verdict = judge(before, before + np.float32(distance))  # type: ignore[operator]
    assert verdict.error == pytest.approx(distance, abs=1e-5)


@pytest.mark.parametrize("count", [0, 1, 5, 6, 50])
def test_at_most_five_percent_of_the_entities_may_be_one_s_alone(count: int) -> None:
    before = logits(4, 9)
    both = frozenset((text, "PER", 0, 1) for text in range(100 - count))
    alone = [(text, "LOC", 0, 1) for text in range(count)]
    verdict = judge_entities(Tags(before, both | {*alone[::2]}), Tags(before, both | {*alone[1::2]}))
    assert verdict.passed == (count <= 100 * MAX_ENTITY_CHANGES)
    assert f"{count} of 100 entities changed" in verdict.said


def test_entities_do_not_excuse_labels_that_flip_nor_are_they_needed() -> None:
    before, none = logits(4, 9), frozenset[tuple[int, str, int, int]]()
    assert judge_entities(Tags(before, none), Tags(before, none)).passed
    assert not judge_entities(Tags(before, none), Tags(-before, none)).passed
