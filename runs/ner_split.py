"""UNER's training sentences less some held back with their whole documents: what a document says twice is no test.

    python runs/ner_split.py ../shared/data/ner/uner_ewt/train.iob2.gz runs/out/ner

A sentence's document is named by its `sent_id`, less the number at its end.
"""

from __future__ import annotations

import gzip
import random
import re
import sys
from itertools import groupby
from pathlib import Path

HELD_BACK = 1_000  # sentences, at least
_ID = re.compile(r"^# sent_id = (.*)-\d+$", re.MULTILINE)


def split(text: str) -> tuple[list[str], list[str]]:
    """The sentences to train on and those held back, in the file's order, from documents drawn by a seed."""
    sentences = re.split(r"\n\n+", text.strip())
    documents = [(name, [*own]) for name, own in groupby(sentences, document)]
    held: set[str] = set()
    count = 0
    for name, own in random.Random(0).sample(documents, len(documents)):
        if count >= HELD_BACK:
            break
        held.add(name)
        count += len(own)
    return (
        [sentence for sentence in sentences if document(sentence) not in held],
        [sentence for sentence in sentences if document(sentence) in held],
    )


def document(sentence: str) -> str:
    """The name of a sentence's document."""
    found = _ID.search(sentence)
    if found is None:
        sys.exit(f"a sentence has no sent_id: {sentence[:80]!r}")
    return found[1]


def main() -> None:
    """Write a file of each part."""
    path, out = map(Path, sys.argv[1:])
    with gzip.open(path, "rt", encoding="utf-8") as file:
        parts = split(file.read())
    out.mkdir(parents=True, exist_ok=True)
    for name, sentences in zip(("train", "held_back"), parts, strict=True):
        text = "".join(f"{sentence}\n\n" for sentence in sentences)
        (out / f"{name}.iob2").write_text(text, encoding="utf-8")
        print(
            f"{out / name}.iob2: {len(sentences):,} sentences of {len({*map(document, sentences)}):,} documents"
        )


if __name__ == "__main__":
    main()
