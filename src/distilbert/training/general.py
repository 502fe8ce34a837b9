"""General distillation: a student learns a language from a corpus, with a teacher beside it (`training.triple`)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from distilbert.corpus.shards import open_corpus
from distilbert.errors import OptionError
from distilbert.files.hub import resolve
from distilbert.models import model_class
from distilbert.models.pretrained import read_weights
from distilbert.text.tokenizer import DistilBertTokenizer
from distilbert.text.tokenizer_files import DISTILBERT_INPUTS
from distilbert.training.evaluation import BATCH, evaluate_losses
from distilbert.training.masking import Masks, vocabulary_of
from distilbert.training.packing import PackedTexts, pack
from distilbert.training.run import Work, run
from distilbert.training.start import check_length, masked_lm
from distilbert.training.student import student_of
from distilbert.training.triple import Guesser, TripleLoss
from distilbert.training.vocabularies import compare_vocabularies, words_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import nn

    from distilbert.files.checkpoint import Checkpoint
    from distilbert.models.pretrained import PretrainedModel
    from distilbert.training.evaluation import Evaluation, Runner
    from distilbert.training.events import Event
    from distilbert.training.packing import Corpus
    from distilbert.training.recipe import GeneralRecipe


def distil(
    recipe: GeneralRecipe, out: Path, *, resume: bool, tell: Callable[[Event], None]
) -> dict[str, Any]:
    """Distil as the recipe says: see `training.run.run`, also for what it raises."""
    teacher = resolve(recipe.teacher)
    student = resolve(recipe.student) if recipe.student else teacher
    sources = {"data": Path(recipe.data), "teacher": teacher, "student": student}
    prepare = partial(_prepare, recipe, teacher, student)
    return run(recipe, sources, prepare, out, resume=resume, tell=tell)


def _prepare(recipe: GeneralRecipe, teacher: Path, start: Path, runner: Runner, *_: Any) -> Work:
    """Open teacher, student and corpus, compare their vocabularies, and pack the texts.

    Raises `OptionError` for knobs that do not suit these, and what reading them raises.
    """
    corpus = open_corpus(Path(recipe.data))
    tokenizer = DistilBertTokenizer.from_folder(start)
    tokenizer.model_input_names = [*DISTILBERT_INPUTS]  # a BERT's would give its student token types
    compare_vocabularies(
        {
            f"The teacher {recipe.teacher}": words_of(DistilBertTokenizer.from_folder(teacher)),
            f"the data {recipe.data}": words_of(DistilBertTokenizer.from_folder(corpus.tokenizer)),
            f"the student {recipe.student}": words_of(tokenizer),
        }
    )
    taught, checkpoint = _checkpoints(recipe, teacher, start)
    masks = Masks(vocabulary_of(tokenizer, checkpoint.config.vocab_size), recipe.mask_share, recipe.seed)

    def packed(texts: NDArray[np.int64]) -> PackedTexts:
        packing = pack(texts, corpus.lengths[texts], recipe.max_length, recipe.seed)
        return PackedTexts(corpus, packing, masks, tokenizer)

    train, held = _split(corpus, recipe)
    student = _student(checkpoint, recipe)
    width = taught.config.dim if "cosine" in recipe.weights else None
    beside = _beside(taught, recipe, runner)
    return Work(
        student,
        tokenizer,
        Guesser(student, width, recipe.seed),
        packed(train),
        TripleLoss(recipe.weights, beside, recipe.temperature, recipe.soft_on),
        _judge(packed(held), recipe, runner) if len(held) else None,
        len(held),
        judged_first=True,
    )


def _checkpoints(recipe: GeneralRecipe, teacher: Path, start: Path) -> tuple[Checkpoint, Checkpoint]:
    """The teacher's, and that from which the student starts: both guess the same words, in texts long enough."""
    taught = _with_head(read_weights(teacher), f"teacher {recipe.teacher}")
    begun = _with_head(read_weights(start), f"student {recipe.student}") if start != teacher else taught
    for checkpoint in (taught, begun):
        check_length(recipe.max_length, checkpoint.config)
    if taught.config.vocab_size != begun.config.vocab_size:  # equal vocabularies, one with room for more
        raise OptionError(
            f"The teacher {recipe.teacher} guesses among {taught.config.vocab_size:,} words, the student "
            f"{recipe.student} among {begun.config.vocab_size:,}.",
            "Let the student start from the teacher.",
        )
    return taught, begun


def _with_head(checkpoint: Checkpoint, name: str) -> Checkpoint:
    if checkpoint.head != "masked-lm":
        raise OptionError(
            f"The {name} has no head that guesses words.",
            "Train one first: distilbert finetune --task fill-mask (--freeze-body: the head alone).",
        )
    return checkpoint


def _student(checkpoint: Checkpoint, recipe: GeneralRecipe) -> PretrainedModel:
    student = masked_lm(student_of(checkpoint, recipe), recipe)
    learns_words = recipe.weights.keys() & {"soft", "masked"}
    if not learns_words:  # several processes would wait for the head's gradients
        body = {*student.base_model.parameters()}
        for parameter in {*student.parameters()} - body:
            parameter.requires_grad_(False)
    return student


def _judge(data: PackedTexts, recipe: GeneralRecipe, runner: Runner) -> Callable[[nn.Module], Evaluation]:
    """What scores a student on texts: by the cross entropy of their masked words, the same ones each time."""
    objective = TripleLoss({"masked": 1.0}, None)
    at_once = min(BATCH, recipe.micro_batch or recipe.batch_size)  # what training has the memory for
    return partial(evaluate_losses, runner=runner, data=data, objective=objective, at_once=at_once)


def _beside(checkpoint: Checkpoint, recipe: GeneralRecipe, runner: Runner) -> Guesser | None:
    """The teacher, where something is learnt from it."""
    if not recipe.weights.keys() & {"soft", "cosine"}:
        return None
    model = model_class(checkpoint.config.model_type, checkpoint.head).from_checkpoint(checkpoint)
    return Guesser(model.requires_grad_(False)).to(runner.accelerator.device).eval()


def _split(corpus: Corpus, recipe: GeneralRecipe) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The texts to learn from, and those held back: drawn at random, and those equal to them."""
    lengths = corpus.lengths
    texts = np.flatnonzero(lengths)
    order = np.random.default_rng(0).permutation(texts)
    held = order[: recipe.hold_back]
    ids = {corpus.text_ids(int(text)).tobytes() for text in held}
    alike = texts[np.isin(lengths[texts], lengths[held])]  # reading all would take long
    held = np.array([text for text in alike if corpus.text_ids(int(text)).tobytes() in ids], np.int64)
    train = order[~np.isin(order, held)]
    if len(held) and not len(train):
        raise OptionError(
            f"hold_back {recipe.hold_back:,} leaves none of the {len(texts):,} texts of {recipe.data} to learn from.",
            "Hold fewer back.",
        )
    if recipe.max_texts is not None and recipe.max_texts > len(train):
        raise OptionError(
            f"{recipe.data} has {len(train):,} texts to learn from, and {recipe.max_texts:,} were asked for.",
            "Ask for fewer (max_texts).",
        )
    return np.sort(train[: recipe.max_texts]), held
