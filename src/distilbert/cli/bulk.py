"""From a file of texts to a file of answers: in windows, in constant memory, resumable after a kill."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from distilbert.cli.terminal import counted_texts
from distilbert.errors import EngineError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from distilbert.files.resumable import ResumableTable
    from distilbert.files.tables import Row

WINDOW = 1024  # texts: what a kill may undo
CHARACTERS = 1 << 22  # in a window, which bounds memory where texts are books


def count_readable(texts: Iterable[object]) -> int:
    """Count the texts, so that a fault in the last line is told before hours of work, and not after."""
    count = 0
    with counted_texts("texts read") as advance:
        for _ in texts:
            count += 1
            if count % WINDOW == 0:
                advance(WINDOW)
    return count


def answer_in_windows(
    rows: Iterator[Row],
    total: int,
    answer: Callable[[list[Row]], Iterable[Mapping[str, Any]]],
    table: ResumableTable,
) -> None:
    """Append `answer` of every window of the `total` rows that `table` does not hold yet.

    Windows lie at the same rows in every run, so that a resumed table equals an undisturbed one's to the byte, also
    in float32, where answers may depend on their batch in the last bit.
    """
    if done := sum(1 for _ in islice(rows, table.rows)):
        click.echo(f"note: {done:,} texts were labelled already", err=True)
    with counted_texts("texts", total, done) as advance:
        try:
            for window in _windows(rows):
                table.append(list(answer(window)))
                advance(len(window))
        except (KeyboardInterrupt, EngineError, StorageError):
            if table.rows:
                click.echo(f"note: {table.rows:,} texts are safe; --resume goes on from there", err=True)
            raise


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
