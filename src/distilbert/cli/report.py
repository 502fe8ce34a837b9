"""`distilbert report`: what a student kept of its teacher, what it saved and how fast it is, as a page to show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from distilbert.cli import options
from distilbert.cli.terminal import counted_texts, printable


@click.command(
    epilog="""\b
Examples:
  distilbert report my-teacher/ my-student/ --data dev.tsv --column sentence --out report/
  distilbert report my-teacher/ my-student/ my-bundle/ distilbert-sst2 --data dev.tsv --column sentence --out all/
  distilbert report my-tagger/ my-smaller-tagger/ --data dev.iob2 --out entities/"""
)
@click.argument("teacher")
@click.argument("students", nargs=-1, required=True, metavar="STUDENT [BUNDLE]...")
@click.option("--data", required=True, metavar="FILE", help="A labelled file, as score takes it.")
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
    "timed_rows",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    help="How many of the rows, evenly spaced, to time with; scores are of all rows.",
)
@options.long
@options.threads
@options.engine
def command(
    teacher: str,
    students: tuple[str, ...],
    data: str,
    out: Path,
    rounds: int,
    timed_rows: int,
    threads: int | None,
    engine: str | None,
    **_: Any,
) -> None:
    """Compare classifiers, taggers or answerers with TEACHER on labelled rows, and write what came out into FOLDER.

    Models are folders (checkpoints, run in float32, or bundles), embedded models or models on the hub. FOLDER gets
    report.html and report.md, their pictures as PNG, report.json with every figure, and what the figures are computed
    from: predictions/, with the rows' texts in it, and timings.json. A quiet machine gives steadier timings.
    """
    from distilbert.report.pages import verdict
    from distilbert.report.writing import write_report

    figures = write_report(
        (teacher, *students),
        data,
        out,
        rounds=rounds,
        timed_rows=timed_rows,
        threads=threads,
        engine=engine,
        of_texts=options.told_of_texts(),
        counted=lambda total: counted_texts(total=total),
    )
    for model in figures["models"][1:]:
        click.echo(printable(f"{model['name']} {verdict(figures, model)}"))
    click.echo(printable(str(out / "report.html")))
