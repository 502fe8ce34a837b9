"""Each head's gate asks the engine what users of that head ask, and judges what they would notice."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bundles import sentences
from hypothesis import given
from hypothesis import strategies as st
from tiny import VOCABULARY, WORDS, tiny_checkpoint, tiny_config

from distilbert import DistilBertForMaskedLM, DistilBertForQuestionAnswering, DistilBertForTokenClassification
from distilbert.errors import OptionError, TokenizerError
from distilbert.tasks.answers import QuestionAnsweringPipeline
from distilbert.tasks.gates import GATES, with_masks
from distilbert.text.tokenizer import DistilBertTokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from distilbert.engines.base import Engine, Floats, TokenIds
    from distilbert.metrics.gate import Tags

TOKENIZER = DistilBertTokenizer({word: place for place, word in enumerate(VOCABULARY)})
TEXTS = [*sentences(60, seed=2), ""]
PAIRS = list(zip(sentences(40, seed=3, longest=6), sentences(40, seed=4), strict=True))
CLASSES = {
    "token-classification": DistilBertForTokenClassification,
    "question-answering": DistilBertForQuestionAnswering,
    "masked-lm": DistilBertForMaskedLM,
}


class Changed:
    """An engine whose outputs are changed on the way out."""

    workers = 2

    def __init__(self, engine: Engine, change: Callable[[np.ndarray], np.ndarray]) -> None:
        self.engine, self.change = engine, change
        self.input_names, self.output_names = engine.input_names, engine.output_names

    def run(self, inputs: Mapping[str, TokenIds]) -> dict[str, Floats]:
        return {name: self.change(array) for name, array in self.engine.run(inputs).items()}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("models")
    return {
        head: kind.from_pretrained(
            tiny_checkpoint(folder / head, head=head, labels=("O", "PER", "LOC")),  # type: ignore[arg-type]
            threads=2,
        )
        for head, kind in CLASSES.items()
    }


@pytest.mark.parametrize("head", CLASSES)
def test_equal_engines_pass_and_shuffled_answers_do_not(models: dict[str, Any], head: str) -> None:
    model = models[head]
    score, judge = GATES[head](
        PAIRS if head == "question-answering" else TEXTS, None, TOKENIZER, model.config
    )
    reference = score(model.engine)
    same, other = score(model.engine), score(Changed(model.engine, lambda array: -array))
    assert judge(reference, same).passed
    assert judge(reference, same).error == 0
    verdict = judge(reference, other)
    assert not verdict.passed
    assert verdict.error > 0.1
    near = score(Changed(model.engine, lambda array: array + np.float32(0.25)))
    assert judge(reference, near).passed  # it moves all logits alike
    assert judge(reference, near).error == pytest.approx(0.25, abs=1e-5)


def test_tokens_are_judged_without_special_ones(models: dict[str, Any]) -> None:
    score, _ = GATES["token-classification"](TEXTS, None, TOKENIZER, models["token-classification"].config)
    words = sum(len(TOKENIZER.tokenize(text)) for text in TEXTS)
    tagged = score(models["token-classification"].engine)
    assert tagged.logits.shape == (words, 3)
    assert {kind for _, kind, _, _ in tagged.entities} <= {"PER", "LOC"}


def test_a_tagger_is_judged_by_its_entities_too() -> None:
    config = tiny_config(labels=("O", "B-PER", "I-PER"))
    texts = ["good " * 50] * 20

    def tagged(second: int) -> Tags:
        logits = np.zeros((52, 3), np.float32)
        logits[:, 0], logits[5, 1], logits[6, second] = 1, 2, 2
        engine = SimpleNamespace(
            workers=1, run=lambda inputs: {"logits": np.stack([logits] * len(inputs["input_ids"]))}
        )
        score, _ = GATES["token-classification"](texts, None, TOKENIZER, config)
        return score(engine)

    _, judge = GATES["token-classification"](texts, None, TOKENIZER, config)
    long, short = tagged(2), tagged(0)
    assert long.entities == {(text, "PER", 4, 6) for text in range(20)}
    assert short.entities == {(text, "PER", 4, 5) for text in range(20)}
    assert "0 of 20 entities changed" in judge(long, long).said
    verdict = judge(long, short)
    assert verdict.figures["entities_changed"] == verdict.figures["entities"] == 40
    assert not verdict.passed


def test_spans_are_judged_one_a_pair(models: dict[str, Any]) -> None:
    model = models["question-answering"]
    score, _ = GATES["question-answering"](PAIRS, None, TOKENIZER, model.config)
    choices = score(model.engine)
    assert choices.chosen.shape == choices.logits.shape == (len(PAIRS), 2)
    question, context = PAIRS[5]
    answer = QuestionAnsweringPipeline(TOKENIZER, model.engine, model.config)(question, context)
    assert choices.chosen[5].tolist() == [answer["start"], answer["end"]]
    row = TOKENIZER(question, context, return_tensors="np")
    outputs = model(**row)
    read = [place for place, text in enumerate(row.sequence_ids()) if text == 1 or place == 0]
    highest = [outputs.start_logits[0, read].max(), outputs.end_logits[0, read].max()]
    assert choices.logits[5].tolist() == pytest.approx(highest, abs=1e-5)


def test_spans_are_judged_in_all_of_a_long_context(models: dict[str, Any]) -> None:
    model = models["question-answering"]
    long = [(question, f"{context} " * 30) for question, context in PAIRS[:12]]
    score, judge = GATES["question-answering"](long, None, TOKENIZER, model.config)
    choices = score(model.engine)
    answers = QuestionAnsweringPipeline(TOKENIZER, model.engine, model.config)(
        [question for question, _ in long], [context for _, context in long]
    )
    assert choices.chosen.tolist() == [[answer["start"], answer["end"]] for answer in answers]
    assert judge(choices, choices).passed


def test_pairs_judge_no_tagger() -> None:
    with pytest.raises(OptionError, match="is judged by single texts, not by pairs"):
        GATES["token-classification"](PAIRS, None, TOKENIZER, tiny_config())


def test_single_texts_judge_no_spans() -> None:
    with pytest.raises(OptionError, match="is judged by questions with their contexts") as refusal:
        GATES["question-answering"](TEXTS, None, TOKENIZER, tiny_config())
    assert refusal.value.next_step.endswith("on a table: --column question --pair-column context.")


def test_masks_are_judged_by_the_likeliest_word(models: dict[str, Any]) -> None:
    model = models["masked-lm"]
    score, _ = GATES["masked-lm"](TEXTS[:9], None, TOKENIZER, model.config)
    choices = score(model.engine)
    expected = []
    for text in TEXTS[:9]:
        ids = np.array([with_masks(TOKENIZER.encode(text), TOKENIZER)])
        logits = model(ids).logits[0]
        expected += logits[ids[0] == TOKENIZER.mask_token_id].argmax(axis=1).tolist()
    assert choices.chosen[:, 0].tolist() == expected
    assert len(expected) > 9
    assert 1 < choices.logits.shape[1] <= 64


@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_a_text_has_a_mask_for_every_seventh_token_and_none_for_special_ones(words: list[str]) -> None:
    ids = TOKENIZER.encode(" ".join(words))
    masked = with_masks(ids, TOKENIZER)
    places = [place for place, token in enumerate(masked) if token == TOKENIZER.mask_token_id]
    assert len(places) in (len(words) // 7, len(words) // 7 + 1)
    assert bool(places) == bool(words)
    assert all(np.diff(places) == 7)
    assert (masked[0], masked[-1]) == (ids[0], ids[-1])
    assert all(
        ours == own for place, (ours, own) in enumerate(zip(masked, ids, strict=True)) if place not in places
    )


@pytest.mark.parametrize("head", ["none", *CLASSES])
def test_labels_of_texts_are_refused_where_a_head_gives_none(head: str) -> None:
    with pytest.raises(OptionError, match="gives no labels of texts to compare") as refusal:
        GATES[head](TEXTS, np.zeros(len(TEXTS), np.int64), TOKENIZER, tiny_config())
    assert refusal.value.next_step == "Leave out --label-column."


def test_a_language_model_needs_a_mask_to_be_judged() -> None:
    words = {word: place for place, word in enumerate(VOCABULARY) if word != "[MASK]"}
    with pytest.raises(TokenizerError, match="no mask_token"):
        GATES["masked-lm"](TEXTS, None, DistilBertTokenizer(words, mask_token=None), tiny_config())


def test_pairs_of_a_classifier_are_judged_as_pairs(tiny_classifier: Path) -> None:
    from distilbert import DistilBertForSequenceClassification

    model = DistilBertForSequenceClassification.from_pretrained(tiny_classifier)
    score, _ = GATES["sequence-classification"](PAIRS, None, TOKENIZER, model.config)
    expected = model(**TOKENIZER(*PAIRS[3], return_tensors="np")).logits[0]
    np.testing.assert_allclose(score(model.engine)[3], expected, atol=1e-5)
