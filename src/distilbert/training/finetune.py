"""Fine-tuning: a checkpoint learns the labels of rows, of words, or to guess masked words."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distilbert.errors import DataError
from distilbert.files.hub import resolve
from distilbert.models.pretrained import read_weights
from distilbert.text.tokenizer import DistilBertTokenizer
from distilbert.training import beside
from distilbert.training.data import Examples, Padding
from distilbert.training.evaluation import evaluate_labels, evaluate_losses
from distilbert.training.labels import knows, label_names, label_reader, targets
from distilbert.training.masking import MaskedTexts, Masks, vocabulary_of
from distilbert.training.objectives import Labels, MaskedWords
from distilbert.training.run import Work, run
from distilbert.training.start import answer_the_usual, check_length, classifier, freeze_body, masked_lm
from distilbert.training.student import keep_layers
from distilbert.training.tables import read_tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from distilbert.files.checkpoint import Checkpoint
    from distilbert.files.config import DistilBertConfig
    from distilbert.training.data import Data
    from distilbert.training.evaluation import Runner
    from distilbert.training.events import Event
    from distilbert.training.recipe import FinetuneRecipe
    from distilbert.training.tables import Table


def finetune(
    recipe: FinetuneRecipe,
    out: Path,
    *,
    resume: bool = False,
    tell: Callable[[Event], None] = lambda _: None,
) -> dict[str, Any]:
    """Fine-tune as the recipe says: see `training.run.run`, also for what it raises."""
    folder = resolve(recipe.model)
    sources = {"model": folder, "train": Path(recipe.train)}
    sources |= {"dev": Path(recipe.dev)} if recipe.dev else {}
    return run(recipe, sources, partial(prepare, recipe, folder), out, resume=resume, tell=tell)


def prepare(recipe: FinetuneRecipe, folder: Path, runner: Runner, *_: Any) -> Work:
    """Read the checkpoint in `folder` and the recipe's tables.

    Raises `DataError` for rows that cannot be used, `OptionError` for knobs that do not suit the model or the data,
    and what reading the checkpoint raises.
    """
    checkpoint = read_weights(folder)
    check_length(recipe.max_length, checkpoint.config)
    if recipe.layers is not None:
        checkpoint = keep_layers(checkpoint, recipe.layers)
    work = _PREPARE[recipe.task](recipe, checkpoint, DistilBertTokenizer.from_folder(folder), runner)
    if recipe.freeze_body:
        freeze_body(work.model)
    return work


def _classification(
    recipe: FinetuneRecipe, checkpoint: Checkpoint, tokenizer: DistilBertTokenizer, runner: Runner
) -> Work:
    kind = recipe.problem_type
    train, dev = read_tables(recipe, tokenizer, lambda _: label_reader(kind, recipe.label_column))
    labels = _label_names(recipe, train, checkpoint.config)
    padding = Padding(checkpoint.config.pad_token_id or 0)

    def examples(table: Table) -> Examples:
        return Examples(table.texts, {"labels": targets(table.texts, table.labels, labels, kind)}, padding)

    data, judging = examples(train), examples(dev) if dev else None
    evaluate = (
        partial(evaluate_labels, runner=runner, examples=judging, problem_type=kind) if judging else None
    )
    model = classifier(checkpoint, recipe, labels, kind)
    answer_the_usual(model, data.targets["labels"], kind)
    return Work(model, tokenizer, model, data, Labels(kind), evaluate, _rows(judging))


def _fill_mask(
    recipe: FinetuneRecipe, checkpoint: Checkpoint, tokenizer: DistilBertTokenizer, runner: Runner
) -> Work:
    masks = Masks(vocabulary_of(tokenizer, checkpoint.config.vocab_size), recipe.mask_share, recipe.seed)
    train, dev = read_tables(recipe, tokenizer, lambda _: None)
    padding = Padding(checkpoint.config.pad_token_id or 0)

    def masked(table: Table) -> MaskedTexts:
        return MaskedTexts(table.texts, padding, masks)

    data, judging, objective = masked(train), masked(dev) if dev else None, MaskedWords()
    evaluate = partial(evaluate_losses, runner=runner, data=judging, objective=objective) if judging else None
    model = masked_lm(checkpoint, recipe)
    return Work(model, tokenizer, model, data, objective, evaluate, _rows(judging))


_PREPARE = {
    "text-classification": _classification,
    "token-classification": beside.prepare,
    "question-answering": beside.prepare,
    "fill-mask": _fill_mask,
}


def _rows(data: Data | None) -> int:
    return len(data.lengths) if data else 0


def _label_names(recipe: FinetuneRecipe, train: Table, config: DistilBertConfig) -> list[str]:
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
