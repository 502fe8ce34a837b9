"""Every head answers as in transformers, for checkpoints that transformers saved, with padding and pairs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tiny import TOKENIZER_CONFIG, VOCABULARY, save_vocabulary

import distilbert

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.parity

POSITIONS = 40
CLOSE = 1e-4
HEADS = (
    "Model",
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "ForMaskedLM",
)
OUTPUTS = {
    "Model": ["last_hidden_state"],
    "ForQuestionAnswering": ["start_logits", "end_logits"],
}
SIZES = {
    "DistilBert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
    "Bert": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64},
}
KINDS = [(family, head) for family in SIZES for head in HEADS]


def saved(folder: Path, family: str, head: str, **settings: Any) -> Any:
    """A random model of transformers, saved as a user would; returned too."""
    import torch
    import transformers

    torch.manual_seed(0)
    torch.set_num_threads(1)
    labels = {"num_labels": 3} if head in ("ForSequenceClassification", "ForTokenClassification") else {}
    config = getattr(transformers, f"{family}Config")(
        vocab_size=len(VOCABULARY),
        max_position_embeddings=POSITIONS,
        initializer_range=0.2,
        **{**SIZES[family], **labels, **settings},
    )
    model = getattr(transformers, f"{family}{head}")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:  # biases and norms start at 0 and 1, where a mistake would not show
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    model.save_pretrained(folder)
    save_vocabulary(folder)
    (folder / "tokenizer_config.json").write_text(json.dumps(TOKENIZER_CONFIG))
    return model


def every_length(family: str) -> dict[str, np.ndarray]:
    """A text of each length, padded at its right; pairs where types are taken."""
    rng = np.random.default_rng(0)
    lengths, places = np.arange(1, POSITIONS + 1)[:, None], np.arange(POSITIONS)
    second = rng.integers(0, lengths + 1)
    inputs = {
        "input_ids": rng.integers(0, len(VOCABULARY), (POSITIONS, POSITIONS)),
        "attention_mask": (places < lengths).astype(np.int64),
    }
    if family == "Bert":
        inputs["token_type_ids"] = ((places >= second) & (places < lengths)).astype(np.int64)
    return inputs


def check(theirs: Any, folder: Path, family: str, head: str) -> None:
    """Compare all outputs, those of padding too."""
    import torch

    inputs = every_length(family)
    ours = getattr(distilbert, f"DistilBert{head}").from_pretrained(folder)(**inputs)
    with torch.no_grad():
        expected = theirs(**{name: torch.from_numpy(array) for name, array in inputs.items()})
    for name in OUTPUTS.get(head, ["logits"]):
        exact = expected[name].numpy()
        assert ours[name].shape == exact.shape
        np.testing.assert_allclose(ours[name], exact, rtol=0, atol=CLOSE)
        assert exact.std() > 0.05  # else anything near 0 would do


@pytest.mark.parametrize(("family", "head"), KINDS)
def test_every_head_of_both_families(tmp_path: Path, family: str, head: str) -> None:
    check(saved(tmp_path, family, head), tmp_path, family, head)


@pytest.mark.parametrize("activation", ["relu", "gelu_new", "silu"])
@pytest.mark.parametrize("family", SIZES)
def test_every_activation_in_a_language_models_head(tmp_path: Path, family: str, activation: str) -> None:
    key = "activation" if family == "DistilBert" else "hidden_act"
    check(saved(tmp_path, family, "ForMaskedLM", **{key: activation}), tmp_path, family, "ForMaskedLM")


@pytest.mark.parametrize("family", SIZES)
def test_a_language_model_whose_projection_is_not_tied(tmp_path: Path, family: str) -> None:
    theirs = saved(tmp_path, family, "ForMaskedLM", tie_word_embeddings=False)
    check(theirs, tmp_path, family, "ForMaskedLM")


def test_the_norms_epsilon_is_berts_own_in_the_head_too(tmp_path: Path) -> None:
    theirs = saved(tmp_path, "Bert", "ForMaskedLM", layer_norm_eps=0.1)
    check(theirs, tmp_path, "Bert", "ForMaskedLM")


def test_a_language_model_saved_for_pretraining_fills_masks(tmp_path: Path) -> None:
    import transformers

    saved(tmp_path, "Bert", "ForPreTraining")
    theirs = transformers.BertForMaskedLM.from_pretrained(tmp_path).eval()
    check(theirs, tmp_path, "Bert", "ForMaskedLM")


@pytest.mark.parametrize(("family", "head"), KINDS[1:5] + KINDS[6:])
def test_the_encoder_of_any_head_s_checkpoint_stands_alone(tmp_path: Path, family: str, head: str) -> None:
    theirs = saved(tmp_path, family, head).base_model
    check(theirs, tmp_path, family, "Model")
