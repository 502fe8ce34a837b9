"""From a file of texts to a file of answers: in windows, in constant memory, resumable after a kill."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from distilbert.cli.terminal import counted_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from distilbert.files.resumable import ResumableTable
    from distilbert.files.tables import Row

WINDOW = 1024  # texts: what a kill may undo
CHARACTERS = 1 << 22  # in a window, which bounds memory where texts are books


def answer_in_windows(
    rows: Iterator[Row],
    answer: Callable[[list[Row]], Iterable[Mapping[str, Any]]],
    table: ResumableTable,
    count_lines: Callable[[], int],
) -> int:
    """Append `answer` of every window of rows that `table` does not hold yet; return how many it holds then.

    Windows lie at the same rows in every run, so that a resumed table equals an undisturbed one's to the byte, also
    in float32, where answers may depend on their batch in the last bit. `count_lines` counts the input's.
    """
    skipped = deque(islice(rows, table.rows), maxlen=1)
    if skipped:
        click.echo(f"note: {table.rows:,} texts were labelled already", err=True)
    with counted_texts(count_lines, skipped[0].line if skipped else 0) as advance:
        try:
            for window in _windows(rows):
                table.append(list(answer(window)))
                advance(len(window), window[-1].line)
        except BaseException:
            if table.rows:
                click.echo(f"note: {table.rows:,} texts are safe; --resume goes on from there", err=True)
            raise
    return table.rows


def _windows(rows: Iterator[Row]) -> Iterator[list[Row]]:
    window: list[Row] = []
    characters = 0
    for row in rows:
        window.append(row)
        characters += sum(len(value) for value in row.values.values() if isinstance(value, str))
        if len(window) == WINDOW or characters >= CHARACTERS:
            yield window
            window, characters = [], 0
    if window:
        yield window
