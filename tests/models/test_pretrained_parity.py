"""Loading, saving and pushing: from a checkpoint, a hub's name or a bundle, with new heads, whole or not at all."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from bundles import sentences
from hub_server import serve
from huggingface_hub import constants
from tiny import tiny_checkpoint, tiny_config

from distilbert import DistilBertTokenizer, models
from distilbert.errors import (
    CheckpointError,
    ConfigError,
    OptionError,
    StorageError,
)
from distilbert.files.bundle import open_bundle
from distilbert.files.config import DistilBertConfig

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.parity

TEXTS = sentences(8)


def answers(model: Any, folder: Path) -> Any:
    import torch

    encoded = DistilBertTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="np")
    with torch.no_grad():
        return model(**{name: torch.from_numpy(array) for name, array in encoded.items()})[0]


def test_what_has_its_head_is_loaded_without_a_warning_ready_to_predict(tiny_classifier: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = models.DistilBertForSequenceClassification.from_pretrained(tiny_classifier)
    assert not model.training
    assert model.folder == tiny_classifier
    assert model.config.labels == ("NEGATIVE", "POSITIVE")


def test_a_float32_bundle_is_its_checkpoint(tiny_classifier: Path, tiny_fp32: Path) -> None:
    kind = models.DistilBertForSequenceClassification
    from_bundle, from_checkpoint = kind.from_pretrained(tiny_fp32), kind.from_pretrained(tiny_classifier)
    assert answers(from_bundle, tiny_fp32).equal(answers(from_checkpoint, tiny_classifier))


def test_an_int8_bundle_is_dequantised(embedded: Path) -> None:
    import torch

    model = models.DistilBertForSequenceClassification.from_pretrained("distilbert-sst2")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    tokenizer = DistilBertTokenizer.from_pretrained("distilbert-sst2")
    errors = [
        abs(
            model(torch.tensor([tokenizer(probe.text).input_ids])).logits[0].tolist()[place]
            - probe.float32[place]
        )
        for probe in open_bundle(embedded).manifest.probes
        for place in (0, 1)
    ]
    assert sum(errors) / len(errors) < 0.1  # of logits to 3: only weights are rounded


def test_a_models_name_on_the_hub_is_loaded(
    tiny_classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", "hf_mine")
        hub.write_token = "hf_mine"
        kind = models.DistilBertForSequenceClassification
        model = kind.from_pretrained(tiny_classifier)
        url = model.push_to_hub("me/mine", DistilBertTokenizer.from_pretrained(tiny_classifier), private=True)
        assert url.startswith(hub.endpoint)
        assert set(hub.repos["me/mine"]["main"]) == {
            "README.md",
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
            "vocab.txt",
        }
        assert b"# mine\n" in hub.repos["me/mine"]["main"]["README.md"]
        again = kind.from_pretrained("me/mine", revision="main")
    assert answers(again, tiny_classifier).equal(answers(model, tiny_classifier))


NEW = {
    ("none", "sequence-classification", "distilbert"): {"pre_classifier", "classifier"},
    ("none", "sequence-classification", "bert"): {"classifier"},  # its pooler is there
    ("masked-lm", "sequence-classification", "bert"): {"pooler", "classifier"},
    ("sequence-classification", "token-classification", "distilbert"): {"classifier"},
    ("sequence-classification", "question-answering", "bert"): {"qa_outputs"},
    ("none", "masked-lm", "distilbert"): {"vocab_transform", "vocab_layer_norm", "vocab_projector"},
    ("token-classification", "none", "bert"): {"pooler"},
    ("sequence-classification", "multiple-choice", "distilbert"): {"pre_classifier", "classifier"},
}


@pytest.mark.parametrize(("had", "asked", "family"), NEW)
def test_a_head_that_the_checkpoint_lacks_is_new_and_named_in_one_warning(
    tmp_path: Path, had: Any, asked: Any, family: Any
) -> None:
    import torch

    from distilbert.models.pretrained import read_weights

    folder = tiny_checkpoint(tmp_path / "had", model_type=family, head=had)
    kind = models.model_class(family, asked)
    with pytest.warns(models.NewHeadWarning) as caught:
        model = kind.from_pretrained(folder)
    [warning] = caught
    assert warning.filename == __file__
    told = str(warning.message)
    new = {name.rsplit(".", 1)[0] for name in told.partition(": ")[2].partition(" are new")[0].split(", ")}
    assert new == NEW[had, asked, family]
    assert kind.__name__ in told
    stored = read_weights(folder).arrays
    for name, parameter in model.canonical_parameters().items():
        if name.rsplit(".", 1)[0] not in new:
            assert torch.from_numpy(stored[name]).equal(parameter), name


def test_a_language_model_saved_for_pretraining_hands_on_its_pooler(tmp_path: Path) -> None:
    import torch
    from twins import theirs

    reference = theirs("BertForPreTraining")
    reference.save_pretrained(tmp_path)
    with pytest.warns(models.NewHeadWarning, match=r": classifier.weight, classifier.bias are new"):
        model = models.BertForSequenceClassification.from_pretrained(tmp_path)
    torch.testing.assert_close(model.bert.pooler.weight, reference.bert.pooler.dense.weight)


def test_other_labels_make_a_new_projection_and_keep_the_rest(tiny_classifier: Path) -> None:
    kind = models.DistilBertForSequenceClassification
    with pytest.warns(
        models.NewHeadWarning, match=r": classifier.weight, classifier.bias are new and random"
    ):
        model = kind.from_pretrained(tiny_classifier, id2label={0: "no", 1: "so so", 2: "yes"})
    assert model.config.labels == ("no", "so so", "yes")
    assert model.config.label2id == {"no": 0, "so so": 1, "yes": 2}
    old = kind.from_pretrained(tiny_classifier)
    assert model.pre_classifier.weight.equal(old.pre_classifier.weight)
    assert model.classifier.weight.shape == (3, 32)


@pytest.mark.parametrize(
    ("overrides", "labels"),
    [
        ({"num_labels": 2}, ("NEGATIVE", "POSITIVE")),
        ({"id2label": {0: "bad", 1: "good"}}, ("bad", "good")),
        ({"id2label": {"0": "bad", "1": "good"}, "label2id": {"bad": 0, "good": 1}}, ("bad", "good")),
        ({"label2id": {"good": 1, "bad": 0}}, ("bad", "good")),
        ({"num_labels": 2, "problem_type": "multi_label_classification"}, ("NEGATIVE", "POSITIVE")),
        ({"num_labels": None}, ("NEGATIVE", "POSITIVE")),
    ],
)
def test_as_many_labels_by_other_names_keep_the_head(
    tiny_classifier: Path, overrides: dict[str, Any], labels: tuple[str, ...]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = models.DistilBertForSequenceClassification.from_pretrained(tiny_classifier, **overrides)
    assert model.config.labels == labels
    assert model.config.problem_type == overrides.get("problem_type")


def test_dropout_may_be_told_when_loading(tmp_path: Path) -> None:
    rates = {"hidden_dropout_prob": 0.3, "attention_probs_dropout_prob": 0.2, "classifier_dropout": 0.4}
    folder = tiny_checkpoint(tmp_path / "bert", model_type="bert")
    model = models.BertForSequenceClassification.from_pretrained(folder, **rates)
    layer = model.bert.transformer.layer[0]
    assert (layer.ffn.dropout.p, layer.dropout.p, layer.attention.dropout) == (0.3, 0.3, 0.2)
    assert model.dropout.p == 0.4


@pytest.mark.parametrize(
    ("overrides", "kind", "fault"),
    [
        ({"dim": 64}, OptionError, "dim is no setting of a distilbert that can be changed when loading"),
        ({"num_label": 3}, OptionError, "num_label is no setting"),
        ({"hidden_dropout_prob": 0.1}, OptionError, "hidden_dropout_prob is no setting of a distilbert"),
        ({"num_labels": 0}, ConfigError, "num_labels must be a whole number from 1"),
        ({"num_labels": 3, "id2label": {0: "a", 1: "b"}}, ConfigError, "num_labels is 3, but id2label has 2 labels"),
        ({"id2label": {0: "a", 1: "b"}, "label2id": {"a": 1, "b": 0}}, ConfigError, "label2id is"),
        ({"problem_type": "guessing"}, ConfigError, "problem_type must be null or one of regression"),
        ({"dropout": 2}, ConfigError, "dropout must be a number from 0 to 1, not 2"),
    ],
)  # fmt: skip
def test_an_override_that_cannot_be_is_refused_by_name(
    tiny_classifier: Path, overrides: dict[str, Any], kind: type[Exception], fault: str
) -> None:
    with pytest.raises(kind, match=fault):
        models.DistilBertForSequenceClassification.from_pretrained(tiny_classifier, **overrides)


def test_a_model_of_the_other_family_is_refused_naming_its_class(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "bert", model_type="bert")
    with pytest.raises(
        ConfigError, match="DistilBertForSequenceClassification is for distilbert models"
    ) as refusal:
        models.DistilBertForSequenceClassification.from_pretrained(folder)
    assert refusal.value.next_step == "Use distilbert.models.BertForSequenceClassification."


def test_an_answer_has_two_ends(tiny_classifier: Path) -> None:
    with pytest.raises(ConfigError, match="this config has 3 labels") as refusal:
        models.DistilBertForQuestionAnswering.from_pretrained(tiny_classifier, num_labels=3)
    assert refusal.value.next_step == "Give num_labels=2."


def test_weights_of_another_size_are_refused_by_name(tiny_classifier: Path) -> None:
    import dataclasses

    from distilbert.models.pretrained import read_weights

    checkpoint = read_weights(tiny_classifier)
    wider = dataclasses.replace(checkpoint, config=tiny_config(dim=64))
    with pytest.raises(
        CheckpointError, match=r"word_embeddings.weight is of shape \[\d+, 32\], but the config asks"
    ):
        models.DistilBertModel.from_checkpoint(wider)


def test_what_is_saved_is_a_whole_checkpoint_with_its_tokenizer_and_card(
    tiny_classifier: Path, tmp_path: Path
) -> None:
    kind = models.DistilBertForSequenceClassification
    model = kind.from_pretrained(tiny_classifier)
    out = tmp_path / "deep" / "sentiment"
    model.save_pretrained(out, DistilBertTokenizer.from_pretrained(tiny_classifier))
    assert answers(kind.from_pretrained(out), out).equal(answers(model, tiny_classifier))
    assert DistilBertConfig.from_folder(out).architectures == ("DistilBertForSequenceClassification",)
    card = (out / "README.md").read_text()
    assert card.startswith(
        "---\nlibrary_name: transformers\npipeline_tag: text-classification\n---\n\n# sentiment\n"
    )
    assert "distilbert, 2 layers of 32" in card
    assert "labels: NEGATIVE, POSITIVE" in card
    program = card.split("```python\n")[1].split("```")[0].replace('"sentiment"', repr(str(out)))
    exec(compile(program, "card", "exec"), {})


def test_saving_again_replaces_the_model_and_leaves_the_rest(tiny_classifier: Path, tmp_path: Path) -> None:
    model = models.DistilBertForSequenceClassification.from_pretrained(tiny_classifier)
    (tmp_path / "README.md").write_text("my own words")
    DistilBertTokenizer.from_pretrained(tiny_classifier).save_pretrained(
        tmp_path
    )  # before the model, as some do
    for value in (1.0, 2.0):
        model.classifier.bias.data.fill_(value)
        model.save_pretrained(str(tmp_path))
    again = models.DistilBertForSequenceClassification.from_pretrained(tmp_path)
    assert again.classifier.bias.tolist() == [2.0, 2.0]
    assert (tmp_path / "README.md").read_text() == "my own words"
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".partial")]


def test_a_save_that_fails_leaves_nothing(tiny_classifier: Path, tmp_path: Path) -> None:
    class Broken(DistilBertTokenizer):
        def save_pretrained(self, *_: Any) -> Any:
            raise KeyboardInterrupt

    model = models.DistilBertForSequenceClassification.from_pretrained(tiny_classifier)
    with pytest.raises(KeyboardInterrupt):
        model.save_pretrained(tmp_path / "new", Broken.from_pretrained(tiny_classifier))
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError, match="cannot be written"):
        model.save_pretrained(tmp_path / "file" / "model")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_model_in_half_precision_is_saved_as_it_is(
    tiny_classifier: Path, tmp_path: Path, dtype: str
) -> None:
    import torch
    import transformers

    kind = models.DistilBertForSequenceClassification
    model = kind.from_pretrained(tiny_classifier).to(getattr(torch, dtype))
    model.save_pretrained(tmp_path / "half")
    assert json.loads((tmp_path / "half" / "config.json").read_text())["dtype"] == dtype
    reference = transformers.DistilBertForSequenceClassification.from_pretrained(tmp_path / "half")
    assert reference.dtype == getattr(torch, dtype)
    again = kind.from_pretrained(tmp_path / "half")
    for name, parameter in model.named_parameters():
        assert again.get_parameter(name).equal(parameter.float()), name


def test_outputs_come_by_attribute_name_and_place(tiny_classifier: Path) -> None:
    import torch

    model = models.DistilBertForSequenceClassification.from_pretrained(tiny_classifier)
    ids = torch.tensor([[2, 7, 3]])
    bare, labelled = model(ids), model(ids, labels=torch.tensor([1]), output_hidden_states=True)
    assert bare[0] is bare["logits"] is bare.logits
    assert bare.keys() == ("logits",)
    assert bare.loss is None
    assert "loss" not in bare
    with pytest.raises(KeyError):
        bare["loss"]
    loss, logits = labelled[:2]
    assert (loss, logits) == (labelled.loss, labelled.logits)
    assert list({**labelled}) == ["loss", "logits", "hidden_states"]
    assert len(labelled.hidden_states) == 1 + model.config.n_layers


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({}, "Give either input_ids or inputs_embeds, and not both"),
        ({"input_ids": [[2]], "inputs_embeds": [[[0.0] * 32]]}, "and not both"),
        ({"input_ids": [[2] * 513]}, "input_ids has 513 tokens a text; this model reads 512"),
    ],
)
def test_inputs_that_cannot_be_read_are_refused(tiny_classifier: Path, arguments: Any, fault: str) -> None:
    import torch

    model = models.DistilBertModel.from_pretrained(tiny_classifier)
    with pytest.raises(OptionError, match=fault):
        model(**{name: torch.tensor(value) for name, value in arguments.items()})


def test_a_text_of_padding_alone_gets_finite_numbers(tiny_classifier: Path) -> None:
    import torch

    model = models.DistilBertForSequenceClassification.from_pretrained(tiny_classifier).train()
    mask = torch.tensor([[1, 1, 1], [0, 0, 0]])
    for shown in (False, True):
        output = model(
            torch.tensor([[2, 7, 3], [0, 0, 0]]), mask, labels=torch.tensor([0, 1]), output_attentions=shown
        )
        output.loss.backward()
        assert output.logits.isfinite().all()
        assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("grad", [False, True])
def test_bfloat16_on_the_processor_stays_close_and_its_loss_is_float32(
    tiny_classifier: Path, grad: bool
) -> None:
    import torch

    model = models.DistilBertForSequenceClassification.from_pretrained(tiny_classifier)
    ids, labels = torch.tensor([[2, 70, 90, 3]] * 4), torch.tensor([0, 1, 0, 1])
    exact = model(ids, torch.ones_like(ids), labels=labels)
    with torch.set_grad_enabled(grad), torch.autocast("cpu", torch.bfloat16):
        output = model(ids, torch.ones_like(ids), labels=labels)
    assert output.logits.dtype is torch.bfloat16
    assert output.loss.dtype is torch.float32
    torch.testing.assert_close(output.logits.float(), exact.logits, rtol=0.05, atol=0.1)


def test_the_encoder_in_a_model_is_a_model_that_can_be_saved(tiny_classifier: Path, tmp_path: Path) -> None:
    model = models.DistilBertForSequenceClassification.from_pretrained(tiny_classifier)
    assert model.base_model is model.distilbert
    model.distilbert.save_pretrained(tmp_path / "encoder")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder = models.DistilBertModel.from_pretrained(tmp_path / "encoder")
    assert encoder.config.architectures == ("DistilBertModel",)
    assert answers(encoder, tiny_classifier).equal(answers(model.distilbert, tiny_classifier))
