"""From a recipe to what the loop needs: a model, data, an objective and a way to judge."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from distilbert.errors import DataError, OptionError, TruncationWarning
from distilbert.models.pretrained import read_weights
from distilbert.training.data import Examples, Padding, Texts, draw_rows, hold_back, read_texts
from distilbert.training.evaluation import evaluate_labels, evaluate_losses
from distilbert.training.labels import knows, label_names, label_reader, targets
from distilbert.training.masking import MaskedTexts, Vocabulary
from distilbert.training.objectives import Labels, MaskedWords
from distilbert.training.start import start_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from distilbert.files.checkpoint import Checkpoint
    from distilbert.files.config import DistilBertConfig
    from distilbert.files.tables import Row
    from distilbert.models.pretrained import PretrainedModel
    from distilbert.text.tokenizer import DistilBertTokenizer
    from distilbert.training.data import Data
    from distilbert.training.evaluation import Evaluation, Runner
    from distilbert.training.objectives import Objective
    from distilbert.training.recipe import FinetuneRecipe


@dataclass(frozen=True)
class Work:
    """What a recipe asks for, read and ready. `evaluate` is None where no rows are held back."""

    model: PretrainedModel
    data: Data
    objective: Objective
    evaluate: Callable[[nn.Module], Evaluation] | None
    held_back: int  # rows to judge by


class _Table(NamedTuple):
    """Rows as token ids, with what was read as their labels."""

    texts: Texts
    labels: list[Any]

    def take(self, rows: NDArray[np.int64]) -> _Table:
        return _Table(self.texts.take(rows), [self.labels[row] for row in rows] if self.labels else [])


def prepare(recipe: FinetuneRecipe, folder: Path, tokenizer: DistilBertTokenizer, runner: Runner) -> Work:
    """Read the checkpoint in `folder` and the recipe's tables.

    Raises `DataError` for rows that cannot be used, `OptionError` for knobs that do not suit the model or the data,
    and what reading the checkpoint raises.
    """
    checkpoint = read_weights(folder)
    most = checkpoint.config.max_position_embeddings
    if recipe.max_length > most:
        raise OptionError(
            f"max_length is {recipe.max_length}; the model reads {most} tokens.", "Take at most that."
        )
    return _PREPARE[recipe.task](recipe, checkpoint, tokenizer, runner)


def _classification(
    recipe: FinetuneRecipe, checkpoint: Checkpoint, tokenizer: DistilBertTokenizer, runner: Runner
) -> Work:
    kind = recipe.problem_type
    train, dev = _tables(recipe, tokenizer, label_reader(kind, recipe.label_column))
    labels = _label_names(recipe, train, checkpoint.config)
    padding = Padding(checkpoint.config.pad_token_id or 0)

    def examples(table: _Table) -> Examples:
        return Examples(table.texts, {"labels": targets(table.texts, table.labels, labels, kind)}, padding)

    data, judging = examples(train), examples(dev) if dev else None
    evaluate = (
        partial(evaluate_labels, runner=runner, examples=judging, problem_type=kind) if judging else None
    )
    return Work(start_model(checkpoint, recipe, labels), data, Labels(kind), evaluate, _rows(judging))


def _fill_mask(
    recipe: FinetuneRecipe, checkpoint: Checkpoint, tokenizer: DistilBertTokenizer, runner: Runner
) -> Work:
    if tokenizer.mask_token_id is None:
        raise OptionError("The model's tokenizer has no mask token.", "fill-mask needs one that has.")
    train, dev = _tables(recipe, tokenizer, None)
    padding = Padding(checkpoint.config.pad_token_id or 0)
    vocabulary = Vocabulary(
        checkpoint.config.vocab_size, tokenizer.mask_token_id, tuple(tokenizer.all_special_ids)
    )

    def masked(table: _Table) -> MaskedTexts:
        return MaskedTexts(table.texts, padding, vocabulary, recipe.mask_share, recipe.seed)

    data, judging, objective = masked(train), masked(dev) if dev else None, MaskedWords()
    evaluate = partial(evaluate_losses, runner=runner, data=judging, objective=objective) if judging else None
    return Work(start_model(checkpoint, recipe, ()), data, objective, evaluate, _rows(judging))


_PREPARE = {"text-classification": _classification, "fill-mask": _fill_mask}


def _rows(data: Data | None) -> int:
    return len(data.lengths) if data else 0


def _tables(
    recipe: FinetuneRecipe, tokenizer: DistilBertTokenizer, read_label: Callable[[Row], Any] | None
) -> tuple[_Table, _Table | None]:
    """The rows to train on, and those to judge by."""

    def read(path: str) -> _Table:
        return _Table(
            *read_texts(path, tokenizer, recipe.column, recipe.pair_column, recipe.max_length, read_label)
        )

    train = read(recipe.train)
    dev = read(recipe.dev) if recipe.dev else None
    if recipe.hold_back:
        training, judging = hold_back(train.texts, recipe.hold_back)
        train, dev = train.take(training), train.take(judging)
    if recipe.max_rows is not None:
        train = train.take(draw_rows(train.texts, recipe.max_rows))
    if cut := int(train.texts.cut.sum()):
        warnings.warn(
            f"{recipe.train}: {cut:,} rows are longer than {recipe.max_length} tokens, and were cut "
            "(max_length).",
            TruncationWarning,
            stacklevel=2,
        )
    return train, dev


def _label_names(recipe: FinetuneRecipe, train: _Table, config: DistilBertConfig) -> list[str]:
    """The names of the logits, in order: the recipe's, else the model's own if they suit, else those of the rows."""
    if recipe.problem_type == "regression":
        return [recipe.label_column]
    names = label_names(train.labels)
    least = 2 if recipe.problem_type == "single_label_classification" else 1
    if len(names) < least:
        found = f"one label, {names[0]!r}" if names else "no label"
        raise DataError(
            f"{recipe.train}: column {recipe.label_column!r} holds {found}.",
            f"There is nothing to learn from that: it takes {least} at least.",
        )
    if recipe.labels is not None:
        return recipe.labels
    classifies = any(name.endswith("ForSequenceClassification") for name in config.architectures)
    return list(config.labels) if classifies and knows(config.labels, train.labels) else names
