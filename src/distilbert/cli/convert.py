"""`distilbert convert`: a `pytorch_model.bin` becomes a checkpoint that holds weights and nothing else."""

from __future__ import annotations

import click


@click.command(
    epilog="""\b
Examples:
  distilbert convert my-model/pytorch_model.bin --out my-safe-checkpoint/
  distilbert convert pytorch_model.bin --out ../my-safe-checkpoint/"""
)
@click.argument("file", metavar="PYTORCH_MODEL.BIN")
@click.option(
    "--out", required=True, metavar="CHECKPOINT", help="The folder to make; it must not be there yet."
)
def command(file: str, out: str) -> None:
    """Write the weights in PYTORCH_MODEL.BIN, with the config.json and tokenizer beside it, as a safe checkpoint.

    The file is a pickle, which can carry code: it is read as weights, and one that holds anything else is refused.
    """
    from distilbert.models import convert

    convert(file, out)
    click.echo(f"{out}: model.safetensors. Try: distilbert classify --model {out} TEXT")
