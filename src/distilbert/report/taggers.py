"""What a report asks of taggers: the entities of sentences of labelled words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from distilbert.files.conll import Sentence, read_conll
from distilbert.metrics.entities import entities_in, entity_counts
from distilbert.report.problem import Problem, Read, agreement
from distilbert.tasks.entity_measures import ENTITY_FIGURES, gold_scheme

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from distilbert.files.config import DistilBertConfig
    from distilbert.metrics.entities import Entity
    from distilbert.report.problem import Figures
    from distilbert.report.stored import Answer, Predictions, Row
    from distilbert.tasks.tokens import TokenClassificationPipeline


def _read(file: str, config: DistilBertConfig) -> Read:
    """Rows: `line`, that of the first word, `words`, and `gold`, a label for each."""
    sentences = list(read_conll(file))
    gold_scheme(sentences, config.labels)  # refuses other labels
    rows = [
        {"line": sentence.lines[0], "words": [*sentence.words], "gold": [*sentence.labels]}
        for sentence in sentences
    ]
    return Read(rows, config.labels, {})


def _answers(tag: TokenClassificationPipeline, rows: Sequence[Row], _: Sequence[str]) -> Iterator[Answer]:
    """A label for each word, and its probability; null for a word of which the tokenizer keeps nothing."""
    for tags in tag.tags_of_words(row["words"] for row in rows):
        yield {"answer": [label for label, _ in tags], "scores": [score for _, score in tags]}


def _scheme(predictions: Predictions) -> str:
    sentences = (
        Sentence(
            predictions.data, tuple(row["words"]), tuple(row["gold"]), (row["line"],) * len(row["words"])
        )
        for row in predictions.rows
    )
    return gold_scheme([*sentences], predictions.labels)


def _labels(predictions: Predictions, place: int) -> list[list[str]]:
    return [answer["answer"] for answer in predictions.answers[place]]


def _gold(predictions: Predictions) -> list[list[str]]:
    return [row["gold"] for row in predictions.rows]


def _entities(predictions: Predictions, labels: Sequence[Sequence[str]]) -> list[list[Entity]]:
    """Each sentence's entities."""
    scheme = _scheme(predictions)
    return [entities_in(row, scheme) for row in labels]


def _measured(predictions: Predictions, place: int) -> NDArray[np.int64]:
    """Entities that are right, found and there, `[rows, 3]`."""
    return entity_counts(_labels(predictions, place), _gold(predictions), _scheme(predictions))


def _agreement(predictions: Predictions, place: int) -> Figures:
    """A sentence is right if all of its entities are."""
    gold = _entities(predictions, _gold(predictions))
    before, after = (_entities(predictions, _labels(predictions, each)) for each in (0, place))
    return agreement(~_same(before, after), _same(before, gold), _same(after, gold))


def _same(a: list[list[Entity]], b: list[list[Entity]]) -> NDArray[np.bool_]:
    return np.array([ours == theirs for ours, theirs in zip(a, b, strict=True)])


def _distances(predictions: Predictions, place: int) -> NDArray[np.float64]:
    """Where entities differ, how sure both are of different labels: of the word of which they are surest."""
    before, after = (_entities(predictions, _labels(predictions, each)) for each in (0, place))
    surest = map(_of_different_labels, predictions.answers[0], predictions.answers[place])
    return np.where(_same(before, after), 0.0, [*surest])


def _of_different_labels(a: Answer, b: Answer) -> float:
    """The lesser of the two scores of a word with different labels, at its greatest."""
    words = zip(a["answer"], b["answer"], a["scores"], b["scores"], strict=True)
    # no score: a word of which one model's tokenizer keeps nothing
    return max(
        (min(theirs or 0.0, ours or 0.0) for was, now, theirs, ours in words if was != now), default=0.0
    )


def _points(predictions: Predictions, place: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]] | None:
    """Of the words of which the tokenizer keeps something, if there are any."""
    points = [
        (score, said == right)
        for answer, gold in zip(predictions.answers[place], _gold(predictions), strict=True)
        for score, said, right in zip(answer["scores"], answer["answer"], gold, strict=True)
        if score is not None
    ]
    if not points:
        return None
    sure, right = zip(*points, strict=True)
    return np.array(sure), np.array(right)


def _told(predictions: Predictions, place: int, row: int) -> Figures:
    stored = predictions.rows[row]
    words, scheme = stored["words"], _scheme(predictions)

    def said(place: int) -> Figures:
        answer = predictions.answers[place][row]
        found = entities_in(answer["answer"], scheme)
        scores = [float(np.mean(answer["scores"][entity.start : entity.end])) for entity in found]
        return {"answer": [_shown(entity, words) for entity in found], "scores": scores}

    return {
        "line": stored["line"],
        "text": " ".join(words),
        "gold": [_shown(entity, words) for entity in entities_in(stored["gold"], scheme)],
        "reference": said(0),
        "model": said(place),
    }


def _shown(entity: Entity, words: Sequence[str]) -> str:
    return f"{' '.join(words[entity.start : entity.end])} ({entity.type})"


ENTITIES = Problem(
    task="token-classification",
    labelled=True,
    unit="sentence",
    sure="the probability of the label it gives a word",
    read=_read,
    answers=_answers,
    measured=_measured,
    statistics=lambda _: {name: ENTITY_FIGURES[name] for name in ("f1", "precision", "recall")},
    constant=lambda _: None,  # the same label for every word finds nothing
    agreement=_agreement,
    distances=_distances,
    points=_points,
    told=_told,
)
