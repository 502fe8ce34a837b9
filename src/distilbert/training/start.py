"""What a run starts from: a checkpoint's weights, some of its layers perhaps, under the head that is to be trained."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

import torch

from distilbert.errors import OptionError
from distilbert.files.checkpoint import Checkpoint
from distilbert.models import model_class

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distilbert.models.pretrained import PretrainedModel
    from distilbert.training.recipe import FinetuneRecipe

_LAYER = re.compile(r"^transformer\.layer\.(\d+)\.")


def start_model(checkpoint: Checkpoint, recipe: FinetuneRecipe, labels: Sequence[str]) -> PretrainedModel:
    """The model to train: what is new in it follows from the seed. One `NewHeadWarning` names that."""
    if recipe.layers is not None:
        checkpoint = keep_layers(checkpoint, recipe.layers)
    if recipe.dropout is not None:
        rate = recipe.dropout
        config = dataclasses.replace(
            checkpoint.config, dropout=rate, attention_dropout=rate, seq_classif_dropout=rate
        )
        checkpoint = dataclasses.replace(checkpoint, config=config)
    torch.manual_seed(recipe.seed)
    family = checkpoint.config.model_type
    if recipe.task == "fill-mask":
        return model_class(family, "masked-lm").from_checkpoint(checkpoint)
    return model_class(family, "sequence-classification").from_checkpoint(
        checkpoint, id2label=dict(enumerate(labels)), problem_type=recipe.problem_type
    )


def keep_layers(checkpoint: Checkpoint, layers: Sequence[int]) -> Checkpoint:
    """The same checkpoint with these of its layers only, in this order; they count from 0.

    Raises `OptionError` for a layer that it does not have.
    """
    there = checkpoint.config.n_layers
    if wrong := [layer for layer in layers if layer >= there]:
        raise OptionError(
            f"layers names {wrong[0]}; the model's are 0 to {there - 1}.", "Name layers that are there."
        )
    arrays = {name: array for name, array in checkpoint.arrays.items() if not _LAYER.match(name)}
    for new, old in enumerate(layers):
        prefix = f"transformer.layer.{old}."
        arrays |= {
            f"transformer.layer.{new}.{name.removeprefix(prefix)}": array
            for name, array in checkpoint.arrays.items()
            if name.startswith(prefix)
        }
    config = dataclasses.replace(checkpoint.config, n_layers=len(layers))
    return Checkpoint(config, checkpoint.head, arrays)
