"""Entities in rows of labels, and how right they are, by seqeval's strict rules: type, start and end must all be right.

| scheme | an entity is                                         | its labels    |
| ------ | ---------------------------------------------------- | ------------- |
| IOB1   | I-X, then I-X; B-X only where one of X stood before  | B, I, O       |
| IOB2   | B-X, then I-X                                        | B, I, O       |
| BILOU  | B-X, I-X in between, L-X at last; or U-X alone       | B, I, L, U, O |
| IOBES  | B-X, I-X in between, E-X at last; or S-X alone       | B, I, E, S, O |

Labels that break their scheme are no entity: in IOB2 an I-X without its B-X, in BILOU a B-X without its L-X. Source of
the rules, IOB1's gaps included: seqeval 1.2.2, `mode="strict"`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from distilbert.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

OUTSIDE = "O"


class Entity(NamedTuple):
    """One entity of a row: its type, its first label's place, and the first place beyond it."""

    type: str
    start: int
    end: int


class _Scheme(NamedTuple):
    """Where entities start, go on and end: the letter before, the letter here ("?" is any), and whether their types
    are the same ("="), are not ("/"), or may be either ("*").
    """

    letters: str
    start: str
    inside: str
    end: str


SCHEMES = {
    "IOB2": _Scheme("BI", "?B*", "BI= II=", "IO* II/ IB* BO* BI/ BB*"),
    "IOB1": _Scheme("BI", "OI* II/ BI* IB= BB=", "BI= II=", "II/ IO* IB* BO* BI/ BB="),
    "BILOU": _Scheme("BILU", "?B* ?U*", "BI= BL= II= IL=", "U?* L?*"),
    "IOBES": _Scheme("BIES", "?B* ?S*", "BI= BE= II= IE=", "S?* E?*"),
}
_LETTERS = frozenset("BILUES")


def split_label(label: str) -> tuple[str, str]:
    """The letter and the type of a label, cut at its first dash; no letter where it begins with none of a scheme's.

    >>> split_label("B-WORK-OF-ART"), split_label("WORK-OF-ART"), split_label("O")
    (('B', 'WORK-OF-ART'), ('', 'WORK-OF-ART'), ('', 'O'))
    """
    letter, _, kind = label.partition("-")
    return (letter, kind) if kind and letter in _LETTERS else ("", label)


def scheme_of(labels: Iterable[str]) -> str | None:
    """The scheme that labels are of; None where no label says how entities begin or go on, as in parts of speech.

    IOB1 and IOB2 have the same labels; this is IOB2 where there is a B. Raises `OptionError` for labels of no scheme.

    >>> scheme_of(["O", "B-PER", "I-PER"]), scheme_of(["O", "U-PER", "B-PER", "I-PER", "L-PER"]), scheme_of(["NOUN"])
    ('IOB2', 'BILOU', None)
    """
    letters = {label: split_label(label)[0] for label in labels if label != OUTSIDE}
    used = set(letters.values())
    if not used & {"B", "I"}:
        return None
    if used == {"I"}:
        return "IOB1"
    if found := next((name for name, scheme in SCHEMES.items() if used <= set(scheme.letters)), None):
        return found
    stranger = next((label for label, letter in letters.items() if letter not in ("B", "I")), "")
    raise OptionError(
        f"The label {stranger!r} is of no scheme together with {', '.join(map(repr, letters))}: "
        f"there are {', '.join(SCHEMES)}, and types alone.",
        "Rename the labels, as in config.json: B-PER begins a PER, I-PER goes on with it.",
    )


def beginning_with(letter: str, labels: Sequence[str]) -> Iterator[int]:
    """The places of labels that have this letter and are not behind one of their own type.

    Of I there are such in IOB1, and of B in IOB2.

    >>> [*beginning_with("I", ["I-PER", "I-PER", "B-PER", "O", "I-LOC"])]
    [0, 4]
    """
    before = ""
    for place, label in enumerate(labels):
        own, kind = split_label(label)
        if own == letter and kind != before:
            yield place
        before = kind


def entities_in(labels: Sequence[str], scheme: str = "IOB2") -> list[Entity]:
    """The entities of a row of labels, in order. Raises `OptionError` for an unknown scheme, or a label not of it.

    >>> entities_in(["B-PER", "I-PER", "O", "I-LOC", "B-ORG"])
    [Entity(type='PER', start=0, end=2), Entity(type='ORG', start=4, end=5)]
    >>> entities_in(["B-PER", "L-PER", "O", "B-LOC"], scheme="BILOU")
    [Entity(type='PER', start=0, end=2)]
    """
    if scheme not in SCHEMES:
        raise OptionError(f"scheme must be one of {', '.join(SCHEMES)}, not {scheme!r}.", "Choose one.")
    rules = SCHEMES[scheme]
    start, inside, end = (frozenset(patterns.split()) for patterns in rules[1:])
    tags = [*(_tag(label, scheme) for label in labels), (OUTSIDE, "")]
    entities = []
    before, place = (OUTSIDE, ""), 0
    while place < len(tags):
        first, place = place, place + 1
        if _matches(before, tags[first], start):
            while _matches(tags[place - 1], tags[place], inside):
                place += 1
            if _matches(tags[place - 1], tags[place], end):
                entities.append(Entity(tags[first][1], first, place))
        before = tags[place - 1]
    return entities


def _tag(label: str, scheme: str) -> tuple[str, str]:
    if label == OUTSIDE:
        return OUTSIDE, ""
    letter, kind = split_label(label)
    if letter and letter in SCHEMES[scheme].letters:
        return letter, kind
    letters = ", ".join(SCHEMES[scheme].letters)
    raise OptionError(
        f"{label!r} is no label of {scheme}, which are O, or one of {letters} with a dash and a type.",
        f"Mend it, or name its scheme: {', '.join(SCHEMES)}.",
    )


def _matches(before: tuple[str, str], here: tuple[str, str], patterns: frozenset[str]) -> bool:
    same = "=" if before[1] == here[1] else "/"
    pairs = (before[0] + here[0], "?" + here[0], before[0] + "?")
    return any(f"{pair}{types}" in patterns for pair in pairs for types in (same, "*"))


@dataclass(frozen=True)
class EntityScore:
    """How many entities were found, how many there are, and how many of those found are right."""

    right: int
    predicted: int
    gold: int

    @property
    def precision(self) -> float:
        """The share of those found that are right; 0 where none was found."""
        return self.right / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """The share of those there are that were found; 0 where there are none."""
        return self.right / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both; 0 where none was found and none is there."""
        return 2 * self.right / (self.predicted + self.gold) if self.predicted + self.gold else 0.0


def entity_counts(
    predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]], scheme: str = "IOB2"
) -> NDArray[np.int64]:
    """Count each row's entities that are right, found and there: int64 `[rows, 3]`, `EntityScore`'s numbers.

    Raises `OptionError` for unequal lengths, an unknown scheme, or a label not of it.

    >>> counts = entity_counts([["B-PER", "I-PER"], ["O"]], [["B-PER", "O"], ["B-LOC"]])
    >>> counts.tolist()
    [[0, 1, 1], [0, 0, 1]]
    """
    rows = [[len(ours & theirs), len(ours), len(theirs)] for ours, theirs in _both(predicted, gold, scheme)]
    return np.array(rows, np.int64).reshape(-1, 3)


def entity_score(
    predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]], scheme: str = "IOB2"
) -> EntityScore:
    """Score all entities of all rows together (micro), as `seqeval.metrics.f1_score(mode="strict")`.

    Raises as `entity_counts` does.

    >>> entity_score([["B-PER", "O", "B-LOC"]], [["B-PER", "O", "B-ORG"]]).f1
    0.5
    """
    return EntityScore(*map(int, entity_counts(predicted, gold, scheme).sum(axis=0)))


def entity_score_by_type(
    predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]], scheme: str = "IOB2"
) -> dict[str, EntityScore]:
    """Score the entities of each type that occurs, in the order of their names. Raises as `entity_counts` does.

    >>> entity_score_by_type([["B-PER", "O"]], [["B-PER", "B-ORG"]])
    {'ORG': EntityScore(right=0, predicted=0, gold=1), 'PER': EntityScore(right=1, predicted=1, gold=1)}
    """
    counts: dict[str, list[int]] = {}
    for ours, theirs in _both(predicted, gold, scheme):
        for place, entities in enumerate((ours & theirs, ours, theirs)):
            for entity in entities:
                counts.setdefault(entity.type, [0, 0, 0])[place] += 1
    return {kind: EntityScore(*counts[kind]) for kind in sorted(counts)}


def _both(
    predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]], scheme: str
) -> Iterator[tuple[set[Entity], set[Entity]]]:
    """The entities of each row, on either side."""
    if [*map(len, predicted)] != [*map(len, gold)]:
        raise OptionError(
            f"Both sides need as many rows, each with as many labels, not {len(predicted)} and {len(gold)} rows.",
            "Pair the rows.",
        )
    for ours, theirs in zip(predicted, gold, strict=True):
        yield set(entities_in(ours, scheme)), set(entities_in(theirs, scheme))
