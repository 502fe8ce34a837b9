"""Answerers: questions as lessons, and how right an answerer is on held-back ones."""

from __future__ import annotations

from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

import torch
from accelerate.utils import gather_object

from distilbert.metrics.answers import exact_match, word_f1
from distilbert.tasks.answers import Part, Search, best_answers
from distilbert.training.data import Padding
from distilbert.training.evaluation import Evaluation
from distilbert.training.questions import asked_tables
from distilbert.training.readers import Lessons, moved_inputs
from distilbert.training.start import answerer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from distilbert.files.checkpoint import Checkpoint
    from distilbert.text.tokenizer import DistilBertTokenizer
    from distilbert.training.evaluation import Runner
    from distilbert.training.questions import AskedTexts
    from distilbert.training.recipe import LabelledRecipe


def lessons(
    recipe: LabelledRecipe,
    checkpoint: Checkpoint,
    teacher: Checkpoint | None,  # noqa: ARG001 - its answers need no names
    tokenizer: DistilBertTokenizer,
    runner: Runner,
) -> Lessons:
    """Read a recipe's questions, and put a head that finds answers on a checkpoint.

    Raises `DataError` for questions that cannot be used.
    """
    train, dev = asked_tables(recipe, tokenizer, Padding(checkpoint.config.pad_token_id or 0))
    evaluate = partial(evaluate_answers, runner=runner, data=dev, longest=recipe.max_length) if dev else None
    return Lessons(answerer(checkpoint, recipe), train, evaluate, len(dev.questions) if dev else 0)


def evaluate_answers(model: nn.Module, runner: Runner, data: AskedTexts, longest: int) -> Evaluation:
    """Score an answerer by SQuAD's exact match and F1, its answers being those of its pipeline.

    `longest`: tokens of a window. Where some questions have no answer, "" may be one, as for `distilbert score`.
    """
    or_none = not all(question.answers for question in data.questions)
    search = Search(longest, handle_impossible_answer=or_none)
    parts = zip(data.asked.tolist(), _parts(model, runner, data), strict=True)
    found = [
        best_answers([part for _, part in own], search)[0]["answer"]
        for _, own in groupby(parts, key=itemgetter(0))
    ]
    gold = [[right.text for right in question.answers] for question in data.questions]
    figures = {"exact": float(exact_match(found, gold).mean()), "f1": float(word_f1(found, gold).mean())}
    return Evaluation(figures, "f1")


def _parts(model: nn.Module, runner: Runner, data: AskedTexts) -> list[Part]:
    """What a model says of each row's window, on every process."""
    said: list[tuple[int, NDArray[np.float32]]] = []
    with torch.inference_mode(), runner.precision():
        for rows in runner.batches(data):
            inputs = moved_inputs(data.batch(rows), runner.accelerator.device)
            logits = model(**inputs).logits.float().cpu().numpy()
            for place, row in enumerate(rows):
                window = data.windows[row]
                said.append((int(row), logits[place, window.places].T))
    ordered = sorted(gather_object(said), key=itemgetter(0))
    return [Part(data.windows[row], logits) for row, logits in ordered]
