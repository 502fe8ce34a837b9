"""`distilbert score`: how right a model is on a labelled file, and which labels another model would change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distilbert.cli import options
from distilbert.cli.terminal import printable
from distilbert.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from distilbert.files.tables import Row
    from distilbert.tasks.answers import QuestionAnsweringPipeline
    from distilbert.tasks.classification import TextClassificationPipeline
    from distilbert.tasks.tokens import TokenClassificationPipeline


@click.command(
    epilog="""\b
Examples:
  distilbert score --file dev.tsv --column sentence
  distilbert score --file dev.tsv --column sentence --model my-bundle/ --against my-checkpoint/
  distilbert score --file dev.tsv --column sentence --predictions predictions.tsv
  distilbert score --file dev.iob2 --model my-tagger/
  distilbert score --file dev.json --model my-answerer/"""
)
@click.option(
    "--file",
    required=True,
    metavar="FILE",
    help="A labelled .csv, .tsv or .jsonl file, .gz too; for a tagger, one in CoNLL's format, for an answerer SQuAD's.",
)
@options.column
@options.pair_column
@options.label_column
@options.model
@options.revision
@click.option(
    "--against", metavar="NAME", help="A second model, to count the labels that change from it to --model."
)
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write each row's line, its label, and what the model gives each label to such a table.",
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
    predictions: Path | None,
    as_json: bool,
    long: str | None,
    threads: int | None,
) -> None:
    """Score a model on FILE: its figures, each with its 95 % bootstrap interval over rows.

    Of one label a text: accuracy, and F1 of the second label where there are two, else the mean over labels. Of several
    labels a text: F1 over all of them (micro), and the mean over labels. Of a regression: Pearson's and Spearman's
    correlation. `constant` is what the best constant answer gets: what a model must beat. Of a tagger: precision,
    recall and F1 of entities, by seqeval's strict rules, over all and by type. Of an answerer: exact match and F1 over
    words, by SQuAD's rules.
    """
    import numpy as np

    from distilbert.files.tables import read_rows
    from distilbert.pipelines import load_model, pipeline
    from distilbert.tasks.measures import MEASURES, problem_of

    loaded = load_model("", model, revision, threads)
    if loaded.task in _NO_CLASSIFIERS:
        for_classifiers = {"--pair-column": pair_column, "--predictions": predictions}
        _refuse_unless_classifier(
            model, loaded.task, {**for_classifiers, "--against": against, "--long": long}
        )
        rows_and_figures = _NO_CLASSIFIERS[loaded.task](pipeline(loaded.task, loaded), file)
        result: dict[str, Any] = {"model": model, "file": file, **rows_and_figures}
        click.echo(json.dumps(result) if as_json else _sentences(result))
        return
    if loaded.task != "text-classification":
        raise OptionError(
            f"{model} is a model for {loaded.task}, not for text-classification.",
            f"Name a model for text-classification, {' or '.join(_NO_CLASSIFIERS)}.",
        )
    classify = pipeline("text-classification", loaded, long=long)
    problem = problem_of(classify.config)
    if against and problem != "single_label_classification":
        raise OptionError(
            f"--against counts labels that change, one a text; {model} is for {problem}.",
            "Leave --against out.",
        )
    rows, measure = list(read_rows(file)), MEASURES[problem]
    gold = measure.gold(rows, label_column, classify.config)
    texts = [options.text_of(row, column, pair_column) for row in rows]
    logits = np.array(list(classify.logits(texts)))
    predicted = measure.predicted(logits)
    statistics = measure.statistics(classify.config.num_labels)
    result = {"model": model, "file": file, "rows": len(rows), **_scores(predicted, gold, statistics)}
    if problem == "single_label_classification":
        result["correct"] = int((predicted == gold).sum())
    if (constant := measure.constant(gold)) is not None:
        result["constant"] = {name: statistic(constant, gold) for name, statistic in statistics.items()}
    if predictions:
        # a regression's one label bears the name of the column that it was trained on
        names = ("predicted",) if problem == "regression" else classify.config.labels
        _write_predictions(predictions, rows, label_column, measure.scores(logits), names)
    if against:
        other = pipeline("text-classification", against, threads=threads, long=long)
        before = _places(other, classify)[_labels(other, texts)]
        result["against"] = {"model": against, **_changes(before, predicted, gold)}
    click.echo(json.dumps(result) if as_json else _sentences(result))


def _refuse_unless_classifier(model: str, task: str, options: Mapping[str, object]) -> None:
    for option, value in options.items():
        if value is not None:
            raise OptionError(f"{option} is about classifiers, and {model} is for {task}.", "Leave it out.")


def _score_tagger(tag: TokenClassificationPipeline, file: str) -> dict[str, Any]:
    from distilbert.files.conll import read_conll
    from distilbert.tasks.entity_measures import measure_entities

    sentences = list(read_conll(file))
    return {"rows": len(sentences), **measure_entities(tag, sentences)}


def _score_answerer(answer: QuestionAnsweringPipeline, file: str) -> dict[str, Any]:
    from distilbert.files.squad import read_squad
    from distilbert.tasks.answer_measures import measure_answers

    questions = list(read_squad(file))
    return {"rows": len(questions), **measure_answers(answer, questions)}


_NO_CLASSIFIERS: Mapping[str, Callable[[Any, str], dict[str, Any]]] = {
    "token-classification": _score_tagger,
    "question-answering": _score_answerer,
}


def _write_predictions(
    path: Path, rows: Sequence[Row], label_column: str, scores: NDArray[np.float32], names: Sequence[str]
) -> None:
    """A row a text: where it stands, its own label, and what the model gives each of its labels, or its number."""
    from distilbert.files.table_writer import write_rows

    told = (
        {"line": row.line, label_column: row.value(label_column)}
        | {name: round(float(score), 6) for name, score in zip(names, scores_of_row, strict=True)}
        for row, scores_of_row in zip(rows, scores, strict=True)
    )
    write_rows(path, told, ["line", label_column, *names])


def _places(other: TextClassificationPipeline, classify: TextClassificationPipeline) -> NDArray[np.int64]:
    """The id that each label of `other` has in `classify`: int64 `[labels]`."""
    import numpy as np

    from distilbert.tasks.labels import refuse_other_labels

    ours, theirs = classify.config, other.config
    refuse_other_labels("--against", theirs.labels, "--model", ours.labels)
    return np.array([ours.label2id[label] for label in theirs.labels], np.int64)


def _labels(classify: TextClassificationPipeline, texts: list[dict[str, str]]) -> NDArray[np.int64]:
    import numpy as np

    return np.array([logits.argmax() for logits in classify.logits(texts)], np.int64)


def _scores(
    predicted: NDArray[Any], gold: NDArray[Any], statistics: Mapping[str, Callable[..., float]]
) -> dict[str, Any]:
    from dataclasses import astuple

    from distilbert.metrics.intervals import bootstrap

    scores: dict[str, Any] = {}
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
    for name in (key for key in result if f"{key}_interval" in result):
        low, high = result[f"{name}_interval"]
        if name in ("pearson", "spearman"):
            lines.append(f"  {name:<9}{result[name]:8.4f}   [{low:.4f}, {high:.4f}]")
        else:
            lines.append(f"  {name:<9} {100 * result[name]:5.2f} %   [{100 * low:.2f}, {100 * high:.2f}]")
    for kind, score in result.get("types", {}).items():
        lines.append(
            f"  {printable(kind):<9} {100 * score['f1']:5.2f} %   F1 of {score['entities']:,} entities"
        )
    if against := result.get("against"):
        lines.append(
            f"  against {against['model']} ({100 * against['accuracy']:.2f} %): {against['flips']:,} labels changed "
            f"({100 * against['flip_share']:.2f} %), {against['right_to_wrong']:,} from right to wrong, "
            f"{against['wrong_to_right']:,} from wrong to right"
        )
    return "\n".join(lines)
