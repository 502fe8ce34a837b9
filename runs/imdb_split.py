"""IMDb's labelled reviews in four parts: to learn from, to choose a checkpoint by, without their labels, and to score.

    python runs/imdb_split.py ../shared/data/imdb/train.jsonl.gz runs/out/reviews

The file is shuffled and holds no review twice, so the parts are runs of its rows, numbered from 0 as below.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

ROWS = {
    "scoring": range(5_000),
    "held_back": range(5_000, 6_000),
    "labelled": range(6_000, 15_000),
    "unlabelled": range(15_000, 24_781),
}


def reviews(path: Path) -> list[dict[str, str]]:
    """Each row's text, its tags made blanks, and its label."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [{"text": row["text"].replace("<br />", " "), "label": str(row["label"])} for row in rows]


def main() -> None:
    """Write a file of each part."""
    path, out = map(Path, sys.argv[1:])
    found = reviews(path)
    if len(found) != ROWS["unlabelled"].stop:
        sys.exit(f"{path} has {len(found):,} rows, not {ROWS['unlabelled'].stop:,}: it is another file")
    out.mkdir(parents=True, exist_ok=True)
    for name, numbers in ROWS.items():
        kept = ["text"] if name == "unlabelled" else ["text", "label"]
        lines = [json.dumps({key: found[number][key] for key in kept}) for number in numbers]
        (out / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        print(f"{out / name}.jsonl: {len(lines):,} reviews")


if __name__ == "__main__":
    main()
