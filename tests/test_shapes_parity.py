"""The benchmark at BERT's own shapes times the models that it says: widened ones that give the same answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tiny import tiny_checkpoint
from widening import narrowed, shortened, widened

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("family", ["distilbert", "bert"])
def test_a_widened_model_is_twice_as_wide_and_answers_alike(tmp_path: Path, family: str) -> None:
    import torch

    from distilbert.models import model_class
    from distilbert.models.pretrained import read_weights

    narrow = read_weights(tiny_checkpoint(tmp_path / family, model_type=family))
    wide = widened(narrow)
    assert (wide.config.dim, wide.config.hidden_dim) == (2 * narrow.config.dim, 2 * narrow.config.hidden_dim)
    assert wide.config.n_heads == narrow.config.n_heads
    texts = torch.randint(1, narrow.config.vocab_size, (4, 9), generator=torch.Generator().manual_seed(0))
    found = []
    for checkpoint in (narrow, wide):
        model = model_class(family, checkpoint.head).from_checkpoint(checkpoint).eval()
        with torch.no_grad():
            found.append(model(input_ids=texts).logits)
    assert torch.allclose(*found, atol=1e-5)
    assert not torch.allclose(found[0][0], found[0][1], atol=1e-3)  # other texts, other answers


def test_shapes_for_speed_alone_have_half_the_feed_forward_or_the_first_layers(tmp_path: Path) -> None:
    from distilbert.files.checkpoint import read_checkpoint
    from distilbert.files.config import DistilBertConfig

    folder = tiny_checkpoint(tmp_path / "model", n_layers=4)
    whole = read_checkpoint(folder, DistilBertConfig.from_folder(folder))
    half, short = narrowed(whole), shortened(whole, 3)
    assert half.config.hidden_dim == whole.config.hidden_dim // 2
    assert half.arrays["transformer.layer.0.ffn.lin1.weight"].shape == (
        half.config.hidden_dim,
        whole.config.dim,
    )
    assert half.arrays["transformer.layer.0.ffn.lin2.weight"].shape == (
        whole.config.dim,
        half.config.hidden_dim,
    )
    assert short.config.n_layers == 3
    assert {name.split(".")[2] for name in short.arrays if name.startswith("transformer.")} == {"0", "1", "2"}
