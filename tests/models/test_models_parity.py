"""Every class computes, learns, saves and loads as transformers' class of its name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import tiny
from twins import CLASSES, RATES, VOCABULARY, batch, family_of, labels, theirs

from distilbert import DistilBertTokenizer, models
from distilbert.files.checkpoint import read_checkpoint, stored_names
from distilbert.files.config import DistilBertConfig

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.parity

CLOSE = 1e-5
FIELDS = ("loss", "logits", "start_logits", "end_logits", "last_hidden_state", "pooler_output")
SEVERAL = ("hidden_states", "attentions")
TEXT_CLASSIFIERS = ["DistilBertForSequenceClassification", "BertForSequenceClassification"]


def ours(name: str, folder: Path, **overrides: Any) -> Any:
    return getattr(models, name).from_pretrained(folder, **overrides)


def both(name: str, folder: Path, **settings: Any) -> tuple[Any, Any]:
    """Their random model, and ours loaded from what they saved."""
    reference = theirs(name, **settings)
    reference.save_pretrained(folder)
    return reference, ours(name, folder)


def same(mine: Any, reference: Any, close: float = CLOSE) -> None:
    """Compare every field that either has."""
    import torch

    for name in FIELDS:
        exact = getattr(reference, name, None)
        assert (getattr(mine, name, None) is None) == (exact is None), name
        if exact is not None:
            torch.testing.assert_close(mine[name], exact, rtol=0, atol=close, msg=name)
    for name in SEVERAL:
        exact, found = getattr(reference, name, None), getattr(mine, name)
        assert (found is None) == (exact is None), name
        for one, other in zip(found or (), exact or (), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=close, msg=name)


def gradients(model: Any) -> dict[str, Any]:
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def file_names(model: Any) -> dict[str, str]:
    """Our parameter's name -> the name that transformers gives it."""
    prefix = f"{model.family}."
    told = stored_names(model.config, model.head)
    return {name: told[name.removeprefix(prefix)] for name, _ in model.named_parameters()}


@pytest.mark.parametrize("name", CLASSES)
def test_logits_hidden_states_and_attentions_with_padding_and_pairs(tmp_path: Path, name: str) -> None:
    import torch

    reference, model = both(name, tmp_path)
    wanted = {"output_hidden_states": True, "output_attentions": True}
    with torch.no_grad():
        same(model(**batch(name)), reference(**batch(name)))
        same(model(**batch(name), **wanted), reference(**batch(name), **wanted))


@pytest.mark.parametrize("shown", [False, True], ids=["fused attention", "attention step by step"])
@pytest.mark.parametrize("name", CLASSES)
def test_losses_and_every_gradient_in_training(tmp_path: Path, name: str, shown: bool) -> None:
    import torch

    reference, model = both(name, tmp_path)
    for one in (reference.train(), model.train()):
        output = one(**batch(name), **labels(name), output_attentions=shown)
        loss = output[0] if labels(name) else output[0].square().mean()
        loss.backward()
    same(model(**batch(name), **labels(name)), reference(**batch(name), **labels(name)))
    expected, found = gradients(reference), gradients(model)
    names = file_names(model)
    assert sorted(names.values()) == sorted(expected)
    for own, told in names.items():
        if expected[told] is None:  # nothing reads it, such as a bare BERT's pooler
            assert found[own] is None or not found[own].any(), own
        else:
            torch.testing.assert_close(found[own], expected[told], rtol=1e-4, atol=CLOSE, msg=own)


@pytest.mark.parametrize("name", CLASSES)
def test_they_load_what_we_save_with_equal_logits(tmp_path: Path, name: str) -> None:
    import torch
    import transformers

    _, model = both(name, tmp_path / "theirs")
    model.save_pretrained(tmp_path / "ours")
    again, report = getattr(transformers, name).from_pretrained(
        tmp_path / "ours", output_loading_info=True, attn_implementation="eager"
    )
    assert not any(report.values()), report
    with torch.no_grad():
        same(model(**batch(name)), again.eval()(**batch(name)))


@pytest.mark.parametrize("lower", [True, False], ids=["uncased", "cased"])
@pytest.mark.parametrize("name", CLASSES)
def test_from_text_to_logits_in_either_case(tmp_path: Path, name: str, lower: bool) -> None:
    import torch
    import transformers

    theirs(name).save_pretrained(tmp_path / "theirs")
    words = (
        tiny.VOCABULARY[:VOCABULARY] if lower else (*tiny.VOCABULARY[: VOCABULARY - 3], "Good", "A", "##D")
    )
    tokenizer = DistilBertTokenizer({word: place for place, word in enumerate(words)}, do_lower_case=lower)
    model = ours(name, tmp_path / "theirs")
    model.save_pretrained(tmp_path / "ours", tokenizer)
    reader = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
    again = getattr(transformers, name).from_pretrained(tmp_path / "ours").eval()
    texts = (["A Good fiLm"] * 2, ["good Ü!"] * 2) if name.endswith("MultipleChoice") else (["A Good fiLm"],)
    encoded, expected = tokenizer(*texts), reader(*texts)
    assert encoded["input_ids"] == expected["input_ids"]
    inputs = {key: torch.tensor(encoded[key]) for key in ("input_ids", "attention_mask")}
    if name.endswith("MultipleChoice"):
        inputs = {key: value[None] for key, value in inputs.items()}
    with torch.no_grad():
        same(model(**inputs), again(**inputs))


@pytest.mark.parametrize("name", CLASSES)
def test_distilberts_own_names_are_transformers_and_a_file_of_ours_is_like_theirs(
    tmp_path: Path, name: str
) -> None:
    from safetensors import safe_open

    reference, model = both(name, tmp_path / "theirs")
    model.save_pretrained(tmp_path / "ours")
    files = [safe_open(tmp_path / which / "model.safetensors", "np") for which in ("ours", "theirs")]
    assert sorted(files[0].keys()) == sorted(files[1].keys())
    if family_of(name) == "DistilBert":
        assert model.state_dict().keys() == reference.state_dict().keys()


@pytest.mark.parametrize("settings", [{"tie_word_embeddings": False}, {}], ids=["untied", "tied"])
@pytest.mark.parametrize("name", ["DistilBertForMaskedLM", "BertForMaskedLM"])
def test_a_language_models_projection_stays_tied_or_untied(
    tmp_path: Path, name: str, settings: dict[str, Any]
) -> None:
    import transformers

    reference, model = both(name, tmp_path / "theirs", **settings)
    words = model.base_model.embeddings.word_embeddings.weight
    assert (model.vocab_projector.weight is words) == (not settings)
    same(model(**batch(name)), reference(**batch(name)))
    model.save_pretrained(tmp_path / "ours")
    again = getattr(transformers, name).from_pretrained(tmp_path / "ours").eval()
    same(again(**batch(name)), reference(**batch(name)))
    same(ours(name, tmp_path / "ours")(**batch(name)), reference(**batch(name)))


@pytest.mark.parametrize("name", CLASSES)
def test_files_in_float16_are_read_as_float32(tmp_path: Path, name: str) -> None:
    import torch

    reference = theirs(name).half()
    reference.save_pretrained(tmp_path)
    model = ours(name, tmp_path)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    with torch.no_grad():
        same(model(**batch(name)), reference.float()(**batch(name)))
    model.save_pretrained(tmp_path / "again")
    assert json.loads((tmp_path / "again" / "config.json").read_text())["dtype"] == "float32"


PROBLEMS: dict[str, tuple[int, Any]] = {
    "regression": (1, lambda torch, seed: torch.randn(8, generator=seed)),
    "regression of several": (3, lambda torch, seed: torch.randn(8, 3, generator=seed)),
    "single_label_classification": (3, lambda torch, seed: torch.randint(3, (8,), generator=seed)),
    "multi_label_classification": (3, lambda torch, seed: torch.randint(2, (8, 3), generator=seed).float()),
}


@pytest.mark.parametrize("told", [True, False], ids=["told by the config", "shown by the labels"])
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", TEXT_CLASSIFIERS)
def test_every_problem_type_has_its_loss(tmp_path: Path, name: str, problem: str, told: bool) -> None:
    import torch

    count, make = PROBLEMS[problem]
    kind = problem.split()[0]
    if problem == "regression of several" and not told:
        kind = "multi_label_classification"  # as it looks
    reference, model = both(name, tmp_path, num_labels=count, problem_type=kind if told else None)
    targets = {"labels": make(torch, torch.Generator().manual_seed(0))}
    same(model(**batch(name), **targets), reference(**batch(name), **targets))
    assert model.config.problem_type == reference.config.problem_type == kind


@pytest.mark.parametrize("activation", ["relu", "gelu_new", "silu"])
@pytest.mark.parametrize("name", ["DistilBertForMaskedLM", "BertForMaskedLM"])
def test_every_activation(tmp_path: Path, name: str, activation: str) -> None:
    key = "activation" if family_of(name) == "DistilBert" else "hidden_act"
    reference, model = both(name, tmp_path, **{key: activation})
    same(model(**batch(name)), reference(**batch(name)))


def test_sinusoidal_positions_are_the_same_waves(tmp_path: Path) -> None:
    reference, model = both("DistilBertModel", tmp_path, sinusoidal_pos_embds=True)
    same(model(**batch("DistilBertModel")), reference(**batch("DistilBertModel")))
    fresh = models.DistilBertModel(model.config)
    table = fresh.embeddings.position_embeddings.weight
    assert table.equal(reference.embeddings.position_embeddings.weight)
    assert not table.requires_grad


@pytest.mark.parametrize("name", CLASSES)
def test_words_vectors_and_positions_may_be_given_instead(tmp_path: Path, name: str) -> None:
    import torch

    reference, model = both(name, tmp_path)
    inputs = batch(name)
    vectors = reference.get_input_embeddings()(inputs.pop("input_ids"))
    positions = torch.arange(23, -1, -1).expand(8, -1)
    for more in ({}, {"position_ids": positions}):
        if more and name.endswith("MultipleChoice"):
            continue
        with torch.no_grad():
            same(
                model(inputs_embeds=vectors, **inputs, **more),
                reference(inputs_embeds=vectors, **inputs, **more),
            )


@pytest.mark.parametrize("name", CLASSES)
def test_new_weights_are_drawn_as_theirs_are(name: str) -> None:
    """Means and deviations of each parameter of a larger model, before any training."""
    import torch
    import transformers

    family = family_of(name)
    settings = {"num_labels": 2, "vocab_size": 1000}
    torch.manual_seed(0)
    reference = getattr(transformers, name)(getattr(transformers, f"{family}Config")(**settings))
    config = DistilBertConfig.from_dict(reference.config.to_dict())
    model = getattr(models, name)(config)
    expected = dict(reference.named_parameters())
    names = file_names(model)
    for own, parameter in model.named_parameters():
        exact = expected[names[own]]
        assert parameter.shape == exact.shape
        rare = 0.1 / parameter.numel() ** 0.5  # five times a mean's deviation
        assert parameter.std(correction=0).item() == pytest.approx(
            exact.std(correction=0).item(), abs=rare
        ), own
        assert parameter.mean().item() == pytest.approx(exact.mean().item(), abs=rare), own
    assert not model.base_model.embeddings.word_embeddings.weight[0].any()


@pytest.mark.parametrize("name", CLASSES)
def test_dropout_happens_where_theirs_does(tmp_path: Path, name: str) -> None:
    """With all but one rate 0 and that one 1, what is dropped is dropped whole: the outputs are equal again."""
    import torch

    for key in RATES[family_of(name)]:
        folder = tmp_path / key
        reference, model = both(name, folder, **{key: 1.0})
        with torch.no_grad():
            same(model.train()(**batch(name)), reference.train()(**batch(name)))


@pytest.mark.parametrize("name", CLASSES)
def test_what_is_read_and_written_is_the_same_config(tmp_path: Path, name: str) -> None:
    _, model = both(name, tmp_path / "theirs")
    model.save_pretrained(tmp_path / "ours")
    before, after = (DistilBertConfig.from_folder(tmp_path / which) for which in ("theirs", "ours"))
    assert after == before
    assert read_checkpoint(tmp_path / "ours", after).head == model.head
