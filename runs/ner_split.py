"""UNER's training sentences less some held back with their whole documents: what a document says twice is no test.

    python runs/ner_split.py ../shared/data/ner/uner_ewt/train.iob2.gz runs/out/ner

A sentence's document is named by its `sent_id`, less the number at its end. What is trained on stands there three
times: as sentences, as passages of a document, and as passages of sentences drawn at random. Who met names in single
sentences only misses every third one in a long text, and who met them in documents only, every fifth in a list of
unrelated lines.
"""

from __future__ import annotations

import gzip
import random
import re
import sys
from itertools import chain, groupby
from pathlib import Path

HELD_BACK = 1_000  # sentences, at least
PASSAGE = 160  # words at most; some 200 tokens
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


def passages(sentences: list[str]) -> list[str]:
    """Sentences beside each other in one, as many as `PASSAGE` words hold, but two at least."""
    found: list[list[list[str]]] = []  # of each passage its sentences, of each its rows less their numbers
    for sentence in sentences:
        rows = [row.split("\t", 1)[1] for row in sentence.splitlines() if not row.startswith("# ")]
        if not found or sum(map(len, found[-1])) + len(rows) > PASSAGE:
            found.append([])
        found[-1].append(rows)
    return [
        "\n".join(f"{number}\t{row}" for number, row in enumerate(chain.from_iterable(passage), 1))
        for passage in found
        if len(passage) > 1
    ]


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
        train, held = split(file.read())
    out.mkdir(parents=True, exist_ok=True)
    neighbours = [passage for _, own in groupby(train, document) for passage in passages([*own])]
    strangers = passages(random.Random(0).sample(train, len(train)))
    for name, sentences, longer in (("train", train, neighbours + strangers), ("held_back", held, [])):
        text = "".join(f"{sentence}\n\n" for sentence in [*sentences, *longer])
        (out / f"{name}.iob2").write_text(text, encoding="utf-8")
        documents = len({*map(document, sentences)})
        print(
            f"{out / name}.iob2: {len(sentences):,} sentences of {documents:,} documents, {len(longer):,} passages"
        )


if __name__ == "__main__":
    main()
