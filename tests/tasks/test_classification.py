"""Classification is called, and answers, in the shapes that transformers' users know."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny import VOCABULARY, WORDS, tiny_config

from distilbert.engines.fake import FakeEngine
from distilbert.errors import OptionError, TokenizerError, TruncationWarning
from distilbert.tasks.classification import TextClassificationPipeline, sigmoid, softmax
from distilbert.text.tokenizer import DistilBertTokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

TOKENIZER = DistilBertTokenizer({word: place for place, word in enumerate(VOCABULARY)})
LABELS = ("BAD", "SO-SO", "GOOD")
VALUES = {"bad": -2.0, "good": 2.0, "great": 3.0}
POSITIONS = 16


def feeling(tokens: np.ndarray) -> list[float]:
    """Three logits from the words of a text, 0.5 for none of the words that count."""
    total = sum(VALUES.get(VOCABULARY[token], 0.0) for token in tokens)
    return [-total, 0.5, total]


def classifier(
    answer: Callable[[np.ndarray], list[float]] = feeling, labels: tuple[str, ...] = LABELS, **options: Any
) -> TextClassificationPipeline:
    """A classifier whose logits can be worked out by hand; `options` are the config's or the pipeline's."""
    problem_type = options.pop("problem_type", None)
    workers = options.pop("workers", 1)
    config = tiny_config(labels=labels, problem_type=problem_type, max_position_embeddings=POSITIONS)
    return TextClassificationPipeline(TOKENIZER, FakeEngine(answer, workers), config, **options)


def expected(*logits: float) -> list[float]:
    return (np.exp(logits) / np.exp(logits).sum()).tolist()


GOOD = {"label": "GOOD", "score": pytest.approx(expected(-2, 0.5, 2)[2])}
BAD = {"label": "BAD", "score": pytest.approx(expected(2, 0.5, -2)[0])}
ALL_OF_GOOD = [
    {"label": label, "score": pytest.approx(score)}
    for label, score in zip(LABELS[::-1], expected(2, 0.5, -2), strict=True)
]


class TestWhatComesBack:
    @pytest.mark.parametrize(
        ("inputs", "answer"),
        [
            pytest.param("a good film", [GOOD], id="a text: a list of one"),
            pytest.param(["a good film"], [GOOD], id="a list of one"),
            pytest.param(["a good film", "a bad film"], [GOOD, BAD], id="a list"),
            pytest.param(("a good film", "a bad film"), [GOOD, BAD], id="a tuple"),
            pytest.param({"text": "a good film"}, GOOD, id="a dict: one answer"),
            pytest.param({"text": "a film", "text_pair": "good"}, GOOD, id="a pair"),
            pytest.param([{"text": "so", "text_pair": "bad"}, "good"], [BAD, GOOD], id="pairs and texts"),
            pytest.param([], [], id="an empty list"),
        ],
    )
    def test_has_the_shape_of_what_was_asked(self, inputs: Any, answer: Any) -> None:
        assert classifier()(inputs) == answer

    def test_is_an_iterator_for_any_other_iterable(self) -> None:
        texts = ["good", "bad"] * 100
        answers = classifier()(text for text in texts)
        assert iter(answers) is answers
        assert list(answers) == [GOOD, BAD] * 100
        assert list(classifier()({"good": 1, "bad": 2}.keys())) == [GOOD, BAD]

    @pytest.mark.parametrize(("top_k", "count"), [(1, 1), (2, 2), (3, 3), (9, 3), (None, 3)])
    def test_is_a_list_of_labels_best_first_with_top_k(self, top_k: int | None, count: int) -> None:
        classify = classifier()
        assert classify("good", top_k=top_k) == ALL_OF_GOOD[:count]
        assert classify(["good", "good"], top_k=top_k) == [ALL_OF_GOOD[:count]] * 2
        assert classify({"text": "good"}, top_k=top_k) == ALL_OF_GOOD[:count]

    def test_is_a_list_in_a_list_for_a_text_when_top_k_was_given_at_construction(self) -> None:
        classify = classifier(top_k=2)  # as in transformers, which looks at the call's own options
        assert classify("good") == [ALL_OF_GOOD[:2]]
        assert classify(["good"]) == [ALL_OF_GOOD[:2]]
        assert classify("good", top_k=None) == ALL_OF_GOOD

    def test_is_plain_python(self) -> None:
        [answer] = classifier()("good")
        assert type(answer["score"]) is float
        assert type(answer["label"]) is str

    def test_ties_go_to_the_first_label(self) -> None:
        classify = classifier(lambda _: [1.0, 1.0, 1.0])
        assert classify("x")[0]["label"] == "BAD"
        assert [answer["label"] for answer in classify("x", top_k=None)] == list(LABELS)

    @given(
        st.lists(st.sampled_from(["good", "bad", "a", "good good", "bad film"]), max_size=50),
        st.integers(1, 20),
    )
    def test_does_not_depend_on_batches_or_workers(self, texts: list[str], batch_size: int) -> None:
        one, many = classifier(), classifier(workers=3, batch_size=batch_size)
        assert many(texts) == [one(text)[0] for text in texts] == one(texts, batch_size=batch_size)


class TestScores:
    @pytest.mark.parametrize(
        ("labels", "problem_type", "function"),
        [
            (LABELS, None, "softmax"),
            (LABELS, "single_label_classification", "softmax"),
            (LABELS, "multi_label_classification", "sigmoid"),
            (LABELS, "regression", "none"),
            (("SCORE",), "regression", "none"),
            (("SPAM",), None, "sigmoid"),
        ],
    )
    def test_are_what_the_problem_type_asks_for(
        self, labels: tuple[str, ...], problem_type: str | None, function: str
    ) -> None:
        logits = [-1.0, 0.25, 2.0][: len(labels)]
        classify = classifier(lambda _: logits, labels, problem_type=problem_type)
        scores = {
            "softmax": expected(*logits),
            "sigmoid": [1 / (1 + math.exp(-logit)) for logit in logits],
            "none": logits,
        }
        for asked, said in ((None, function), *((name, name) for name in scores)):
            answers = classify("x", top_k=None, function_to_apply=asked)
            got = {answer["label"]: answer["score"] for answer in answers}
            assert got == pytest.approx(dict(zip(labels, scores[said], strict=True)))

    def test_function_to_apply_may_be_given_at_construction_and_changed_by_a_call(self) -> None:
        classify = classifier(function_to_apply="none")
        assert classify("good")[0]["score"] == 2.0
        assert classify("good", function_to_apply="softmax") == [GOOD]
        assert classify("good")[0]["score"] == 2.0

    @given(arrays(np.float32, st.integers(1, 9), elements=st.floats(-1e4, 1e4, width=32)))
    def test_stay_finite_for_any_logits(self, logits: np.ndarray) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            probabilities, own = softmax(logits), sigmoid(logits)
        assert probabilities.sum() == pytest.approx(1, abs=1e-5)
        assert ((probabilities >= 0) & (probabilities <= 1)).all()
        assert ((own >= 0) & (own <= 1)).all()
        assert (sigmoid(np.zeros(1, np.float32)) == 0.5).all()

    def test_raw_logits_are_given_too(self) -> None:
        answers = list(classifier().logits(["good", "bad"]))
        assert [answer.tolist() for answer in answers] == [[-2, 0.5, 2], [2, 0.5, -2]]


LONG = "a " * POSITIONS + "good"  # what counts comes after what is read


class TestTextsThatAreTooLong:
    def test_are_cut_and_that_is_said_once(self) -> None:
        classify = classifier()
        with pytest.warns(TruncationWarning, match=r"more than 16 tokens.*said once") as said:
            answers = [*classify("a film"), *classify([LONG, LONG]), *classify(LONG)]
        assert len(said) == 1
        assert len(answers) == 4
        with pytest.warns(TruncationWarning):
            classifier()(LONG)  # by each pipeline once

    def test_are_not_read_beyond_the_limit(self) -> None:
        assert classifier(truncation=True)(LONG)[0]["label"] == "SO-SO"
        assert classifier(truncation=True)("good " + LONG)[0]["label"] == "GOOD"

    @pytest.mark.parametrize("truncation", [True, "longest_first", "only_first"])
    def test_are_cut_without_a_word_where_that_was_asked_for(self, truncation: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert classifier()(LONG, truncation=truncation)[0]["label"] == "SO-SO"
            assert classifier(truncation=truncation)(LONG)[0]["label"] == "SO-SO"

    def test_are_refused_by_their_beginning_where_that_was_asked_for(self) -> None:
        with pytest.raises(OptionError, match=r"more than 16 tokens: 'film a a a.*'…"):
            classifier()(["good", f"film {LONG}"], truncation=False)
        assert classifier()("a good film", truncation=False) == [GOOD]

    @pytest.mark.parametrize(("tokens", "too_long"), [(POSITIONS - 2, False), (POSITIONS - 1, True)])
    def test_are_those_that_do_not_fit_with_their_special_tokens(self, tokens: int, too_long: bool) -> None:
        text = " ".join(["film"] * tokens)
        if too_long:
            with pytest.raises(OptionError):
                classifier(truncation=False)(text)
        else:
            classifier(truncation=False)(text)

    @given(st.integers(3, 2 * POSITIONS), st.integers(1, 2 * POSITIONS))
    def test_max_length_counts_special_tokens_and_never_exceeds_the_model(
        self, max_length: int, words: int
    ) -> None:
        lengths = classifier(lambda tokens: [float(len(tokens))], ("LENGTH",), function_to_apply="none")
        [answer] = lengths(" ".join(["film"] * words), truncation=True, max_length=max_length)
        assert answer["score"] == min(words + 2, max_length, POSITIONS)

    @pytest.mark.parametrize(
        ("strategy", "kept"),
        [("longest_first", (7, 6)), (True, (7, 6)), ("only_first", (5, 8)), ("only_second", (12, 1))],
    )
    def test_lose_what_the_strategy_says_in_a_pair(self, strategy: Any, kept: tuple[int, int]) -> None:
        first, second = TOKENIZER.convert_tokens_to_ids(["film", "movie"])  # type: ignore[misc]

        def count(tokens: np.ndarray) -> list[float]:
            return [float((tokens == first).sum()), float((tokens == second).sum())]

        counts = classifier(count, ("FIRST", "SECOND"), function_to_apply="none", truncation=strategy)
        pair = {"text": "film " * 12, "text_pair": "movie " * 8}
        answers = {answer["label"]: answer["score"] for answer in counts(pair, top_k=None)}
        assert (answers["FIRST"], answers["SECOND"]) == kept


class TestOptions:
    @pytest.mark.parametrize(
        ("option", "value"),
        [
            *[("top_k", value) for value in (0, -1, 1.5, "2", True)],
            *[("function_to_apply", value) for value in ("tanh", "SOFTMAX", "", 3)],
            *[("truncation", value) for value in ("yes", "do_not_truncate", "", 0, 1, 2)],
            *[("max_length", value) for value in (0, -1, 2.5, "10", True)],
            *[("batch_size", value) for value in (0, -1, 1.5, "10", None, False)],
        ],
    )
    def test_that_cannot_be_used_are_refused_by_name_at_construction_and_at_a_call(
        self, option: str, value: object
    ) -> None:
        for use in (lambda: classifier(**{option: value}), lambda: classifier()("good", **{option: value})):
            with pytest.raises(OptionError, match=f"^{option} must be ") as refusal:
                use()
            assert repr(value) in refusal.value.fault

    def test_that_do_not_exist_are_refused_by_name(self) -> None:
        for use in (lambda: classifier(topk=2), lambda: classifier()("good", topk=2)):
            with pytest.raises(OptionError, match="topk"):
                use()

    def test_of_a_call_win_over_those_at_construction_and_last_for_that_call(self) -> None:
        classify = classifier(truncation=False, max_length=4)
        assert classify("a a a a good", max_length=10) == [GOOD]
        with pytest.raises(OptionError, match="more than 4 tokens"):
            classify("a a a a good")

    @pytest.mark.parametrize("padding", [True, False, "longest", "max_length"])
    def test_padding_is_accepted_and_changes_nothing(self, padding: object) -> None:
        texts = ["good", "a bad film " * 3]
        assert (
            classifier(padding=padding)(texts) == classifier()(texts, padding=padding) == classifier()(texts)
        )


class TestWhatIsNoText:
    @pytest.mark.parametrize("inputs", [None, 3, 2.5])
    def test_is_refused(self, inputs: Any) -> None:
        with pytest.raises(OptionError, match="must be a string"):
            classifier()(inputs)

    @pytest.mark.parametrize("inputs", [["good", None], ["good", 3], [["good", "film"], 2.5], [b"good"]])
    def test_is_refused_in_a_list(self, inputs: Any) -> None:
        with pytest.raises(TokenizerError):
            classifier()(inputs)

    @pytest.mark.parametrize(
        "pair", [{}, {"text_pair": "good"}, {"txt": "good"}, {"text": "a", "text_pair": "b", "label": 1}]
    )
    def test_is_refused_as_a_pair_by_its_keys(self, pair: dict[str, Any]) -> None:
        for inputs in (pair, [pair]):
            with pytest.raises(OptionError, match="must have the keys text and text_pair"):
                classifier()(inputs)

    @pytest.mark.parametrize("pair", [{"text": None}, {"text": 3}, {"text": "a", "text_pair": 3}])
    def test_is_refused_as_a_pair_by_its_values(self, pair: dict[str, Any]) -> None:
        with pytest.raises(TokenizerError):
            classifier()(pair)

    def test_but_an_empty_text_is_one(self) -> None:
        assert classifier()("")[0]["label"] == "SO-SO"
        assert classifier()({"text": "good", "text_pair": None}) == GOOD
        lengths = classifier(lambda tokens: [float(len(tokens))], ("LENGTH",), function_to_apply="none")
        assert lengths({"text": "good", "text_pair": ""})["score"] == 3  # as if there were none


@given(st.lists(st.text(max_size=40), max_size=6), st.lists(st.sampled_from(WORDS), max_size=5))
def test_any_unicode_is_answered(texts: list[str], words: list[str]) -> None:
    answers = classifier(truncation=True)([*texts, " ".join(words)])
    assert len(answers) == len(texts) + 1
    assert all(0 <= answer["score"] <= 1 for answer in answers)
