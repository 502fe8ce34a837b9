"""The benchmark at BERT's own shapes times the models that it says: widened ones that give the same answers."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from tiny import tiny_checkpoint

pytestmark = pytest.mark.parity
SCRIPT = Path(__file__).parents[1] / "benchmarks" / "widening.py"


@pytest.mark.parametrize("family", ["distilbert", "bert"])
def test_a_widened_model_is_twice_as_wide_and_answers_alike(tmp_path: Path, family: str) -> None:
    import torch

    from distilbert.models import model_class
    from distilbert.models.pretrained import read_weights

    widened = runpy.run_path(str(SCRIPT))["widened"]
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
