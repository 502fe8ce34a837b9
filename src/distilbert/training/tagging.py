"""Taggers: a checkpoint learns sentences of labelled words, or a student what a tagger says of them."""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate.utils import gather_object

from distilbert.errors import OptionError
from distilbert.files.hub import resolve
from distilbert.metrics.entities import entity_score, scheme_of
from distilbert.models import model_class
from distilbert.models.pretrained import read_weights
from distilbert.text.tokenizer import DistilBertTokenizer
from distilbert.text.tokenizer_files import DISTILBERT_INPUTS
from distilbert.training.data import Padding
from distilbert.training.evaluation import Evaluation
from distilbert.training.losses import token_loss
from distilbert.training.objectives import TokenLabels, inputs_of
from distilbert.training.run import Work, run
from distilbert.training.sentences import tagged_tables
from distilbert.training.start import check_length, tagger
from distilbert.training.student import student_of
from distilbert.training.token_distillation import Reader, TokenDistillation
from distilbert.training.vocabularies import compare_vocabularies, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import nn

    from distilbert.files.checkpoint import Checkpoint
    from distilbert.training.evaluation import Runner
    from distilbert.training.events import Event
    from distilbert.training.recipe import FinetuneRecipe, TaggingRecipe
    from distilbert.training.sentences import TaggedTexts

HEAD = "token-classification"


def prepare(
    recipe: FinetuneRecipe, checkpoint: Checkpoint, tokenizer: DistilBertTokenizer, runner: Runner
) -> Work:
    """Fine-tuning's own part: read the sentences, and put a head for their labels on the checkpoint."""
    padding = Padding(checkpoint.config.pad_token_id or 0)
    own = checkpoint.config.labels if checkpoint.head == HEAD else ()
    train, dev, names = tagged_tables(recipe, tokenizer, padding, own, all_there=False)
    model = tagger(checkpoint, recipe, names)
    return Work(model, tokenizer, model, train, TokenLabels(), *_judge(dev, names, runner))


def distil(
    recipe: TaggingRecipe, out: Path, *, resume: bool, tell: Callable[[Event], None]
) -> dict[str, Any]:
    """Distil as the recipe says: see `training.run.run`, also for what it raises."""
    teacher = resolve(recipe.teacher)
    student = resolve(recipe.student) if recipe.student else teacher
    sources = {"train": Path(recipe.train), "teacher": teacher, "student": student}
    sources |= {"dev": Path(recipe.dev)} if recipe.dev else {}
    return run(recipe, sources, partial(_prepare, recipe, teacher, student), out, resume=resume, tell=tell)


def _prepare(recipe: TaggingRecipe, teacher: Path, start: Path, runner: Runner, *_: Any) -> Work:
    """Open teacher and student, compare their vocabularies, and read the sentences.

    Raises `OptionError` for knobs that do not suit these, and what reading them raises.
    """
    tokenizer = DistilBertTokenizer.from_folder(start)
    tokenizer.model_input_names = [*DISTILBERT_INPUTS]  # a BERT's would give its student token types
    compare_vocabularies(
        {
            f"The teacher {recipe.teacher}": words_of(DistilBertTokenizer.from_folder(teacher)),
            f"the student {recipe.student}": words_of(tokenizer),
        }
    )
    taught = read_weights(teacher)
    if taught.head != HEAD:
        raise OptionError(
            f"The teacher {recipe.teacher} has no head that labels tokens.",
            "Train one first: distilbert finetune --task token-classification.",
        )
    begun = taught if start == teacher else read_weights(start)
    for checkpoint in (taught, begun):
        check_length(recipe.max_length, checkpoint.config)
    padding = Padding(begun.config.pad_token_id or 0)
    train, dev, names = tagged_tables(recipe, tokenizer, padding, taught.config.labels, all_there=True)
    student = tagger(student_of(begun, recipe), recipe, names)
    learns_states = "cosine" in recipe.weights
    return Work(
        student,
        tokenizer,
        Reader(student, taught.config.dim if learns_states else None, recipe.seed),
        train,
        TokenDistillation(recipe.weights, _beside(taught, recipe, runner), recipe.temperature),
        *_judge(dev, names, runner),
    )


def _beside(checkpoint: Checkpoint, recipe: TaggingRecipe, runner: Runner) -> Reader | None:
    """The teacher, where something is learnt from it."""
    if not recipe.weights.keys() & {"soft", "cosine"}:
        return None
    model = model_class(checkpoint.config.model_type, checkpoint.head).from_checkpoint(checkpoint)
    return Reader(model.requires_grad_(False)).to(runner.accelerator.device).eval()


def _judge(
    dev: TaggedTexts | None, names: Sequence[str], runner: Runner
) -> tuple[Callable[[nn.Module], Evaluation] | None, int]:
    """What scores a tagger on held-back sentences, if there are any, and how many there are."""
    if dev is None:
        return None, 0
    return partial(evaluate_tags, runner=runner, data=dev, names=names), len(dev.lengths)


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
    return Evaluation(figures | {"f1": entity_score(predicted, true, scheme).f1}, "f1")


def _logits_of_words(model: nn.Module, runner: Runner, data: TaggedTexts) -> list[NDArray[np.float32]]:
    """Of each row the logits of its words' first tokens, on every process: `[words, labels]`."""
    found: list[tuple[int, NDArray[np.float32]]] = []
    with torch.inference_mode(), runner.precision():
        for rows in runner.batches(data):
            inputs = {
                name: column.to(runner.accelerator.device)
                for name, column in inputs_of(data.batch(rows)).items()
            }
            logits = model(**inputs).logits.float().cpu().numpy()
            for place, row in enumerate(rows):
                firsts = data.tags.firsts[data.texts.row(row)]
                found.append((int(row), logits[place, : len(firsts)][firsts]))
    return [logits for _, logits in sorted(gather_object(found), key=itemgetter(0))]
