"""A text that is longer than the model reads is cut, refused or read in windows, as the caller says."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import VOCABULARY, tiny_config
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from distilbert.engines.fake import FakeEngine
from distilbert.errors import OptionError
from distilbert.tasks.classification import TextClassificationPipeline
from distilbert.text.tokenizer import DistilBertTokenizer
from distilbert.text.windows import windows

if TYPE_CHECKING:
    from collections.abc import Iterator

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


# What the engine is given: every window framed as a text of its own

CLUSTERS = (
    "👩\u200d👩\u200d👧",
    "e\u0301",
    "\u0301",
    "שלום",
    "مرحبا",
    "\u202e",
    "映",
    "good",
    "a",
    " ",
    "\n",
    ".",
)


def windows_read(tokenizer: DistilBertTokenizer, texts: list[str], positions: int) -> list[list[int]]:
    """The rows that a classifier of so many positions hands its engine, in order."""
    rows: list[list[int]] = []

    def remember(tokens: np.ndarray) -> list[float]:
        rows.append(tokens.tolist())
        return [0.0, 0.0]

    config = tiny_config(max_position_embeddings=positions)
    pipeline = TextClassificationPipeline(tokenizer, FakeEngine(remember), config, long="window")
    assert len(pipeline(texts, batch_size=1)) == len(texts)
    return rows


def framed(tokenizer: DistilBertTokenizer, tokens: list[int], room: int) -> Iterator[list[int]]:
    for window in windows(len(tokens), room, room // 4):
        yield tokenizer.build_inputs_with_special_tokens(tokens[window.start : window.stop])


@given(st.lists(st.lists(st.sampled_from(CLUSTERS), max_size=60).map("".join), min_size=1, max_size=3))
def test_windows_of_any_script_are_the_text_s_own_tokens_between_special_ones(texts):
    expected = [row for text in texts for row in framed(TOKENIZER, TOKENIZER.text_ids(text), POSITIONS - 2)]
    assert windows_read(TOKENIZER, texts, POSITIONS) == expected


@pytest.mark.parametrize(
    "template",
    ["[CLS] $A [SEP]", "$A", "[CLS] $A", "$A [SEP]", "[CLS] [MASK] $A [SEP] [SEP]", "[SEP] $A [MASK] [CLS]"],
)
def test_special_tokens_stand_where_the_tokenizer_s_template_puts_them(template, tmp_path):
    TOKENIZER.save_pretrained(tmp_path)
    backend = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    special = [(token, VOCABULARY.index(token)) for token in ("[CLS]", "[SEP]", "[MASK]")]
    backend.post_processor = TemplateProcessing(single=template, pair="$A $B", special_tokens=special)
    backend.save(str(tmp_path / "tokenizer.json"))
    tokenizer = DistilBertTokenizer.from_folder(tmp_path)

    text, specials = " ".join(LETTERS * 5), len(template.split()) - 1
    rows = windows_read(tokenizer, [text, ""], POSITIONS)
    before, after = (tokenizer.convert_tokens_to_ids(part.split()) for part in template.split("$A"))
    for row in rows:
        assert row[: len(before)] + row[len(row) - len(after) :] == before + after
        assert len(row) <= POSITIONS
    room = POSITIONS - specials
    assert rows == [*framed(tokenizer, tokenizer.text_ids(text), room), before + after]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("a" * 10**6, 1),
        ("good movie, " * 83_334, 3 * 83_334),
        ("映" * 333_334, 333_334),
    ],
    ids=["one word", "many words", "Chinese, where each character is a word"],
)
def test_a_megabyte_is_read_whole_and_no_window_is_longer_than_the_model_reads(text, tokens):
    rows = windows_read(TOKENIZER, [text], 512)
    assert len(rows) == len(list(windows(tokens, 510, 127)))
    assert max(map(len, rows)) == min(tokens + 2, 512)
    assert sum(w.answered for w in windows(tokens, 510, 127)) == tokens


def test_a_megabyte_of_one_word_is_answered_as_any_word_that_is_not_known():
    assert logits("a" * 10**6, long="window").tolist() == logits("ж").tolist()
