"""What a gate asks of each task: how an engine's answers to its texts are got, and how two of them are judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from distilbert.errors import OptionError
from distilbert.metrics.gate import judge_label_sets, judge_labels, judge_numbers, judge_vectors
from distilbert.tasks.classification import TextClassificationPipeline
from distilbert.tasks.features import sample_vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    from distilbert.engines.base import Engine, Floats
    from distilbert.files.config import DistilBertConfig
    from distilbert.metrics.gate import Verdict
    from distilbert.text.tokenizer import DistilBertTokenizer

    Gold: TypeAlias = NDArray[np.int64] | None  # label ids [texts]
    ScoreAndJudge: TypeAlias = tuple[Callable[[Engine], Floats], Callable[[Floats, Floats], Verdict]]

_JUDGES = {
    "regression": judge_numbers,
    "multi_label_classification": judge_label_sets,
    "single_label_classification": judge_labels,
    None: judge_labels,
}


def _classification_gate(
    texts: Sequence[str], gold: Gold, tokenizer: DistilBertTokenizer, config: DistilBertConfig
) -> ScoreAndJudge:
    """Score: logits `[texts, labels]`. Judge: by the problem type's own measure."""
    judge = judge_numbers if config.num_labels == 1 else _JUDGES[config.problem_type]

    def score(engine: Engine) -> Floats:
        classify = TextClassificationPipeline(tokenizer, engine, config, truncation=True)
        return np.stack(list(classify.logits(texts)))

    return score, lambda reference, candidate: judge(reference, candidate, gold)


def _encoder_gate(
    texts: Sequence[str], gold: Gold, tokenizer: DistilBertTokenizer, config: DistilBertConfig
) -> ScoreAndJudge:
    """Score: vectors of a few tokens a text `[tokens, dim]`. Judge: by their cosine."""
    if gold is not None:
        raise OptionError("An encoder without head gives no labels to compare.", "Leave out --label-column.")
    return lambda engine: sample_vectors(texts, tokenizer, engine, config), judge_vectors


GATES = {"sequence-classification": _classification_gate, "none": _encoder_gate}
