"""The classes people know take arrays and give arrays, and refuse what they cannot do, saying who can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tiny import tiny_checkpoint

from distilbert import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    DistilBertModel,
    DistilBertTokenizer,
)
from distilbert.errors import CheckpointError, ModelNotFoundError, OptionError

if TYPE_CHECKING:
    from pathlib import Path

IDS = np.array([[2, 100, 101, 3], [2, 102, 3, 0]])
MASK = np.array([[1, 1, 1, 1], [1, 1, 1, 0]])


@pytest.fixture(scope="module")
def classifier(tiny_classifier: Path) -> DistilBertForSequenceClassification:
    return DistilBertForSequenceClassification.from_pretrained(tiny_classifier)


@pytest.fixture(scope="module")
def encoder(tiny_classifier: Path) -> DistilBertModel:
    return DistilBertModel.from_pretrained(tiny_classifier)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> DistilBertModel:
    folder = tiny_checkpoint(tmp_path_factory.mktemp("bert") / "checkpoint", model_type="bert", head="none")
    return DistilBertModel.from_pretrained(folder)


def test_outputs_come_by_attribute_name_and_place(
    classifier: DistilBertForSequenceClassification, encoder: DistilBertModel
) -> None:
    for output, name, shape in (
        (classifier(IDS, MASK), "logits", (2, 2)),
        (encoder(IDS, MASK), "last_hidden_state", (2, 4, 32)),
    ):
        array = getattr(output, name)
        assert array.shape == shape
        assert array.dtype == np.float32
        assert output[name] is output[0] is output.to_tuple()[0] is array
        with pytest.raises(IndexError):
            output[1]


def test_a_tokenizers_answer_is_what_a_model_takes(
    classifier: DistilBertForSequenceClassification, tiny_classifier: Path
) -> None:
    tokenizer = DistilBertTokenizer.from_pretrained(tiny_classifier)
    texts = ["a good film", "it was very boring and not funny at all"]
    together = classifier(**tokenizer(texts, padding=True, return_tensors="np")).logits
    alone = [classifier(**tokenizer(text, return_tensors="np")).logits[0] for text in texts]
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("kind", [list, tuple, np.int32, np.uint8, np.int64])
def test_whole_numbers_of_any_kind_will_do(
    classifier: DistilBertForSequenceClassification, kind: Any
) -> None:
    expected = classifier(IDS, MASK).logits
    given = [kind(rows) if kind in (list, tuple) else rows.astype(kind) for rows in (IDS, MASK)]
    assert np.array_equal(classifier(*given).logits, expected)


def test_what_is_left_out_means_no_padding_and_one_text(bert: DistilBertModel) -> None:
    ids = IDS[:1]
    whole = bert(ids, np.ones_like(ids), np.zeros_like(ids)).last_hidden_state
    assert np.array_equal(bert(ids).last_hidden_state, whole)
    assert not np.array_equal(bert(ids, token_type_ids=np.ones_like(ids)).last_hidden_state, whole)
    masked = bert(ids, attention_mask=[[1, 1, 1, 0]]).last_hidden_state
    assert not np.array_equal(masked, whole)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        pytest.param({"input_ids": [2, 3]}, r"input_ids must be whole numbers \[batch, length\]", id="flat"),
        pytest.param({"input_ids": [[[2]]]}, r"int64 of shape \[1, 1, 1\]", id="deep"),
        pytest.param({"input_ids": np.zeros((0, 4), int)}, r"shape \[0, 4\]", id="no texts"),
        pytest.param({"input_ids": np.zeros((2, 0), int)}, r"shape \[2, 0\]", id="no tokens"),
        pytest.param({"input_ids": [[2.0, 3.0]]}, "not float64", id="fractions"),
        pytest.param({"input_ids": [["good", "film"]]}, "whole numbers.*not <U4", id="texts"),
        pytest.param({"input_ids": "good film"}, "whole numbers", id="a text"),
        pytest.param({"input_ids": [[2, 155]]}, "must lie between 0 and 154, but runs from 2 to 155", id="large"),
        pytest.param({"input_ids": [[-1, 3]]}, "but runs from -1 to 3", id="negative"),
        pytest.param({"input_ids": [[2] * 513]}, "513 tokens a text; this model reads 512", id="long"),
        pytest.param({"input_ids": IDS, "attention_mask": MASK[:1]}, r"attention_mask has shape \[1, 4\]", id="mask"),
        pytest.param({"input_ids": IDS, "attention_mask": 2 * MASK}, "attention_mask must lie", id="heavy mask"),
        pytest.param({"input_ids": IDS, "attention_mask": MASK * 1.0}, "attention_mask must be whole", id="soft mask"),
        pytest.param({"input_ids": IDS, "token_type_ids": IDS}, "token_type_ids must lie between 0 and 1", id="types"),
        pytest.param({"input_ids": [[2, 3], [2]]}, "input_ids must be whole.*rows of different lengths", id="ragged"),
    ],
)  # fmt: skip
def test_arrays_that_cannot_be_read_are_refused_by_name(
    classifier: DistilBertForSequenceClassification, arguments: dict[str, Any], fault: str
) -> None:
    with pytest.raises(OptionError, match=fault) as refusal:
        classifier(**arguments)
    assert refusal.value.next_step


@pytest.mark.parametrize("name", ["DistilBertModel", "DistilBertForSequenceClassification"])
@pytest.mark.parametrize("refused", ["train", "parameters"])
def test_training_is_refused_naming_the_class_that_trains(
    tiny_classifier: Path, name: str, refused: str
) -> None:
    kind = {kind.__name__: kind for kind in (DistilBertModel, DistilBertForSequenceClassification)}[name]
    model = kind.from_pretrained(tiny_classifier)
    with pytest.raises(OptionError) as refusal:
        getattr(model, refused)()
    assert refusal.value.fault == f"distilbert.{name} runs without PyTorch and has no {refused}()."
    assert refusal.value.next_step == f"distilbert.models.{name} trains: pip install 'distilbert[train]'."
    assert model.eval() is model.train(False) is model


def test_an_encoder_comes_out_of_a_classifiers_checkpoint_but_not_out_of_its_bundle(
    encoder: DistilBertModel, tiny_int8: Path
) -> None:
    assert encoder.engine.output_names == ("last_hidden_state",)
    with pytest.raises(
        CheckpointError, match="is a model for text-classification; DistilBertModel is for feature"
    ):
        DistilBertModel.from_pretrained(tiny_int8)


def test_a_classifier_does_not_come_out_of_an_encoder(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "checkpoint", head="none")
    with pytest.raises(CheckpointError, match="is a model for feature-extraction") as refusal:
        DistilBertForSequenceClassification.from_pretrained(folder)
    assert str(folder) in refusal.value.fault


def test_a_model_knows_its_config_and_takes_a_number_of_threads(tiny_classifier: Path) -> None:
    model = DistilBertForSequenceClassification.from_pretrained(tiny_classifier, threads=3)
    assert model.engine.workers == 3
    assert model.config == DistilBertConfig.from_folder(tiny_classifier)
    with pytest.raises(OptionError, match="threads"):
        DistilBertForSequenceClassification.from_pretrained(tiny_classifier, threads=0)


def test_no_such_model_is_said_with_those_there_are(embedded: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=embedded.name):
        DistilBertModel.from_pretrained("distilbert-sst3")
