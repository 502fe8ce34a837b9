"""Entities stand exactly where the pipeline says, in any text, of any length, whatever is beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bundles import open_gate, sentences
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import VOCABULARY, WORDS, tiny_checkpoint, tiny_config

from distilbert import DistilBertTokenizer, pipeline
from distilbert.errors import DistilBertError, OptionError, TokenizerError
from distilbert.tasks.tokens import STRATEGIES, TokenClassificationPipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from distilbert.engines.base import Floats, TokenIds

TOKENIZER = DistilBertTokenizer({word: place for place, word in enumerate(VOCABULARY)})
LABELS = ("O", "B-PER", "I-PER", "B-WORK-OF-ART", "I-WORK-OF-ART")
POSITIONS = 10  # 8 tokens beside [CLS] and [SEP]


@dataclass(frozen=True)
class TokenEngine:
    """Gives each token of a text the label that `answer` makes of the text's ids, special ones included."""

    answer: Callable[[np.ndarray], np.ndarray]
    labels: int = len(LABELS)
    workers: int = 2
    input_names: tuple[str, ...] = ("input_ids", "attention_mask")
    output_names: tuple[str, ...] = ("logits",)

    def run(self, inputs: Mapping[str, TokenIds]) -> dict[str, Floats]:
        logits = np.zeros((*inputs["input_ids"].shape, self.labels), np.float32)
        for row, ids, mask in zip(logits, inputs["input_ids"], inputs["attention_mask"], strict=True):
            own = ids[mask == 1]
            row[np.arange(len(own)), self.answer(own)] = 5
        return {"logits": logits}


def by_word(**labels: str) -> Callable[[np.ndarray], np.ndarray]:
    """An answer: these words have these labels, all others O."""
    table = np.zeros(len(VOCABULARY), np.intp)
    for word, label in labels.items():
        table[VOCABULARY.index(word)] = LABELS.index(label)
    return lambda ids: table[ids]


def tagger(
    answer: Callable[[np.ndarray], np.ndarray] = lambda ids: ids * 7 % len(LABELS),
    labels: tuple[str, ...] = LABELS,
    positions: int = POSITIONS,
    **options: Any,
) -> TokenClassificationPipeline:
    config = tiny_config(labels=labels, max_position_embeddings=positions)
    return TokenClassificationPipeline(TOKENIZER, TokenEngine(answer, len(labels)), config, **options)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tagger") / "checkpoint"
    return tiny_checkpoint(folder, head="token-classification", labels=LABELS)


# What is said of an entity


def test_a_token_has_its_label_its_number_and_its_place() -> None:
    ner = tagger(by_word(love="B-PER", story="I-PER"))
    assert ner("we love a  story!") == [
        {
            "entity": "B-PER",
            "score": pytest.approx(0.974, abs=1e-3),
            "index": 3,  # [CLS], w, ##e
            "word": "love",
            "start": 3,
            "end": 7,
            "text": "love",
        },
        {
            "entity": "I-PER",
            "score": pytest.approx(0.974, abs=1e-3),
            "index": 5,
            "word": "story",
            "start": 11,
            "end": 16,
            "text": "story",
        },
    ]


def test_neighbours_of_one_type_are_one_entity_told_as_it_stands_in_the_text() -> None:
    ner = tagger(by_word(love="B-PER", story="I-PER"), aggregation_strategy="simple")
    assert ner("a Love\n STORY, love") == [
        {
            "entity_group": "PER",
            "score": pytest.approx(0.974, abs=1e-3),
            "word": "love story",
            "start": 2,
            "end": 13,
            "text": "Love\n STORY",
        },
        {
            "entity_group": "PER",
            "score": pytest.approx(0.974, abs=1e-3),
            "word": "love",
            "start": 15,
            "end": 19,
            "text": "love",
        },
    ]


def test_a_type_keeps_its_own_dashes() -> None:
    ner = tagger(by_word(play="B-WORK-OF-ART"), aggregation_strategy="simple")
    assert [entity["entity_group"] for entity in ner("a play")] == ["WORK-OF-ART"]


@pytest.mark.parametrize(
    ("labels", "row", "expected"),
    [
        (("O", "B-X", "I-X"), "I-X I-X B-X I-X", ["the an", "you it"]),  # IOB1
        (("O", "B-X", "I-X", "L-X", "U-X"), "B-X L-X U-X U-X", ["the an", "you", "it"]),
        (("X", "Y"), "X X Y X", ["the an", "you", "it"]),
    ],
)
def test_every_scheme_of_labels_is_read(labels: tuple[str, ...], row: str, expected: list[str]) -> None:
    ids = [labels.index(label) for label in row.split()]
    ner = tagger(lambda _: np.array([0, *ids, 0]), labels, aggregation_strategy="simple")
    assert [entity["text"] for entity in ner("the an you it")] == expected


def test_in_the_strategies_about_words_a_word_has_one_label() -> None:
    ner = tagger(by_word(**{"love": "B-PER", "##ing": "I-WORK-OF-ART"}))
    text = "loveing it"  # love, ##ing
    assert [entity["text"] for entity in ner(text, aggregation_strategy="simple")] == ["love", "ing"]
    for strategy in ("first", "average", "max"):
        [entity] = ner(text, aggregation_strategy=strategy)
        assert (entity["entity_group"], entity["text"], entity["word"]) == ("PER", "loveing", "loveing")


def test_what_is_ignored_is_not_told() -> None:
    ner = tagger(by_word(love="B-PER", play="B-WORK-OF-ART"))
    text = "love a play"
    assert [token["entity"] for token in ner(text, ignore_labels=["B-PER"])] == ["O", "B-WORK-OF-ART"]
    options = {"aggregation_strategy": "simple", "ignore_labels": ["PER", "O"]}
    assert [entity["entity_group"] for entity in ner(text, **options)] == ["WORK-OF-ART"]
    assert len(ner(text, ignore_labels=[])) == 3
    assert tagger(ignore_labels=[])("") == []


# Words that are split already


def test_words_stay_whole_and_stand_where_they_stand_in_the_joined_text() -> None:
    ner = tagger(
        by_word(**{"love": "B-PER", "-": "B-WORK-OF-ART", "play": "I-WORK-OF-ART"}),
        is_split_into_words=True,
        aggregation_strategy="first",
    )
    words = ["the", "love-story", "", "Play"]
    [[love, play]] = ner(words)  # transformers too answers a list of one
    assert (love["text"], love["start"], love["end"]) == ("love-story", 4, 14)
    assert (play["text"], play["start"], play["end"]) == ("Play", 16, 20)
    [[love, play]] = ner(words, delimiter="")
    assert (play["start"], play["end"]) == (13, 17)
    assert len(ner([words, words])) == 2
    assert [len(entities) for entities in ner(iter([words, ["the"]]))] == [2, 0]


# Any text

texts = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.sampled_from(
            [
                *WORDS,
                "👩‍👩‍👧 🇫🇷 👍🏽",
                "e\u0301\u0323 ﬁ ǅ İ ẞ",
                "שָׁלוֹם مَرْحَبًا",
                "\u200b\u200d\ufeff\u00ad\u202e",
                "नमस्ते 한국어 ｶﾞ",
                "[SEP][MASK]",
                "x" * 120,
            ]
        ),
    ),
    max_size=12,
).map("".join)


@given(texts, st.sampled_from(STRATEGIES))
def test_what_is_told_is_the_text_between_start_and_end(text: str, strategy: str) -> None:
    end = 0
    for entity in tagger()(text, aggregation_strategy=strategy, ignore_labels=[]):
        assert entity["text"] == text[entity["start"] : entity["end"]]
        assert end <= entity["start"] < entity["end"]
        end = entity["end"]


@given(st.lists(texts, max_size=5), st.sampled_from(["", " ", "\u200d"]))
def test_words_of_any_text_are_told_where_they_stand(words: list[str], delimiter: str) -> None:
    ner = tagger(is_split_into_words=True, ignore_labels=[], delimiter=delimiter)
    joined = delimiter.join(words)
    for token in ner([words])[0]:
        assert token["text"] == joined[token["start"] : token["end"]] != ""


@pytest.mark.parametrize("text", ["x" * 2**20, "世" * 2**18], ids=["one token", "a token a character"])
def test_a_megabyte_of_one_word_is_read(text: str) -> None:
    last = tagger(positions=512, ignore_labels=[])(text)[-1]
    assert last["text"] == text[last["start"] : last["end"]]
    assert last["end"] == len(text)
    assert last["index"] == (1 if len(text) == 2**20 else 2**18)


# Texts of any length


@settings(max_examples=30)
@given(st.integers(0, 60), st.integers(0, 7))
def test_every_token_is_answered_from_the_window_that_has_it_farthest_from_an_edge(
    count: int, stride: int
) -> None:
    """Ids are the tokens' numbers; a window calls those near its edge that are not at the text's edge 1."""
    near = stride // 2

    def answer(ids: np.ndarray) -> np.ndarray:
        labels = np.zeros(len(ids), np.intp)
        if ids[1] != first:
            labels[1 : 1 + near] = 1
        if ids[-2] != last:
            labels[len(ids) - 1 - near : -1] = 1
        return labels

    words = list("abcdefghijklmnopqrstuvwxyz0123456789") + [*WORDS][:24]
    text = " ".join(words[:count])
    first, last = (VOCABULARY.index(words[place]) for place in (0, max(count - 1, 0)))
    told = tagger(answer, ("IN", "EDGE"), stride=stride, ignore_labels=[])(text)
    assert [token["text"] for token in told] == words[:count]
    assert [token["index"] for token in told] == [*range(1, count + 1)]
    assert {token["entity"] for token in told} <= {"IN"}


def test_an_entity_across_the_seam_of_windows_is_one() -> None:
    ner = tagger(by_word(love="B-PER", story="I-PER"), aggregation_strategy="simple")
    for before in range(20):
        text = "a " * before + "love " + "story " * 5 + "a " * 9
        assert [entity["text"] for entity in ner(text)] == ["love" + " story" * 5]


def test_a_text_too_long_for_the_model_is_read_line_by_line_but_for_wrapped_lines() -> None:
    def answer(ids: np.ndarray) -> np.ndarray:
        return (np.arange(len(ids)) == 1).astype(np.intp)  # what begins a row of the model's

    ner = tagger(answer, ("O", "B-FIRST"))
    text = "a b\nc d e f g\n\nh i j k\nl m"
    assert [item["text"] for item in ner(text)] == ["a", "c", "h"]
    assert [item["text"] for item in ner("a b\nc d e")] == ["a"]  # not too long


def test_words_that_are_split_already_are_one_line_whatever_joins_them() -> None:
    ner = tagger(by_word(love="B-PER", story="I-PER"), aggregation_strategy="simple")
    words = [*"ab" * 8, "love", "story"]
    [[entity]] = ner([words], is_split_into_words=True, delimiter="\n")
    assert entity["text"] == "love\nstory"


def test_cutting_is_for_those_who_ask_for_it() -> None:
    ner = tagger(by_word(love="B-PER"))
    text = "a " * 8 + "love"
    assert len(ner(text)) == 1
    assert ner(text, truncation=True) == []
    with pytest.raises(OptionError, match="more than 10 tokens"):
        ner(text, truncation=False)
    assert len(ner("a love", truncation=False)) == 1


@pytest.mark.parametrize("strategy", ["none", "average"])
def test_alone_a_text_is_answered_as_among_others(checkpoint: Path, tmp_path: Path, strategy: str) -> None:
    from distilbert.compile import Int8, compile_checkpoint

    compile_checkpoint(checkpoint, tmp_path / "int8", int8=Int8(sentences(64), open_gate))
    many = [*sentences(30, seed=5), "", "film " * 200]
    for model, close in ((tmp_path / "int8", 0), (checkpoint, 1e-6)):
        ner = pipeline("ner", model, threads=2, aggregation_strategy=strategy)
        for text, together in zip(many, ner(many), strict=True):
            alone = ner(text)
            for item in together:
                item["score"] = pytest.approx(item["score"], abs=close, rel=0)
            assert alone == together


# The door


def test_both_names_of_the_task_load_a_checkpoint(checkpoint: Path) -> None:
    for task in ("ner", "token-classification", None):
        assert isinstance(pipeline(task, model=checkpoint), TokenClassificationPipeline)  # type: ignore[call-overload]


def test_a_bare_vocabulary_gives_places_too(checkpoint: Path) -> None:
    assert not (
        checkpoint / "tokenizer.json"
    ).exists()  # what makes transformers' start and end None in places
    for token in pipeline("ner", checkpoint, ignore_labels=[])("good films"):
        assert token["text"] == "good films"[token["start"] : token["end"]]


def test_none_means_the_default_at_construction_as_in_a_call() -> None:
    silent = dict.fromkeys(("aggregation_strategy", "ignore_labels", "is_split_into_words", "stride"))
    assert tagger(**silent)("a good film") == tagger()("a good film", **silent) == tagger()("a good film")


def test_the_packages_own_tagger_is_the_default() -> None:
    text = "Anna Schmidt of Siemens moved from Munich to Lyon."
    found = pipeline("ner", aggregation_strategy="simple")(text)
    assert [(entity["entity_group"], entity["text"]) for entity in found] == [
        ("PER", "Anna Schmidt"),
        ("ORG", "Siemens"),
        ("LOC", "Munich"),
        ("LOC", "Lyon"),
    ]


class SlowTokenizer:
    """As transformers' tokenizers in Python, which have no offsets."""

    is_fast = False


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"aggregation_strategy": "most"}, "aggregation_strategy must be one of"),
        ({"aggregation_strategy": 1}, "aggregation_strategy must be one of"),
        ({"ignore_labels": "O"}, "ignore_labels must be a list of labels, not 'O'"),
        ({"ignore_labels": [3]}, "ignore_labels must be a list of labels, not"),
        ({"is_split_into_words": "yes"}, "is_split_into_words must be one of"),
        ({"stride": 8}, "stride must be a whole number from 0 to 7"),
        ({"stride": -1}, "stride must be a whole number"),
        ({"stride": 1.5}, "stride must be a whole number"),
        ({"stride": True}, "stride must be a whole number"),
        ({"delimiter": 3}, "delimiter must be a string"),
        ({"max_length": 2}, "leaves a window no token"),
        ({"top_k": 2}, "top_k is no option of token-classification"),
        ({"offset_mapping": [(0, 1)]}, "offset_mapping is no option of token-classification"),
    ],
)
def test_wrong_options_are_refused_at_construction_and_in_a_call(options: dict[str, Any], fault: str) -> None:
    with pytest.raises(OptionError, match=fault) as refusal:
        tagger(**options)
    assert len(str(refusal.value).splitlines()) == 2
    with pytest.raises(OptionError, match=fault):
        tagger()("good", **options)


@pytest.mark.parametrize(
    ("inputs", "options", "fault"),
    [
        ({"text": "a", "text_pair": "b"}, {}, "single texts"),
        (3, {}, "must be a string"),
        (["a", 3], {}, "Row 1 must be a str"),
        ([["a", "b"]], {}, "not a list in a list"),
        (["a", 3], {"is_split_into_words": True}, "must be a list of words"),
        ([["a"], [3]], {"is_split_into_words": True}, "must be a list of words"),
        ("a b", {"is_split_into_words": True}, "must be a list of words"),
        (["a", "half \ud800"], {}, "Row 1 has half a surrogate pair"),
        ([["a"], ["half \ud800"]], {"is_split_into_words": True}, "Row 1 has half a surrogate pair"),
    ],
)
def test_what_is_no_text_is_refused(inputs: Any, options: dict[str, Any], fault: str) -> None:
    with pytest.raises((OptionError, TokenizerError), match=fault):
        tagger()(inputs, **options)


def test_labels_of_no_known_scheme_are_refused_where_they_are_to_be_put_together(tmp_path: Path) -> None:
    strange = tiny_checkpoint(
        tmp_path / "m", head="token-classification", labels=("O", "B-PER", "I-PER", "PAD")
    )
    with pytest.raises(OptionError, match="'PAD' is of no scheme together with"):
        pipeline("ner", strange, aggregation_strategy="simple")
    assert pipeline("ner", strange, ignore_labels=[])("good")
    assert pipeline("ner", strange, aggregation_strategy="simple", ignore_labels=["O", "PAD"])("") == []


def test_a_tokenizer_without_offsets_is_refused(checkpoint: Path) -> None:
    with pytest.raises(DistilBertError, match="not SlowTokenizer"):
        pipeline("ner", checkpoint, tokenizer=SlowTokenizer())  # type: ignore[call-overload]
