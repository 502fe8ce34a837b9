"""Taggers: sentences of labelled words as lessons, and how right a tagger is on held-back ones."""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
import torch
from accelerate.utils import gather_object

from distilbert.metrics.entities import beginning_with, entity_score, scheme_of
from distilbert.training.data import Padding
from distilbert.training.evaluation import Evaluation
from distilbert.training.losses import token_loss
from distilbert.training.readers import Lessons, moved_inputs
from distilbert.training.recipe import TaughtRecipe
from distilbert.training.sentences import joined_texts, tagged_tables, untagged
from distilbert.training.start import tagger
from distilbert.training.tables import unlabelled_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import nn

    from distilbert.files.checkpoint import Checkpoint
    from distilbert.text.tokenizer import DistilBertTokenizer
    from distilbert.training.evaluation import Runner
    from distilbert.training.recipe import LabelledRecipe
    from distilbert.training.sentences import TaggedTexts


def lessons(
    recipe: LabelledRecipe,
    checkpoint: Checkpoint,
    teacher: Checkpoint | None,
    tokenizer: DistilBertTokenizer,
    runner: Runner,
) -> Lessons:
    """Read a recipe's sentences, and put a head for their labels, or its teacher's, on a checkpoint.

    Raises `DataError` for sentences that cannot be used and `OptionError` for labels of no known scheme.
    """
    padding = Padding(checkpoint.config.pad_token_id or 0)
    own = teacher or checkpoint
    labels = own.config.labels if own.head == "token-classification" else ()
    train, dev, names = tagged_tables(recipe, tokenizer, padding, labels, all_there=teacher is not None)
    if isinstance(recipe, TaughtRecipe) and recipe.unlabelled:
        more = unlabelled_texts(recipe, tokenizer, "text")
        train = joined_texts([train, *(untagged(texts, tokenizer, padding) for texts in more)])
    tokenizer.model_max_length = (
        recipe.max_length
    )  # longer texts it reads in windows as long as what it learnt from
    model = tagger(checkpoint, recipe, names)
    evaluate = partial(evaluate_tags, runner=runner, data=dev, names=names) if dev else None
    return Lessons(model, train, evaluate, len(dev.lengths) if dev else 0)


def evaluate_tags(model: nn.Module, runner: Runner, data: TaggedTexts, names: Sequence[str]) -> Evaluation:
    """Score a tagger by the F1 of entities, a word's label being its first token's; without a scheme by accuracy."""
    said = _logits_of_words(model, runner, data)
    gold = [data.gold(row) for row in range(len(said))]
    loss = token_loss(
        torch.from_numpy(np.concatenate(said))[None], torch.from_numpy(np.concatenate(gold))[None]
    )
    right = sum(
        int((logits.argmax(axis=1) == labels).sum()) for logits, labels in zip(said, gold, strict=True)
    )
    words = sum(map(len, gold))
    figures = {"loss": float(loss) / words, "accuracy": right / words}
    scheme = scheme_of(names)
    if scheme is None:
        return Evaluation(figures, "accuracy")
    predicted, true = (
        [[names[label] for label in row] for row in rows]
        for rows in ([logits.argmax(axis=1) for logits in said], gold)
    )
    return Evaluation(figures | {"f1": entity_score(predicted, true, _scheme_in(true, scheme)).f1}, "f1")


def _scheme_in(rows: Sequence[Sequence[str]], scheme: str) -> str:
    """The scheme of these labels, since `scheme` takes IOB1 for IOB2: their labels are the same."""
    of_iob1, of_iob2 = (any(True for row in rows for _ in beginning_with(letter, row)) for letter in "IB")
    return "IOB1" if scheme == "IOB2" and of_iob1 and not of_iob2 else scheme


def _logits_of_words(model: nn.Module, runner: Runner, data: TaggedTexts) -> list[NDArray[np.float32]]:
    """Of each row the logits of its words' first tokens, on every process: `[words, labels]`."""
    found: list[tuple[int, NDArray[np.float32]]] = []
    with torch.inference_mode(), runner.precision():
        for rows in runner.batches(data):
            inputs = moved_inputs(data.batch(rows), runner.accelerator.device)
            logits = model(**inputs).logits.float().cpu().numpy()
            for place, row in enumerate(rows):
                firsts = data.tags.firsts[data.texts.row(row)]
                found.append((int(row), logits[place, : len(firsts)][firsts]))
    return [logits for _, logits in sorted(gather_object(found), key=itemgetter(0))]
