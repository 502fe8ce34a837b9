"""The model that a run trains: a checkpoint's weights under the head that is to be trained."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch

from distilbert.errors import OptionError
from distilbert.models import model_class
from distilbert.models.dropout import Dropout
from distilbert.models.encoder import SelfAttention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from distilbert.files.checkpoint import Checkpoint
    from distilbert.files.config import DistilBertConfig
    from distilbert.models.pretrained import PretrainedModel
    from distilbert.training.recipe import LoopRecipe, ProblemType


def check_length(max_length: int, config: DistilBertConfig) -> None:
    """Raise `OptionError` if a model does not read so many tokens."""
    most = config.max_position_embeddings
    if max_length > most:
        raise OptionError(f"max_length is {max_length}; the model reads {most} tokens.", "Take at most that.")


def masked_lm(checkpoint: Checkpoint, recipe: LoopRecipe) -> PretrainedModel:
    """A model that guesses masked words. What is new in it follows from the seed; one `NewHeadWarning` names that."""
    checkpoint = _prepared(checkpoint, recipe)
    return model_class(checkpoint.config.model_type, "masked-lm").from_checkpoint(checkpoint)


def classifier(
    checkpoint: Checkpoint, recipe: LoopRecipe, labels: Sequence[str], problem_type: ProblemType
) -> PretrainedModel:
    """A model with these labels, as `masked_lm`."""
    checkpoint = _prepared(checkpoint, recipe)
    return model_class(checkpoint.config.model_type, "sequence-classification").from_checkpoint(
        checkpoint, id2label=dict(enumerate(labels)), problem_type=problem_type
    )


def tagger(checkpoint: Checkpoint, recipe: LoopRecipe, labels: Sequence[str]) -> PretrainedModel:
    """A model with these labels for tokens, as `masked_lm`."""
    checkpoint = _prepared(checkpoint, recipe)
    return model_class(checkpoint.config.model_type, "token-classification").from_checkpoint(
        checkpoint, id2label=dict(enumerate(labels))
    )


def answerer(checkpoint: Checkpoint, recipe: LoopRecipe) -> PretrainedModel:
    """A model that finds answers, as `masked_lm`."""
    checkpoint = _prepared(checkpoint, recipe)
    return model_class(checkpoint.config.model_type, "question-answering").from_checkpoint(checkpoint)


def answer_the_usual(model: PretrainedModel, targets: NDArray[np.float32], problem_type: ProblemType) -> None:
    """Let a new head for label sets or numbers begin with the best constant answer to `targets`, by its bias.

    That is each label's log-odds in `[rows, labels]`, or the mean of `[rows]`. A bias moves by about the learning rate
    a step; from 0 it is the encoder that learns to say no to nearly every label, or a far number, whatever the text,
    and it may never learn to read again (docs/lab.md; Lin et al., 2017, section 3.3, start rare classes so too). One
    label of several is near its constant answer at 0. A head that has learned its biases keeps them.
    """
    bias: torch.Tensor = model.classifier.bias  # type: ignore[assignment, union-attr]
    if problem_type == "single_label_classification" or bias.any():
        return
    if problem_type == "regression":
        usual = targets.mean(axis=0)
    else:
        shares = (targets.sum(axis=0) + 1) / (len(targets) + 2)  # never 0 or 1
        usual = np.log(shares / (1 - shares))
    bias.data.copy_(torch.as_tensor(usual))


def freeze_body(model: PretrainedModel) -> None:
    """Leave only the head to be trained: the encoder keeps its weights, and reads without dropout, as it will later.

    Word embeddings that are a masked-LM head's projection too are the encoder's.
    """
    for parameter in model.base_model.parameters():
        parameter.requires_grad_(False)
    for module in model.base_model.modules():
        if isinstance(module, Dropout):
            module.p = 0.0
        if isinstance(module, SelfAttention):
            module.dropout = 0.0


def _prepared(checkpoint: Checkpoint, recipe: LoopRecipe) -> Checkpoint:
    """Seed what is new, and set the dropout that the recipe asks for."""
    torch.manual_seed(recipe.seed)
    rate = recipe.dropout
    if rate is None:
        return checkpoint
    config = dataclasses.replace(
        checkpoint.config, dropout=rate, attention_dropout=rate, seq_classif_dropout=rate
    )
    return dataclasses.replace(checkpoint, config=config)
