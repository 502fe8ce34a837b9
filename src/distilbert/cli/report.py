"""`distilbert report`: what a student kept of its teacher, what it saved and how fast it is, as a page to show."""

from __future__ import annotations

from pathlib import Path

import click

from distilbert.cli import options
from distilbert.cli.terminal import counted_texts, printable


@click.command(
    epilog="""\b
Examples:
  distilbert report my-teacher/ my-student/ --data dev.tsv --column sentence --out report/
  distilbert report my-teacher/ my-student/ my-bundle/ distilbert-sst2 --data dev.tsv --column sentence --out all/"""
)
@click.argument("teacher")
@click.argument("students", nargs=-1, required=True, metavar="STUDENT [BUNDLE]...")
@click.option("--data", required=True, metavar="FILE", help="A labelled .csv, .tsv or .jsonl file, .gz too.")
@options.column
@options.pair_column
@options.label_column
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="FOLDER", help="The report to make."
)
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="How often each model is timed, in turn with the others.",
)
@click.option(
    "--texts",
    "timed_texts",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    help="How many of the rows, evenly spaced, to time with; scores are of all rows.",
)
@options.long
@options.threads
def command(
    teacher: str,
    students: tuple[str, ...],
    data: str,
    column: str,
    pair_column: str | None,
    label_column: str,
    out: Path,
    rounds: int,
    timed_texts: int,
    long: str | None,
    threads: int | None,
) -> None:
    """Compare classifiers with TEACHER on labelled rows, and write what came out into FOLDER.

    Models are folders (checkpoints, run in float32, or bundles), embedded models or models on the hub. FOLDER gets
    report.html and report.md, their pictures as PNG, report.json with every figure, and what the figures are computed
    from: predictions/, with the rows' texts in it, and timings.json. A quiet machine gives steadier timings.
    """
    from distilbert.files.tables import read_rows
    from distilbert.report.pages import verdict
    from distilbert.report.writing import texts_to_read, write_report

    rows = list(read_rows(data))
    texts = [options.text_of(row, column, pair_column) for row in rows]
    names = (teacher, *students)
    with counted_texts(total=texts_to_read(len(names), len(texts), rounds, timed_texts)) as tell:
        figures = write_report(
            names,
            Path(data).name,
            rows,
            texts,
            label_column,
            out,
            rounds=rounds,
            timed_texts=timed_texts,
            options={"threads": threads, "long": long},
            tell=tell,
        )
    for model in figures["models"][1:]:
        click.echo(printable(f"{model['name']} {verdict(figures, model)}"))
    click.echo(printable(str(out / "report.html")))
