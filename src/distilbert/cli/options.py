"""Options that several commands share, so that they are named and explained once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from distilbert.files.tables import Row

model = click.option(
    "--model",
    default="distilbert-sst2",
    show_default=True,
    metavar="NAME",
    help="Embedded model, folder or model on the hub (owner/name).",
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


def text_of(row: Row, column: str, pair_column: str | None) -> dict[str, str]:
    """A row's text, or pair of texts, as a pipeline takes it."""
    text = {"text": row.text(column)}
    return text | {"text_pair": row.text(pair_column)} if pair_column else text
