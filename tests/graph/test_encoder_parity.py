"""A checkpoint that transformers saved answers here, without PyTorch, as it does there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import TOKENIZER_CONFIG, VOCABULARY, save_vocabulary

from distilbert.compile import compile_checkpoint
from distilbert.runtime import DistilBertForSequenceClassification, DistilBertModel

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.parity

POSITIONS = 40
CLOSE = 2e-5  # the promise is 1e-4

# dim, layers, heads, feed-forward
SIZES = [(16, 1, 1, 16), (32, 2, 4, 64), (24, 3, 6, 50), (64, 6, 2, 128), (36, 2, 12, 7)]
ACTIVATIONS = ["gelu", "relu", "gelu_new", "silu"]
FAMILIES = ["distilbert", "bert"]
HEADS = ["encoder", "classifier"]
OURS = {"encoder": DistilBertModel, "classifier": DistilBertForSequenceClassification}


@dataclass(frozen=True)
class Both:
    """One model in both libraries."""

    theirs: Any
    ours: Any
    takes_types: bool

    def outputs(self, inputs: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        import torch

        names = ("input_ids", "attention_mask", *(["token_type_ids"] if self.takes_types else []))
        with torch.no_grad():
            expected = self.theirs(**{name: torch.from_numpy(inputs[name]) for name in names})[0].numpy()
        return self.ours(**{name: inputs[name] for name in names})[0], expected


def config_of(family: str, sizes: tuple[int, int, int, int], activation: str, **more: Any) -> Any:
    import transformers

    dim, layers, heads, hidden = sizes
    common = {"vocab_size": len(VOCABULARY), "max_position_embeddings": POSITIONS, "initializer_range": 0.2}
    if family == "bert":
        return transformers.BertConfig(
            hidden_size=dim,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=hidden,
            hidden_act=activation,
            **common,
            **more,
        )
    return transformers.DistilBertConfig(
        dim=dim, n_layers=layers, n_heads=heads, hidden_dim=hidden, activation=activation, **common, **more
    )


def both(folder: Path, config: Any, head: str, seed: int = 0) -> Both:
    """Make a random model of transformers, save it as a user would, and compile what was saved."""
    import torch
    import transformers

    torch.manual_seed(seed)
    torch.set_num_threads(1)  # these models are too small to share out
    kind = {
        ("distilbert", "encoder"): transformers.DistilBertModel,
        ("distilbert", "classifier"): transformers.DistilBertForSequenceClassification,
        ("bert", "encoder"): transformers.BertModel,
        ("bert", "classifier"): transformers.BertForSequenceClassification,
    }[config.model_type, head]
    theirs = kind(config).eval()
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if parameter.ndim == 1:  # biases and norms start at 0 and 1, where a mistake would not show
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
            assert parameter.isfinite().all(), name
    theirs.save_pretrained(folder / "checkpoint")
    save_vocabulary(folder / "checkpoint")
    (folder / "checkpoint" / "tokenizer_config.json").write_text(json.dumps(TOKENIZER_CONFIG))
    compile_checkpoint(folder / "checkpoint", folder / "bundle")
    ours = OURS[head].from_pretrained(folder / "bundle")
    return Both(theirs, ours, config.model_type == "bert")


def every_length(seed: int = 0, positions: int = POSITIONS) -> dict[str, np.ndarray]:
    """A text of each length from 1 to all positions, padded at its right; pairs where types are taken."""
    rng = np.random.default_rng(seed)
    shape = (positions, positions)
    lengths = np.arange(1, positions + 1)[:, None]
    second = rng.integers(0, lengths + 1)
    places = np.arange(positions)
    return {
        "input_ids": rng.integers(0, len(VOCABULARY), shape),
        "attention_mask": (places < lengths).astype(np.int64),
        "token_type_ids": ((places >= second) & (places < lengths)).astype(np.int64),
    }


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_size_at_every_length(
    tmp_path: Path, family: str, head: str, sizes: tuple[int, int, int, int]
) -> None:
    models = both(tmp_path, config_of(family, sizes, "gelu"), head)
    ours, theirs = models.outputs(every_length())
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=CLOSE)
    assert theirs.std() > 0.05  # else anything near 0 would do


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_activation(tmp_path: Path, family: str, head: str, activation: str) -> None:
    models = both(tmp_path, config_of(family, (32, 2, 4, 64), activation), head)
    ours, theirs = models.outputs(every_length())
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("head", HEADS)
def test_sinusoidal_positions(tmp_path: Path, head: str) -> None:
    config = config_of("distilbert", (32, 2, 4, 64), "gelu", sinusoidal_pos_embds=True)
    ours, theirs = both(tmp_path, config, head).outputs(every_length())
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("labels", [1, 2, 7])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_number_of_labels(tmp_path: Path, family: str, labels: int) -> None:
    config = config_of(family, (32, 2, 4, 64), "gelu", num_labels=labels)
    ours, theirs = both(tmp_path, config, "classifier").outputs(every_length())
    assert ours.shape == theirs.shape == (POSITIONS, labels)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("eps", [1e-12, 1e-5])
@pytest.mark.parametrize("types", [1, 2, 3])
def test_berts_own_settings(tmp_path: Path, eps: float, types: int) -> None:
    config = config_of("bert", (32, 2, 4, 64), "gelu", layer_norm_eps=eps, type_vocab_size=types)
    inputs = every_length()
    inputs["token_type_ids"] = np.minimum(inputs["token_type_ids"] * (types - 1), types - 1)
    ours, theirs = both(tmp_path, config, "encoder").outputs(inputs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=CLOSE)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Both]:
    folder = tmp_path_factory.mktemp("models")
    return {
        (family, head): both(folder / family / head, config_of(family, (32, 2, 4, 64), "gelu"), head)
        for family in FAMILIES
        for head in HEADS
    }


@st.composite
def masked_batches(draw: st.DrawFn) -> dict[str, np.ndarray]:
    """Any masks at all, also at the left and with holes, but no text without a token."""
    shape = (draw(st.integers(1, 5)), draw(st.integers(1, POSITIONS)))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    mask = (rng.random(shape) < draw(st.floats(0, 1))).astype(np.int64)
    mask[np.arange(shape[0]), rng.integers(0, shape[1], shape[0])] = 1
    return {
        "input_ids": rng.integers(0, len(VOCABULARY), shape),
        "attention_mask": mask,
        "token_type_ids": rng.integers(0, 2, shape),
    }


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_any_mask(models: dict[tuple[str, str], Both], family: str, head: str) -> None:
    @settings(max_examples=25)
    @given(masked_batches())
    def check(inputs: dict[str, np.ndarray]) -> None:
        ours, theirs = models[family, head].outputs(inputs)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=CLOSE)

    check()
