"""`distilbert classify`: label the texts of the command line, of a file or of standard input."""

from __future__ import annotations

from functools import partial
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distilbert.cli import options
from distilbert.cli.bulk import answer_in_windows
from distilbert.cli.terminal import counted_texts, printable
from distilbert.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from distilbert.tasks.classification import TextClassificationPipeline


@click.command(
    epilog="""\b
Examples:
  distilbert classify "A warm and funny film." "Dull."
  distilbert classify --file reviews.csv --column review --out answers.csv
  distilbert classify --file reviews.csv --column review --out answers.csv --resume
  zcat reviews.csv.gz | distilbert classify --file - --format csv --column review --json"""
)
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option(
    "--file",
    metavar="FILE",
    help="A .txt, .csv, .tsv or .jsonl file, .gz too, or .parquet; - is standard input.",
)
@click.option(
    "--format",
    type=click.Choice(["txt", "csv", "tsv", "jsonl"]),
    help="What --file is, where its name does not say [default for -: txt].",
)
@options.column
@options.pair_column
@click.option("--out", metavar="FILE", help="Write the texts with their labels to such a file.")
@click.option("--resume", is_flag=True, help="Go on with an --out that was interrupted.")
@click.option("--top-k", type=click.IntRange(1), help="So many labels a text, best first.")
@options.model
@options.revision
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a text.")
@options.long
@options.threads
def command(
    texts: tuple[str, ...],
    file: str | None,
    format: str | None,  # noqa: A002
    column: str,
    pair_column: str | None,
    out: str | None,
    resume: bool,
    top_k: int | None,
    model: str,
    revision: str | None,
    as_json: bool,
    long: str | None,
    threads: int | None,
) -> None:
    """Label TEXTs, or the texts of --file, with a model: the embedded one unless --model names another.

    From a file to a file it works piece by piece: OUT.partial holds what is done, and --resume goes on from there,
    whatever stopped it.
    """
    from distilbert.files.bundle import manifest_sha256
    from distilbert.files.cache import sha256
    from distilbert.files.resumable import resumable_table
    from distilbert.files.table_writer import write_rows
    from distilbert.files.tables import line_count, read_rows
    from distilbert.pipelines import load_model, pipeline

    _refuse_misuse(texts, file, pair_column, out, as_json)
    at_once = _why_at_once(file, out)
    if resume and at_once:
        raise OptionError(*at_once)
    text_of = partial(options.text_of, column=column, pair_column=pair_column)
    table = read_rows(file, format=format) if file else None
    rows = ({"text": text} for text in texts) if table is None else map(text_of, table)
    loaded = load_model("text-classification", model, revision, threads)
    classify = pipeline("text-classification", loaded, long=long)
    if not out:
        answers = _answers(classify, rows, top_k)
        if as_json:
            write_rows("-", answers, _json_columns(top_k, pair_column), format="jsonl")
        else:
            _print(_flat(answers), min(top_k or 1, classify.config.num_labels))
        return
    columns = _columns(classify.config.num_labels, top_k, pair_column)
    if at_once or not (file and table):
        count = write_rows(out, _flat(_counted(_answers(classify, rows, top_k))), columns)
    else:
        made_from = {
            "input": sha256(Path(file)),
            "model": manifest_sha256(loaded.folder),
            "--format": format,
            "--column": column,
            "--pair-column": pair_column,
            "--top-k": top_k,
            "--long": long,
        }
        with resumable_table(Path(out), columns, made_from, resume=resume) as answered:
            count = answer_in_windows(
                table,
                lambda window: _flat(_answers(classify, [text_of(row) for row in window], top_k)),
                answered,
                partial(line_count, file, format=format),
            )
    click.echo(f"{out}: {count:,} {'text' if count == 1 else 'texts'} labelled", err=True)


def _refuse_misuse(
    texts: tuple[str, ...], file: str | None, pair_column: str | None, out: str | None, as_json: bool
) -> None:
    if bool(texts) == bool(file):
        raise OptionError(
            "Give texts or --file FILE, one of the two.",
            'For example: distilbert classify "A warm and funny film."',
        )
    if pair_column and not file:
        raise OptionError(
            "--pair-column names a column of --file, and there is no file.", "Give --file FILE."
        )
    if out and file and Path(out).exists() and Path(file).exists() and Path(out).samefile(file):
        raise OptionError(f"--out {out} is the file that is read.", "Choose another name: --out answers.csv.")
    if out and as_json:
        raise OptionError(
            "--json prints; --out writes a file.", "Leave one out: --out answers.jsonl has both."
        )


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


def _answers(
    classify: TextClassificationPipeline, rows: Iterable[dict[str, str]], top_k: int | None
) -> Iterator[dict[str, Any]]:
    """Each text with its answer: `label` and `score`, or with --top-k a list of them under `answers`."""
    rows, texts = (rows, rows) if isinstance(rows, list) else tee(rows)
    if top_k is None:
        for row, answer in zip(rows, classify(texts), strict=True):
            yield row | answer
    else:
        for row, answer in zip(rows, classify(texts, top_k=top_k), strict=True):
            yield row | {"answers": answer}


def _counted(answers: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    with counted_texts() as advance:
        for answer in answers:
            yield answer
            advance(1)


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
