"""`distilbert prepare`: a corpus becomes token ids on disk, which training reads without loading them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from distilbert.cli import options
from distilbert.cli.bulk import count_readable
from distilbert.cli.terminal import counted_texts
from distilbert.errors import OptionError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distilbert.corpus.manifest import Manifest
    from distilbert.text.tokenizer import DistilBertTokenizer


@click.command(
    epilog="""\b
Examples:
  distilbert prepare texts.txt --out my-data/
  distilbert prepare texts.txt --out my-data/ --resume
  distilbert prepare reviews.csv reviews.csv.gz --column review --tokenizer my-teacher/ --out my-data/
  distilbert prepare texts.txt --out my-data/ --repair"""
)
@click.argument("corpus", nargs=-1, required=True, metavar="CORPUS...")
@click.option("--out", required=True, metavar="DATA", help="The folder to make; it must not be there yet.")
@options.column
@click.option(
    "--tokenizer",
    "name",
    default="distilbert-sst2",
    show_default=True,
    metavar="NAME",
    help="The model whose vocabulary it is for: embedded, a folder or on the hub (owner/name).",
)
@options.revision
@options.threads
@click.option("--resume", is_flag=True, help="Go on with a --out that was interrupted.")
@click.option(
    "--repair", "mend", is_flag=True, help="Check every byte of --out, and make again what is damaged."
)
def command(
    corpus: tuple[str, ...],
    out: str,
    column: str,
    name: str,
    revision: str | None,
    threads: int | None,
    resume: bool,
    mend: bool,
) -> None:
    """Turn CORPUS, files of a text a line (.txt) or a row (.jsonl, .csv, .tsv; .gz too), into token ids.

    DATA.partial holds what is done, and --resume goes on from there, whatever stopped it.
    """
    if resume and mend:
        raise OptionError("--resume is for what is not whole yet, --repair for what was.", "Leave one out.")
    from distilbert.corpus.prepare import plan, texts_of
    from distilbert.engines.threads import choose_threads
    from distilbert.text.tokenizer import DistilBertTokenizer

    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the threads are ours
    threads = choose_threads(threads)
    tokenizer = DistilBertTokenizer.from_pretrained(name, revision=revision)
    planned = plan(corpus, column, tokenizer)

    def texts() -> Iterator[str]:
        return texts_of(corpus, column)

    if mend:
        _repair(Path(out), planned, texts, tokenizer, threads)
    else:
        _prepare(Path(out), planned, texts, tokenizer, threads, resume)


def _prepare(
    out: Path,
    planned: Manifest,
    texts: Callable[[], Iterator[str]],
    tokenizer: DistilBertTokenizer,
    threads: int,
    resume: bool,
) -> None:
    from distilbert.corpus.prepare import finished, preparation

    if resume and (made := finished(out, planned)):
        click.echo(f"{out}: {_sizes(made)}; nothing was left to do", err=True)
        return
    with preparation(out, planned, resume=resume) as under_way:
        safe = under_way.manifest
        if safe.shards:
            click.echo(f"note: {safe.texts:,} texts were prepared already", err=True)
        total = count_readable(texts())
        began = time.monotonic()
        with counted_texts("rows", total, safe.rows) as advance:
            try:
                under_way.go_on(texts(), tokenizer, threads, advance)
            except (KeyboardInterrupt, OSError, StorageError):
                if now := under_way.manifest.texts:
                    click.echo(f"note: {now:,} texts are safe; --resume goes on from there", err=True)
                raise
    made, seconds = under_way.manifest, time.monotonic() - began
    speed = (made.tokens - safe.tokens) / max(seconds, 1e-3)
    click.echo(f"{out}: {_sizes(made)}; {seconds:,.1f} seconds, {speed:,.0f} tokens a second", err=True)


def _repair(
    out: Path,
    planned: Manifest,
    texts: Callable[[], Iterator[str]],
    tokenizer: DistilBertTokenizer,
    threads: int,
) -> None:
    from distilbert.corpus.prepare import repair

    with counted_texts("rows") as advance:
        faults = repair(out, planned, texts(), tokenizer, threads, advance)
    for fault in faults:
        click.echo(f"note: {fault}", err=True)
    click.echo(f"{out}: {'made again, as it was' if faults else 'nothing to repair'}", err=True)


def _sizes(made: Manifest) -> str:
    """Texts, tokens and shards, as they are said at the end."""
    counts = {"text": made.texts, "token": made.tokens, "shard": len(made.shards)}
    texts, tokens, shards = (f"{count:,} {name}{'' if count == 1 else 's'}" for name, count in counts.items())
    return f"{texts}, {tokens} in {shards}"
