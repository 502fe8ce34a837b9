"""`distilbert score`: how right a model is on a labelled file, and which labels another model would change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from distilbert.cli import options
from distilbert.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from distilbert.tasks.classification import TextClassificationPipeline


@click.command(
    epilog="""\b
Examples:
  distilbert score --file dev.tsv --column sentence
  distilbert score --file dev.tsv --column sentence --model my-bundle/ --against my-checkpoint/"""
)
@click.option("--file", required=True, metavar="FILE", help="A labelled .csv, .tsv or .jsonl file, .gz too.")
@options.column
@options.pair_column
@click.option(
    "--label-column", default="label", show_default=True, help="The column with names or ids of labels."
)
@options.model
@options.revision
@click.option(
    "--against", metavar="NAME", help="A second model, to count the labels that change from it to --model."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@options.long
@options.threads
def command(
    file: str,
    column: str,
    pair_column: str | None,
    label_column: str,
    model: str,
    revision: str | None,
    against: str | None,
    as_json: bool,
    long: str | None,
    threads: int | None,
) -> None:
    """Score a single-label classifier on FILE: accuracy and F1, each with its 95 % bootstrap interval over rows.

    F1 is of the second label where there are two, else the mean over labels.
    """
    from distilbert.files.tables import read_rows
    from distilbert.tasks.labels import label_ids

    classify = _load(model, revision, threads=threads, long=long)
    rows = list(read_rows(file))
    gold = label_ids(rows, label_column, classify.config)
    texts = [options.text_of(row, column, pair_column) for row in rows]
    predicted = _labels(classify, texts)
    result = {"model": model, "file": file, "rows": len(rows), **_scores(predicted, gold, classify)}
    if against:
        other = _load(against, threads=threads, long=long)
        before = _places(other, classify)[_labels(other, texts)]
        result["against"] = {"model": against, **_changes(before, predicted, gold)}
    click.echo(json.dumps(result) if as_json else _sentences(result))


def _load(model: str, revision: str | None = None, **choices: Any) -> TextClassificationPipeline:
    from distilbert.pipelines import pipeline

    classify = pipeline("text-classification", model, revision=revision, **choices)
    config = classify.config
    if config.problem_type in {"regression", "multi_label_classification"} or config.num_labels == 1:
        raise OptionError(
            f"score measures one label of several; {model} has {config.num_labels} and the problem_type "
            f"{config.problem_type}.",
            "Label the file with `distilbert classify` and measure its answers.",
        )
    return classify


def _places(other: TextClassificationPipeline, classify: TextClassificationPipeline) -> NDArray[np.int64]:
    """The id that each label of `other` has in `classify`: int64 `[labels]`."""
    import numpy as np

    ours, theirs = classify.config.label2id, other.config.labels
    if set(ours) != set(theirs):
        raise OptionError(
            f"--against has the labels {', '.join(theirs)}, but --model {', '.join(ours)}.",
            "Compare models that know the same labels.",
        )
    return np.array([ours[label] for label in theirs], np.int64)


def _labels(classify: TextClassificationPipeline, texts: list[dict[str, str]]) -> NDArray[np.int64]:
    import numpy as np

    return np.array([logits.argmax() for logits in classify.logits(texts)], np.int64)


def _scores(
    predicted: NDArray[np.int64], gold: NDArray[np.int64], classify: TextClassificationPipeline
) -> dict[str, Any]:
    from dataclasses import astuple
    from functools import partial

    from distilbert.metrics.classification import accuracy, f1
    from distilbert.metrics.intervals import bootstrap

    statistics: dict[str, Callable[..., float]] = {
        "accuracy": accuracy,
        "f1": partial(f1, average="binary" if classify.config.num_labels == 2 else "macro"),
    }
    scores: dict[str, Any] = {"correct": int((predicted == gold).sum())}
    for name, statistic in statistics.items():
        scores[name] = statistic(predicted, gold)
        scores[f"{name}_interval"] = astuple(bootstrap(statistic, predicted, gold))
    return scores


def _changes(before: NDArray[np.int64], after: NDArray[np.int64], gold: NDArray[np.int64]) -> dict[str, Any]:
    from dataclasses import asdict

    from distilbert.metrics.agreement import flips, paired_flips
    from distilbert.metrics.classification import accuracy

    flipped = flips(before, after)
    return {
        "accuracy": accuracy(before, gold),
        "flips": flipped.count,
        "flip_share": flipped.share,
        **asdict(paired_flips(before, after, gold)),
    }


def _sentences(result: dict[str, Any]) -> str:
    lines = [f"{result['model']} on {result['rows']:,} rows of {result['file']}"]
    for name in ("accuracy", "f1"):
        low, high = result[f"{name}_interval"]
        lines.append(f"  {name:<9}{100 * result[name]:6.2f} %   [{100 * low:.2f}, {100 * high:.2f}]")
    if against := result.get("against"):
        lines.append(
            f"  against {against['model']} ({100 * against['accuracy']:.2f} %): {against['flips']:,} labels changed "
            f"({100 * against['flip_share']:.2f} %), {against['right_to_wrong']:,} from right to wrong, "
            f"{against['wrong_to_right']:,} from wrong to right"
        )
    return "\n".join(lines)
