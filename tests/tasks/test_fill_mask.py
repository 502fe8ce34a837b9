"""Masks are filled with the vocabulary's likeliest tokens, in the shapes that transformers' users know."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import VOCABULARY, WORDS, tiny_checkpoint

from distilbert import DistilBertForMaskedLM, DistilBertForSequenceClassification, pipeline
from distilbert.errors import OptionError, TokenizerError, TruncationWarning
from distilbert.files.checkpoint import read_checkpoint
from distilbert.files.config import DistilBertConfig
from distilbert.tasks.fill_mask import FillMaskPipeline
from distilbert.tasks.scores import best
from distilbert.text.tokenizer import DistilBertTokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from distilbert.engines.base import Engine, Floats, TokenIds

ONE = "the film was [MASK] good"
TWO = "[MASK] love this [MASK]"


@dataclass
class Watched:
    """An engine that remembers the shapes of the logits it gave."""

    engine: Engine
    shapes: list[tuple[int, ...]]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def run(self, inputs: Mapping[str, TokenIds]) -> dict[str, Floats]:
        outputs = self.engine.run(inputs)
        self.shapes.append(outputs["logits"].shape)
        return outputs


@pytest.fixture(scope="module", params=["distilbert", "bert"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(
        tmp_path_factory.mktemp("model") / "checkpoint", model_type=request.param, head="masked-lm"
    )


@pytest.fixture(scope="module")
def model(folder: Path) -> DistilBertForMaskedLM:
    return DistilBertForMaskedLM.from_pretrained(folder, threads=2)


@pytest.fixture
def fill(model: DistilBertForMaskedLM) -> FillMaskPipeline:
    return pipeline("fill-mask", model)


def probabilities(folder: Path, fill: FillMaskPipeline, text: str) -> np.ndarray:
    """Of every token for every mask of a text, by the plain formulas: `[masks, vocabulary]`."""
    checkpoint = read_checkpoint(folder, DistilBertConfig.from_folder(folder))
    ids = fill.tokenizer(text)["input_ids"]
    rows = plain.hidden_states(checkpoint, ids)[np.array(ids) == fill.tokenizer.mask_token_id]
    exponentials = np.exp(plain.vocabulary_logits(checkpoint, rows))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


class TestWhatComesBack:
    def test_are_the_best_five_with_their_probability_token_and_sentence(
        self, folder: Path, fill: FillMaskPipeline
    ) -> None:
        [expected] = probabilities(folder, fill, ONE)
        answer = fill(ONE)
        order = np.argsort(-expected)[:5]
        assert [row["token"] for row in answer] == order.tolist()
        assert [row["score"] for row in answer] == pytest.approx(expected[order].tolist(), abs=1e-5)
        for row in answer:
            assert list(row) == ["score", "token", "token_str", "sequence"]
            assert row["token_str"] == VOCABULARY[row["token"]]
            assert row["sequence"].replace(" ", "").startswith("thefilmwas")
            assert (type(row["score"]), type(row["token"])) == (float, int)

    def test_is_a_list_of_such_lists_for_several_masks_which_see_each_other_as_masks(
        self, folder: Path, fill: FillMaskPipeline
    ) -> None:
        first, second = fill(TWO, top_k=3)
        for answer, expected in zip((first, second), probabilities(folder, fill, TWO), strict=True):
            assert [row["token"] for row in answer] == np.argsort(-expected)[:3].tolist()
        assert all("[MASK] [SEP]" in row["sequence"] for row in first)
        assert all(row["sequence"].startswith("[CLS] [MASK] love") for row in second)

    def test_shows_no_padding_that_the_tokenizer_was_told_to_add(self, fill: FillMaskPipeline) -> None:
        padded = fill(TWO, tokenizer_kwargs={"padding": "max_length"}, top_k=1)
        assert [row["sequence"] for [row] in padded] == [row["sequence"] for [row] in fill(TWO, top_k=1)]
        assert all("[PAD]" not in row["sequence"] for [row] in padded)

    def test_has_the_shape_of_what_was_asked(self, fill: FillMaskPipeline) -> None:
        one, two = fill(ONE), fill(TWO)
        assert fill([ONE]) == one  # as in transformers
        assert fill([TWO]) == two
        assert fill([ONE, TWO]) == [one, two]
        assert fill((ONE,)) == [one]
        assert fill([]) == []
        assert fill({"text": ONE}) == one
        stream = fill(text for text in (ONE, TWO))
        assert iter(stream) is stream
        assert list(stream) == [one, two]

    @settings(max_examples=20)
    @given(
        texts=st.lists(
            st.lists(st.sampled_from([*WORDS, "[MASK]"]), max_size=20).map(
                lambda words: " ".join([*words, "[MASK]"])
            ),
            min_size=2,
            max_size=20,
        ),
        batch_size=st.integers(1, 8),
    )
    def test_does_not_depend_on_neighbours(
        self, model: DistilBertForMaskedLM, texts: list[str], batch_size: int
    ) -> None:
        fill = pipeline("fill-mask", model, top_k=1)
        together, alone = fill(texts, batch_size=batch_size), [fill(text) for text in texts]
        for ours, own in zip(together, alone, strict=True):
            for answer, expected in zip(np.ravel(ours), np.ravel(own), strict=True):
                assert answer == {**expected, "score": pytest.approx(expected["score"], abs=1e-5)}

    def test_takes_no_logits_but_those_of_masks(self, model: DistilBertForMaskedLM) -> None:
        engine = Watched(model.engine, [])
        fill = FillMaskPipeline(DistilBertTokenizer.from_folder(model.folder), engine, model.config)
        fill([ONE, TWO, f"{ONE} {ONE} {ONE}"])
        assert sum(batch for batch, _, _ in engine.shapes) == 3
        assert max(rows for _, rows, _ in engine.shapes) == 3


class TestTopK:
    @pytest.mark.parametrize("top_k", [1, 2, 20, len(VOCABULARY)])
    def test_says_how_many_come_back(self, fill: FillMaskPipeline, top_k: int) -> None:
        answer = fill(ONE, top_k=top_k)
        assert len(answer) == top_k
        scores = [row["score"] for row in answer]
        assert scores == sorted(scores, reverse=True)
        if top_k == len(VOCABULARY):
            assert sum(scores) == pytest.approx(1, abs=1e-5)
        assert len(fill(ONE)) == 5

    def test_beyond_the_vocabulary_is_refused(self, fill: FillMaskPipeline) -> None:
        with pytest.raises(OptionError, match=f"the vocabulary has {len(VOCABULARY)} tokens"):
            fill(ONE, top_k=len(VOCABULARY) + 1)

    @given(st.integers(1, 30), st.integers(1, 4), st.integers(0, 1_000))
    def test_takes_the_highest_in_order(self, width: int, rows: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        scores = rng.integers(0, 9, (rows, width)).astype(np.float32)  # with ties
        count = int(rng.integers(1, width + 1))
        found = np.take_along_axis(scores, best(scores, count), axis=1)
        np.testing.assert_array_equal(found, -np.sort(-scores, axis=1)[:, :count])
        assert all(len(set(row)) == count for row in best(scores, count).tolist())


class TestTargets:
    def test_are_what_is_chosen_from_with_the_probabilities_they_always_have(
        self, fill: FillMaskPipeline
    ) -> None:
        every = {row["token_str"]: row for row in fill(ONE, top_k=len(VOCABULARY))}
        words = sorted(["good", "bad", "film"], key=lambda word: -every[word]["score"])
        assert fill(ONE, targets=["good", "bad", "film", "good"]) == [every[word] for word in words]
        assert fill(ONE, targets="good") == [every["good"]]
        assert fill(ONE, targets=["good", "bad", "film"], top_k=1) == [every[words[0]]]

    def test_given_at_construction_hold_until_a_call_names_others(self, model: DistilBertForMaskedLM) -> None:
        fill = pipeline("fill-mask", model, targets=["good", "bad"], top_k=1)
        assert {row["token_str"] for row in fill(ONE)} <= {"good", "bad"}
        assert fill(ONE, targets=None, top_k=None) == fill(ONE)
        assert fill(ONE, targets="film")[0]["token_str"] == "film"

    @pytest.mark.parametrize(
        ("target", "token", "said"),
        [("Great", "great", "its first one, 'great'"), ("movies", "movie", "its first one, 'movie'")],
    )
    def test_that_are_no_tokens_are_stood_for_by_their_first(
        self, fill: FillMaskPipeline, target: str, token: str, said: str
    ) -> None:
        with pytest.warns(UserWarning, match=f"The target '{target}' is no token; {said}"):
            [answer] = fill(ONE, targets=target)
        assert answer["token_str"] == token

    def test_that_say_nothing_are_left_out(self, fill: FillMaskPipeline) -> None:
        with pytest.warns(UserWarning, match="The target '' has no token, and is left out"):
            assert fill(ONE, targets=["", "good"]) == fill(ONE, targets="good")

    @pytest.mark.filterwarnings("ignore:The target")
    @pytest.mark.parametrize("targets", [[], [""]])
    def test_must_be_one_at_least(self, fill: FillMaskPipeline, targets: list[str]) -> None:
        with pytest.raises(OptionError, match="targets must name a token at least"):
            fill(ONE, targets=targets)

    @pytest.mark.parametrize("targets", [3, [3], ["good", None]], ids=str)
    def test_must_be_words(self, fill: FillMaskPipeline, targets: Any) -> None:
        with pytest.raises(OptionError, match="targets must be a word or a list of words"):
            fill(ONE, targets=targets)


LONG = "the film was a good one " * 20  # of 64 positions


class TestTextsThatAreTooLong:
    def test_are_cut_and_that_is_said_once(self, fill: FillMaskPipeline) -> None:
        with pytest.warns(TruncationWarning) as said:
            fill([f"[MASK] {LONG}", f"a [MASK] {LONG}"])
        assert len(said) == 1

    @pytest.mark.parametrize(
        "options",
        [
            {"truncation": True},
            {"tokenizer_kwargs": {"truncation": True}},
            {"tokenizer_kwargs": {"max_length": 9}},
        ],
        ids=str,
    )
    def test_are_cut_without_a_word_where_that_was_asked_for(
        self, fill: FillMaskPipeline, options: dict[str, Any]
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert len(fill(f"[MASK] {LONG}", **options)) == 5

    @pytest.mark.parametrize(
        "options",
        [
            {"truncation": False},
            {"tokenizer_kwargs": {"truncation": False}},
            {"tokenizer_kwargs": {"truncation": False, "add_special_tokens": False}},
        ],
        ids=str,
    )
    def test_are_refused_where_that_was_asked_for(
        self, fill: FillMaskPipeline, options: dict[str, Any]
    ) -> None:
        with pytest.raises(OptionError, match="not to be cut"):
            fill(f"[MASK] {LONG}", **options)

    def test_may_lose_their_mask_which_is_refused(self, fill: FillMaskPipeline) -> None:
        with pytest.raises(OptionError, match=r"no \[MASK\] in what is read of this text: 'the film was"):
            fill(f"{LONG} [MASK]", truncation=True)


class TestWhatCannotBeFilled:
    @pytest.mark.parametrize("inputs", ["no mask", [ONE, "no mask here"], ""])
    def test_is_a_text_without_a_mask(self, fill: FillMaskPipeline, inputs: Any) -> None:
        with pytest.raises(OptionError, match=r"There is no \[MASK\]") as refusal:
            fill(inputs)
        assert len(str(refusal.value).splitlines()) == 2

    @pytest.mark.parametrize(
        ("options", "fault"),
        [
            ({"top_k": 0}, "top_k must be a whole number"),
            ({"topk": 1}, "topk is no option of fill-mask, which has top_k, targets"),
            (
                {"tokenizer_kwargs": {"return_tensors": "pt"}},
                "return_tensors cannot be told to the tokenizer",
            ),
            ({"tokenizer_kwargs": "truncate"}, "must be a dict"),
            ({"truncation": "sometimes"}, "truncation must be one of"),
        ],
    )
    def test_is_what_is_asked_for_with_wrong_options(
        self, model: DistilBertForMaskedLM, fill: FillMaskPipeline, options: dict[str, Any], fault: str
    ) -> None:
        with pytest.raises(OptionError, match=fault):
            fill(ONE, **options)
        with pytest.raises(OptionError, match=fault):
            pipeline("fill-mask", model, **options)

    def test_is_anything_with_a_tokenizer_that_has_no_mask(self, model: DistilBertForMaskedLM) -> None:
        words = {word: place for place, word in enumerate(VOCABULARY) if word != "[MASK]"}
        tokenizer = DistilBertTokenizer(words, mask_token=None)
        with pytest.raises(TokenizerError, match="no mask_token"):
            pipeline("fill-mask", model, tokenizer)


def test_the_package_ships_no_such_model_and_says_so() -> None:
    with pytest.raises(OptionError, match="No model for fill-mask comes with the package"):
        pipeline("fill-mask")  # type: ignore[call-overload]


def test_the_task_is_that_of_the_model_that_is_named(folder: Path, model: DistilBertForMaskedLM) -> None:
    assert pipeline(model=folder)(ONE) == pipeline(model=model)(ONE) == pipeline("fill-mask", folder)(ONE)


def test_another_head_is_refused(tiny_classifier: Path, folder: Path) -> None:
    with pytest.raises(OptionError, match="is a model for text-classification, not for fill-mask"):
        pipeline("fill-mask", tiny_classifier)
    with pytest.raises(OptionError, match="is a model for fill-mask, not for text-classification"):
        pipeline("text-classification", folder)
    with pytest.raises(OptionError, match=r"Load it with distilbert\.DistilBertForMaskedLM"):
        pipeline("fill-mask", DistilBertForSequenceClassification.from_pretrained(tiny_classifier))
