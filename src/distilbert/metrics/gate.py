"""The gate of int8: how far its answers may stray from float32's, and the verdict on those it gave."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from distilbert.metrics.agreement import cosine, flips, logit_error, paired_flips
from distilbert.metrics.classification import correct, pearson
from distilbert.metrics.intervals import paired_difference

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Answers = NDArray[np.float32]
    Labels = NDArray[np.int64]

MIN_TEXTS = 2_000
MAX_FLIPS = 0.005  # share of texts, or of tokens, whose label may change
MAX_CHANGES = 0.01  # share of masks that may be filled with another word
MAX_ENTITY_CHANGES = (
    0.025  # entities that only one of the two finds: few tokens are in one, and one flip changes two
)
MIN_OVERLAP = 0.95  # of answers with float32's, on average: what is partly the same counts partly
MIN_COSINE = 0.995  # on average, for encoders without head
MIN_CORRELATION = 0.999  # of a regression's numbers


@dataclass(frozen=True)
class Verdict:
    """Whether the gate lets a candidate through, the figures behind it, and the same in a sentence."""

    passed: bool
    error: float  # mean absolute difference of the answers: what remedies should lower
    figures: dict[str, float | int]
    said: str


@dataclass(frozen=True)
class Choices:
    """What a model chose from too many to keep, and some of the logits behind it."""

    chosen: NDArray[np.int64]  # [rows, parts]: a token's id; an answer's first character and the first beyond
    logits: Answers  # [rows, width]


@dataclass(frozen=True)
class Tags:
    """What a tagger said: logits, and the entities in them as (text, type, first token, the first beyond)."""

    logits: Answers  # [tokens, labels]
    entities: frozenset[tuple[int, str, int, int]]


def judge_labels(reference: Answers, candidate: Answers, gold: Labels | None = None) -> Verdict:
    """Judge a classifier by the labels that flip: logits `[texts, labels]`, and gold label ids `[texts]` if known.

    >>> logits = np.array([[1.0, 2.0], [2.0, 1.0]], np.float32)
    >>> judge_labels(logits, logits + 0.25).said
    '0 of 2 labels flipped (0.00 %, at most 0.50 %), mean logit error 0.250'
    """
    before, after = reference.argmax(axis=1), candidate.argmax(axis=1)
    figures: dict[str, float | int] = {}
    if gold is not None:
        paired = paired_flips(before, after, gold)
        change = paired_difference(correct(before, gold), correct(after, gold))
        figures = {
            "right_to_wrong": paired.right_to_wrong,
            "wrong_to_right": paired.wrong_to_right,
            "accuracy_change": change.value,
            "accuracy_change_low": change.interval.low,
            "accuracy_change_high": change.interval.high,
        }
    return _judge_flips(before, after, reference, candidate, figures)


def judge_label_sets(reference: Answers, candidate: Answers, gold: Labels | None = None) -> Verdict:
    """Judge a multi-label classifier: a text flips when any of its labels, those of positive logit, does."""
    del gold  # the share of flipped texts is the gate's rule; no figure here needs the gold labels
    return _judge_flips(reference > 0, candidate > 0, reference, candidate, {})


def judge_token_labels(reference: Answers, candidate: Answers, gold: Labels | None = None) -> Verdict:
    """Judge a tagger by the labels of tokens that flip: logits `[tokens, labels]`."""
    del gold
    before, after = reference.argmax(axis=1), candidate.argmax(axis=1)
    return _judge_flips(before, after, reference, candidate, {}, rows="tokens")


def judge_entities(reference: Tags, candidate: Tags) -> Verdict:
    """Judge a tagger by the labels of tokens that flip, and by the entities that only one of the two finds.

    >>> before = Tags(np.array([[1.0, 2.0]], np.float32), frozenset({(0, "PER", 0, 1)}))
    >>> judge_entities(before, before).said.partition("error ")[2]
    '0.000; 0 of 1 entities changed (0.00 %, at most 2.50 %)'
    """
    tokens = judge_token_labels(reference.logits, candidate.logits)
    entities = len(reference.entities | candidate.entities)
    changed = len(reference.entities ^ candidate.entities)
    share = changed / entities if entities else 0.0
    figures = {"entities": entities, "entities_changed": changed, "entity_change_share": share}
    said = f"{changed:,} of {entities:,} entities changed ({share:.2%}, at most {MAX_ENTITY_CHANGES:.2%})"
    return Verdict(
        tokens.passed and share <= MAX_ENTITY_CHANGES,
        tokens.error,
        {**tokens.figures, **figures},
        f"{tokens.said}; {said.replace('%', ' %')}",
    )


def judge_spans(reference: Choices, candidate: Choices) -> Verdict:
    """Judge an answerer by how far its answers overlap: 2·shared / (both lengths), in characters, on average.

    Not by those that change at all: a border moves by a word wherever two words are nearly as likely.

    >>> before, after = (Choices(np.array([[0, end]]), np.array([[2.0, 2.0]], np.float32)) for end in (5, 7))
    >>> judge_spans(before, after).said  # 2·5 / (5 + 7)
    '1 of 1 answers changed, overlap 83.33 % (at least 95.00 %), mean logit error 0.000'
    """
    before, after = reference.chosen, candidate.chosen
    shared = np.minimum(before, after)[:, 1] - np.maximum(before, after)[:, 0]
    lengths = (before[:, 1] - before[:, 0]) + (after[:, 1] - after[:, 0])
    overlaps = np.where(lengths > 0, 2 * shared.clip(0) / lengths.clip(1), 1.0)
    overlap, changed = float(overlaps.mean()), int((before != after).any(axis=1).sum())
    error = logit_error(reference.logits, candidate.logits)
    figures = {
        "answers": len(before),
        "answers_changed": changed,
        "answers_elsewhere": int((overlaps == 0).sum()),
        "overlap": overlap,
        "mean_logit_error": error.mean,
        "max_logit_error": error.max,
    }
    said = (
        f"{changed:,} of {len(before):,} answers changed, overlap {overlap:.2%} (at least {MIN_OVERLAP:.2%}), "
        f"mean logit error {error.mean:.3f}"
    ).replace("%", " %")
    return Verdict(overlap >= MIN_OVERLAP and isfinite(error.mean), error.mean, figures, said)


def judge_choices(reference: Choices, candidate: Choices) -> Verdict:
    """Judge what fills masks by the words that change.

    >>> before = Choices(np.array([[7], [9]]), np.array([[1.0], [2.0]], np.float32))
    >>> judge_choices(before, before).said
    '0 of 2 choices flipped (0.00 %, at most 1.00 %), mean logit error 0.000'
    """
    changed = (reference.chosen != candidate.chosen).any(axis=1)
    return _judge_flips(
        np.zeros_like(changed),
        changed,
        reference.logits,
        candidate.logits,
        {},
        rows="choices",
        what="choices",
        most=MAX_CHANGES,
    )


def _judge_flips(
    before: NDArray[np.generic],
    after: NDArray[np.generic],
    reference: Answers,
    candidate: Answers,
    more: dict[str, float | int],
    *,
    rows: str = "texts",
    what: str = "labels",
    most: float = MAX_FLIPS,
) -> Verdict:
    flipped, error = flips(before.astype(np.int64), after.astype(np.int64)), logit_error(reference, candidate)
    figures = {
        rows: flipped.rows,
        "flips": flipped.count,
        "flip_share": flipped.share,
        "mean_logit_error": error.mean,
        "max_logit_error": error.max,
        **more,
    }
    said = (
        f"{flipped.count:,} of {flipped.rows:,} {what} flipped ({flipped.share:.2%}, at most {most:.2%}), "
        f"mean logit error {error.mean:.3f}"
    ).replace("%", " %")
    # A logit that is not a number flips no label when argmax happens to agree; it must not pass for that.
    return Verdict(flipped.share <= most and isfinite(error.mean), error.mean, figures, said)


def judge_numbers(reference: Answers, candidate: Answers, gold: Labels | None = None) -> Verdict:
    """Judge a regression by how its numbers `[texts, 1]` correlate with float32's."""
    del gold
    correlation, error = pearson(reference[:, 0], candidate[:, 0]), logit_error(reference, candidate)
    figures = {
        "texts": len(reference),
        "correlation": correlation,
        "mean_error": error.mean,
        "max_error": error.max,
    }
    said = f"correlation {correlation:.5f} over {len(reference):,} texts (at least {MIN_CORRELATION})"
    return Verdict(correlation >= MIN_CORRELATION, error.mean, figures, said)


def judge_vectors(reference: Answers, candidate: Answers, gold: Labels | None = None) -> Verdict:
    """Judge an encoder by the cosine of its vectors `[tokens, dim]` with float32's."""
    del gold
    cosines, error = cosine(reference, candidate), logit_error(reference, candidate)
    mean, lowest = float(cosines.mean()), float(cosines.min())
    figures = {"tokens": len(cosines), "mean_cosine": mean, "lowest_cosine": lowest, "mean_error": error.mean}
    said = f"mean cosine {mean:.5f} over {len(cosines):,} tokens (at least {MIN_COSINE}), lowest {lowest:.3f}"
    return Verdict(mean >= MIN_COSINE, error.mean, figures, said)
