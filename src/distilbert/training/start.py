"""What a run starts from: a checkpoint's weights, some of its layers perhaps, under the head that is to be trained."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch

from distilbert.models import model_class
from distilbert.training.student import keep_layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distilbert.files.checkpoint import Checkpoint
    from distilbert.models.pretrained import PretrainedModel
    from distilbert.training.recipe import FinetuneRecipe


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
