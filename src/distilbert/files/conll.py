"""Sentences of labelled words, as CoNLL's shared tasks write them: a word a line, a blank line behind a sentence.

    # text = Ada lived in London
    1	Ada	B-PER
    2	lived	O
    …

Cells lie between tabs, or where a row has no tab, between blanks; all rows have as many. Where rows are numbered from
1, as here, the word is the second cell and its label the third (as in Universal NER); else they are the first and
the last (CoNLL-2003, WNUT). Lines that begin with # before a sentence's first word are comments, unless they have a
tab; `-DOCSTART-` is no word. "-" is standard input.

In .jsonl a sentence is a row: `{"tokens": ["Ada", "lived"], "labels": ["B-PER", "O"]}`; labels may be called
`ner_tags`, as in many data sets. Either may end in .gz; both are read in constant memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from distilbert.errors import DataError
from distilbert.files.tables import brief, lines_of, read_rows, source_of, without_end

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from distilbert.files.tables import Row

LONGEST = 2**20  # words in a sentence: what has more has no blank lines, and would fill the memory
_NEW_DOCUMENT = "-DOCSTART-"
_BLANKS = re.compile(" +")  # not the others, such as no-break spaces, which stand in words
_NO_WORD = re.compile(
    r"\d+[-.]\d+"
)  # in CoNLL-U: "3-4", two words as they are written in one; "3.1", an unwritten one
_Row: TypeAlias = tuple[int, list[str]]  # a line's number and its cells


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words, a label for each, and the line on which each stands, counted from 1."""

    source: str
    words: tuple[str, ...]
    labels: tuple[str, ...]
    lines: tuple[int, ...]

    def place(self, word: int) -> str:
        """Where a word stands, in the words of an error."""
        return f"{self.source}, line {self.lines[word]}"


def read_conll(path: str | Path) -> Iterator[Sentence]:
    r"""Return the sentences of a file, read as they are asked for; those without words are left out.

    Raises `DataError`: at once if the path is no file, or by its name one of another format; later, with the line, for
    a row with more or fewer cells than the first one, or numbered otherwise, or of .jsonl with more or fewer labels
    than tokens, for an empty word or label, and as `read_rows` does for what is no text; at the end for a file without
    sentences.

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "dev.conll"
    >>> _ = path.write_text("Ada B-PER\nlived O\n\nLondon B-LOC\n")
    >>> for sentence in read_conll(path):
    ...     print(sentence.words, sentence.labels, sentence.place(0).rpartition(", ")[2])
    ('Ada', 'lived') ('B-PER', 'O') line 1
    ('London',) ('B-LOC',) line 4
    """
    source = source_of(path)
    name = str(path).lower().removesuffix(".gz")
    if name.endswith((".json", ".csv", ".parquet")):
        fault = f"{path}: sentences are in CoNLL's format, a word and its label a line, or in .jsonl."
        raise DataError(fault, "Give such a file, or rename it.")
    if name.endswith(".jsonl"):
        return _at_least_one(source, _of_objects(path))
    return _at_least_one(source, _of_lines(source, path))


def _at_least_one(source: str, sentences: Iterator[Sentence]) -> Iterator[Sentence]:
    first = next(sentences, None)
    if first is None:
        raise DataError(f"{source} has no words.", "Give a file with words and their labels.")
    yield first
    yield from sentences


def _of_objects(path: str | Path) -> Iterator[Sentence]:
    for row in read_rows(path):
        words = _texts_of(row, "tokens")
        named = next((name for name in ("labels", "ner_tags") if name in row.values), "labels")
        labels = _texts_of(row, named)
        if len(words) != len(labels):
            fault = f"{row.place}: {len(words)} tokens, but {len(labels)} labels."
            raise DataError(fault, "Give each token a label; a word of no entity has the label O.")
        if words:
            yield Sentence(row.source, words, labels, (row.line,) * len(words))


def _texts_of(row: Row, column: str) -> tuple[str, ...]:
    texts: Any = row.values.get(column)
    if isinstance(texts, list) and all(isinstance(text, str) and text for text in texts):
        return tuple(texts)
    raise DataError(
        f"{row.place}: {column!r} should be a list of texts that are not empty, but is {brief(texts)}.",
        'Write for example {"tokens": ["Ada", "lived"], "labels": ["B-PER", "O"]}.',
    )


def _of_lines(source: str, path: str | Path) -> Iterator[Sentence]:
    columns: _Columns | None = None
    for rows in _rows_of_sentences(source, path):
        columns = columns or _Columns.of(source, rows)
        if sentence := columns.sentence(source, rows):
            yield sentence


def _rows_of_sentences(source: str, path: str | Path) -> Iterator[list[_Row]]:
    rows: list[_Row] = []
    for number, raw in enumerate(lines_of(source, path, str(path).lower().endswith(".gz")), 1):
        line = without_end(raw)
        if not line.strip():
            if rows:
                yield rows
            rows = []
        elif not line.startswith(_NEW_DOCUMENT) and (rows or "\t" in line or not line.startswith("#")):
            rows.append((number, line.split("\t") if "\t" in line else _BLANKS.split(line.strip(" "))))
        if len(rows) > LONGEST:
            raise DataError(
                f"{source}, line {number}: more than {LONGEST:,} words without a blank line.",
                "Put one behind each sentence.",
            )
    if rows:
        yield rows


class _Columns(NamedTuple):
    """Which of how many cells are a row's word and label, and whether a first one numbers the words."""

    cells: int
    word: int
    label: int
    numbered: bool

    @classmethod
    def of(cls, source: str, rows: list[_Row]) -> _Columns:
        line, cells = rows[0]
        if len(cells) < 2:
            fault = f"{source}, line {line}: a row needs a word and its label, and this is {brief(cells[0])}."
            raise DataError(fault, "Give a file with a word and its label on each line.")
        numbers = [cells[0] for _, cells in rows if not _NO_WORD.fullmatch(cells[0])]
        numbered = len(cells) > 2 and numbers == [*map(str, range(1, len(numbers) + 1))]
        return cls(len(cells), 1, 2, True) if numbered else cls(len(cells), 0, len(cells) - 1, False)

    def sentence(self, source: str, rows: list[_Row]) -> Sentence | None:
        """The sentence of these rows; None where none is a word."""
        words: list[str] = []
        labels, lines = [], []
        for line, cells in rows:
            if len(cells) != self.cells:
                fault = f"{source}, line {line}: {len(cells)} cells, where the first row has {self.cells}."
                raise DataError(fault, "Check its delimiters: tabs, or blanks where no row has a tab.")
            if self.numbered and _NO_WORD.fullmatch(cells[0]):
                continue
            if self.numbered and cells[0] != str(len(words) + 1):
                fault = f"{source}, line {line}: {brief(cells[0])}, where word {len(words) + 1} of a sentence is due."
                raise DataError(fault, "Number the words of every sentence from 1, or of none.")
            word, label = cells[self.word], cells[self.label]
            if not word or not label:
                fault = f"{source}, line {line}: its {'label' if word else 'word'} is empty."
                raise DataError(fault, "Fill it in; a word of no entity has the label O.")
            words.append(word)
            labels.append(label)
            lines.append(line)
        return Sentence(source, tuple(words), tuple(labels), tuple(lines)) if words else None
