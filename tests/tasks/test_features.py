"""Features are a text's token vectors, nested as transformers' users know them, and never padded for others."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import VOCABULARY, WORDS, tiny_checkpoint, tiny_config

from distilbert import DistilBertModel, pipeline
from distilbert.errors import OptionError, TokenizerError, TruncationWarning
from distilbert.tasks.features import FeatureExtractionPipeline
from distilbert.text.tokenizer import DistilBertTokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from distilbert.engines.base import Floats, TokenIds

TOKENIZER = DistilBertTokenizer({word: place for place, word in enumerate(VOCABULARY)})
POSITIONS = 16
LONG = "film " * 40


@dataclass
class Echo:
    """An engine whose vectors are the token's id, whether it is masked, and its type."""

    workers: int = 2
    input_names: tuple[str, ...] = ("input_ids", "attention_mask")
    output_names: tuple[str, ...] = ("last_hidden_state",)
    batches: list[int] = field(default_factory=list)

    def run(self, inputs: Mapping[str, TokenIds]) -> dict[str, Floats]:
        self.batches.append(len(inputs["input_ids"]))
        names = ("input_ids", "attention_mask", "token_type_ids")
        return {"last_hidden_state": np.stack([inputs[name] for name in names], axis=-1).astype(np.float32)}


def extractor(**options: Any) -> FeatureExtractionPipeline:
    return FeatureExtractionPipeline(
        TOKENIZER, Echo(), tiny_config(max_position_embeddings=POSITIONS), **options
    )


def vectors(text: str, text_pair: str | None = None) -> list[Any]:
    """What the echo says of a text that is read alone."""
    row = TOKENIZER(text, text_pair, return_token_type_ids=True)
    columns = (row[name] for name in ("input_ids", "attention_mask", "token_type_ids"))
    return [[list(map(float, token)) for token in zip(*columns, strict=True)]]


GOOD, BAD = vectors("a good film"), vectors("bad")


class TestWhatComesBack:
    @pytest.mark.parametrize(
        ("inputs", "answer"),
        [
            pytest.param("a good film", GOOD, id="a text"),
            pytest.param(["a good film"], [GOOD], id="a list of one"),
            pytest.param(["a good film", "bad"], [GOOD, BAD], id="a list"),
            pytest.param(("a good film", "bad"), [GOOD, BAD], id="a tuple"),
            pytest.param({"text": "a good film"}, GOOD, id="a dict"),
            pytest.param({"text": "a", "text_pair": "bad"}, vectors("a", "bad"), id="a pair"),
            pytest.param("", vectors(""), id="an empty text: its special tokens"),
            pytest.param([], [], id="an empty list"),
        ],
    )
    def test_has_the_shape_of_what_was_asked(self, inputs: Any, answer: Any) -> None:
        assert extractor()(inputs) == answer

    def test_is_an_iterator_for_any_other_iterable(self) -> None:
        answers = extractor()(text for text in ["a good film", "bad"])
        assert iter(answers) is answers
        assert list(answers) == [GOOD, BAD]

    @pytest.mark.parametrize("asked", [True, "np"])
    def test_is_an_array_where_that_was_asked_for(self, asked: Any) -> None:
        answer = extractor()("a good film", return_tensors=asked)
        assert (answer.dtype, answer.shape) == (np.float32, (1, 5, 3))
        assert answer.tolist() == GOOD
        assert extractor(return_tensors=asked)("bad", return_tensors=False) == BAD

    def test_arrays_do_not_hold_on_to_the_batch_they_came_in(self) -> None:
        for answer in extractor(return_tensors=True)(["a", "a good film " * 4]):
            assert answer.base is None

    @given(
        st.lists(st.lists(st.sampled_from(WORDS), max_size=10).map(" ".join), max_size=30), st.integers(1, 9)
    )
    def test_does_not_depend_on_neighbours(self, texts: list[str], batch_size: int) -> None:
        assert extractor()(texts, batch_size=batch_size) == [vectors(text) for text in texts]

    def test_a_stream_is_read_so_little_ahead_that_long_answers_fit_in_memory(self) -> None:
        taken = 0

        def texts() -> Iterator[str]:
            nonlocal taken
            for _ in range(1_000):
                taken += 1
                yield "a good film"

        answers = extractor()(texts())
        for place in range(500):
            next(answers)
            assert taken <= place + 64


class TestWhatIsToldToTheTokenizer:
    def test_may_pad_a_text_whose_padding_is_masked_and_given_back(self) -> None:
        [answer] = extractor()("bad", tokenize_kwargs={"padding": "max_length", "max_length": 6})
        assert answer == BAD[0] + [[0.0, 0.0, 0.0]] * 3

    def test_may_leave_out_special_tokens(self) -> None:
        assert extractor()("bad", tokenize_kwargs={"add_special_tokens": False}) == [BAD[0][1:-1]]

    def test_may_be_that_words_are_split(self) -> None:
        told = {"is_split_into_words": True}
        assert extractor(tokenize_kwargs=told)([["a", "good", "film"], ["bad"]]) == [GOOD, BAD]

    def test_joins_what_was_told_at_construction(self) -> None:
        extract = extractor(tokenize_kwargs={"max_length": 4})
        assert len(extract("a good film")[0]) == 4
        assert len(extract("a good film", tokenize_kwargs={"add_special_tokens": False})[0]) == 3
        assert len(extract("a good film", tokenize_kwargs={"max_length": 3})[0]) == 3

    @pytest.mark.parametrize("name", ["return_tensors", "return_offsets_mapping", "max_len"])
    def test_must_be_something_that_pipelines_can_use(self, name: str) -> None:
        with pytest.raises(OptionError, match=f"{name} cannot be told to the tokenizer here"):
            extractor(tokenize_kwargs={name: True})

    @pytest.mark.parametrize("told", ["truncation", 3, ["max_length"]], ids=str)
    def test_must_be_a_dict(self, told: Any) -> None:
        with pytest.raises(OptionError, match="must be a dict"):
            extractor(tokenize_kwargs=told)


class TestTextsThatAreTooLong:
    @pytest.mark.parametrize("told", [{}, {"add_special_tokens": True}, {"max_length": 30}], ids=str)
    def test_are_cut_and_that_is_said_once(self, told: dict[str, Any]) -> None:
        extract = extractor(tokenize_kwargs=told)
        with pytest.warns(TruncationWarning, match="more than 16 tokens") as said:
            assert [len(answer[0]) for answer in extract([LONG, "bad", LONG])] == [POSITIONS, 3, POSITIONS]
        assert len(said) == 1

    @pytest.mark.parametrize(
        "options",
        [
            {"truncation": True},
            {"tokenize_kwargs": {"truncation": True}},
            {"truncation": True, "tokenize_kwargs": {"add_special_tokens": True}},
        ],
        ids=str,
    )
    def test_are_cut_without_a_word_where_that_was_asked_for(self, options: dict[str, Any]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert len(extractor(**options)(LONG)[0]) == len(extractor()(LONG, **options)[0]) == POSITIONS

    @pytest.mark.parametrize(
        "options",
        [
            {"truncation": False},
            {"tokenize_kwargs": {"truncation": False}},
            {"truncation": False, "tokenize_kwargs": {"add_special_tokens": False}},
        ],
        ids=str,
    )
    def test_are_refused_where_that_was_asked_for(self, options: dict[str, Any]) -> None:
        with pytest.raises(OptionError, match=r"more than 16 tokens: 'film film.*'…"):
            extractor(**options)(["bad", LONG])

    def test_truncation_is_said_once_or_not_at_all(self) -> None:
        with pytest.raises(OptionError, match="given twice"):
            extractor(truncation=True, tokenize_kwargs={"truncation": True})


class TestWhatIsNoText:
    @pytest.mark.parametrize("inputs", [None, 3])
    def test_is_refused(self, inputs: Any) -> None:
        with pytest.raises(OptionError, match="must be a string"):
            extractor()(inputs)

    @pytest.mark.parametrize("options", [{}, {"tokenize_kwargs": {"add_special_tokens": False}}], ids=str)
    @pytest.mark.parametrize("inputs", [["good", None], [["a", "b", "c"]], [b"good"]], ids=str)
    def test_is_refused_in_a_list(self, inputs: Any, options: dict[str, Any]) -> None:
        with pytest.raises(TokenizerError):
            extractor(**options)(inputs)


@pytest.mark.parametrize("value", ["pt", "tf", 1, [True]], ids=str)
def test_other_libraries_tensors_are_refused(value: Any) -> None:
    with pytest.raises(OptionError, match=r"return_tensors must be one of None, False, True, 'np'"):
        extractor(return_tensors=value)


@pytest.mark.parametrize("head", ["none", "sequence-classification", "question-answering", "masked-lm"])
def test_a_checkpoint_with_any_head_gives_its_encoders_vectors(tmp_path: Path, head: Any) -> None:
    folder = tiny_checkpoint(tmp_path / "checkpoint", head=head)
    model = DistilBertModel.from_pretrained(folder)
    inputs = DistilBertTokenizer.from_pretrained(folder)("a good film", return_tensors="np")
    expected = model(**inputs).last_hidden_state
    for extract in (pipeline("feature-extraction", folder), pipeline("feature-extraction", model)):
        np.testing.assert_allclose(extract("a good film", return_tensors=True), expected, atol=1e-6)


def test_a_bundle_with_a_head_has_no_encoder_alone(tiny_int8: Path) -> None:
    with pytest.raises(OptionError, match="is a model for text-classification, not for feature-extraction"):
        pipeline("feature-extraction", tiny_int8)


def test_the_package_ships_no_such_model_and_says_so() -> None:
    with pytest.raises(OptionError, match="No model for feature-extraction comes with the package"):
        pipeline("feature-extraction")  # type: ignore[call-overload]
