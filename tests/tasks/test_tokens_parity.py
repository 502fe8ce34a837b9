"""Called alike, ours and transformers' token classification answer alike: keys, labels, words, offsets, scores."""

from __future__ import annotations

import gzip
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bundles import EMBEDDED, dequantised_checkpoint
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tiny import WORDS, save_checkpoint, tiny_arrays, tiny_checkpoint, tiny_config

import distilbert
from distilbert.tasks.entities import Runs

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.parity

RANDOM = ["distilbert", "bert"]
TRAINED = "distilbert-uner"
TRAINED_TOO = pytest.mark.parametrize("both", [*RANDOM, TRAINED], indirect=True, scope="module")
STRATEGIES = ["none", "simple", "first", "average", "max"]
LABELS = ("O", "B-PER", "I-PER", "B-WORK-OF-ART", "I-WORK-OF-ART")
TEXTS = [
    "the film was good",
    "Really great acting, learning and loved it!",
    "[SEP] love this [MASK] film 's [UNK]",
    "unterseeboot x-y; z... 12,5 %",
    "Привет, 世界 and 😀 👩‍👩‍👧 film",
    "café naïve İstanbul ﬁn ǅ",
    "שלום good مرحبا bad",
    "a\u200bb good\u00a0film\u3000bad\ufeff",
    " \t good \n bad ",
    "loveloveloving",
    "",
    " ",
]


class Both:
    """One checkpoint behind both libraries' pipelines."""

    def __init__(self, folder: Path) -> None:
        import torch
        import transformers

        torch.set_num_threads(1)
        model = transformers.AutoModelForTokenClassification.from_pretrained(folder)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.theirs = transformers.pipeline("ner", model=model, tokenizer=tokenizer, device="cpu")
        self.ours = distilbert.pipeline("ner", model=folder)

    def assert_same(self, inputs: Any, **options: Any) -> None:
        assert_same(self.ours(inputs, **options), self.theirs(inputs, **options))


def checkpoint(folder: Path, model_type: str = "distilbert", labels: tuple[str, ...] = LABELS) -> Path:
    """A random tagger whose scores are far apart: the weights' deviation is 0.5, that of the words 1."""
    settings: dict[str, Any] = {"model_type": model_type, "labels": labels, "max_position_embeddings": 128}
    tiny_checkpoint(folder, head="token-classification", **settings)
    config = tiny_config(**settings)
    arrays = tiny_arrays(config, "token-classification")
    factors = {"orm.weight": 1, "bias": 0, "word_embeddings.weight": 4}
    for name, array in arrays.items():
        array *= next((factor for ending, factor in factors.items() if name.endswith(ending)), 2)
    return save_checkpoint(folder, config, arrays, prefix=f"{model_type}.")


@pytest.fixture(scope="module", params=RANDOM)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = tmp_path_factory.mktemp("checkpoints") / request.param
    if request.param == TRAINED:
        return Both(dequantised_checkpoint(EMBEDDED.parent / TRAINED, folder))
    return Both(checkpoint(folder, request.param))


def assert_same(ours: Any, theirs: Any) -> None:
    """Of one structure, equal but for scores within 1e-4, and our `text`."""
    assert type(ours) is type(theirs)
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for our, their in zip(ours, theirs, strict=True):
            assert_same(our, their)
    else:
        assert [*ours] == [*theirs, "text"]
        assert {**ours, "text": None} == {
            **theirs,
            "score": pytest.approx(theirs["score"], abs=1e-4),
            "text": None,
        }


def words_are_seen(text: str, theirs: Any) -> bool:
    """Whether transformers takes just those tokens for parts of words that are: it compares lengths of strings."""
    read = theirs.tokenizer(text, return_offsets_mapping=True)
    pieces = zip(read["offset_mapping"], read.tokens(), read.word_ids(), strict=True)
    return all(
        token.startswith("##") == (len(token) != end - start)
        for (start, end), token, word in pieces
        if word is not None and token != "[UNK]"
    )


def test_the_labels_of_these_models_are_far_from_all_the_same(both: Both) -> None:
    found = Counter(token["entity"] for text in TEXTS for token in both.ours(text, ignore_labels=[]))
    shares = [count / found.total() for count in found.values()]
    assert -sum(share * math.log2(share) for share in shares) > 1.25  # bits, of 2.3 for five labels


@TRAINED_TOO
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("ignored", [["O"], [], ["O", "PER"], ["B-PER"]], ids=str)
def test_every_strategy_gives_their_answers(both: Both, strategy: str, ignored: list[str]) -> None:
    both.assert_same(TEXTS, aggregation_strategy=strategy, ignore_labels=ignored)


def test_inputs_are_answered_in_their_shapes(both: Both) -> None:
    both.assert_same("good film")
    both.assert_same(["good film"])
    both.assert_same(["good film", "bad"])
    both.assert_same(["good", "film"], is_split_into_words=True)
    both.assert_same([["good", "film"], ["bad"]], is_split_into_words=True)
    assert_same(list(both.ours(text for text in TEXTS)), list(both.theirs(text for text in TEXTS)))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_words_are_read_as_they_are_split(both: Both, strategy: str) -> None:
    words = [["The", "acting", "was", "unreal"], ["good", "films", ",", "bad", "filming"]]
    for delimiter in (" ", "", " _ "):
        options: dict[str, Any] = {"is_split_into_words": True, "delimiter": delimiter}
        both.assert_same(words, aggregation_strategy=strategy, **options)


def test_their_enum_is_understood(both: Both) -> None:
    from transformers.pipelines.token_classification import AggregationStrategy

    for member in AggregationStrategy:
        both.assert_same("good filming", aggregation_strategy=member)


texts = st.lists(
    st.one_of(
        st.text(max_size=6), st.sampled_from([*WORDS, "filmings", "[SEP]", "é", "e\u0301x", "ß", "😀"])
    ),
    max_size=8,
).map(" ".join)


@TRAINED_TOO
@settings(max_examples=50)
@given(texts, st.sampled_from(STRATEGIES))
def test_any_text(both: Both, text: str, strategy: str) -> None:
    assume(strategy in ("none", "simple") or words_are_seen(text, both.theirs))
    both.assert_same(text, aggregation_strategy=strategy, ignore_labels=[])


@TRAINED_TOO
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_real_lines(both: Both, shared: Path, strategy: str) -> None:
    path = shared / "data" / "ner" / "uner_ewt" / "dev.iob2.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [line.removeprefix("# text = ").strip() for line in file if line.startswith("# text = ")][
            :150
        ]
    lines = [line for line in lines if len(line) < 100]
    assert len(lines) > 70
    assert all(words_are_seen(line, both.theirs) for line in lines)
    both.assert_same(lines, aggregation_strategy=strategy)


# Where they are wrong: docs/differences.md


def test_a_word_that_loses_a_character_in_the_tokenizer_is_a_word_all_the_same(both: Both) -> None:
    options: dict[str, Any] = {"aggregation_strategy": "first", "ignore_labels": []}
    pairs = [
        f"{word} fi\u0301lm" for word in WORDS
    ]  # the accent is dropped: four characters are a token's, of five
    assert {len(entities) for entities in both.theirs(pairs, **options)} == {1}
    assert {len(entities) for entities in both.ours(pairs, **options)} == {1, 2}


def test_words_that_are_split_already_are_not_split_again(both: Both) -> None:
    options: dict[str, Any] = {"aggregation_strategy": "first", "ignore_labels": []}
    words = [[f"good-{word}"] for word in WORDS]
    assert max(len(entities) for entities in both.theirs(words, is_split_into_words=True, **options)) > 1
    assert {len(entities) for entities in both.ours(words, is_split_into_words=True, **options)} == {1}


@pytest.mark.parametrize(
    ("row", "theirs", "ours"),
    [
        pytest.param("B-X L-X", ["X 0-1", "X 1-2"], ["X 0-2"], id="BILOU, several words"),
        pytest.param("U-X U-X", ["X 0-2"], ["X 0-1", "X 1-2"], id="BILOU, single words"),
        pytest.param("WORK-OF-ART", ["OF-ART 0-1"], ["WORK-OF-ART 0-1"], id="a type alone, with dashes"),
    ],
)
def test_labels_that_they_misread(both: Both, row: str, theirs: list[str], ours: list[str]) -> None:
    labels = row.split()
    units = [{"entity": label, "score": 1.0, "word": "a"} for label in labels]
    tokens = [{**unit, "start": place, "end": place + 1} for place, unit in enumerate(units)]
    groups = both.theirs.group_entities(tokens)
    assert [f"{group['entity_group']} {group['start']}-{group['end']}" for group in groups] == theirs
    runs = Runs.of(["O", "B-X", "I-X", *labels] if "-X" in row else labels)
    ids = np.array([len(runs.types) - len(labels) + place for place in range(len(labels))])
    assert [f"{kind} {start}-{end}" for kind, start, end in runs.in_row(ids)] == ours


def test_a_text_longer_than_the_model_reads_is_not_cut_in_silence(both: Both) -> None:
    text = "film " * 300
    assert both.theirs(text, ignore_labels=[])[-1]["end"] < len(text) / 2
    assert both.ours(text, ignore_labels=[])[-1]["end"] == len(text) - 1


def test_windows_are_for_single_tokens_too(both: Both) -> None:
    options: dict[str, Any] = {"aggregation_strategy": "none", "stride": 4}
    with pytest.raises(ValueError, match="stride"):
        both.theirs("film " * 300, **options)
    assert [token["index"] for token in both.ours("film " * 300, ignore_labels=[], **options)] == [
        *range(1, 301)
    ]
