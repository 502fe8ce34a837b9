"""SST-2's training rows without those that would give the held-back ones away.

GLUE's rows are phrases cut from sentences: of 2,000 rows drawn at random, 89 % occur inside another row, and a model
scores 2 points too high on them. So whole sentences are held back, with every phrase inside them:

- held back: rows that occur inside the chosen sentences and inside no other sentence;
- dropped: rows inside a chosen sentence and another one too ("the film");
- to train on: the rest, none of which occurs inside a chosen sentence.

    python runs/sst2_split.py write ../shared/data/sst2/train.tsv runs/out/sst2   (from the committed row numbers)
    python runs/sst2_split.py choose ../shared/data/sst2/train.tsv ../shared/data/sst2/train_sentences.tsv

A part of the rows, whole sentences with every phrase inside them, as many as have so many rows:

    python runs/sst2_split.py part TRAIN ../shared/data/sst2/train_sentences.tsv ROWS OUT
"""

from __future__ import annotations

import json
import random
import sys
from collections import defaultdict
from itertools import accumulate, pairwise
from pathlib import Path

SPLIT = Path(__file__).with_suffix(".json")
SENTENCES = 500  # held back, of 6,920
Words = tuple[str, ...]


def words_of(line: str) -> Words:
    """The words of a row's or a sentence's text."""
    return tuple(line.split("\t")[0].lower().split())


def inside(words: Words) -> set[Words]:
    """Every run of words in a text, itself among them.

    >>> sorted(inside(("a", "b", "c")))
    [('a',), ('a', 'b'), ('a', 'b', 'c'), ('b',), ('b', 'c'), ('c',)]
    """
    return {words[start:end] for start in range(len(words)) for end in range(start + 1, len(words) + 1)}


def choose(
    rows: list[Words], sentences: list[Words], count: int, seed: int = 0
) -> tuple[list[int], list[int]]:
    """The rows to hold back and those to drop, as line numbers from 0.

    Parents are the sentences, and rows that are inside no other row.

    >>> rows = [("a", "fine", "film"), ("fine",), ("a", "dull", "film"), ("film",)]
    >>> choose(rows, rows[:1], count=1)
    ([0, 1], [3])
    """
    lines = defaultdict(list)
    for line, words in enumerate(rows):
        lines[words].append(line)
    contained = {piece for words in lines for piece in inside(words) if piece != words and piece in lines}
    whole = [words for words in dict.fromkeys(sentences) if words in lines]
    chosen = set(random.Random(seed).sample(whole, count))
    parents = {words for words in lines if words not in contained} | set(sentences)
    in_chosen = {piece for words in chosen for piece in inside(words) if piece in lines}
    in_others = {piece for words in parents - chosen for piece in inside(words) if piece in lines}
    held = sorted(line for words in in_chosen - in_others for line in lines[words])
    dropped = sorted(line for words in in_chosen & in_others for line in lines[words])
    return held, dropped


def gaps(numbers: list[int]) -> list[int]:
    """Rising numbers as their differences, which are shorter to write."""
    return [after - before for before, after in pairwise([0, *numbers])]


def write(train: Path, out: Path) -> None:
    """Write `train.tsv` and `held_back.tsv` as the committed file says."""
    split = {name: set(accumulate(numbers)) for name, numbers in json.loads(SPLIT.read_text()).items()}
    header, *rows = train.read_text(encoding="utf-8").splitlines(keepends=True)
    out.mkdir(parents=True, exist_ok=True)
    kept = [row for line, row in enumerate(rows) if line not in split["held_back"] | split["dropped"]]
    held = [rows[line] for line in sorted(split["held_back"])]
    for name, lines in (("train", kept), ("held_back", held)):
        (out / f"{name}.tsv").write_text(header + "".join(lines), encoding="utf-8")
        print(f"{out / name}.tsv: {len(lines):,} rows")


def part(rows: list[Words], sentences: list[Words], count: int, seed: int = 0) -> list[int]:
    """The lines, from 0, of the rows inside sentences that are drawn until there are `count` of them or more."""
    lines = defaultdict(list)
    for line, words in enumerate(rows):
        lines[words].append(line)
    chosen: set[int] = set()
    for words in random.Random(seed).sample(sentences, len(sentences)):
        if len(chosen) >= count:
            break
        if words in lines:  # others are held back
            chosen |= {line for piece in inside(words) for line in lines.get(piece, ())}
    return sorted(chosen)


def main() -> None:
    """Write the split's files, choose the split anew, or write a part."""
    action, train, other = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if action == "write":
        write(train, other)
        return
    rows, sentences = (
        [words_of(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]
        for path in (train, other)
    )
    if action == "part":
        header, *lines = train.read_text(encoding="utf-8").splitlines(keepends=True)
        kept, out = part(rows, sentences, int(sys.argv[4])), Path(sys.argv[5])
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(header + "".join(lines[line] for line in kept), encoding="utf-8")
        print(f"{out}: {len(kept):,} rows")
        return
    held, dropped = choose(rows, sentences, SENTENCES)
    SPLIT.write_text(json.dumps({"held_back": gaps(held), "dropped": gaps(dropped)}) + "\n")
    left = len(rows) - len(held) - len(dropped)
    print(f"{SPLIT}: {len(held):,} rows held back, {len(dropped):,} dropped, {left:,} left")


if __name__ == "__main__":
    main()
