"""Students: what is kept of a teacher, that it computes the same, and that transformers loads it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import transformers
import twins
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_checkpoint

from distilbert.errors import DataError, OptionError
from distilbert.files.checkpoint import tensor_shapes
from distilbert.models import model_class
from distilbert.models.pretrained import read_weights
from distilbert.training.losses import IGNORED
from distilbert.training.objectives import Labels, MaskedWords
from distilbert.training.student import (
    as_distilbert,
    keep_layers,
    measured_importance,
    narrow,
    random_start,
    spaced,
)

if TYPE_CHECKING:
    from pathlib import Path

    from distilbert.files.checkpoint import Checkpoint
    from distilbert.models.pretrained import PretrainedModel
    from distilbert.training.data import Batch

pytestmark = pytest.mark.parity

CLOSE = 1e-5
ANSWERS = ("logits", "start_logits", "end_logits", "last_hidden_state")


def saved(folder: Path, name: str, **settings: Any) -> tuple[Any, Checkpoint]:
    """transformers' random model, and what it saved."""
    reference = twins.theirs(name, **settings)
    reference.save_pretrained(folder)
    return reference, read_weights(folder)


def model_of(checkpoint: Checkpoint) -> PretrainedModel:
    return model_class(checkpoint.config.model_type, checkpoint.head).from_checkpoint(checkpoint).eval()


def single_texts(name: str) -> dict[str, Any]:
    """A batch without token types, which a DistilBERT does not read."""
    return {key: value for key, value in twins.batch(name).items() if key != "token_type_ids"}


def tiny(folder: Path, **settings: Any) -> Checkpoint:
    return read_weights(tiny_checkpoint(folder, **settings))


# Layers


def test_layers_are_spaced_as_those_that_were_published() -> None:
    assert spaced(6, of=12) == [0, 2, 4, 7, 9, 11]
    assert spaced(3, of=12) == [0, 6, 11]
    assert spaced(3, of=6) == [0, 2, 5]
    assert spaced(1, of=12) == [0]


@given(st.data(), st.integers(1, 48))
def test_spaced_layers_are_as_many_as_asked_for_rising_and_reach_both_ends(data: Any, of: int) -> None:
    layers = data.draw(st.integers(1, of))
    found = spaced(layers, of)
    assert len(found) == layers
    assert found == sorted(set(found))
    assert found[0] == 0
    assert layers == 1 or found[-1] == of - 1
    assert spaced(of, of) == list(range(of))
    steps = np.diff(found)
    assert layers < 2 or steps.max() - steps.min() <= 1


@pytest.mark.parametrize("layers", [0, -1, 5])
def test_more_layers_than_there_are_cannot_be_spaced(layers: int) -> None:
    with pytest.raises(OptionError, match=rf"layers is {layers}; the model has 4"):
        spaced(layers, of=4)


def test_kept_layers_are_the_named_ones_in_their_order(tmp_path: Path) -> None:
    checkpoint = tiny(tmp_path / "start", n_layers=4)
    kept = keep_layers(checkpoint, [3, 1])
    assert kept.config.n_layers == 2
    for new, old in ((0, 3), (1, 1)):
        name = "attention.q_lin.weight"
        ours, theirs = (f"transformer.layer.{place}.{name}" for place in (new, old))
        np.testing.assert_array_equal(kept.arrays[ours], checkpoint.arrays[theirs])
    assert len(checkpoint.arrays) - len(kept.arrays) == 2 * 16


def test_a_layer_may_be_kept_twice_and_ten_are_told_from_one(tmp_path: Path) -> None:
    checkpoint = tiny(tmp_path / "start", n_layers=11)
    kept = keep_layers(checkpoint, [1, 10, 10])
    name = "transformer.layer.{}.ffn.lin1.bias"
    for new, old in enumerate((1, 10, 10)):
        np.testing.assert_array_equal(kept.arrays[name.format(new)], checkpoint.arrays[name.format(old)])
    assert kept.arrays.keys() == tensor_shapes(kept.config, kept.head).keys()


@pytest.mark.parametrize("layer", [2, -1])
def test_a_layer_that_the_teacher_does_not_have_is_refused(tmp_path: Path, layer: int) -> None:
    with pytest.raises(OptionError, match=f"layers names {layer}; the model's are 0 to 1"):
        keep_layers(tiny(tmp_path / "start"), [0, layer])


# From BERT to DistilBERT


@pytest.mark.parametrize("head", ["Model", "ForTokenClassification", "ForQuestionAnswering", "ForMaskedLM"])
def test_a_bert_whose_head_reads_tokens_answers_the_same_as_a_distilbert(tmp_path: Path, head: str) -> None:
    reference, teacher = saved(tmp_path, f"Bert{head}")
    student = model_of(as_distilbert(teacher))
    texts = single_texts(f"Bert{head}")
    with torch.no_grad():
        theirs, ours = reference(**texts), student(**texts)
    compared = [name for name in ANSWERS if name in theirs]
    assert compared
    for name in compared:
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=CLOSE)


@pytest.mark.parametrize("untied", [False, True])
def test_a_language_models_projection_stays_as_tied_as_it_was(tmp_path: Path, untied: bool) -> None:
    reference, teacher = saved(tmp_path, "BertForMaskedLM", tie_word_embeddings=not untied)
    student = as_distilbert(teacher)
    assert ("vocab_projector.weight" in student.arrays) == untied
    texts = single_texts("BertForMaskedLM")
    with torch.no_grad():
        torch.testing.assert_close(
            model_of(student)(**texts).logits, reference(**texts).logits, rtol=0, atol=CLOSE
        )


def test_an_embedding_is_what_bert_makes_of_the_first_text(tmp_path: Path) -> None:
    reference, teacher = saved(tmp_path, "BertModel")
    ids = twins.batch("BertModel")["input_ids"]
    with torch.no_grad():
        theirs = reference.embeddings(ids, token_type_ids=torch.zeros_like(ids))
        ours = model_of(as_distilbert(teacher)).base_model.embeddings(ids)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_a_classifiers_pooler_starts_the_pre_classifier(tmp_path: Path) -> None:
    _, teacher = saved(tmp_path, "BertForSequenceClassification")
    student = as_distilbert(teacher)
    for kind in ("weight", "bias"):
        np.testing.assert_array_equal(
            student.arrays[f"pre_classifier.{kind}"], teacher.arrays[f"pooler.{kind}"]
        )
        np.testing.assert_array_equal(
            student.arrays[f"classifier.{kind}"], teacher.arrays[f"classifier.{kind}"]
        )


@pytest.mark.parametrize("name", twins.CLASSES)
def test_a_student_has_the_tensors_and_settings_of_a_distilbert_and_nothing_else(
    tmp_path: Path, name: str
) -> None:
    _, teacher = saved(tmp_path / "teacher", name)
    student = keep_layers(as_distilbert(teacher), [0, 2])
    shapes = tensor_shapes(student.config, student.head)
    assert {key: array.shape for key, array in student.arrays.items()} == {
        key: shape for key, shape in shapes.items() if key != "vocab_projector.weight"
    }
    assert all(array.dtype == np.float32 and array.flags.c_contiguous for array in student.arrays.values())
    model_of(student).save_pretrained(tmp_path / "student")
    values = json.loads((tmp_path / "student" / "config.json").read_text())
    assert values["model_type"] == "distilbert"
    assert values["architectures"] == [name if name.startswith("Distil") else f"Distil{name}"]
    assert (values["n_layers"], values["dim"], values["hidden_dim"]) == (2, 32, 64)
    if name.startswith("Bert"):
        theirs = transformers.BertConfig().to_dict().keys() - transformers.DistilBertConfig().to_dict().keys()
        assert {"layer_norm_eps", "type_vocab_size", "hidden_size", "num_hidden_layers"} <= theirs
        assert not values.keys() & theirs


@pytest.mark.parametrize("name", twins.CLASSES)
def test_transformers_loads_every_student_with_equal_answers(tmp_path: Path, name: str) -> None:
    _, teacher = saved(tmp_path / "teacher", name)
    student = keep_layers(as_distilbert(teacher), [0, 2])
    student = narrow(student, 40, np.random.default_rng(0).random((2, 64)))
    ours = model_of(student)
    ours.save_pretrained(tmp_path / "student")
    name = f"DistilBert{name.removeprefix(twins.family_of(name))}"
    theirs, report = getattr(transformers, name).from_pretrained(
        tmp_path / "student", output_loading_info=True
    )
    assert not any(report.values()), report
    theirs.save_pretrained(tmp_path / "again")
    again = model_of(read_weights(tmp_path / "again"))
    texts = single_texts(name)
    with torch.no_grad():
        expected = theirs.eval()(**texts)
        for model in (ours, again):
            found = model(**texts)
            for answer in (answer for answer in ANSWERS if answer in expected):
                torch.testing.assert_close(found[answer], expected[answer], rtol=0, atol=CLOSE)


def test_a_distilbert_stays_as_it_is(tmp_path: Path) -> None:
    checkpoint = tiny(tmp_path / "start")
    assert as_distilbert(checkpoint) is checkpoint


def test_the_rates_of_dropout_are_the_teachers(tmp_path: Path) -> None:
    rates = {"dropout": 0.3, "attention_dropout": 0.2}
    told = as_distilbert(tiny(tmp_path / "a", model_type="bert", seq_classif_dropout=0.25, **rates)).config
    untold = as_distilbert(tiny(tmp_path / "b", model_type="bert", seq_classif_dropout=None, **rates)).config
    assert (told.dropout, told.attention_dropout, told.seq_classif_dropout) == (0.3, 0.2, 0.25)
    assert untold.seq_classif_dropout == 0.3
    assert untold.labels == ("NEGATIVE", "POSITIVE")


def test_a_layer_norm_of_another_epsilon_becomes_a_distilberts(tmp_path: Path) -> None:
    teacher = tiny(tmp_path / "start", model_type="bert", layer_norm_eps=1e-5)
    assert as_distilbert(teacher).config.layer_norm_eps == 1e-12


# New weights


def test_a_random_start_follows_from_its_seed_and_has_the_same_shape(tmp_path: Path) -> None:
    checkpoint = tiny(tmp_path / "start", head="masked-lm")
    state = torch.random.get_rng_state()
    first, again, other = (random_start(checkpoint, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert first.config == checkpoint.config
    assert {n: a.shape for n, a in first.arrays.items()} == {n: a.shape for n, a in checkpoint.arrays.items()}
    name = "transformer.layer.1.ffn.lin1.weight"
    np.testing.assert_array_equal(first.arrays[name], again.arrays[name])
    assert not np.allclose(first.arrays[name], other.arrays[name])
    assert not np.allclose(first.arrays[name], checkpoint.arrays[name])
    assert first.arrays[name].std() == pytest.approx(checkpoint.config.initializer_range, rel=0.1)
    model_of(first)  # loads, without a warning of new tensors


# Narrower feed-forwards


def labelled(rows: int = 12, seed: int = 0) -> Batch:
    """Texts of several lengths, padded, with a label each."""
    random = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, 20, (rows, 1), generator=random)
    return {
        "input_ids": torch.randint(0, 100, (rows, 20), generator=random),
        "attention_mask": (torch.arange(20) < lengths).long(),
        "labels": torch.randint(0, 2, (rows,), generator=random),
    }


def test_the_most_important_neurons_are_kept_in_their_order(tmp_path: Path) -> None:
    checkpoint = tiny(tmp_path / "start", hidden_dim=4)
    kept = narrow(checkpoint, 2, np.array([[0.1, 5.0, 0.2, 3.0], [1.0, 1.0, 1.0, 1.0]]))
    assert kept.config.hidden_dim == 2
    for layer, neurons in enumerate(([1, 3], [0, 1])):
        for name, axis in (("lin1.weight", 0), ("lin1.bias", 0), ("lin2.weight", 1)):
            array = checkpoint.arrays[f"transformer.layer.{layer}.ffn.{name}"]
            np.testing.assert_array_equal(
                kept.arrays[f"transformer.layer.{layer}.ffn.{name}"], array.take(neurons, axis)
            )


@pytest.mark.parametrize("model_type", ["distilbert", "bert"])
@given(seed=st.integers(0, 1000), kept=st.integers(1, 63))
def test_neurons_that_nothing_reads_go_first_and_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, model_type: str, seed: int, kept: int
) -> None:
    checkpoint = tiny(tmp_path_factory.mktemp("start"), model_type=model_type)
    random = np.random.default_rng(seed)
    for layer in range(2):
        unread = random.permutation(64)[kept:]
        checkpoint.arrays[f"transformer.layer.{layer}.ffn.lin2.weight"][:, unread] = 0
    model, batch = model_of(checkpoint), labelled(seed=seed)
    importance = measured_importance(model, [batch], Labels("single_label_classification"))
    assert ((importance > 0).sum(axis=1) <= kept).all()
    smaller = model_of(narrow(checkpoint, kept, importance))
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        torch.testing.assert_close(smaller(**inputs).logits, model(**inputs).logits, rtol=0, atol=CLOSE)


def test_importance_is_how_the_loss_of_each_row_answers_to_the_neuron(tmp_path: Path) -> None:
    """Against finite differences: a neuron's output times 1 ± h is its column of lin2 times 1 ± h."""
    checkpoint = tiny(tmp_path / "start", hidden_dim=8)
    model, batch, step = model_of(checkpoint).double(), labelled(), 1e-4
    found = measured_importance(model, [batch], Labels("single_label_classification"))

    def losses() -> Any:
        with torch.no_grad():
            logits = model(batch["input_ids"], batch["attention_mask"]).logits
        return torch.nn.functional.cross_entropy(logits, batch["labels"], reduction="none").numpy()

    expected = np.zeros((2, 8))
    for layer in range(2):
        weight = model.base_model.transformer.layer[layer].ffn.lin2.weight.data
        for neuron in range(8):
            column, beside = weight[:, neuron].clone(), []
            for factor in (1 + step, 1 - step):
                weight[:, neuron] = column * factor
                beside.append(losses())
            weight[:, neuron] = column
            expected[layer, neuron] = np.abs((beside[0] - beside[1]) / (2 * step)).mean()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)


def test_importance_does_not_depend_on_batches_padding_or_order(tmp_path: Path) -> None:
    model, batch = model_of(tiny(tmp_path / "start")), labelled()
    objective = Labels("single_label_classification")
    whole = measured_importance(model, [batch], objective)
    pieces = [{name: values[rows] for name, values in batch.items()} for rows in (slice(5, 12), slice(5))]
    more = {
        name: torch.nn.functional.pad(values, (0, 7), value=0) if values.ndim == 2 else values
        for name, values in batch.items()
    }
    np.testing.assert_allclose(measured_importance(model, pieces, objective), whole, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(measured_importance(model, [more], objective), whole, rtol=1e-4, atol=1e-7)


def test_neurons_of_a_language_model_are_measured_by_the_words_it_guesses(tmp_path: Path) -> None:
    checkpoint = tiny(tmp_path / "start", head="masked-lm")
    batch = labelled() | {
        "positions": torch.tensor([[1, 0]] * 12),
        "labels": torch.tensor([[7, IGNORED]] * 12),
    }
    importance = measured_importance(model_of(checkpoint), [batch], MaskedWords())
    assert importance.shape == (2, 64)
    assert (importance > 0).all()


def test_measuring_leaves_no_trace_in_the_model(tmp_path: Path) -> None:
    model = model_of(tiny(tmp_path / "start"))
    measured_importance(model, [labelled()], Labels("single_label_classification"))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_what_cannot_be_narrowed_or_measured_is_told(tmp_path: Path) -> None:
    checkpoint = tiny(tmp_path / "start")
    for width in (0, 65):
        with pytest.raises(OptionError, match=f"hidden_dim is {width}; the model's is 64"):
            narrow(checkpoint, width, np.zeros((2, 64)))
    with pytest.raises(DataError, match="no text"):
        measured_importance(model_of(checkpoint), [], Labels("single_label_classification"))


def test_a_student_keeps_a_classifier_whose_labels_are_the_same(tmp_path: Path) -> None:
    """Whoever trains another number of labels gets a new classifier, and is told."""
    student = as_distilbert(tiny(tmp_path / "start", model_type="bert"))
    kind = model_class("distilbert", "sequence-classification")
    same = kind.from_checkpoint(student, id2label={0: "bad", 1: "good"})
    np.testing.assert_array_equal(
        same.canonical_parameters()["classifier.weight"].detach().numpy(), student.arrays["classifier.weight"]
    )
    with pytest.warns(match="classifier.weight, classifier.bias are new"):
        other = kind.from_checkpoint(student, num_labels=3)
    np.testing.assert_array_equal(
        other.canonical_parameters()["pre_classifier.weight"].detach().numpy(),
        student.arrays["pre_classifier.weight"],
    )
