"""Called alike, ours and transformers' feature extraction answer alike: nested alike, vectors within 1e-4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tiny import tiny_checkpoint

import distilbert

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.parity

TEXT = "a very good film, and funny"
LIST = ["a bad movie!", "great", "", "boring story but good acting"]
LONG = "the movie was not really that good " * 12  # of 64 positions


class Both:
    """One checkpoint behind both libraries' pipelines."""

    def __init__(self, folder: Path) -> None:
        import torch
        import transformers

        torch.set_num_threads(1)
        self._model = transformers.AutoModel.from_pretrained(folder)
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self._folder = folder
        self.extract, self.extract_theirs = self.ours(), self.theirs()

    def theirs(self, **options: Any) -> Any:
        import transformers

        return transformers.pipeline(
            "feature-extraction", model=self._model, tokenizer=self._tokenizer, device="cpu", **options
        )

    def ours(self, **options: Any) -> Any:
        return distilbert.pipeline("feature-extraction", model=self._folder, **options)


HEADS = ("none", "sequence-classification", "token-classification", "question-answering", "masked-lm")


@pytest.fixture(scope="module", params=["distilbert", "bert"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    return Both(tiny_checkpoint(tmp_path_factory.mktemp("model"), model_type=request.param, head="none"))


def assert_same(ours: Any, theirs: Any) -> None:
    """Nested alike down to the floats, which lie within 1e-4; an array for a tensor."""
    if hasattr(theirs, "numpy"):
        assert isinstance(ours, np.ndarray)
        assert ours.dtype == np.float32
        ours, theirs = ours.tolist(), theirs.tolist()
    assert type(ours) is type(theirs)
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        if theirs and isinstance(theirs[0], float):
            assert all(type(value) is float for value in ours)
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)
        else:
            for our, their in zip(ours, theirs, strict=True):
                assert_same(our, their)


@pytest.mark.parametrize("options", [{}, {"return_tensors": True}, {"return_tensors": False}], ids=str)
def test_every_convention_of_calling(both: Both, options: dict[str, Any]) -> None:
    ours, theirs = both.ours(**options), both.theirs(**options)
    turned = {"return_tensors": not options.get("return_tensors")}
    for inputs in (TEXT, "", [TEXT], LIST):
        expected = both.extract_theirs(inputs, **options)
        assert_same(both.extract(inputs, **options), expected)
        assert_same(
            both.extract(inputs), both.extract_theirs(inputs)
        )  # a call's options are forgotten after it
        assert_same(ours(inputs), expected)
        assert_same(ours(inputs, return_tensors=None), expected)
        assert_same(ours(inputs, **turned), theirs(inputs, **turned))


@pytest.mark.parametrize(
    "told",
    [
        {"truncation": True},
        {"truncation": True, "max_length": 6},
        {"max_length": 7},
        {"truncation": "only_first", "max_length": 4},
        {"padding": "max_length"},
        {"padding": "max_length", "max_length": 12, "truncation": True},
        {"padding": True},
        {"padding": "longest", "pad_to_multiple_of": 8},
        {"add_special_tokens": False},
        {"return_token_type_ids": False},
        {"return_attention_mask": False, "padding": "max_length"},
        {"stride": 2, "truncation": True, "max_length": 6},
    ],
    ids=str,
)
def test_what_is_told_to_the_tokenizer(both: Both, told: dict[str, Any]) -> None:
    more = {"add_special_tokens": False}
    ours, theirs = both.ours(tokenize_kwargs=told), both.theirs(tokenize_kwargs=dict(told))
    for inputs in (TEXT, LIST[:2]):
        expected = both.extract_theirs(inputs, tokenize_kwargs=dict(told))
        assert_same(both.extract(inputs, tokenize_kwargs=told), expected)
        assert_same(ours(inputs), expected)
        joined = theirs(inputs, tokenize_kwargs=dict(more))
        assert_same(ours(inputs, tokenize_kwargs=more), joined)


def test_words_that_are_split_already(both: Both) -> None:
    texts = [["a", "good", "film"], ["boring"], ["learning", "about", "it"]]
    told = {"is_split_into_words": True}
    assert_same(both.ours(tokenize_kwargs=told)(texts), both.theirs(tokenize_kwargs=told)(texts))


@pytest.mark.parametrize("truncation", [True, "longest_first", "only_first"])
def test_truncation_by_its_own_name(both: Both, truncation: Any) -> None:
    for ours, theirs in (
        (
            both.extract([LONG, TEXT], truncation=truncation),
            both.extract_theirs([LONG, TEXT], truncation=truncation),
        ),
        (both.ours(truncation=truncation)(LONG), both.theirs(truncation=truncation)(LONG)),
        (
            both.ours(truncation=truncation)(LONG, tokenize_kwargs={"max_length": 9}),
            both.theirs(truncation=truncation)(LONG, tokenize_kwargs={"max_length": 9}),
        ),
    ):
        assert_same(ours, theirs)


def test_truncation_twice_is_refused_by_both(both: Both) -> None:
    options = {"truncation": True, "tokenize_kwargs": {"truncation": True}}
    for make in (both.theirs, both.ours):
        with pytest.raises(ValueError, match="twice"):
            make(**options)
        with pytest.raises(ValueError, match="twice"):
            make()(TEXT, **options)


def test_a_generator_answers_as_it_goes(both: Both) -> None:
    assert_same(list(both.extract(text for text in LIST)), list(both.extract_theirs(text for text in LIST)))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("model_type", ["distilbert", "bert"])
def test_a_checkpoint_with_any_head_gives_its_encoder(tmp_path: Path, model_type: str, head: str) -> None:
    models = Both(tiny_checkpoint(tmp_path / "model", model_type=model_type, head=head))  # type: ignore[arg-type]
    assert_same(models.ours()(LIST), models.theirs()(LIST))
