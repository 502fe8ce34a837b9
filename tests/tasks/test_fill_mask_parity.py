"""Called alike, ours and transformers' fill-mask answer alike: shapes, tokens, sequences, scores within 1e-4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import WORDS, save_checkpoint, tiny_arrays, tiny_checkpoint, tiny_config

import distilbert
from distilbert.errors import OptionError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.parity

ONE = "the film was [MASK] good"
TWO = "[MASK] love this [MASK] , really"
LONG = "the movie was [MASK] " * 20  # of 64 positions


class Both:
    """One checkpoint behind both libraries' pipelines."""

    def __init__(self, folder: Path) -> None:
        import torch
        import transformers

        torch.set_num_threads(1)
        self._model = transformers.AutoModelForMaskedLM.from_pretrained(folder)
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self._folder = folder
        self.fill, self.fill_theirs = self.ours(), self.theirs()

    def theirs(self, **options: Any) -> Any:
        import transformers

        return transformers.pipeline(
            "fill-mask", model=self._model, tokenizer=self._tokenizer, device="cpu", **options
        )

    def ours(self, **options: Any) -> Any:
        return distilbert.pipeline("fill-mask", model=self._folder, **options)


@pytest.fixture(scope="module", params=["distilbert", "bert"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = tmp_path_factory.mktemp(request.param) / "checkpoint"
    tiny_checkpoint(folder, model_type=request.param, head="masked-lm")
    config = tiny_config(model_type=request.param)
    arrays = tiny_arrays(config, "masked-lm")
    arrays["embeddings.word_embeddings.weight"] *= 2  # tokens far apart, so that a last bit changes no order
    return Both(save_checkpoint(folder, config, arrays, prefix=f"{request.param}."))


def assert_same(ours: Any, theirs: Any) -> None:
    """Of one structure, with equal tokens and scores within 1e-4."""
    assert type(ours) is type(theirs)
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for our, their in zip(ours, theirs, strict=True):
            assert_same(our, their)
    else:
        assert {name: type(value) for name, value in ours.items()} == {
            name: type(value) for name, value in theirs.items()
        }
        assert ours == {**theirs, "score": pytest.approx(theirs["score"], abs=1e-4)}


INPUTS = [
    ONE,
    TWO,
    [ONE],
    [TWO],
    [ONE, TWO],
    [TWO, ONE, ONE],
    [ONE] * 20,
    "[MASK]",
    "[MASK] [MASK]",
    "X, [MASK]!",
]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"top_k": 1},
        {"top_k": 20},
        {"top_k": 155},
        {"targets": "good"},
        {"targets": ["good", "bad", "##ing"]},
        {"targets": ["good", "good", "bad"], "top_k": 1},
        {"targets": ["Great", "movies", "bad", "good"], "top_k": 3},
        {"targets": ["", "good"]},
        {"targets": ["[PAD]", "[MASK]", "a"]},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:The target")
def test_every_option_in_a_call_and_at_construction(both: Both, options: dict[str, Any]) -> None:
    ours, theirs = both.ours(**options), both.theirs(**options)
    for inputs in INPUTS:
        expected = both.fill_theirs(inputs, **options)
        assert_same(both.fill(inputs, **options), expected)
        assert_same(ours(inputs), expected)
        assert_same(ours(inputs, top_k=None, targets=None), expected)
    for inputs in (ONE, [TWO, ONE]):
        assert_same(
            both.fill(inputs), both.fill_theirs(inputs)
        )  # what a call was given is forgotten after it
        assert_same(ours(inputs, top_k=2), theirs(inputs, top_k=2))


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"truncation": True},
        {"truncation": True, "max_length": 6},
        {"max_length": 7},
        {"truncation": "longest_first", "max_length": 9},
        {"padding": "max_length"},
        {"padding": "max_length", "max_length": 20, "truncation": True},
        {"padding": True},
        {"padding": True, "pad_to_multiple_of": 8},
        {"add_special_tokens": False},
        {"return_token_type_ids": True},
        {"return_attention_mask": False, "padding": "max_length"},
    ],
    ids=str,
)
def test_what_is_told_to_the_tokenizer(both: Both, told: dict[str, Any]) -> None:
    ours = both.ours(tokenizer_kwargs=told)
    for inputs in (ONE, [ONE, "[MASK] of it all"], "[MASK] love [MASK] it"):
        expected = both.fill_theirs(inputs, tokenizer_kwargs=told)
        assert_same(both.fill(inputs, tokenizer_kwargs=told), expected)
        assert_same(ours(inputs), expected)


def test_a_text_that_is_too_long_is_cut_where_that_is_told(both: Both) -> None:
    told = {"truncation": True}
    assert_same(both.fill(LONG, tokenizer_kwargs=told), both.fill_theirs(LONG, tokenizer_kwargs=told))
    assert_same(both.ours(truncation=True)(LONG), both.fill_theirs(LONG, tokenizer_kwargs=told))


def test_a_generator_answers_as_it_goes(both: Both) -> None:
    texts = [ONE, TWO, "[MASK] !"]
    assert_same(list(both.fill(text for text in texts)), list(both.fill_theirs(text for text in texts)))


@pytest.mark.parametrize("inputs", ["no mask", [ONE, "no mask"]], ids=str)
def test_a_text_without_a_mask_is_refused_by_both(both: Both, inputs: Any) -> None:
    from transformers.pipelines import PipelineException

    with pytest.raises(PipelineException):
        both.fill_theirs(inputs)
    with pytest.raises(OptionError):
        both.fill(inputs)


@pytest.mark.filterwarnings("ignore:The target")
@pytest.mark.parametrize("targets", [[], [""]], ids=str)
def test_targets_of_nothing_are_refused_by_both(both: Both, targets: Any) -> None:
    with pytest.raises(ValueError, match="target"):
        both.fill_theirs(ONE, targets=targets)
    with pytest.raises(ValueError, match="targets"):
        both.fill(ONE, targets=targets)


@settings(max_examples=30)
@given(
    st.lists(
        st.lists(st.sampled_from([*WORDS, "[MASK]", "ß", "x!", "[SEP]", "[PAD]"]), max_size=12).map(
            lambda words: " ".join([*words, "[MASK]"])
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_texts(both: Both, texts: list[str]) -> None:
    assert_same(both.fill(texts), both.fill_theirs(texts))
