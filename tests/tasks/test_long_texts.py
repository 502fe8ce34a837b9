"""A text that is longer than the model reads is cut, refused or read in windows, as the caller says."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import VOCABULARY, tiny_config

from distilbert.engines.fake import FakeEngine
from distilbert.errors import OptionError
from distilbert.tasks.classification import TextClassificationPipeline
from distilbert.text.tokenizer import DistilBertTokenizer

if TYPE_CHECKING:
    import numpy as np

POSITIONS = 10  # 8 tokens beside [CLS] and [SEP]; windows share 2
TOKENIZER = DistilBertTokenizer({word: place for place, word in enumerate(VOCABULARY)})
GOOD = VOCABULARY.index("good")
LETTERS = "abcdefgh"


def count_of_good(tokens: np.ndarray) -> list[float]:
    return [float(len(tokens)), float((tokens == GOOD).sum())]


def classifier(**options: object) -> TextClassificationPipeline:
    config = tiny_config(labels=("LENGTH", "GOOD"), max_position_embeddings=POSITIONS)
    return TextClassificationPipeline(TOKENIZER, FakeEngine(count_of_good), config, **options)


def logits(text: str, **options: object) -> np.ndarray:
    return next(classifier().logits([text], **options))


def test_windows_are_averaged_by_the_tokens_that_each_answers_for():
    text = " ".join(["good"] * 8 + ["a"] * 6)  # windows 0..8 and 6..14, met in the middle of 6..8
    assert logits(text, long="window") == pytest.approx([10, (7 * 8 + 7 * 2) / 14])


def test_reading_in_windows_reads_the_end_and_cutting_does_not():
    text = " ".join(["a"] * 30 + ["good"])
    assert logits(text, long="window")[1] > 0
    assert logits(text, long="truncate")[1] == 0


@given(st.lists(st.sampled_from(LETTERS), max_size=8))
def test_a_text_that_fits_gets_the_same_bits_in_a_window(words):
    text = " ".join(words)
    assert logits(text, long="window").tolist() == logits(text).tolist()


@given(st.lists(st.text(LETTERS + " ", max_size=120), max_size=12), st.integers(1, 5))
def test_neighbours_do_not_matter_in_windows(texts, batch_size):
    together = classifier().logits(texts, long="window", batch_size=batch_size)
    assert [row.tolist() for row in together] == [logits(text, long="window").tolist() for text in texts]


def test_windows_and_cuts_asked_for_are_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier(long="window")("a " * 50)
        classifier(long="truncate")("a " * 50)


@pytest.mark.parametrize(
    ("options", "inputs", "said"),
    [
        ({"long": "error"}, "a " * 50, "more than 10 tokens"),
        ({"long": "cut"}, "a", "long must be one of"),
        ({"long": "window", "truncation": True}, "a", "Leave one out"),
        ({"long": "window"}, {"text": "a", "text_pair": "b"}, "pair"),
    ],
)
def test_what_cannot_be_is_refused(options, inputs, said):
    with pytest.raises(OptionError, match=said):
        classifier()(inputs, **options)
