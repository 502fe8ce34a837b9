"""A tagger's figures are those of its entities; a file's labels must be the model's, and of one scheme."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tiny import tiny_checkpoint

from distilbert import pipeline
from distilbert.errors import DataError, OptionError
from distilbert.files.conll import Sentence, read_conll
from distilbert.metrics.entities import entity_score
from distilbert.tasks.entity_measures import gold_scheme, measure_entities

if TYPE_CHECKING:
    from pathlib import Path

    from distilbert.tasks.tokens import TokenClassificationPipeline

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


@pytest.fixture(scope="module")
def tag(tmp_path_factory: pytest.TempPathFactory) -> TokenClassificationPipeline:
    folder = tmp_path_factory.mktemp("tagger") / "checkpoint"
    return pipeline("ner", tiny_checkpoint(folder, head="token-classification", labels=LABELS))


def sentence(words: str, labels: str) -> Sentence:
    return Sentence("dev.conll", (*words.split(),), (*labels.split(),), (*range(1, len(words.split()) + 1),))


def test_a_word_has_the_label_of_its_first_token(tag: TokenClassificationPipeline) -> None:
    words = ["goodly", "\u200b", "film-acting", "never"]
    [labels] = tag.labels_of_words([words])
    [tokens] = tag([words], is_split_into_words=True, ignore_labels=[])
    at = {token["start"]: token["entity"] for token in tokens}
    assert labels == [at[0], "O", at[9], at[21]]  # of a zero-width space the tokenizer keeps nothing
    assert list(tag.labels_of_words([[], words])) == [[], labels]


def test_figures_are_those_of_its_entities_over_all_and_by_type(tag: TokenClassificationPipeline) -> None:
    rows = [
        sentence("the film was good", "O B-PER I-PER O"),
        sentence("really funny acting", "B-LOC O B-PER"),
    ] * 5
    said = list(tag.labels_of_words(row.words for row in rows))
    for row, labels in zip(rows[5:], said[5:], strict=True):
        labels[:] = row.labels  # so that half of what is said is right
    figures = measure_entities(said, rows, gold_scheme(rows, LABELS))
    expected = entity_score(said, [row.labels for row in rows])
    assert 0 < expected.f1 < 1
    for name in ("precision", "recall", "f1"):
        low, high = figures[f"{name}_interval"]
        assert low <= figures[name] == getattr(expected, name) <= high
    assert {kind: score["entities"] for kind, score in figures["types"].items()} == {"LOC": 5, "PER": 10}
    assert (figures["words"], figures["scheme"]) == (35, "IOB2")


@pytest.mark.parametrize(
    ("labels", "scheme"),
    [
        ("B-PER I-PER O B-LOC", "IOB2"),
        ("I-PER I-PER B-PER I-LOC", "IOB1"),
        ("B-PER B-PER O", "IOB2"),
        ("O O O", "IOB2"),
    ],
)
def test_a_file_s_labels_tell_its_scheme(labels: str, scheme: str) -> None:
    assert gold_scheme([sentence(labels, labels)], LABELS) == scheme


def test_other_schemes_are_the_model_s() -> None:
    assert gold_scheme([sentence("a", "U-PER")], ("O", "B-PER", "I-PER", "L-PER", "U-PER")) == "BILOU"


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        ("O B-MISC", "dev.conll, line 2: the model has no label 'B-MISC'; it knows O, B-PER"),
        (
            "B-PER O I-PER",
            "dev.conll, line 3: an entity begins with I, as in IOB1; but .* at dev.conll, line 1",
        ),
    ],
)
def test_a_word_that_is_labelled_wrongly_is_named(labels: str, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        gold_scheme([sentence(labels, labels)], LABELS)


def test_a_model_whose_labels_are_of_no_scheme_finds_no_entities() -> None:
    with pytest.raises(OptionError, match="this one has NOUN, VERB"):
        gold_scheme([sentence("a", "NOUN")], ("NOUN", "VERB"))


def test_a_word_s_label_comes_with_its_probability(tag: TokenClassificationPipeline) -> None:
    words = ["goodly", "\u200b", "never"]
    [tags] = tag.tags_of_words([words])
    [tokens] = tag([words], is_split_into_words=True, ignore_labels=[])
    at = {token["start"]: token["score"] for token in tokens}
    assert [label for label, _ in tags] == next(tag.labels_of_words([words]))
    assert [score for _, score in tags] == [at[0], None, at[9]]


def test_universal_ner_is_in_iob2(shared: Path) -> None:
    labels = ("O", *(f"{letter}-{kind}" for letter in "BI" for kind in ("LOC", "ORG", "PER")))
    dev = list(read_conll(shared / "data" / "ner" / "uner_ewt" / "dev.iob2.gz"))
    assert gold_scheme(dev, labels) == "IOB2"
