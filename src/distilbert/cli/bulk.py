"""From a file of texts to a file of answers: in windows, in constant memory, resumable after a kill."""

from __future__ import annotations

from collections import deque
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distilbert.cli.progress import counted_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from distilbert.files.tables import Row

WINDOW = 1024  # texts: what a kill may undo
CHARACTERS = 1 << 22  # of a window's texts, which bounds memory where texts are books

Texts = list[dict[str, str]]


def answer_file(
    file: str,
    out: Path,
    answer: Callable[[Texts], list[dict[str, Any]]],
    *,
    text_of: Callable[[Row], dict[str, str]],
    columns: Sequence[str],
    made_from: Mapping[str, Any],
    resume: bool,
) -> int:
    """Write `answer` of every row of `file` to `out` and return the number of rows.

    Windows lie at the same rows in every run, so that a resumed table equals an undisturbed one's to the byte, also
    in float32, where answers may depend on their batch in the last bit.
    """
    from distilbert.files.cache import sha256
    from distilbert.files.resumable import resumable_table
    from distilbert.files.tables import line_count, read_rows

    rows = read_rows(file)
    made_from = {"input": sha256(Path(file)), **made_from}
    with resumable_table(out, columns, made_from, resume=resume) as table:
        skipped = deque(islice(rows, table.rows), maxlen=1)
        if skipped:
            click.echo(f"{out}: {table.rows:,} texts were labelled already", err=True)
        with counted_texts(lambda: line_count(file), skipped[0].line if skipped else 0) as advance:
            try:
                for window, line in _windows(rows, text_of):
                    table.append(answer(window))
                    advance(len(window), line)
            except BaseException:
                if table.rows:
                    click.echo(f"note: {table.rows:,} texts are safe; --resume goes on from there", err=True)
                raise
        return table.rows


def _windows(rows: Iterator[Row], text_of: Callable[[Row], dict[str, str]]) -> Iterator[tuple[Texts, int]]:
    """Yield each window's texts, and the line it ends at."""
    texts: Texts = []
    characters = 0
    for row in rows:
        texts.append(text_of(row))
        characters += sum(map(len, texts[-1].values()))
        if len(texts) == WINDOW or characters >= CHARACTERS:
            yield texts, row.line
            texts, characters = [], 0
    if texts:
        yield texts, row.line
