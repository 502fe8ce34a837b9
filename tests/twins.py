"""transformers' tiny random models, and batches for them: what the model wing is compared with.

>>> model = theirs("DistilBertForMaskedLM")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

POSITIONS = 24
VOCABULARY = 120
HEADS = (
    "Model",
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "ForMaskedLM",
    "ForMultipleChoice",
)
CLASSES = [f"{family}{head}" for family in ("DistilBert", "Bert") for head in HEADS]
_SIZES = {
    "DistilBert": {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 64},
    "Bert": {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64},
}
RATES = {
    "DistilBert": ("dropout", "attention_dropout", "seq_classif_dropout", "qa_dropout"),
    "Bert": ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"),
}


def family_of(name: str) -> str:
    """What a class's name begins with."""
    return "Bert" if name.startswith("Bert") else "DistilBert"


def theirs(name: str, **settings: Any) -> Any:
    """A random model of transformers, in eval mode, without dropout; every weight is large enough to matter."""
    import torch
    import transformers

    torch.manual_seed(0)
    torch.set_num_threads(1)
    family = family_of(name)
    labels = {"num_labels": 3} if name.endswith(("SequenceClassification", "TokenClassification")) else {}
    config = getattr(transformers, f"{family}Config")(
        vocab_size=VOCABULARY,
        max_position_embeddings=POSITIONS,
        initializer_range=0.2,
        attn_implementation="eager",  # the one that shows attentions
        **{**_SIZES[family], **dict.fromkeys(RATES[family], 0.0), **labels, **settings},
    )
    model = getattr(transformers, name)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:  # biases and norms start at 0 and 1, where a mistake would not show
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


def batch(name: str, seed: int = 0) -> dict[str, Tensor]:
    """Eight texts of several lengths, padded right; pairs for BERT; four by two for multiple choice."""
    import torch

    rng = np.random.default_rng(seed)
    lengths = np.array([1, 2, 3, 5, 8, 13, 20, POSITIONS])[:, None]
    places = np.arange(POSITIONS)
    arrays = {
        "input_ids": rng.integers(0, VOCABULARY, (8, POSITIONS)),
        "attention_mask": (places < lengths).astype(np.int64),
    }
    if family_of(name) == "Bert":
        second = rng.integers(0, lengths + 1)
        arrays["token_type_ids"] = ((places >= second) & (places < lengths)).astype(np.int64)
    tensors = {key: torch.from_numpy(array) for key, array in arrays.items()}
    if name.endswith("MultipleChoice"):
        return {key: tensor.view(4, 2, POSITIONS) for key, tensor in tensors.items()}
    return tensors


def labels(name: str, seed: int = 1) -> dict[str, Tensor]:
    """Random labels for `batch`: one of three, ids with gaps of -100, positions of which one is outside, a choice."""
    import torch

    random = torch.Generator().manual_seed(seed)

    def ids(limit: int, *shape: int) -> Tensor:
        return torch.randint(limit, shape, generator=random)

    gaps = torch.rand(8, POSITIONS, generator=random) < 0.5
    made: dict[str, Callable[[], dict[str, Tensor]]] = {
        "Model": dict,
        "ForSequenceClassification": lambda: {"labels": ids(3, 8)},
        "ForTokenClassification": lambda: {"labels": ids(3, 8, POSITIONS).masked_fill(gaps, -100)},
        "ForMaskedLM": lambda: {"labels": ids(VOCABULARY, 8, POSITIONS).masked_fill(gaps, -100)},
        "ForQuestionAnswering": lambda: {
            "start_positions": ids(POSITIONS, 8),
            "end_positions": torch.cat([ids(POSITIONS, 7), torch.tensor([POSITIONS + 5])]),
        },
        "ForMultipleChoice": lambda: {"labels": ids(2, 4)},
    }
    return made[name.removeprefix(family_of(name))]()
