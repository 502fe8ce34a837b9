"""Questions are answered out of their contexts, character for character, in contexts of any length and script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bundles import open_gate, sentences
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny import VOCABULARY, WORDS, tiny_checkpoint, tiny_config

from distilbert import DistilBertForQuestionAnswering, DistilBertTokenizer, pipeline
from distilbert.compile import Int8, compile_checkpoint
from distilbert.errors import OptionError, TokenizerError, TruncationWarning
from distilbert.tasks.answers import QuestionAnsweringPipeline

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from distilbert.engines.base import Floats, TokenIds

QUESTION, CONTEXT = "is it good?", "The film was boring; the acting, less so. I love the STORY and the story"
TOKENIZER = DistilBertTokenizer({word: place for place, word in enumerate(VOCABULARY)})
CLUSTERS = (
    *(
        "👩\u200d👩\u200d👧",
        "e\u0301",
        "\u0301",
        "שלום",
        "مرحبا",
        "\u202e",
        "映画",
        "ﬁ",
        "İ",
        "\u200b",
        "\u00ad",
        "\x00",
    ),
    *("good", "playing", "[CLS]", "[SEP]", "[MASK]", "a", "A", " ", "\n", "\u00a0", ".", "'"),
)
UNICODE = st.one_of(st.text(max_size=30), st.lists(st.sampled_from(CLUSTERS), max_size=30).map("".join))


class Marked:
    """An engine that is sure: an answer begins at "great", ends at "film", and elsewhere nothing is."""

    workers, input_names, output_names = 1, ("input_ids",), ("start_logits", "end_logits")

    def __init__(self) -> None:
        self.rows: list[list[int]] = []

    def run(self, inputs: Mapping[str, TokenIds]) -> dict[str, Floats]:
        ids = inputs["input_ids"]
        self.rows += [row[row > 0].tolist() for row in ids]
        marks = zip(self.output_names, ("great", "film"), strict=True)
        return {name: 9 * (ids == VOCABULARY.index(word)).astype(np.float32) for name, word in marks}


def sure(*, positions: int = 64, **options: Any) -> tuple[QuestionAnsweringPipeline, Marked]:
    engine = Marked()
    config = tiny_config(max_position_embeddings=positions)
    return QuestionAnsweringPipeline(TOKENIZER, engine, config, **options), engine


@pytest.fixture(scope="module", params=["distilbert", "bert"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("model") / "checkpoint"
    return tiny_checkpoint(made, model_type=request.param, head="question-answering")


@pytest.fixture(scope="module")
def model(folder: Path) -> DistilBertForQuestionAnswering:
    return DistilBertForQuestionAnswering.from_pretrained(folder, threads=2)


@pytest.fixture(scope="module")
def answer(model: DistilBertForQuestionAnswering) -> QuestionAnsweringPipeline:
    return pipeline("question-answering", model)


@pytest.fixture(scope="module")
def int8(tmp_path_factory: pytest.TempPathFactory) -> QuestionAnsweringPipeline:
    folder = tmp_path_factory.mktemp("int8")
    source = tiny_checkpoint(folder / "checkpoint", head="question-answering")
    texts = list(zip(sentences(40, seed=1), sentences(40, seed=2), strict=True))
    compile_checkpoint(source, folder / "bundle", int8=Int8(texts, open_gate))
    return pipeline("question-answering", folder / "bundle", threads=2)


def by_hand(
    model: DistilBertForQuestionAnswering, question: str, context: str, longest: int = 15, count: int = 12
) -> list[dict[str, Any]]:
    """The answers of one window, by the plain formulas: all spans sorted, those of one text added up."""
    tokenizer = DistilBertTokenizer.from_folder(model.folder)
    encoded = tokenizer(question, context)
    outputs = model(**{name: [row] for name, row in encoded.items()})
    read = [place for place, text in enumerate(encoded.sequence_ids()) if text == 1 or place == 0]
    scores = []
    for logits in (outputs.start_logits[0], outputs.end_logits[0]):
        exponentials = np.exp(logits[read].astype(np.float64))
        scores.append(dict(zip(read, exponentials / exponentials.sum(), strict=True)))
    spans = sorted(
        (-scores[0][first] * scores[1][last], first, last)
        for first in read[1:]
        for last in read[1:]
        if first <= last < first + longest
    )
    answers: dict[str, dict[str, Any]] = {}
    for score, first, last in spans[:count]:
        words = [encoded.token_to_word(place) for place in (first, last)]
        start, end = encoded.word_to_chars(words[0], None, 1)[0], encoded.word_to_chars(words[1], None, 1)[1]
        text = context[start:end]
        own = answers.setdefault(text.lower(), {"score": 0, "start": start, "end": end, "answer": text})
        own["score"] -= score
    return sorted(answers.values(), key=lambda row: -row["score"])


class TestWhatComesBack:
    def test_is_the_likeliest_span_with_its_place(
        self, model: DistilBertForQuestionAnswering, answer: QuestionAnsweringPipeline
    ) -> None:
        found = answer(question=QUESTION, context=CONTEXT)
        expected = by_hand(model, QUESTION, CONTEXT)[0]
        assert found == {**expected, "score": pytest.approx(expected["score"], rel=1e-4)}
        assert list(found) == ["score", "start", "end", "answer"]
        assert [type(value) for value in found.values()] == [float, int, int, str]
        assert CONTEXT[found["start"] : found["end"]] == found["answer"]

    @settings(max_examples=30)
    @given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=20).map(" ".join), st.integers(1, 20))
    def test_is_what_sorting_all_spans_gives(
        self, model: DistilBertForQuestionAnswering, context: str, longest: int
    ) -> None:
        found = pipeline("question-answering", model)("is it", context, top_k=3, max_answer_len=longest)
        expected = by_hand(model, "is it", context, longest, 16)[:3]
        assert len(found) >= len(expected)
        if len(expected) == 3:
            assert [row["score"] for row in found] == pytest.approx(
                [row["score"] for row in expected], rel=1e-3
            )

    def test_is_a_list_where_several_are_asked_for_even_if_there_is_but_one(
        self, answer: QuestionAnsweringPipeline
    ) -> None:
        several = answer(QUESTION, CONTEXT, top_k=4)
        assert len(several) == 4
        assert several[0]["answer"] == answer(QUESTION, CONTEXT)["answer"]
        assert [row["score"] for row in several] == sorted((row["score"] for row in several), reverse=True)
        assert len(answer(QUESTION, "film", top_k=4)) == 1

    def test_has_the_shape_of_what_was_asked(self, answer: QuestionAnsweringPipeline) -> None:
        one = answer(question=QUESTION, context=CONTEXT)
        two = answer(question="the story?", context=CONTEXT)
        dicts = [{"question": text, "context": CONTEXT, "id": 7} for text in (QUESTION, "the story?")]
        assert (
            answer(dicts[0]) == answer(dicts[:1]) == answer([QUESTION], CONTEXT) == one
        )  # as in transformers
        same = pytest.approx
        for several in (
            answer(question=[QUESTION, "the story?"], context=CONTEXT),
            answer(question=[QUESTION, "the story?"], context=[CONTEXT, CONTEXT]),
            answer(dicts),
        ):
            assert [row["answer"] for row in several] == [one["answer"], two["answer"]]
            assert [row["score"] for row in several] == same([one["score"], two["score"]], abs=1e-6)
        assert answer([]) == []
        stream = answer(row for row in dicts)
        assert iter(stream) is stream
        assert [row["answer"] for row in stream] == [one["answer"], two["answer"]]

    def test_names_no_text_twice_whatever_its_capitals(self, answer: QuestionAnsweringPipeline) -> None:
        texts = [row["answer"].lower() for row in answer(QUESTION, CONTEXT, top_k=200)]
        assert len(set(texts)) == len(texts)
        assert "story" in texts

    @given(st.lists(st.sampled_from([*WORDS, "unreadable"]), min_size=1, max_size=9), st.integers(1, 60))
    def test_are_as_many_as_asked_for_if_there_are_so_many(self, words: list[str], top_k: int) -> None:
        """Each word of several tokens has many spans that are one answer."""
        spans = {
            " ".join(words[first:last])
            for first in range(len(words))
            for last in range(first + 1, len(words) + 1)
        }
        find, _ = sure(max_answer_len=200, max_seq_len=64)
        found = find(QUESTION, " ".join(words), top_k=top_k)
        assert len(found if top_k > 1 else [found]) == min(top_k, len(spans))

    def test_are_parts_of_words_where_they_need_not_be_whole(self) -> None:
        find, _ = sure()
        context = "he is a greater filmer"  # "great ##er", "film ##er"
        assert find("who", context)["answer"] == "greater filmer"
        assert find("who", context, align_to_words=False)["answer"] == "greater film"

    def test_is_no_longer_than_max_answer_len_tokens(self, answer: QuestionAnsweringPipeline) -> None:
        for row in answer(QUESTION, "the film was not bad at all", top_k=50, max_answer_len=2):
            assert len(row["answer"].split()) <= 2 or row["answer"].endswith("at all")

    def test_may_be_none_where_that_is_handled(self, answer: QuestionAnsweringPipeline) -> None:
        rows = answer(QUESTION, CONTEXT, top_k=10_000, handle_impossible_answer=True)
        [none] = [row for row in rows if row["answer"] == ""]
        assert (none["start"], none["end"]) == (0, 0)
        assert 0 < none["score"] < 1
        assert sum(row["score"] for row in rows) < 1
        assert all(row["answer"] for row in answer(QUESTION, CONTEXT, top_k=10_000))


class TestLongContexts:
    @settings(max_examples=40)
    @given(st.integers(0, 150), st.integers(1, 12), st.integers(20, 64), st.integers(0, 9))
    def test_an_answer_is_found_wherever_it_stands_once_if_it_fits_the_overlap(
        self, before: int, inside: int, max_seq_len: int, spare: int
    ) -> None:
        needle = " ".join(["great", *["was"] * (inside - 1), "film"])
        overlap = min(inside + 1 + spare, max_seq_len - 3 - 1 - 1)
        context = f"{'a ' * before}{needle}{' b' * (150 - before)}"
        find, engine = sure(max_seq_len=max_seq_len, doc_stride=overlap)
        [found, *rest] = find("is", context, top_k=2)
        if inside + 1 <= overlap:
            assert (found["answer"], found["start"]) == (needle, 2 * before)
            assert found["score"] <= 1
            assert rest[0]["answer"] != needle
        assert max(map(len, engine.rows)) == max_seq_len

    def test_windows_lie_doc_stride_apart_and_read_every_token(self) -> None:
        find, engine = sure(max_seq_len=20, doc_stride=4)
        find("the", "a b c d e f g h i j k l m n o p q r s t u v w x y z")
        letters = [TOKENIZER.decode(row[3:-1]).replace(" ", "") for row in engine.rows]
        assert sorted(letters) == ["abcdefghijklmnop", "mnopqrstuvwxyz"]
        assert all(TOKENIZER.decode(row[:3]) == "[CLS] the [SEP]" for row in engine.rows)

    def test_a_stride_that_nobody_asked_for_makes_room_for_a_long_question(self) -> None:
        find, engine = sure()  # 64 positions: windows of 64 would share 32
        assert find("the " * 45, "a " * 300 + "great film")["answer"] == "great film"
        assert max(map(len, engine.rows)) == 64

    def test_many_questions_on_one_context_read_it_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from distilbert.tasks.answers import Context

        seen: list[str] = []
        read = Context.of

        def counted(text: str, *args: Any, **options: Any) -> Context:
            seen.append(text)
            return read(text, *args, **options)

        monkeypatch.setattr(Context, "of", counted)
        find, _ = sure()
        assert len(find(["who", "what", "where"], "a great film")) == 3
        assert seen == ["a great film"]

    def test_a_question_that_is_too_long_is_cut_with_one_warning(self) -> None:
        find, engine = sure(max_question_len=5)
        with pytest.warns(TruncationWarning, match="more than 5 tokens") as told:
            find(["the film is it the film"] * 2, "a great film")
        assert len(told) == 1
        assert TOKENIZER.decode(engine.rows[0][1:6]) == "the film is it the"


class TestEveryCharacter:
    @pytest.mark.filterwarnings("ignore:A question has more than 6 tokens")
    @given(UNICODE, UNICODE)
    @example("x", "👩\u200d👩\u200d👧 e\u0301 שלום \u200b")
    def test_the_answer_is_the_slice_of_its_context_in_any_script(self, question: str, context: str) -> None:
        find, _ = sure(max_seq_len=24, doc_stride=3, max_question_len=6)
        if not (TOKENIZER.tokenize(question) and TOKENIZER.tokenize(context)):
            with pytest.raises(OptionError, match=r"has no words|is empty"):
                find(question, context)
            return
        rows = [
            row for words in (True, False) for row in find(question, context, top_k=9, align_to_words=words)
        ]
        assert rows
        for row in rows:
            assert 0 <= row["start"] < row["end"] <= len(context)
            assert row["answer"] == context[row["start"] : row["end"]] != ""

    @pytest.mark.parametrize("unit", ["a", "great film ", "映"], ids=["one word", "many words", "Chinese"])
    def test_a_megabyte_is_read(self, unit: str) -> None:
        context = unit * (10**6 // len(unit.encode()))
        find, _ = sure(positions=512, max_seq_len=512, doc_stride=0)
        found = find("who", context)
        assert found["answer"] == context[found["start"] : found["end"]]
        assert found["answer"] in (context, "great film", "映")


class TestNeighbours:
    pairs = st.lists(
        st.tuples(
            st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join),
            st.lists(st.sampled_from(WORDS), min_size=1, max_size=90).map(" ".join),
        ),
        min_size=2,
        max_size=5,
    )

    @settings(max_examples=15)
    @given(pairs=pairs, batch_size=st.integers(1, 8))
    def test_do_not_matter_in_float32(
        self, model: DistilBertForQuestionAnswering, pairs: list[tuple[str, str]], batch_size: int
    ) -> None:
        answer = pipeline("question-answering", model, top_k=3)
        together, alone = self.both(answer, pairs, batch_size)
        for ours, own in zip(together, alone, strict=True):
            assert ours == [{**row, "score": pytest.approx(row["score"], abs=1e-6)} for row in own]

    @settings(max_examples=15)
    @given(pairs=pairs, batch_size=st.integers(1, 8))
    def test_do_not_move_a_bit_in_int8(
        self, int8: QuestionAnsweringPipeline, pairs: list[tuple[str, str]], batch_size: int
    ) -> None:
        together, alone = self.both(int8, pairs, batch_size, top_k=3)
        assert together == alone

    @staticmethod
    def both(
        answer: QuestionAnsweringPipeline, pairs: list[tuple[str, str]], batch_size: int, **options: Any
    ) -> tuple[list[Any], list[Any]]:
        rows = [{"question": question, "context": context} for question, context in pairs]
        return answer(rows, batch_size=batch_size, **options), [answer(row, **options) for row in rows]


class TestBadInput:
    @pytest.mark.parametrize("half", [("who\ud800", "a film"), ("who", "a film\ud800")], ids=ascii)
    def test_is_half_a_character_named_with_its_row(
        self, answer: QuestionAnsweringPipeline, half: tuple[str, str]
    ) -> None:
        rows = [{"question": question, "context": context} for question, context in [("who", "a"), half]]
        with pytest.raises(TokenizerError, match="Row 1 has half a surrogate pair"):
            answer(rows)

    @pytest.mark.parametrize(
        ("question", "context", "fault"),
        [
            ("", "a film", "A question is empty: "),
            ("who", "", "A context is empty: "),
            ("\u200b \n", "a film", "A question has no words: "),
            ("who", " \u00ad", "The context of 'who' has no words: "),
            ("who", None, "The question 'who' has no context."),
            ({"question": "who"}, None, "must be given as a dict with the texts question and context"),
            ({"question": "who", "context": 5}, None, "must be given as a dict with the texts"),
            (["who", "what"], None, "must be given as a dict with the texts"),
            ([["who", "a film"]], None, "must be given as a dict with the texts"),
            (["who", "what"], ["a film"], "2 questions need one context or a list of as many"),
            ("who", ["a film", "b"], "Many contexts need a list of as many questions"),
            (["who"], 5, "1 questions need one context or a list of as many"),
            (5, None, "must be a string, a dict"),
        ],
        ids=str,
    )
    def test_is_refused_with_its_own_words(
        self, answer: QuestionAnsweringPipeline, question: Any, context: Any, fault: str
    ) -> None:
        with pytest.raises(OptionError) as refusal:
            answer(question, context)
        assert fault in str(refusal.value)
        assert refusal.value.next_step
        assert len(str(refusal.value).splitlines()) == 2

    @pytest.mark.parametrize(
        ("options", "fault"),
        [
            ({"top_k": 0}, "top_k must be a whole number of at least 1"),
            ({"max_answer_len": 1.5}, "max_answer_len must be a whole number"),
            ({"max_seq_len": -1}, "max_seq_len must be a whole number"),
            ({"max_question_len": True}, "max_question_len must be a whole number"),
            ({"doc_stride": -1}, "doc_stride must be a whole number of at least 0"),
            ({"align_to_words": "yes"}, "align_to_words must be one of False, True"),
            ({"handle_impossible_answer": 1}, "handle_impossible_answer must be one of False, True"),
            ({"topk": 1}, "topk is no option of question-answering, which has top_k, doc_stride"),
            ({"truncation": True}, "truncation is no option of question-answering"),
        ],
        ids=str,
    )
    def test_is_an_option_that_cannot_be(
        self, model: DistilBertForQuestionAnswering, options: dict[str, Any], fault: str
    ) -> None:
        with pytest.raises(OptionError, match=fault):
            pipeline("question-answering", model)(QUESTION, CONTEXT, **options)
        with pytest.raises(OptionError, match=fault):
            pipeline("question-answering", model, **options)

    @pytest.mark.parametrize(
        ("options", "fault"),
        [
            ({"max_seq_len": 7}, "max_seq_len is 7, which leaves a context no token beside a question of 4"),
            (
                {"max_seq_len": 12, "doc_stride": 5},
                "doc_stride is 5, but beside this question a window has 5",
            ),
        ],
        ids=str,
    )
    def test_is_a_window_without_room_for_the_question(
        self, answer: QuestionAnsweringPipeline, options: dict[str, Any], fault: str
    ) -> None:
        with pytest.raises(OptionError, match=fault):
            answer(QUESTION, CONTEXT, **options)

    def test_is_a_tokenizer_without_offsets(self, model: DistilBertForQuestionAnswering) -> None:
        class Slow:  # such as transformers' BertTokenizer in Python
            def __call__(self, text: str) -> dict[str, list[int]]:
                return {"input_ids": [len(text)]}

        with pytest.raises(
            OptionError, match=r"must be a name, a folder or a distilbert\.DistilBertTokenizer"
        ):
            pipeline("question-answering", model, Slow())  # type: ignore[call-overload]


def test_none_means_what_was_said_before(model: DistilBertForQuestionAnswering) -> None:
    answer = pipeline("question-answering", model, top_k=2, max_answer_len=None)
    assert answer(QUESTION, CONTEXT, top_k=None, doc_stride=None) == answer(QUESTION, CONTEXT)
    assert len(answer(QUESTION, CONTEXT)) == 2


def test_the_package_comes_with_a_model_that_answers() -> None:
    context = "Ada Lovelace was born in London in 1815. She died in 1852, and Byron was her father."
    answer = pipeline("question-answering")
    found = answer(["Where was she born?", "Who was her father?"], context)
    assert [one["answer"] for one in found] == ["London", "Byron"]
    assert all(context[one["start"] : one["end"]] == one["answer"] for one in found)


def test_the_task_is_that_of_the_model_that_is_named(
    folder: Path, model: DistilBertForQuestionAnswering
) -> None:
    assert pipeline(model=folder)(QUESTION, CONTEXT) == pipeline(model=model)(QUESTION, CONTEXT)
    with pytest.raises(OptionError, match="is a model for question-answering, not for fill-mask"):
        pipeline("fill-mask", folder)


def test_a_tokenizer_that_pads_on_the_left_reads_the_question_first_all_the_same(folder: Path) -> None:
    expected = pipeline("question-answering", folder)(QUESTION, CONTEXT)
    other = DistilBertTokenizer.from_pretrained(folder)
    other.padding_side = "left"
    assert pipeline("question-answering", folder, other)(QUESTION, CONTEXT) == expected
