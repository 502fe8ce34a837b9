"""The model that a run trains: a checkpoint's weights under the head that is to be trained."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch

from distilbert.models import model_class

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distilbert.files.checkpoint import Checkpoint
    from distilbert.models.pretrained import PretrainedModel
    from distilbert.training.recipe import ProblemType, RowsRecipe


def masked_lm(checkpoint: Checkpoint, recipe: RowsRecipe) -> PretrainedModel:
    """A model that guesses masked words. What is new in it follows from the seed; one `NewHeadWarning` names that."""
    checkpoint = _prepared(checkpoint, recipe)
    return model_class(checkpoint.config.model_type, "masked-lm").from_checkpoint(checkpoint)


def classifier(
    checkpoint: Checkpoint, recipe: RowsRecipe, labels: Sequence[str], problem_type: ProblemType
) -> PretrainedModel:
    """A model with these labels, as `masked_lm`."""
    checkpoint = _prepared(checkpoint, recipe)
    return model_class(checkpoint.config.model_type, "sequence-classification").from_checkpoint(
        checkpoint, id2label=dict(enumerate(labels)), problem_type=problem_type
    )


def _prepared(checkpoint: Checkpoint, recipe: RowsRecipe) -> Checkpoint:
    """Seed what is new, and set the dropout that the recipe asks for."""
    torch.manual_seed(recipe.seed)
    rate = recipe.dropout
    if rate is None:
        return checkpoint
    config = dataclasses.replace(
        checkpoint.config, dropout=rate, attention_dropout=rate, seq_classif_dropout=rate
    )
    return dataclasses.replace(checkpoint, config=config)
