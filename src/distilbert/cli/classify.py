"""`distilbert classify`: label the texts of the command line, of a file or of standard input."""

from __future__ import annotations

import sys
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distilbert.cli import options
from distilbert.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@click.command(
    epilog="""\b
Examples:
  distilbert classify "A warm and funny film." "Dull."
  distilbert classify --file reviews.csv --column review --out answers.csv
  zcat reviews.txt.gz | distilbert classify --file - --json"""
)
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option(
    "--file", metavar="FILE", help="A .txt, .csv, .tsv or .jsonl file, .gz too; - is standard input."
)
@options.column
@options.pair_column
@click.option("--out", metavar="FILE", help="Write a .csv, .tsv or .jsonl file, .gz too.")
@click.option("--top-k", type=click.IntRange(1), help="So many labels a text, best first.")
@options.model
@options.revision
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a text.")
@options.long
@options.threads
def command(
    texts: tuple[str, ...],
    file: str | None,
    column: str,
    pair_column: str | None,
    out: str | None,
    top_k: int | None,
    model: str,
    revision: str | None,
    as_json: bool,
    long: str | None,
    threads: int | None,
) -> None:
    """Label TEXTs, or the texts of --file, with a model: the embedded one unless --model names another."""
    from distilbert.files.tables import read_rows, write_rows
    from distilbert.pipelines import pipeline

    if bool(texts) == bool(file):
        raise OptionError(
            "Give texts or --file FILE, one of the two.",
            'For example: distilbert classify "A warm and funny film."',
        )
    if pair_column and not file:
        raise OptionError(
            "--pair-column names a column of --file, and there is no file.", "Give --file FILE."
        )
    if out is not None and file and Path(out).exists() and Path(file).exists() and Path(out).samefile(file):
        raise OptionError(f"--out {out} is the file that is read.", "Choose another name: --out answers.csv.")
    if out is not None and as_json:
        raise OptionError(
            "--json prints; --out writes a file.", "Leave one out: --out answers.jsonl has both."
        )
    rows = ({"text": text} for text in texts)
    if file:
        rows = (options.text_of(row, column, pair_column) for row in read_rows(file))
    classify = pipeline("text-classification", model, revision=revision, threads=threads, long=long)
    answers = _answers(classify, rows, top_k)
    if out is not None:
        count = write_rows(
            out, _flat(_progress(answers)), _columns(classify.config.num_labels, top_k, pair_column)
        )
        click.echo(f"{out}: {count:,} {'text' if count == 1 else 'texts'} labelled", err=True)
    elif as_json:
        write_rows("-", answers, _json_columns(top_k, pair_column), format="jsonl")
    else:
        _print(_flat(answers), min(top_k or 1, classify.config.num_labels))


def _answers(classify: Any, rows: Iterable[dict[str, str]], top_k: int | None) -> Iterator[dict[str, Any]]:
    """Each text with its answer: `label` and `score`, or with --top-k a list of them under `answers`."""
    rows, texts = tee(rows)
    if top_k is None:
        for row, answer in zip(rows, classify(texts), strict=True):
            yield row | answer
    else:
        for row, answer in zip(rows, classify(texts, top_k=top_k), strict=True):
            yield row | {"answers": answer}


def _json_columns(top_k: int | None, pair_column: str | None) -> list[str]:
    text = ["text", "text_pair"] if pair_column else ["text"]
    return text + (["label", "score"] if top_k is None else ["answers"])


def _columns(num_labels: int, top_k: int | None, pair_column: str | None) -> list[str]:
    """Columns of a flat table: the second best label is `label_2`."""
    text = ["text", "text_pair"] if pair_column else ["text"]
    places = range(1, min(top_k or 1, num_labels) + 1)
    return text + [
        f"{name}{'' if place == 1 else f'_{place}'}" for place in places for name in ("label", "score")
    ]


def _flat(answers: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in answers:
        flat = {key: value for key, value in row.items() if key != "answers"}
        for place, scored in enumerate(row.get("answers", []), 1):
            suffix = "" if place == 1 else f"_{place}"
            flat |= {f"label{suffix}": scored["label"], f"score{suffix}": scored["score"]}
        yield flat


def _progress(answers: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Count on a terminal's error stream; elsewhere pass through."""
    if not sys.stderr.isatty():
        yield from answers
        return
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TimeElapsedColumn
    from rich.text import Text

    class Count(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = f", {task.speed:,.0f} a second" if task.speed else ""
            return Text(f"{task.completed:,.0f} texts{speed}")

    with Progress(
        SpinnerColumn(), Count(), TimeElapsedColumn(), console=Console(stderr=True), transient=True
    ) as progress:
        task = progress.add_task("")
        for answer in answers:
            yield answer
            progress.advance(task)


def _print(answers: Iterable[dict[str, Any]], top_k: int) -> None:
    """One line a text: label, score, text; labels coloured on a terminal."""
    colours = {"POSITIVE": "green", "NEGATIVE": "red"}
    for row in answers:
        text = " / ".join(_printable(row[key]) for key in ("text", "text_pair") if key in row)
        for place in range(1, top_k + 1):
            suffix = "" if place == 1 else f"_{place}"
            if f"label{suffix}" in row:
                label, score = row[f"label{suffix}"], row[f"score{suffix}"]
                shown = click.style(f"{label:<10}", fg=colours.get(label, "cyan"))
                click.echo(f"{shown} {score:.4f}  {text if place == 1 else ''}".rstrip())


def _printable(text: str) -> str:
    """A text on one line, without what would move a terminal's cursor or change its colours."""
    return "".join(char if char.isprintable() else " " for char in text)
