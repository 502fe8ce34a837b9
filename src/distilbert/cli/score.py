"""`distilbert score`: how right a model is on a labelled file, and which answers another model would change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distilbert.cli import options
from distilbert.cli.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@click.command(
    epilog="""\b
Examples:
  distilbert score --file dev.tsv --column sentence
  distilbert score --file dev.tsv --column sentence --model my-bundle/ --against my-checkpoint/
  distilbert score --file dev.tsv --column sentence --predictions predictions.tsv
  distilbert score --file dev.iob2 --model my-tagger/
  distilbert score --file dev.json --model my-answerer/ --predictions predictions.jsonl"""
)
@click.option(
    "--file",
    required=True,
    metavar="FILE",
    help="A labelled .csv, .tsv or .jsonl file, .gz too; for a tagger, one in CoNLL's format or .jsonl, for an "
    "answerer SQuAD's or .jsonl.",
)
@options.column
@options.pair_column
@options.label_column
@options.model
@options.revision
@click.option(
    "--against", metavar="NAME", help="A second model, to count the answers that change from it to --model."
)
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write such a table of what the figures are of: a row a text, with what each label gets; a row a word, with "
    "both labels; or a row a question, with the right answers and the model's.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@options.long
@options.threads
@options.engine
def command(*, as_json: bool, **asked: Any) -> None:
    """Score a model on FILE: its figures, each with its 95 % bootstrap interval over rows.

    Of one label a text: accuracy, and F1 of the second label where there are two, else the mean over labels. Of several
    labels a text: F1 over all of them (micro), and the mean over labels. Of a regression: Pearson's and Spearman's
    correlation. `constant` is what the best constant answer gets: what a model must beat. Of a tagger: precision,
    recall and F1 of entities, by seqeval's strict rules, over all and by type. Of an answerer: exact match and F1 over
    words, by SQuAD's rules.
    """
    from distilbert.cli.scorers import Asked, score

    figures = score(Asked(**asked), options.told_of_texts())
    result = {"model": asked["model"], "file": asked["file"], **figures}
    click.echo(json.dumps(result) if as_json else "\n".join(_lines(result)))


def _lines(result: Mapping[str, Any]) -> Iterator[str]:
    yield f"{result['model']} on {result['rows']:,} rows of {result['file']}"
    for name in (key for key in result if f"{key}_interval" in result):
        low, high = result[f"{name}_interval"]
        if name in ("pearson", "spearman"):
            yield f"  {name:<9}{result[name]:8.4f}   [{low:.4f}, {high:.4f}]"
        else:
            yield f"  {name:<9} {100 * result[name]:5.2f} %   [{100 * low:.2f}, {100 * high:.2f}]"
    for kind, score in result.get("types", {}).items():
        yield f"  {printable(kind):<9} {100 * score['f1']:5.2f} %   F1 of {score['entities']:,} entities"
    if against := result.get("against"):
        first = against["accuracy" if "accuracy" in against else "f1"]
        what = "labels" if "exact" not in result else "answers"
        yield (
            f"  against {against['model']} ({100 * first:.2f} %): {against['flips']:,} {what} changed "
            f"({100 * against['flip_share']:.2f} %), {against['right_to_wrong']:,} from right to wrong, "
            f"{against['wrong_to_right']:,} from wrong to right"
        )
