"""Options that several commands share, so that they are named and explained once."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

texts = click.argument("texts", nargs=-1, metavar="[TEXT]...")
file = click.option(
    "--file",
    metavar="FILE",
    help="A .txt, .csv, .tsv or .jsonl file, .gz too, or .parquet; - is standard input.",
)
format_ = click.option(
    "--format",
    type=click.Choice(["txt", "csv", "tsv", "jsonl"]),
    help="What --file is, where its name does not say [default for -: txt].",
)
keep = click.option(
    "--keep", multiple=True, metavar="COLUMN", help="Repeat this column of --file in --out and --json."
)
out = click.option("--out", metavar="FILE", help="Write the texts with their labels to such a file.")
resume = click.option("--resume", is_flag=True, help="Go on with an --out that was interrupted.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a text.")
model, tagger, answerer = (
    click.option(
        "--model",
        default=default,
        show_default=True,
        metavar="NAME",
        help="Embedded model, folder or model on the hub (owner/name).",
    )
    for default in ("distilbert-sst2", "distilbert-uner", "distilbert-squad")
)
revision = click.option("--revision", metavar="NAME", help="Branch, tag or commit of a model on the hub.")
column = click.option("--column", default="text", show_default=True, help="The column that holds the texts.")
pair_column = click.option("--pair-column", help="The column that holds each text's second half, for pairs.")
label_column = click.option(
    "--label-column", default="label", show_default=True, help="The column with names or ids of labels."
)
long = click.option(
    "--long",
    type=click.Choice(["truncate", "error", "window"]),
    help="Texts longer than the model reads: cut them, refuse them, or read them whole in windows "
    "[default: cut, and say so once].",
)
threads = click.option(
    "--threads", type=click.IntRange(1), help="Batches computed at the same time [default: all processors]."
)
engine = click.option(
    "--engine",
    type=click.Choice(["onnxruntime", "openvino"]),
    help="What computes [default: onnxruntime, or openvino where it is installed, MODEL's int8 passed its gate there, "
    "and it is faster here].",
)


def told_of_texts() -> dict[str, Any]:
    """Those of the options about classifiers' texts that the running command was told, by their parameters' names."""
    context = click.get_current_context()
    return {
        name: context.params[name]
        for name in ("column", "pair_column", "label_column", "long")
        if name in context.params and context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
