"""What a gate asks of each task: how an engine's answers to its texts are got, and how two of them are judged."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from distilbert.errors import OptionError, TokenizerError
from distilbert.metrics.entities import OUTSIDE
from distilbert.metrics.gate import (
    Choices,
    Tags,
    judge_choices,
    judge_entities,
    judge_label_sets,
    judge_labels,
    judge_numbers,
    judge_spans,
    judge_vectors,
)
from distilbert.tasks.answers import QuestionAnsweringPipeline
from distilbert.tasks.classification import TextClassificationPipeline
from distilbert.tasks.entities import Runs
from distilbert.tasks.features import sample_vectors
from distilbert.tasks.fill_mask import masked_logits
from distilbert.text.batching import answer_in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    from distilbert.engines.base import Engine, Floats
    from distilbert.files.config import DistilBertConfig
    from distilbert.metrics.gate import Verdict
    from distilbert.text.batching import Batch
    from distilbert.text.tokenizer import DistilBertTokenizer, EncodedTexts

    GateText: TypeAlias = str | tuple[str, str]
    Gold: TypeAlias = NDArray[np.int64] | None  # label ids [texts]
    ScoreAndJudge: TypeAlias = tuple[Callable[[Engine], Any], Callable[[Any, Any], Verdict]]

A = TypeVar("A")

MASKED_EVERY = 7  # tokens: near the 15 % with which these models are trained
KEPT_LOGITS = 64  # of a vocabulary's, to measure how far int8 strays

_JUDGES = {
    "regression": judge_numbers,
    "multi_label_classification": judge_label_sets,
    "single_label_classification": judge_labels,
    None: judge_labels,
}


def _classification_gate(
    texts: Sequence[GateText], gold: Gold, tokenizer: DistilBertTokenizer, config: DistilBertConfig
) -> ScoreAndJudge:
    """Score: logits `[texts, labels]`. Judge: by the problem type's own measure."""
    judge = judge_numbers if config.num_labels == 1 else _JUDGES[config.problem_type]
    asked = [text if isinstance(text, str) else {"text": text[0], "text_pair": text[1]} for text in texts]

    def score(engine: Engine) -> Floats:
        classify = TextClassificationPipeline(tokenizer, engine, config, truncation=True)
        return np.stack(list(classify.logits(asked)))

    return score, lambda reference, candidate: judge(reference, candidate, gold)


def _encoder_gate(
    texts: Sequence[GateText], gold: Gold, tokenizer: DistilBertTokenizer, config: DistilBertConfig
) -> ScoreAndJudge:
    """Score: vectors of a few tokens a text `[tokens, dim]`. Judge: by their cosine."""
    _refuse(gold, "An encoder without head")
    return lambda engine: sample_vectors(texts, tokenizer, engine, config), judge_vectors


def _token_gate(
    texts: Sequence[GateText], gold: Gold, tokenizer: DistilBertTokenizer, config: DistilBertConfig
) -> ScoreAndJudge:
    """Score: logits of all tokens but special ones, and entities. Judge: by the labels and entities that change."""
    _refuse(gold, "A tagger of tokens")
    if not all(isinstance(text, str) for text in texts):
        raise OptionError(
            "A tagger is judged by single texts, not by pairs or questions with their contexts.",
            "Calibrate on sentences in CoNLL's format, or on a table's --column alone.",
        )
    runs = Runs.of(config.labels, ignored=config.labels)  # labels of no scheme are types by themselves
    encode = partial(tokenizer.encode_texts, max_length=config.max_position_embeddings)

    def answer(batch: Batch, engine: Engine) -> list[Floats]:
        read = (batch.inputs["attention_mask"] == 1) & ~_special(batch.inputs["input_ids"], tokenizer)
        return [rows[row] for rows, row in zip(engine.run(batch.inputs)["logits"], read, strict=True)]

    def score(engine: Engine) -> Tags:
        rows = _ask(engine, texts, encode, answer)
        entities = frozenset(
            (text, *run)
            for text, logits in enumerate(rows)
            for run in runs.in_row(logits.argmax(axis=1))
            if run[0] != OUTSIDE
        )
        return Tags(np.concatenate(rows), entities)

    return score, judge_entities


def _span_gate(
    texts: Sequence[GateText], gold: Gold, tokenizer: DistilBertTokenizer, config: DistilBertConfig
) -> ScoreAndJudge:
    """Score: each question's best answer, as its asker gets it. Judge: by how far these overlap."""
    _refuse(gold, "A model for question answering")
    if any(isinstance(text, str) for text in texts):
        raise OptionError(
            "A model for question answering is judged by questions with their contexts, not by single texts.",
            "Calibrate on SQuAD's .json, or on a table: --column question --pair-column context.",
        )
    asked = [{"question": text[0], "context": text[1]} for text in texts]

    def score(engine: Engine) -> Choices:
        answer = QuestionAnsweringPipeline(tokenizer, engine, config)
        spans, highest = [], []
        for parts, best in answer.with_parts(asked):
            spans.append((best["start"], best["end"]))
            highest.append(np.max([part.logits.max(axis=1) for part in parts], axis=0))
        return Choices(np.array(spans), np.array(highest))

    return score, judge_spans


def _masked_word_gate(
    texts: Sequence[GateText], gold: Gold, tokenizer: DistilBertTokenizer, config: DistilBertConfig
) -> ScoreAndJudge:
    """Score: the likeliest token for each mask, where every seventh token is one. Judge: by those that change."""
    _refuse(gold, "A masked language model")
    mask_id = tokenizer.mask_token_id
    if mask_id is None:
        raise TokenizerError("This tokenizer has no mask_token to fill.", "Load it with a mask_token.")

    def encode(window: Sequence[GateText]) -> EncodedTexts:
        encoded = tokenizer.encode_texts(window, max_length=config.max_position_embeddings)
        return encoded._replace(input_ids=[with_masks(ids, tokenizer) for ids in encoded.input_ids])

    def answer(batch: Batch, engine: Engine) -> list[tuple[NDArray[np.intp], Floats]]:
        few = -(-config.vocab_size // KEPT_LOGITS)
        masked = masked_logits(engine, batch, mask_id)
        return [(logits.argmax(axis=1), logits[:, ::few].copy()) for logits in masked]

    def score(engine: Engine) -> Choices:
        words, logits = zip(*_ask(engine, texts, encode, answer), strict=True)
        return Choices(np.concatenate(words)[:, None], np.concatenate(logits))

    return score, judge_choices


def with_masks(ids: list[int], tokenizer: DistilBertTokenizer) -> list[int]:
    """The same token ids, but every seventh, of those that are not special, is the mask's: one at least."""
    masked = np.array(ids)
    places = np.flatnonzero(~_special(masked, tokenizer))
    masked[places[len(places) // 2 % MASKED_EVERY :: MASKED_EVERY]] = tokenizer.mask_token_id
    return [int(token) for token in masked]


def _special(ids: NDArray[np.int64], tokenizer: DistilBertTokenizer) -> NDArray[np.bool_]:
    return np.isin(ids, tokenizer.all_special_ids)


def _ask(
    engine: Engine,
    texts: Sequence[GateText],
    encode: Callable[[list[GateText]], EncodedTexts],
    answer: Callable[[Batch, Engine], Iterable[A]],
) -> list[A]:
    """One answer a text, in their order."""
    answers = answer_in_order(texts, encode, lambda batch: answer(batch, engine), workers=engine.workers)
    return list(answers)


def _refuse(gold: Gold, what: str) -> None:
    if gold is not None:
        raise OptionError(f"{what} gives no labels of texts to compare.", "Leave out --label-column.")


GATES = {
    "none": _encoder_gate,
    "sequence-classification": _classification_gate,
    "token-classification": _token_gate,
    "question-answering": _span_gate,
    "masked-lm": _masked_word_gate,
}
