"""`distilbert bench`: how fast a model is on this machine, beside every other way to run it that is installed."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import click

from distilbert.cli import options
from distilbert.cli.terminal import counted_texts, printable
from distilbert.errors import OptionError

TASK = "texts"


@click.command(
    epilog="""\b
Examples:
  distilbert bench distilbert-sst2
  distilbert bench my-bundle/ --texts texts.txt
  distilbert bench my-bundle/ --texts dev.tsv --column sentence --rounds 9 --json"""
)
@click.argument("model")
@click.option(
    "--texts",
    metavar="FILE",
    help="Texts like yours, of which the first 1,000 are timed [default: 200 paragraphs of Python's manual].",
)
@options.column
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="How often each way is timed, in turn with the others.",
)
@options.threads
@click.option("--json", "as_json", is_flag=True, help="Print every timing as one JSON object.")
def command(
    model: str, texts: str | None, column: str, rounds: int, threads: int | None, as_json: bool
) -> None:
    """Time MODEL, a text classifier, in all ways that are installed here, and say which to use.

    Ours on each engine; transformers' pipeline, torch.compile, PyTorch's, ONNX Runtime's, OpenVINO's and CTranslate2's
    int8, each as its makers recommend, in a process of its own; those that are not installed are named. A quiet machine
    gives steadier timings. MODEL is a folder (checkpoint or bundle), an embedded model or one on the hub.
    """
    from distilbert.bench.advice import HEADS, aligned, recommendation, rows
    from distilbert.bench.measured import Task
    from distilbert.bench.model import find_source, texts_of
    from distilbert.bench.running import Plan, measure, steps
    from distilbert.bench.ways import WAYS

    if texts is None and options.told_of_texts():
        raise OptionError("--column names a column, and there is no --texts.", "Name a table: --texts FILE.")
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as an exception: what was made goes
    click.get_current_context().call_on_close(lambda: signal.signal(signal.SIGTERM, before))
    given = texts_of(texts, column)
    plan = Plan([Task(TASK, given, alone=min(100, len(given)))], rounds, starts=1)
    with tempfile.TemporaryDirectory(prefix="distilbert-bench-") as made:
        source = find_source(model, Path(made), threads, given)
        with counted_texts("measurements", total=steps(WAYS, plan)) as tell:
            measured = measure(model, [(way, source) for way in WAYS], plan, lambda: tell(1))
    if as_json:
        click.echo(json.dumps(asdict(measured)))
        return
    for line in aligned([HEADS, *rows(measured, TASK)]):
        click.echo(printable(line))
    click.echo()
    for left in measured.left_out:
        advice = f" ({left.next_step})" if left.next_step else ""
        click.echo(printable(f"Not run: {left.name}: {left.reason}{advice}"))
    click.echo(printable(recommendation(measured, TASK)))
