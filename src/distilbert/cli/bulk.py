"""From a file of texts to a file of answers: in windows, in constant memory, resumable after a kill."""

from __future__ import annotations

from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from distilbert import __version__
from distilbert.cli.terminal import counted_texts
from distilbert.errors import EngineError, OptionError, StorageError

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from distilbert.files.resumable import ResumableTable
    from distilbert.files.tables import Row
    from distilbert.pipelines import RunModel

    Answer: TypeAlias = Callable[[Iterable["Given"]], Iterable[Mapping[str, Any]]]

WINDOW = 1024  # texts: what a kill may undo
CHARACTERS = 1 << 22  # in a window, which bounds memory where texts are books


class Given(dict[str, Any]):
    """What an answer repeats of its row: the columns to keep, and the text or pair."""

    place = ""  # where the row stands, in the words of an error


def refuse_misuse(
    texts: tuple[str, ...],
    file: str | None,
    out: str | None,
    as_json: bool,
    keep: Sequence[str],
    pair_column: str | None = None,
    *,
    taken: re.Pattern[str],
    example: str,
) -> None:
    """Raise `OptionError` for options that cannot go together. `taken`: the columns that answers have."""
    if bool(texts) == bool(file):
        raise OptionError("Give texts or --file FILE, one of the two.", f"For example: {example}")
    for option, value in (("--pair-column", pair_column), ("--keep", keep)):
        if value and not file:
            raise OptionError(
                f"{option} names a column of --file, and there is no file.", "Give --file FILE."
            )
    if twins := [name for name in keep if keep.count(name) > 1 or taken.fullmatch(name)]:
        raise OptionError(
            f"--keep {twins[0]}: the answers have a column of that name already.", "Rename it in the file."
        )
    if out and file and Path(out).exists() and Path(file).exists() and Path(out).samefile(file):
        raise OptionError(f"--out {out} is the file that is read.", "Choose another name: --out answers.csv.")
    if out and as_json:
        raise OptionError(
            "--json prints; --out writes a file.", "Leave one out: --out answers.jsonl has both."
        )


def rows_of(
    texts: tuple[str, ...],
    file: str | None,
    format: str | None,  # noqa: A002
    keep: Sequence[str],
    column: str,
    pair_column: str | None = None,
) -> Iterator[Given]:
    """What is given to be answered: texts, or a file's rows. Raises as `read_rows` does."""
    if not file:
        return (Given(text=text) for text in texts)
    from distilbert.files.tables import read_rows

    return (_given(row, keep, column, pair_column) for row in read_rows(file, format=format))


def _given(row: Row, keep: Sequence[str], column: str, pair_column: str | None) -> Given:
    """What an answer repeats of its row: the columns to keep, empty ones too, and the text or pair."""
    kept = {name: row.values[name] if name in row.values else row.value(name) for name in keep}
    given = Given(kept | row.texts(column, pair_column))
    given.place = row.place
    return given


def refuse_resume(file: str | None, out: str | None) -> None:
    """Raise `OptionError` where --resume cannot be."""
    if at_once := _why_at_once(file, out):
        raise OptionError(*at_once)


def _why_at_once(file: str | None, out: str | None) -> tuple[str, str] | None:
    """Why --out cannot be written piece by piece, so that --resume could go on with it; None if it can."""
    if not file or not out:
        return "--resume goes on with an --out that was made from a --file.", "Give both."
    if file == "-":
        return (
            "--resume reads its input again, and standard input can be read once.",
            "Save it to a file first.",
        )
    if not Path(file).is_file():
        return f"--resume reads its input again, and {file} is no regular file.", "Save it to a file first."
    if out == "-" or (Path(out).exists() and not Path(out).is_file()):
        return f"--resume goes on with a file, and --out {out} is none.", "Name a file."
    if out.lower().endswith(".parquet"):
        return f"--resume cannot go on with {out}: parquet is written in one go.", "Write .csv or .jsonl."
    return None


def write_answers(
    out: str,
    columns: Sequence[str],
    rows: Callable[[], Iterator[Given]],
    answer: Answer,
    *,
    file: str | None,
    model: RunModel,
    options: Mapping[str, Any],
    resume: bool,
    done: str = "labelled",
) -> None:
    """Write `answer` of all `rows` to `out`, and say how many: piece by piece where --resume could go on with it.

    `model`, its engine, `file` and `options`, by the names that a user knows, are what the answers depend on. `rows` is
    called for each pass over them. `done`: what was done to each, to be told.
    """
    from distilbert.files.resumable import resumable_table
    from distilbert.files.table_writer import write_rows

    if not file or _why_at_once(file, out):
        count = write_rows(out, _counted(answer(rows())), columns)
    else:
        made_from = _made_from(file, model, options)
        with resumable_table(Path(out), columns, made_from, resume=resume) as answered:
            count = count_readable(rows())
            answer_in_windows(rows(), count, answer, answered, done)
    click.echo(f"{out}: {count:,} {'text' if count == 1 else 'texts'} {done}", err=True)


def _made_from(file: str, model: RunModel, options: Mapping[str, Any]) -> dict[str, Any]:
    from distilbert.files.bundle import manifest_sha256
    from distilbert.files.cache import sha256

    return {
        "input": sha256(Path(file)),
        "model": manifest_sha256(model.folder),
        "distilbert": __version__,
        "engine": f"{model.engine.library} {version(model.engine.library)}",
        **options,
    }


def _counted(answers: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    with counted_texts() as advance:
        for answer in answers:
            yield answer
            advance(1)


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
    rows: Iterator[Given], total: int, answer: Answer, table: ResumableTable, verb: str
) -> None:
    """Append `answer` of every window of the `total` rows that `table` does not hold yet.

    Windows lie at the same rows in every run, so that a resumed table equals an undisturbed one's to the byte, also
    in float32, where answers may depend on their batch in the last bit.
    """
    if done := sum(1 for _ in islice(rows, table.rows)):
        click.echo(f"note: {done:,} texts were {verb} already", err=True)
    with counted_texts("texts", total, done) as advance:
        try:
            for window in _windows(rows):
                table.append(list(answer(window)))
                advance(len(window))
        except (KeyboardInterrupt, EngineError, StorageError):
            if table.rows:
                click.echo(f"note: {table.rows:,} texts are safe; --resume goes on from there", err=True)
            raise


def _windows(rows: Iterator[Given]) -> Iterator[list[Given]]:
    window: list[Given] = []
    characters = 0
    for row in rows:
        window.append(row)
        characters += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(window) == WINDOW or characters >= CHARACTERS:
            yield window
            window, characters = [], 0
    if window:
        yield window
