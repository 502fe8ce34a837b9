"""From a teacher's checkpoint to a student's: fewer layers, a narrower feed-forward, always a DistilBERT.

Each function takes a checkpoint and gives another, and a student is made by some of them in a row:

    student = keep_layers(as_distilbert(teacher), spaced(6, of=12))

`Checkpoint.arrays` have DistilBERT's names in both families, so that little is left to do but leaving out.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch

from distilbert.errors import DataError, OptionError
from distilbert.files.checkpoint import Checkpoint, fold_token_types
from distilbert.models import model_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from distilbert.models.pretrained import PretrainedModel
    from distilbert.training.data import Batch
    from distilbert.training.objectives import Objective
    from distilbert.training.recipe import StudentRecipe

_LAYERS = "transformer.layer."
_PRE_CLASSIFIER = {"pooler.weight": "pre_classifier.weight", "pooler.bias": "pre_classifier.bias"}
_WITH_PRE_CLASSIFIER = ("sequence-classification", "multiple-choice")


def spaced(layers: int, of: int) -> list[int]:
    """The numbers of so many layers, evenly spaced, first and last among them; a single one is the first.

    The first is the one that has learned to read embeddings. Sanh et al. (2019), section 3, took one of two; these
    are the layers of its published code. Raises `OptionError` for more layers than there are, or none.

    >>> spaced(6, of=12), spaced(3, of=6), spaced(1, of=12)
    ([0, 2, 4, 7, 9, 11], [0, 2, 5], [0])
    """
    if not 1 <= layers <= of:
        raise OptionError(f"n_layers is {layers}; the model has {of}.", f"Ask for 1 to {of}.")
    return [round(number * (of - 1) / max(1, layers - 1)) for number in range(layers)]


def keep_layers(checkpoint: Checkpoint, layers: Sequence[int]) -> Checkpoint:
    """The same checkpoint with these of its layers only, in this order; they count from 0.

    Raises `OptionError` for a layer that it does not have.
    """
    there = checkpoint.config.n_layers
    if wrong := [layer for layer in layers if not 0 <= layer < there]:
        raise OptionError(
            f"layers names {wrong[0]}; the model's are 0 to {there - 1}.", "Name layers that are there."
        )
    arrays = {name: array for name, array in checkpoint.arrays.items() if not name.startswith(_LAYERS)}
    for new, old in enumerate(layers):
        prefix = f"{_LAYERS}{old}."
        arrays |= {
            f"{_LAYERS}{new}.{name.removeprefix(prefix)}": array
            for name, array in checkpoint.arrays.items()
            if name.startswith(prefix)
        }
    config = dataclasses.replace(checkpoint.config, n_layers=len(layers))
    return Checkpoint(config, checkpoint.head, arrays)


def as_distilbert(checkpoint: Checkpoint) -> Checkpoint:
    """A BERT as a DistilBERT with as many layers; a DistilBERT as it is.

    It gives the same rows for single texts (`fold_token_types`), and the same answers under a head that reads tokens,
    but for layer norms that now add DistilBERT's 1e-12 to a variance, whatever the BERT's added.

    A BERT classifies texts by its pooler, tanh(W x + b), and a DistilBERT by `pre_classifier`, ReLU(W x + b). That one
    starts from the pooler's weights, under the teacher's classifier. Its scores are others, since a feature counts
    only where it is positive; a start, better than random weights, from which to train. Other heads leave the pooler.
    """
    if checkpoint.config.model_type == "distilbert":
        return checkpoint
    arrays = fold_token_types(checkpoint.arrays)
    pooler = {new: arrays.pop(old) for old, new in _PRE_CLASSIFIER.items() if old in arrays}
    if checkpoint.head in _WITH_PRE_CLASSIFIER:
        arrays |= pooler
    config = checkpoint.config
    dropout = config.seq_classif_dropout
    config = dataclasses.replace(
        config,
        model_type="distilbert",
        type_vocab_size=0,
        layer_norm_eps=1e-12,
        seq_classif_dropout=config.dropout if dropout is None else dropout,  # None is BERT's word for that
        architectures=(model_class("distilbert", checkpoint.head).__name__,),
        # of what else a BERT's config says, this alone decides what is computed
        extra={key: value for key, value in config.extra.items() if key == "tie_word_embeddings"},
    )
    return Checkpoint(config, checkpoint.head, arrays)


def student_of(checkpoint: Checkpoint, recipe: StudentRecipe) -> Checkpoint:
    """A recipe's student before it learns: its layers of a checkpoint, as a DistilBERT."""
    there = checkpoint.config.n_layers
    count = recipe.n_layers or (there if recipe.student else (there + 1) // 2)
    layers = recipe.layers or spaced(count, of=there)
    student = keep_layers(as_distilbert(checkpoint), layers)
    return random_start(student, recipe.seed) if recipe.random_start else student


def random_start(checkpoint: Checkpoint, seed: int) -> Checkpoint:
    """The same config and head with new weights, all of which follow from the seed: what the teacher's are worth."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        model = model_class(checkpoint.config.model_type, checkpoint.head)(checkpoint.config)
    arrays = {name: weight.detach().numpy() for name, weight in model.canonical_parameters().items()}
    return Checkpoint(checkpoint.config, checkpoint.head, arrays)


def narrow(checkpoint: Checkpoint, hidden_dim: int, importance: NDArray[np.float64]) -> Checkpoint:
    """The same checkpoint with the `hidden_dim` most important neurons of each layer's feed-forward, in their order.

    `importance` `[layers, F]`, of this checkpoint's layers: see `measured_importance`. Of equals the first are kept.
    A neuron is a row of `lin1`, its bias and a column of `lin2`. Raises `OptionError` for more neurons than there are.
    """
    there = checkpoint.config.hidden_dim
    if not 1 <= hidden_dim <= there:
        raise OptionError(f"hidden_dim is {hidden_dim}; the model's is {there}.", f"Ask for 1 to {there}.")
    arrays = dict(checkpoint.arrays)
    for layer, scores in zip(range(checkpoint.config.n_layers), importance, strict=True):
        kept = np.sort(np.argsort(-scores, kind="stable")[:hidden_dim])
        ffn = f"{_LAYERS}{layer}.ffn"
        arrays[f"{ffn}.lin1.weight"] = arrays[f"{ffn}.lin1.weight"][kept]
        arrays[f"{ffn}.lin1.bias"] = arrays[f"{ffn}.lin1.bias"][kept]
        arrays[f"{ffn}.lin2.weight"] = np.ascontiguousarray(arrays[f"{ffn}.lin2.weight"][:, kept])
    config = dataclasses.replace(checkpoint.config, hidden_dim=hidden_dim)
    return Checkpoint(config, checkpoint.head, arrays)


def measured_importance(
    model: PretrainedModel, batches: Iterable[Batch], objective: Objective
) -> NDArray[np.float64]:
    """How much each neuron of each layer's feed-forward matters to the loss, `[layers, F]`: for `narrow`.

    Let a neuron's output be ξ a, with ξ 1, or 0 without the neuron. To first order a row's loss changes by
    |dL/dξ| = |Σ a dL/da| over its tokens when the neuron goes; this is the mean over rows (Michel et al., 2019,
    section 4.1, for heads; Molchanov et al., 2019, for neurons). Padding has no part in it. In the
    loss's unit. A hundred texts do about as well as six hundred. The model must be a trained one with all its layers:
    one that has just lost some answers at random. Leaves it in `eval` mode. Raises `DataError` where there is no text.
    """
    outputs: list[Tensor] = []
    hooks = [
        layer.ffn.lin2.register_forward_pre_hook(lambda _, inputs: outputs.append(inputs[0]))
        for layer in model.base_model.transformer.layer
    ]
    config, rows = model.config, 0
    total = np.zeros((config.n_layers, config.hidden_dim))
    try:
        for batch in batches:
            outputs.clear()
            sums = objective.sums(model.eval(), {name: x.to(model.device) for name, x in batch.items()})
            loss = torch.stack([weight * sums[name] for name, weight in objective.weights.items()]).sum()
            for layer, (a, slope) in enumerate(zip(outputs, torch.autograd.grad(loss, outputs), strict=True)):
                total[layer] += (a.detach() * slope).sum(dim=1).abs().sum(dim=0).double().cpu().numpy()
            rows += len(outputs[0])
    finally:
        for hook in hooks:
            hook.remove()
    if not rows:
        raise DataError("There is no text to measure neurons on.", "Give at least one.")
    return total / rows
