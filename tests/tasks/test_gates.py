"""What an int8 candidate is judged by depends on what its model answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tiny import VOCABULARY, tiny_config

from distilbert.engines.fake import FakeEngine
from distilbert.errors import DataError, OptionError
from distilbert.files.tables import Row
from distilbert.tasks.features import sample_vectors
from distilbert.tasks.gates import GATES
from distilbert.tasks.labels import label_ids
from distilbert.text.tokenizer import DistilBertTokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKENIZER = DistilBertTokenizer({word: place for place, word in enumerate(VOCABULARY)})
TEXTS = ["good film", "bad", "film " * 90, "very bad film", ""]


def logits(tokens: np.ndarray) -> list[float]:
    return [float(len(tokens)), 10.0, 3.0]


@pytest.mark.parametrize(
    ("labels", "problem_type", "said"),
    [
        (("A", "B", "C"), None, "0 of 5 labels flipped"),
        (("A", "B", "C"), "multi_label_classification", "0 of 5 labels flipped"),
        (("A",), "regression", "correlation 1.0"),
        (("A",), None, "correlation 1.0"),
    ],
)
def test_a_classifier_is_judged_by_its_problem_type(
    labels: tuple[str, ...], problem_type: str | None, said: str
) -> None:
    config = tiny_config(labels=labels, problem_type=problem_type)
    score, judge = GATES["sequence-classification"](TEXTS, None, TOKENIZER, config)
    answers = score(FakeEngine(lambda tokens: logits(tokens)[: len(labels)], workers=2))
    assert answers.shape == (len(TEXTS), len(labels))
    assert answers[:, 0].tolist() == [4, 3, 64, 5, 2]  # in the texts' order, cut at what the model reads
    assert said in judge(answers, answers).said


def test_the_right_labels_are_passed_on() -> None:
    gold = np.array([1, 1, 0, 1, 1])
    score, judge = GATES["sequence-classification"](
        TEXTS, gold, TOKENIZER, tiny_config(labels=("A", "B", "C"))
    )
    answers = score(FakeEngine(logits))
    other = answers.copy()
    other[0, 0] = 99.0
    assert judge(answers, other).figures["right_to_wrong"] == 1


class TokenVectors:
    """An encoder whose vector of a token is its place and its id."""

    workers = 1
    input_names = ("input_ids", "attention_mask")
    output_names = ("last_hidden_state",)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        ids = inputs["input_ids"]
        places = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
        return {"last_hidden_state": np.stack([places, ids], axis=-1).astype(np.float32)}


def test_an_encoder_is_judged_by_tokens_from_the_first_to_the_last_of_each_text() -> None:
    rows = sample_vectors(TEXTS, TOKENIZER, TokenVectors(), tiny_config(), tokens=3)
    assert rows[:, 0].astype(int).tolist() == [0, 1, 3, 0, 1, 2, 0, 31, 63, 0, 2, 4, 0, 1]
    begins, ends = (TOKENIZER.convert_tokens_to_ids(token) for token in ("[CLS]", "[SEP]"))
    assert (rows[[0, 3, 6, 9, 12], 1] == begins).all()
    assert (rows[[2, 5, 8, 11, 13], 1] == ends).all()
    score, judge = GATES["none"](TEXTS, None, TOKENIZER, tiny_config())
    assert "mean cosine 1.00000" in judge(score(TokenVectors()), score(TokenVectors())).said


def test_an_encoder_takes_no_labels() -> None:
    with pytest.raises(OptionError, match="gives no labels"):
        GATES["none"](TEXTS, np.zeros(5, np.int64), TOKENIZER, tiny_config())


CONFIG = tiny_config(labels=("NEGATIVE", "POSITIVE"))


def rows(*labels: object) -> list[Row]:
    return [Row("gold.csv", line, {"label": label}) for line, label in enumerate(labels, start=2)]


def test_labels_are_read_by_name_or_id() -> None:
    ids = label_ids(rows("POSITIVE", "0", 1, "NEGATIVE"), "label", CONFIG)
    assert ids.dtype == np.int64
    assert ids.tolist() == [1, 0, 1, 0]


def test_a_name_that_looks_like_an_id_is_a_name() -> None:
    stars = tiny_config(labels=("3", "1", "2"))
    assert label_ids(rows("1", "2", "3", "0"), "label", stars).tolist() == [1, 2, 0, 0]


@pytest.mark.parametrize("label", ["positive", "2", -1, "", 1.0])
def test_a_label_that_the_model_does_not_know_is_refused_with_its_line(label: object) -> None:
    with pytest.raises(DataError, match=r"gold\.csv, line 3: the model has no label") as refusal:
        label_ids(rows("NEGATIVE", label), "label", CONFIG)
    assert "NEGATIVE, POSITIVE" in refusal.value.fault
    assert repr(str(label)) in refusal.value.fault
