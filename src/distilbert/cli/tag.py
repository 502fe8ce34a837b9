"""`distilbert tag`: find the entities in the texts of the command line, of a file or of standard input."""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from itertools import cycle, tee
from typing import TYPE_CHECKING, Any

import click

from distilbert.cli import options
from distilbert.cli.bulk import refuse_misuse, refuse_resume, rows_of, write_answers
from distilbert.cli.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from distilbert.tasks.tokens import TokenClassificationPipeline

_ANSWERS = re.compile("text|entities")  # columns that answers have
_COLOURS = (
    "green",
    "cyan",
    "magenta",
    "yellow",
    "blue",
    "red",
)  # of types, in the order of the model's labels


@click.command(
    epilog="""\b
Examples:
  distilbert tag "Ada Lovelace lived in London."
  distilbert tag --file reviews.csv --column review --out entities.csv
  distilbert tag --file reviews.csv --column review --keep id --out entities.jsonl --resume
  zcat reviews.csv.gz | distilbert tag --model my-tagger/ --file - --format csv --column review --json"""
)
@options.texts
@options.file
@options.format_
@options.column
@options.keep
@options.out
@options.resume
@click.option(
    "--aggregation-strategy",
    type=click.Choice(["none", "simple", "first", "average", "max"]),
    default="first",
    show_default=True,
    help="none: tokens by themselves. simple: neighbours of one type together. The others so, but a word has one "
    "label: its first token's, that of its tokens' mean, or its most certain token's.",
)
@options.tagger
@options.revision
@options.as_json
@options.threads
@options.engine
def command(
    texts: tuple[str, ...],
    file: str | None,
    format: str | None,  # noqa: A002
    column: str,
    keep: tuple[str, ...],
    out: str | None,
    resume: bool,
    aggregation_strategy: str,
    model: str,
    revision: str | None,
    as_json: bool,
    threads: int | None,
    engine: str | None,
) -> None:
    """Find the entities in TEXTs, or in the texts of --file, and show each where it stands.

    A text may be of any length: it is read whole, a long one line by line. --json and --out have a row a text, with all
    of its `entities`: type, score, start, end and text; in .csv, .tsv and .parquet these are JSON in one cell.
    """
    from distilbert.files.table_writer import write_rows
    from distilbert.files.tables import format_of
    from distilbert.pipelines import load_model, pipeline

    example = 'distilbert tag "Ada Lovelace lived in London."'
    refuse_misuse(texts, file, out, as_json, keep, taken=_ANSWERS, example=example)
    if resume:
        refuse_resume(file, out)
    rows = partial(rows_of, texts, file, format, keep, column)
    first = rows()  # a file that is not there is told before the model is loaded
    loaded = load_model("token-classification", model, revision, threads, engine)
    tag = pipeline("token-classification", loaded, aggregation_strategy=aggregation_strategy)
    columns = [*keep, "text", "entities"]
    if out:
        in_cells = format_of(out)[0] != "jsonl"
        write_answers(
            out,
            columns,
            rows,
            lambda window: _answers(tag, window, in_cells=in_cells),
            file=file,
            model=loaded,
            options={
                "--format": format,
                "--column": column,
                "--keep": list(keep),
                "--aggregation-strategy": aggregation_strategy,
            },
            resume=resume,
        )
    elif as_json:
        write_rows("-", _answers(tag, first), columns, format="jsonl")
    else:
        _print(_answers(tag, first), tag.config.labels)


def _answers(
    tag: TokenClassificationPipeline, rows: Iterable[dict[str, Any]], *, in_cells: bool = False
) -> Iterator[dict[str, Any]]:
    """Each row with its `entities`: a list, or as JSON for tables whose cells are text."""
    rows, again = tee(rows)
    for row, entities in zip(rows, tag(row["text"] for row in again), strict=True):
        yield row | {"entities": json.dumps(entities, ensure_ascii=False) if in_cells else entities}


def _print(answers: Iterable[dict[str, Any]], labels: Sequence[str]) -> None:
    """One line a text, its entities coloured on a terminal, and elsewhere in brackets."""
    from distilbert.metrics.entities import split_label

    types = dict.fromkeys(split_label(label)[1] for label in labels)
    colours = dict(zip(types, cycle(_COLOURS), strict=False)) if sys.stdout.isatty() else {}
    for row in answers:
        text, shown, end = row["text"], "", 0
        for entity in row["entities"]:
            label = entity.get("entity_group") or entity["entity"]
            colour = colours.get(split_label(label)[1])
            shown += printable(text[end : entity["start"]])
            shown += _marked(printable(entity["text"]), printable(label), colour)
            end = entity["end"]
        click.echo(shown + printable(text[end:]))


def _marked(text: str, label: str, colour: str | None) -> str:
    if colour is None:
        return f"[{text} {label}]"
    return click.style(text, fg=colour, bold=True) + click.style(f" {label}", fg=colour, dim=True)
