"""`distilbert classify`: label the texts of the command line, of a file or of standard input."""

from __future__ import annotations

import re
from functools import partial
from itertools import tee
from typing import TYPE_CHECKING, Any

import click

from distilbert.cli import options
from distilbert.cli.bulk import refuse_misuse, refuse_resume, rows_of, write_answers
from distilbert.cli.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from distilbert.tasks.classification import TextClassificationPipeline

_ANSWERS = re.compile(r"text|text_pair|answers|(label|score)(_\d+)?")  # columns that answers have


@click.command(
    epilog="""\b
Examples:
  distilbert classify "A warm and funny film." "Dull."
  distilbert classify --file reviews.csv --column review --out answers.csv
  distilbert classify --file reviews.csv --column review --keep id --out answers.csv --resume
  zcat reviews.csv.gz | distilbert classify --file - --format csv --column review --json"""
)
@options.texts
@options.file
@options.format_
@options.column
@options.pair_column
@options.keep
@options.out
@options.resume
@click.option("--top-k", type=click.IntRange(1), help="So many labels a text, best first.")
@options.model
@options.revision
@options.as_json
@options.long
@options.threads
@options.engine
def command(
    texts: tuple[str, ...],
    file: str | None,
    format: str | None,  # noqa: A002
    column: str,
    pair_column: str | None,
    keep: tuple[str, ...],
    out: str | None,
    resume: bool,
    top_k: int | None,
    model: str,
    revision: str | None,
    as_json: bool,
    long: str | None,
    threads: int | None,
    engine: str | None,
) -> None:
    """Label TEXTs, or the texts of --file, with a model: the embedded one unless --model names another.

    From a file to a file it works piece by piece: OUT.partial holds what is done, and --resume goes on from there,
    whatever stopped it.
    """
    from distilbert.files.table_writer import write_rows
    from distilbert.pipelines import load_model, pipeline

    example = 'distilbert classify "A warm and funny film."'
    refuse_misuse(texts, file, out, as_json, keep, pair_column, taken=_ANSWERS, example=example)
    if resume:
        refuse_resume(file, out)
    rows = partial(rows_of, texts, file, format, keep, column, pair_column)
    first = rows()  # a file that is not there is told before the model is loaded
    loaded = load_model("text-classification", model, revision, threads, engine)
    classify = pipeline("text-classification", loaded, long=long)
    if out:
        write_answers(
            out,
            [*keep, *_columns(classify.config.num_labels, top_k, pair_column)],
            rows,
            lambda window: _flat(_answers(classify, window, top_k)),
            file=file,
            model=loaded,
            options={
                "--format": format,
                "--column": column,
                "--pair-column": pair_column,
                "--keep": list(keep),
                "--top-k": top_k,
                "--long": long,
            },
            resume=resume,
        )
    elif as_json:
        answers = _answers(classify, first, top_k)
        write_rows("-", answers, [*keep, *_json_columns(top_k, pair_column)], format="jsonl")
    else:
        _print(_flat(_answers(classify, first, top_k)), min(top_k or 1, classify.config.num_labels))


def _answers(
    classify: TextClassificationPipeline, rows: Iterable[dict[str, Any]], top_k: int | None
) -> Iterator[dict[str, Any]]:
    """Each row with its answer: `label` and `score`, or with --top-k a list of them under `answers`."""
    rows, again = (rows, rows) if isinstance(rows, list) else tee(rows)
    texts = ({key: row[key] for key in ("text", "text_pair") if key in row} for row in again)
    inputs = [*texts] if isinstance(rows, list) else texts
    if top_k is None:
        for row, answer in zip(rows, classify(inputs), strict=True):
            yield row | answer
    else:
        for row, answer in zip(rows, classify(inputs, top_k=top_k), strict=True):
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


def _print(answers: Iterable[dict[str, Any]], top_k: int) -> None:
    """One line a text: label, score, text; labels coloured on a terminal."""
    colours = {"POSITIVE": "green", "NEGATIVE": "red"}
    for row in answers:
        text = " / ".join(printable(row[key]) for key in ("text", "text_pair") if key in row)
        for place in range(1, top_k + 1):
            suffix = "" if place == 1 else f"_{place}"
            if f"label{suffix}" in row:
                label, score = row[f"label{suffix}"], row[f"score{suffix}"]
                shown = click.style(f"{printable(label):<10}", fg=colours.get(label, "cyan"))
                click.echo(f"{shown} {score:.4f}  {text if place == 1 else ''}".rstrip())
