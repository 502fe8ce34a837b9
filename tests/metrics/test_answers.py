"""Exact match and F1 are those of SQuAD's published script, which is written out below."""

from __future__ import annotations

import collections
import gzip
import json
import re
import string
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilbert.errors import OptionError
from distilbert.metrics.answers import exact_match, normalised, word_f1

if TYPE_CHECKING:
    from pathlib import Path

WORDS = [
    "the",
    "The",
    "a",
    "An",
    "nile",
    "Nile,",
    "river",
    "re-do",
    "U.S.",
    "...",
    "don't",
    "É",
    "\u00a0",
    "  ",
]
ANSWERS = st.one_of(st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join), st.text(max_size=12))


# evaluate-v2.0.py of SQuAD, step by step as it is published


def published_normalize(s: str) -> str:
    def remove_articles(text: str) -> str:
        return re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", text)

    def remove_punc(text: str) -> str:
        exclude = set(string.punctuation)
        return "".join(ch for ch in text if ch not in exclude)

    return " ".join(remove_articles(remove_punc(s.lower())).split())


def published_f1(a_gold: str, a_pred: str) -> float:
    gold_toks, pred_toks = published_normalize(a_gold).split(), published_normalize(a_pred).split()
    common = collections.Counter(gold_toks) & collections.Counter(pred_toks)
    num_same = sum(common.values())
    if len(gold_toks) == 0 or len(pred_toks) == 0:
        return int(gold_toks == pred_toks)
    if num_same == 0:
        return 0
    precision = 1.0 * num_same / len(pred_toks)
    recall = 1.0 * num_same / len(gold_toks)
    return (2 * precision * recall) / (precision + recall)


def published_scores(predicted: str, answers: list[str]) -> tuple[float, float]:
    gold_answers = [a for a in answers if published_normalize(a)]
    if not gold_answers:
        gold_answers = [""]
    exact = max(int(published_normalize(a) == published_normalize(predicted)) for a in gold_answers)
    return exact, max(published_f1(a, predicted) for a in gold_answers)


@given(st.lists(st.tuples(ANSWERS, st.lists(ANSWERS, max_size=4)), min_size=1, max_size=6))
def test_scores_are_those_of_the_published_script(rows: list[tuple[str, list[str]]]) -> None:
    predicted, gold = [row[0] for row in rows], [row[1] for row in rows]
    exact, f1 = zip(*(published_scores(*row) for row in rows), strict=True)
    assert exact_match(predicted, gold).tolist() == list(exact)
    assert word_f1(predicted, gold).tolist() == pytest.approx(list(f1))


@given(ANSWERS)
def test_an_answer_is_compared_as_the_published_script_does(answer: str) -> None:
    assert normalised(answer) == published_normalize(answer)


@given(ANSWERS, st.lists(ANSWERS, max_size=4))
def test_a_gold_answer_is_right_and_an_exact_match_has_all_its_words(answer: str, others: list[str]) -> None:
    if normalised(answer):
        assert exact_match([answer], [[*others, answer]])[0] == word_f1([answer], [[answer, *others]])[0] == 1
    assert exact_match([answer], [others])[0] <= word_f1([answer], [others])[0] <= 1


@pytest.mark.parametrize(
    ("predicted", "gold", "exact", "f1"),
    [
        ("Denver Broncos", ["Denver Broncos", "Broncos"], 1, 1),
        ("the Denver Broncos of Colorado", ["Denver Broncos"], 0, 2 * 2 / (4 + 2)),
        ("", [], 1, 1),
        ("", ["Denver"], 0, 0),
        ("Denver", [], 0, 0),
        ("the", [], 1, 1),  # nothing is left of it
        ("no no no", ["no"], 0, 2 * 1 / (3 + 1)),
        ("1,000", ["1000"], 1, 1),
    ],
)
def test_the_rules_by_example(predicted: str, gold: list[str], exact: float, f1: float) -> None:
    assert exact_match([predicted], [gold])[0] == exact
    assert word_f1([predicted], [gold])[0] == pytest.approx(f1)


def test_on_the_real_dev_set_each_second_annotator_is_as_good_as_the_published_script_says(
    shared: Path,
) -> None:
    with gzip.open(shared / "data" / "squad" / "dev.json.gz", "rt", encoding="utf-8") as file:
        articles = json.load(file)["data"]
    texts = [
        [answer["text"] for answer in question["answers"]]
        for article in articles[:10]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    ]
    several = [row for row in texts if len(row) > 1]
    predicted, gold = [row[1] for row in several], [[row[0], *row[2:]] for row in several]
    exact, f1 = zip(*map(published_scores, predicted, gold), strict=True)
    assert exact_match(predicted, gold).tolist() == list(exact)
    assert word_f1(predicted, gold).tolist() == pytest.approx(list(f1))
    assert 0.7 < exact_match(predicted, gold).mean() < word_f1(predicted, gold).mean() < 0.95


@pytest.mark.parametrize(("predicted", "gold"), [([], []), (["a"], []), (["a"], [["a"], ["b"]])])
def test_nothing_to_compare_is_refused(predicted: list[str], gold: list[list[str]]) -> None:
    with pytest.raises(OptionError, match="are to be compared with those of"):
        word_f1(predicted, gold)
