"""Sentences of IMDb's unlabelled reviews, for a teacher to label: what people write about films, as SST-2 is.

    python runs/imdb_sentences.py ../shared/data/corpus/imdb_unlabelled.txt.gz runs/out/imdb/sentences.txt

One a line, each once, of 4 to 40 words. A rule tells them apart, which errs now and then; a teacher reads anything.
"""

from __future__ import annotations

import gzip
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

END = re.compile(r"(?<!\bMr\.)(?<!\bMrs\.)(?<!\bDr\.)(?<!\b[A-Z]\.)(?<=[.!?])[\"')]*\s+(?=[\"'(]*[A-Z])")
WORDS = range(4, 41)


def sentences(paragraphs: Iterable[str]) -> Iterator[str]:
    """The sentences of paragraphs.

    >>> list(sentences(["I saw it twice. (Really!) It is one of the best films of Mr. Lumet."]))
    ['I saw it twice.', 'It is one of the best films of Mr. Lumet.']
    """
    seen = set()
    for paragraph in paragraphs:
        for sentence in END.split(paragraph.strip()):
            if len(sentence.split()) in WORDS and sentence not in seen:
                seen.add(sentence)
                yield sentence


def main() -> None:
    """Write them."""
    corpus, out = map(Path, sys.argv[1:])
    out.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(corpus, "rt", encoding="utf-8") as paragraphs:
        out.write_text("".join(f"{sentence}\n" for sentence in sentences(paragraphs)), encoding="utf-8")


if __name__ == "__main__":
    main()
