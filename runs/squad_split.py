"""SQuAD's training questions in two parts: to learn from, and held back with all questions on the same paragraphs.

    python runs/squad_split.py ../shared/data/squad/train.json.gz runs/out/squad

Every third question to learn from is asked of the paragraph behind its own, too: mostly of the same article, and left
out where it has the answer. In a long text most windows do not have it, and a model that never met such a window finds
one in each. Writes FOLDER/train.jsonl and FOLDER/held_back.jsonl.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from distilbert.files.squad import read_squad
from distilbert.files.table_writer import write_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from distilbert.files.squad import Question

HELD_BACK = 600  # questions, or a few more
EVERY = 3


def split(questions: Iterable[Question]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows to learn from and rows held back, whose paragraphs are drawn at random."""
    paragraphs: dict[str, list[Question]] = {}
    for question in questions:
        paragraphs.setdefault(question.context, []).append(question)
    held: list[Question] = []
    contexts = [*paragraphs]
    for place in np.random.default_rng(0).permutation(len(contexts)):
        if len(held) < HELD_BACK:
            held += paragraphs.pop(contexts[place])
    own = [_row(question, question.context) for asked in paragraphs.values() for question in asked]
    return [*own, *_asked_elsewhere(paragraphs)], [_row(question, question.context) for question in held]


def _asked_elsewhere(paragraphs: dict[str, list[Question]]) -> Iterator[dict[str, Any]]:
    for own, behind in pairwise(paragraphs):
        for question in paragraphs[own][::EVERY]:
            if not any(answer.text.lower() in behind.lower() for answer in question.answers):
                yield _row(question, behind)


def _row(question: Question, context: str) -> dict[str, Any]:
    """A question on its own paragraph with its answers, on another one without."""
    answers = question.answers if context == question.context else ()
    return {
        "id": question.id,
        "question": question.question,
        "context": context,
        "answers": [{"text": answer.text, "answer_start": answer.start} for answer in answers],
    }


def main() -> None:
    """Write a file of each part."""
    path, out = map(Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    for name, rows in zip(("train", "held_back"), split(read_squad(path)), strict=True):
        count = write_rows(out / f"{name}.jsonl", rows, [*rows[0]])
        print(f"{out / name}.jsonl: {count:,} questions")


if __name__ == "__main__":
    main()
