"""`distilbert compile`: a checkpoint becomes a bundle, in int8 if its answers stay close enough to float32's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from distilbert.cli import options
from distilbert.errors import DataError, OptionError

if TYPE_CHECKING:
    from distilbert.compile import Int8
    from distilbert.compile.probes import Text
    from distilbert.files.checkpoint import Checkpoint
    from distilbert.files.tables import Row
    from distilbert.text.tokenizer import DistilBertTokenizer

CONLL = (".conll", ".conllu", ".iob", ".iob2", ".bio")


@click.command(
    epilog="""\b
Examples:
  distilbert compile my-checkpoint/ --out my-bundle/ --calibrate texts.txt
  distilbert compile my-checkpoint/ --out my-bundle/ --calibrate train.tsv --column sentence --label-column label
  distilbert compile my-tagger/ --out my-bundle/ --calibrate train.iob2
  distilbert compile my-answerer/ --out my-bundle/ --calibrate train.json
  distilbert compile my-checkpoint/ --out my-bundle/ --precision fp32"""
)
@click.argument("checkpoint")
@options.revision
@click.option("--out", required=True, metavar="BUNDLE", help="The folder to make; it must not be there yet.")
@click.option("--precision", type=click.Choice(["int8", "fp32"]), default="int8", show_default=True)
@click.option(
    "--calibrate",
    metavar="FILE",
    help="Real texts like those the model will read: 512 of them calibrate int8, 2,000 to 5,000 others judge it. "
    "A table, sentences in CoNLL's format (.conll, .iob2, ...), or SQuAD's questions (.json); .gz too.",
)
@options.column
@options.pair_column
@click.option("--label-column", help="The column with the right labels, to see what int8 costs in accuracy.")
@click.option(
    "--keep-float",
    multiple=True,
    metavar="LAYERS",
    help="Linears to leave in float, such as layer.0.ffn.lin2 or 'layer.0.*'; may be repeated.",
)
@click.option(
    "--about", type=click.Path(exists=True, dir_okay=False), help="Markdown that opens the bundle's card."
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Decides which texts calibrate and which judge.",
)
def command(
    checkpoint: str,
    revision: str | None,
    out: str,
    precision: str,
    calibrate: str | None,
    column: str,
    pair_column: str | None,
    label_column: str | None,
    keep_float: tuple[str, ...],
    about: str | None,
    seed: int,
) -> None:
    """Compile CHECKPOINT, a folder in Hugging Face's layout or a model on the hub, into a bundle."""
    from distilbert.compile import compile_checkpoint
    from distilbert.files.hub import resolve

    if precision == "int8" and not calibrate:
        raise OptionError(
            "int8 needs --calibrate FILE: the range of each activation comes from real texts; there is no default.",
            "Give a file of a few thousand texts, or use --precision fp32.",
        )
    if precision == "fp32" and (calibrate or keep_float):
        raise OptionError(
            "--calibrate and --keep-float are for int8, and --precision is fp32.",
            "Leave them out, or compile to int8.",
        )
    source = resolve(checkpoint, revision=revision)
    int8 = None
    if precision == "int8" and calibrate:
        int8 = _int8(calibrate, column, pair_column, label_column, keep_float, seed)
    compile_checkpoint(
        source,
        Path(out),
        int8=int8,
        about=_read_about(about) if about else "",
        say=lambda line: click.echo(line, err=True),
    )
    size = sum(path.stat().st_size for path in Path(out).rglob("*") if path.is_file())
    click.echo(f"{out}: {precision}, {size / 1e6:.1f} MB. Try: distilbert verify {out}")


def _read_about(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 at byte {error.start + 1}.", "Save it as UTF-8 text."
        ) from error


def _int8(
    file: str,
    column: str,
    pair_column: str | None,
    label_column: str | None,
    keep_float: tuple[str, ...],
    seed: int,
) -> Int8:
    """Split a file's distinct texts, by the seed, into those to calibrate on and those to judge by."""
    from distilbert.compile import Gate, Int8
    from distilbert.compile.split import MAX_GATE_TEXTS, split_texts
    from distilbert.tasks.gates import GATES
    from distilbert.tasks.labels import label_ids

    texts, rows = _texts_and_rows(file, column, pair_column)
    for name in () if rows else options.told_of_texts():
        raise OptionError(f"--{name.replace('_', '-')} names a column, and {file} has none.", "Leave it out.")
    calibration, others = split_texts(texts, seed, file)
    judging = others[:MAX_GATE_TEXTS]

    def make_gate(checkpoint: Checkpoint, tokenizer: DistilBertTokenizer) -> Gate:
        gold = (
            label_ids([rows[place] for place in judging], label_column, checkpoint.config)
            if label_column
            else None
        )
        gate_texts = [texts[place] for place in judging]
        return Gate(*GATES[checkpoint.head](gate_texts, gold, tokenizer, checkpoint.config))

    return Int8([texts[place] for place in calibration], make_gate, keep_float)


def _texts_and_rows(file: str, column: str, pair_column: str | None) -> tuple[list[Text], list[Row]]:
    """A file's texts or pairs, and of a table its rows."""
    from distilbert.files.conll import read_conll
    from distilbert.files.squad import read_squad
    from distilbert.files.tables import read_rows

    form = Path(Path(file).name.lower().removesuffix(".gz")).suffix
    if form in CONLL:
        return [" ".join(sentence.words) for sentence in read_conll(file)], []
    if form == ".json":
        return [(question.question, question.context) for question in read_squad(file)], []
    rows = list(read_rows(file))
    return [
        (row.text(column), row.text(pair_column)) if pair_column else row.text(column) for row in rows
    ], rows
