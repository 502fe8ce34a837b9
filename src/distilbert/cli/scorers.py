"""How a model is scored, by its task: each of `SCORERS` reads the labelled file, asks the model, and measures."""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from distilbert.errors import OptionError
from distilbert.files.conll import read_conll
from distilbert.files.squad import read_squad
from distilbert.files.table_writer import write_rows
from distilbert.files.tables import format_of, read_rows
from distilbert.metrics.agreement import paired_rights
from distilbert.metrics.answers import normalised
from distilbert.metrics.classification import accuracy, correct
from distilbert.metrics.intervals import bootstrap
from distilbert.pipelines import load_model, pipeline
from distilbert.tasks.answer_measures import ANSWER_FIGURES, mean, measure_answers
from distilbert.tasks.entity_measures import gold_scheme, measure_entities
from distilbert.tasks.labels import refuse_other_labels
from distilbert.tasks.measures import MEASURES, problem_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from distilbert.files.conll import Sentence
    from distilbert.files.squad import Question
    from distilbert.files.tables import Row
    from distilbert.pipelines import RunModel
    from distilbert.tasks.answers import QuestionAnsweringPipeline
    from distilbert.tasks.classification import TextClassificationPipeline

    Figures = dict[str, Any]  # what JSON can hold


@dataclass(frozen=True)
class Asked:
    """What the command was asked for: its options, by their names."""

    file: str
    column: str
    pair_column: str | None
    label_column: str
    model: str
    revision: str | None
    against: str | None
    predictions: Path | None
    long: str | None
    threads: int | None
    engine: str | None


def score(asked: Asked, told_of_texts: Iterable[str]) -> Figures:
    """The figures of a model of any of `SCORERS`' tasks. `told_of_texts`: what the user said of a classifier's texts.

    Raises `OptionError` for what does not go with the model, `DataError` for a file that it cannot be scored on.
    """
    loaded = load_model("", asked.model, asked.revision, asked.threads, asked.engine)
    if loaded.task not in SCORERS:
        raise OptionError(
            f"{asked.model} is a model for {loaded.task}, not for text-classification.",
            f"Name a model for {', '.join(SCORERS)}.",
        )
    for name in told_of_texts if loaded.task != "text-classification" else ():
        option = f"--{name.replace('_', '-')}"
        raise OptionError(
            f"{option} is about classifiers, and {asked.model} is for {loaded.task}.", "Leave it out."
        )
    return SCORERS[loaded.task](loaded, asked)


# Classifiers


def _score_classifier(loaded: RunModel, asked: Asked) -> Figures:
    classify = pipeline("text-classification", loaded, long=asked.long)
    problem = problem_of(classify.config)
    if asked.against and problem != "single_label_classification":
        raise OptionError(
            f"--against counts labels that change, one a text; {asked.model} is for {problem}.",
            "Leave --against out.",
        )
    rows, measure = list(read_rows(asked.file)), MEASURES[problem]
    gold = measure.gold(rows, asked.label_column, classify.config)
    texts = [row.texts(asked.column, asked.pair_column) for row in rows]
    logits = np.array(list(classify.logits(texts)))
    predicted, statistics = measure.predicted(logits), measure.statistics(classify.config.num_labels)
    figures: Figures = {"rows": len(rows)}
    for name, statistic in statistics.items():
        figures[name] = statistic(predicted, gold)
        figures[f"{name}_interval"] = astuple(bootstrap(statistic, predicted, gold))
    if problem == "single_label_classification":
        figures["correct"] = int((predicted == gold).sum())
    if (constant := measure.constant(gold)) is not None:
        figures["constant"] = {name: statistic(constant, gold) for name, statistic in statistics.items()}
    if asked.predictions:
        # a regression's one label bears the name of the column that it was trained on
        names = ("predicted",) if problem == "regression" else classify.config.labels
        _write_scores(asked.predictions, rows, asked.label_column, measure.scores(logits), names)
    if asked.against:
        figures["against"] = _against_classifier(classify, asked, texts, predicted, gold)
    return figures


def _write_scores(
    path: Path, rows: Sequence[Row], label_column: str, scores: NDArray[np.float32], names: Sequence[str]
) -> None:
    """A row a text: where it stands, its own label, and what the model gives each of its labels, or its number."""
    given = (
        {"line": row.line, label_column: row.value(label_column)}
        | {name: round(float(score), 6) for name, score in zip(names, own, strict=True)}
        for row, own in zip(rows, scores, strict=True)
    )
    write_rows(path, given, ["line", label_column, *names])


def _against_classifier(
    classify: TextClassificationPipeline,
    asked: Asked,
    texts: Sequence[dict[str, str]],
    predicted: NDArray[np.int64],
    gold: NDArray[np.int64],
) -> Figures:
    other = pipeline("text-classification", asked.against, threads=asked.threads, long=asked.long)
    refuse_other_labels("--against", other.config.labels, "--model", classify.config.labels)
    ids = np.array([classify.config.label2id[label] for label in other.config.labels])
    before = ids[[logits.argmax() for logits in other.logits(texts)]]
    was, now = correct(before, gold), correct(predicted, gold)
    changed = _changed(before != predicted, was, now)
    return {"model": asked.against, "accuracy": accuracy(before, gold), **changed}


def _changed(differ: NDArray[np.bool_], was: NDArray[np.bool_], now: NDArray[np.bool_]) -> Figures:
    """How many answers differ, and how many were right and are now; all `[answers]`."""
    share = {"flips": int(differ.sum()), "flip_share": float(differ.mean())}
    return {**share, **asdict(paired_rights(was, now))}


# Taggers


def _score_tagger(loaded: RunModel, asked: Asked) -> Figures:
    sentences = list(read_conll(asked.file))
    scheme = gold_scheme(sentences, loaded.config.labels)
    predicted = _labels(loaded, sentences)
    figures = {"rows": len(sentences), **measure_entities(predicted, sentences, scheme)}
    if asked.predictions:
        _write_labels(asked.predictions, sentences, predicted)
    if asked.against:
        other = load_model(loaded.task, asked.against, threads=asked.threads)
        refuse_other_labels("--against", other.config.labels, "--model", loaded.config.labels)
        before, gold = _labels(other, sentences), [sentence.labels for sentence in sentences]
        was, now, right = (np.array([*chain.from_iterable(rows)]) for rows in (before, predicted, gold))
        f1 = measure_entities(before, sentences, scheme)["f1"]
        changed = _changed(was != now, was == right, now == right)
        figures["against"] = {"model": asked.against, "f1": f1, **changed}
    return figures


def _labels(model: RunModel, sentences: Sequence[Sentence]) -> list[list[str]]:
    tag = pipeline("token-classification", model)
    return list(tag.labels_of_words(sentence.words for sentence in sentences))


def _write_labels(path: Path, sentences: Sequence[Sentence], predicted: Sequence[Sequence[str]]) -> None:
    """A row a word: its sentence's number, its line, and both labels."""
    columns = ("sentence", "line", "word", "label", "predicted")
    words = (
        dict(zip(columns, (number, *word), strict=True))
        for number, (sentence, labels) in enumerate(zip(sentences, predicted, strict=True), 1)
        for word in zip(sentence.lines, sentence.words, sentence.labels, labels, strict=True)
    )
    write_rows(path, words, columns)


# Answerers


def _score_answerer(loaded: RunModel, asked: Asked) -> Figures:
    if asked.predictions and format_of(asked.predictions)[0] == "tsv":
        raise OptionError(
            f"--predictions {asked.predictions}: a .tsv holds no line breaks, and answers may have some.",
            "Write .jsonl or .csv.",
        )
    questions = list(read_squad(asked.file))
    gold = [[right.text for right in question.answers] for question in questions]
    found = _answers(pipeline("question-answering", loaded), questions)
    predicted = [best["answer"] for best in found]
    figures = {"rows": len(questions), **measure_answers(predicted, questions)}
    if asked.predictions:
        given = (
            {"id": question.id, "answers": right, "predicted": best["answer"], "score": best["score"]}
            for question, right, best in zip(questions, gold, found, strict=True)
        )
        write_rows(asked.predictions, given, ["id", "answers", "predicted", "score"])
    if asked.against:
        other = pipeline("question-answering", asked.against, threads=asked.threads)
        before = [best["answer"] for best in _answers(other, questions)]
        theirs, ours = (np.array([*map(normalised, answers)]) for answers in (before, predicted))
        was, now = (ANSWER_FIGURES["exact"](answers, gold) > 0 for answers in (before, predicted))
        f1 = mean(ANSWER_FIGURES["f1"](before, gold))
        figures["against"] = {"model": asked.against, "f1": f1, **_changed(theirs != ours, was, now)}
    return figures


def _answers(answer: QuestionAnsweringPipeline, questions: Sequence[Question]) -> list[dict[str, Any]]:
    """The best answer to each question; where some have none in their context, it may be ""."""
    asked = ({"question": question.question, "context": question.context} for question in questions)
    or_none = not all(question.answers for question in questions)
    found: Iterator[dict[str, Any]] = answer(asked, top_k=1, handle_impossible_answer=or_none)
    return list(found)


SCORERS: Mapping[str, Callable[[RunModel, Asked], Figures]] = {
    "text-classification": _score_classifier,
    "token-classification": _score_tagger,
    "question-answering": _score_answerer,
}
