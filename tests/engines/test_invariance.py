"""A text's answer does not depend on its neighbours: alone or in any batch, in any order, in 1 or 2 threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import WORDS

from distilbert import pipeline
from distilbert.tasks.classification import softmax
from distilbert.text.batching import pad

if TYPE_CHECKING:
    from pathlib import Path

    from distilbert.tasks.classification import TextClassificationPipeline

words = st.sampled_from(WORDS)


def joined(least: int, most: int) -> st.SearchStrategy[str]:
    return st.lists(words, min_size=least, max_size=most).map(" ".join)


# Nothing, a word, a sentence, and more than the 512 tokens that a model reads.
texts = st.one_of(
    st.just(""), words, joined(2, 12), joined(20, 30), joined(5, 9).map(lambda t: f"{t} " * 110)
)


class Company(NamedTuple):
    """Texts in the order in which they are read, and how they are computed."""

    texts: list[str]
    batch_size: int
    threads: int


companies = st.builds(
    Company,
    st.lists(texts, min_size=2, max_size=8).flatmap(lambda some: st.permutations(some + some[:1])),
    st.integers(1, 10),
    st.sampled_from([1, 2]),
)


class Model:
    """A model in one and in two threads, and what it says to texts alone."""

    def __init__(self, folder: Path) -> None:
        self.classify = {
            threads: pipeline(model=folder, threads=threads, truncation=True) for threads in (1, 2)
        }
        self._alone: dict[str, np.ndarray] = {}

    def alone(self, text: str) -> np.ndarray:
        if text not in self._alone:
            [self._alone[text]] = self.classify[1].logits([text])
        return self._alone[text]

    def together(self, company: Company) -> list[np.ndarray]:
        return list(self.classify[company.threads].logits(company.texts, batch_size=company.batch_size))

    def in_one_batch(self, texts: list[str]) -> np.ndarray:
        """All of them padded to the longest: what no budget of tokens would allow."""
        one: TextClassificationPipeline = self.classify[1]
        encoded = one.tokenizer.encode_texts(texts, max_length=512)
        return one.engine.run(pad(encoded, range(len(texts))).inputs)["logits"]


@pytest.fixture(scope="module")
def embedded_int8(embedded: Path) -> Model:
    return Model(embedded)


@pytest.fixture(scope="module")
def tiny_models(tiny_int8: Path, tiny_fp32: Path) -> dict[str, Model]:
    return {"int8": Model(tiny_int8), "fp32": Model(tiny_fp32)}


def assert_same_bits(model: Model, company: Company) -> None:
    alone = np.array([model.alone(text) for text in company.texts])
    np.testing.assert_array_equal(model.together(company), alone, strict=False)
    np.testing.assert_array_equal(model.in_one_batch(company.texts), alone)


def assert_same_scores(model: Model, company: Company) -> None:
    """Float32 kernels add in another order when a batch has another shape."""
    together, one_batch = model.together(company), model.in_one_batch(company.texts)
    for text, *answers in zip(company.texts, together, one_batch, strict=True):
        for answer in answers:
            np.testing.assert_allclose(softmax(answer), softmax(model.alone(text)), rtol=0, atol=1e-6)


@settings(max_examples=20)
@given(company=companies)
def test_the_embedded_int8_model_gives_the_same_bits_in_any_company(
    embedded_int8: Model, company: Company
) -> None:
    assert_same_bits(embedded_int8, company)


@given(company=companies)
def test_a_random_int8_model_gives_the_same_bits_in_any_company(
    tiny_models: dict[str, Model], company: Company
) -> None:
    assert_same_bits(tiny_models["int8"], company)


@given(company=companies)
def test_a_random_float32_model_gives_the_same_scores_in_any_company(
    tiny_models: dict[str, Model], company: Company
) -> None:
    assert_same_scores(tiny_models["fp32"], company)


@pytest.mark.full
def test_the_starter_in_float32_gives_the_same_scores_in_any_company(starter: Path) -> None:
    model = Model(starter)

    @settings(max_examples=60)
    @given(company=companies)
    def check(company: Company) -> None:
        assert_same_scores(model, company)

    check()
