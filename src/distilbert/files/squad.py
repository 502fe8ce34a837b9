r"""Questions, their contexts and their right answers: SQuAD's JSON, versions 1 and 2, or rows of .jsonl; gzip too.

A file of SQuAD is one JSON value, often on one line; a paragraph of it at a time is in memory:

    {"data": [{"paragraphs": [{"context": "...", "qas": [{"id": "...", "question": "...",
        "answers": [{"text": "...", "answer_start": 17}]}]}]}]}

A row of .jsonl has `question`, `context`, and `answers`, as above or as `{"text": [...], "answer_start": [...]}`.
`answer_start` counts characters from 0. No answers: the context does not answer the question (SQuAD 2.0's
`is_impossible`, whose `plausible_answers` are no answers).
"""

from __future__ import annotations

import codecs
import gzip
import json
import re
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from distilbert.errors import DataError
from distilbert.files.tables import LONGEST, Row, brief, read_rows, source_of

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 1 << 16  # bytes
_BLANKS = re.compile(r"[ \t\r\n]*")
_NO_NUMBER = re.compile(r"[^-+.eE0-9]")
_DECODER = json.JSONDecoder()
_FORM = 'Write SQuAD\'s form: {"data": [{"paragraphs": [{"context": ..., "qas": [...]}]}]}.'


@dataclass(frozen=True, slots=True)
class GoldAnswer:
    """A right answer, which stands in its context from character `start` on."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its right answers, none where its context has none; `place` is where it stands, for errors."""

    place: str
    id: str
    question: str
    context: str
    answers: tuple[GoldAnswer, ...]


def read_squad(path: str | Path) -> Iterator[Question]:
    r"""Return the questions of a .json or .jsonl file, either with .gz, read as they are asked for.

    Raises `DataError`: at once where there is no such file; later, with the row's place, for an answer that does not
    stand where it is said to, for a question without text or context, and for what is no JSON of this form.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "dev.jsonl"
    >>> row = {"id": "1", "question": "Who?", "context": "It was Ada.", "answers": [{"text": "Ada", "answer_start": 7}]}
    >>> _ = path.write_text(json.dumps(row) + "\n")
    >>> [(question.question, question.answers[0].text) for question in read_squad(path)]
    [('Who?', 'Ada')]
    """
    name = Path(path).name.lower().removesuffix(".gz")
    if name.endswith(".jsonl"):
        return (_question(row) for row in read_rows(path))
    if name.endswith(".json"):
        return _at_least_one(source_of(path), (_question(row) for row in _rows(Path(path))))
    raise DataError(f"{path}: questions are in .json or .jsonl, or one of these and .gz.", "Rename the file.")


def _at_least_one(source: str, questions: Iterator[Question]) -> Iterator[Question]:
    first = next(questions, None)
    if first is None:
        raise DataError(f"{source} has no questions.", _FORM)
    yield first
    yield from questions


def _rows(path: Path) -> Iterator[Row]:
    """The questions of SQuAD's JSON, counted from 1, each with its paragraph's context."""
    number = 0
    with _opened(path) as stream:
        document = _Document(str(path), stream)
        for _ in document.members("data"):
            for _ in document.elements():
                for _ in document.members("paragraphs"):
                    for _ in document.elements():
                        paragraph = document.value()
                        for asked in _questions_of(paragraph, f"{path}, after question {number}"):
                            number += 1
                            row = {**asked, "context": paragraph["context"]}
                            yield Row(str(path), number, row, unit="question")
        document.end()


def _questions_of(paragraph: Any, place: str) -> list[dict[str, Any]]:
    asked = paragraph.get("qas") if isinstance(paragraph, dict) and "context" in paragraph else None
    if isinstance(asked, list) and all(isinstance(question, dict) for question in asked):
        return asked
    raise DataError(f"{place}: a paragraph is no object with context and qas, but {brief(paragraph)}.", _FORM)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO | gzip.GzipFile]:
    try:
        with gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb") as stream:
            yield stream
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is not a whole gzip file: {error}.", "Compress it again.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8: {error.reason}.", "Save it as UTF-8 text.") from error
    except OSError as error:
        fault = f"{path} cannot be read: {error.strerror or error}."
        raise DataError(fault, "Check the path and who may read it.") from error


class _Document:
    """A JSON value that is too large to hold: it is walked through, and parts of it are decoded whole."""

    def __init__(self, source: str, stream: BinaryIO | gzip.GzipFile) -> None:
        self._source, self._stream = source, stream
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._text, self._place, self._gone, self._is_over = "", 0, 0, False

    def members(self, name: str) -> Iterator[None]:
        """Stand at each value of this name in the object here, and skip the others."""
        for _ in self._parts("{", "}"):
            key = self.value()
            self._take(":")
            if key == name:
                yield
            else:
                self.value()

    def elements(self) -> Iterator[None]:
        """Stand at each element of the array here."""
        return self._parts("[", "]")

    def value(self) -> Any:
        """Decode the value here, which is at most `LONGEST` characters."""
        self._peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._place)
            except json.JSONDecodeError as error:
                if not self._more():
                    raise self._fault(error.msg, error.pos) from error
                continue
            except (ValueError, RecursionError) as error:
                raise self._fault(str(error), self._place) from error
            if _NO_NUMBER.search(self._text, end) or not self._more():  # a number may go on in the next chunk
                self._place = end
                return value

    def end(self) -> None:
        """Refuse what follows the whole value."""
        if self._peek():
            raise self._fault("something follows the end", self._place)

    def _parts(self, opening: str, closing: str) -> Iterator[None]:
        self._take(opening)
        if self._peek() != closing:
            yield
            while self._peek() == ",":
                self._take(",")
                yield
        self._take(closing)

    def _take(self, character: str) -> None:
        if self._peek() != character:
            raise self._fault(f"{character!r} is expected", self._place)
        self._place += 1

    def _peek(self) -> str:
        """The next character that is not blank; "" at the end."""
        while True:
            blanks = _BLANKS.match(self._text, self._place)
            self._place = blanks.end() if blanks else self._place
            if self._place < len(self._text) or not self._more():
                return self._text[self._place : self._place + 1]

    def _more(self) -> bool:
        """Read on, twice as far each time that one value goes on, and forget what was decoded; False at the end."""
        if self._is_over:
            return False
        self._gone, self._text, self._place = (
            self._gone + self._place,
            self._text[self._place :],
            0,
        )
        if len(self._text) > LONGEST:
            raise self._fault(f"a value is longer than {LONGEST:,} characters", 0)
        data = self._stream.read(max(CHUNK, len(self._text)))
        self._is_over = not data
        self._text += self._decode(data, self._is_over)
        return True

    def _fault(self, what: str, place: int) -> DataError:
        return DataError(f"{self._source}: not JSON, {what} at character {self._gone + place + 1}.", _FORM)


def _question(row: Row) -> Question:
    question, context = (_filled(row, name, row.text(name)) for name in ("question", "context"))
    answers = tuple(_answer(row, context, *pair) for pair in _pairs(row))
    number = _filled(row, "id", str(row.values.get("id", row.line)))
    return Question(row.place, number, question, context, answers)


def _filled(row: Row, name: str, text: str) -> str:
    if not text.strip():
        raise DataError(f"{row.place}: its {name} is empty.", "Fill it in or leave the row out.")
    try:
        text.encode()
    except UnicodeEncodeError as error:  # an escape can spell it
        fault = f"{row.place}: half a surrogate pair in its {name}, at character {error.start}."
        raise DataError(fault, "Remove it.") from error
    return text


def _pairs(row: Row) -> list[tuple[Any, Any]]:
    """Each answer's text and start, from either form; none where the question cannot be answered."""
    if row.values.get("is_impossible") is True:
        return []
    answers = row.values.get("answers")
    if isinstance(answers, dict) and isinstance(answers.get("text"), list):
        starts = answers.get("answer_start")
        if isinstance(starts, list) and len(starts) == len(answers["text"]):
            return list(zip(answers["text"], starts, strict=True))
    elif isinstance(answers, list) and all(isinstance(answer, dict) for answer in answers):
        return [(answer.get("text"), answer.get("answer_start")) for answer in answers]
    raise DataError(
        f"{row.place}: answers should be a list of objects with text and answer_start, but are {brief(answers)}.",
        "Write them as SQuAD does.",
    )


def _answer(row: Row, context: str, text: Any, start: Any) -> GoldAnswer:
    if isinstance(text, str) and text and type(start) is int and start >= 0:
        if context.startswith(text, start):
            return GoldAnswer(text, start)
        there = brief(context[start : start + len(text)])
        fault = f"{row.place}: the answer {brief(text)} is not at character {start} of its context, where {there} is."
        raise DataError(fault, "Correct answer_start (it counts characters from 0), or leave the row out.")
    raise DataError(
        f"{row.place}: an answer needs a text and an answer_start of 0 or more, not {brief(text)} and {brief(start)}.",
        "Correct it or leave the row out.",
    )
