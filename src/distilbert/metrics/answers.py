"""How good answers are: exact match and F1 over words, by SQuAD's published rules.

An answer is compared in lower case, without punctuation, articles and excess white space. A question's score is that of
its best gold answer. A question without one has the answer "", which scores 1 for "" and 0 for all else (SQuAD 2.0's
script; Rajpurkar et al., "SQuAD: 100,000+ Questions", 2016, and "Know What You Don't Know", 2018).
"""

from __future__ import annotations

import re
import string
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from distilbert.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(answer: str) -> str:
    """An answer as it is compared.

    >>> normalised("The  Denver-Broncos!")
    'denverbroncos'
    """
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_WITHOUT_PUNCTUATION)).split())


def exact_match(predicted: Sequence[str], gold: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return for each question whether its answer is a gold one: 0 or 1, `[questions]`.

    Raises `OptionError` for no questions or unequal numbers of them.

    >>> exact_match(["the Nile", "Lyon", ""], [["Nile", "a river"], ["Paris"], []])
    array([1., 0., 1.])
    """
    return _best(predicted, gold, lambda ours, theirs: float(ours == theirs))


def word_f1(predicted: Sequence[str], gold: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return each question's F1 = 2·shared / (words given + words of the gold answer), 0 to 1, `[questions]`.

    Words are shared as often as they occur in both. Raises as `exact_match` does.

    >>> word_f1(["river Nile", "Lyon", ""], [["the Nile"], ["Paris"], ["no"]])  # 2·1 / (2 + 1)
    array([0.66666667, 0.        , 0.        ])
    """
    return _best(predicted, gold, _f1)


def _f1(ours: str, theirs: str) -> float:
    given, right = ours.split(), theirs.split()
    if not given or not right:
        return float(given == right)
    shared = (Counter(given) & Counter(right)).total()
    return 2 * shared / (len(given) + len(right))


def _best(
    predicted: Sequence[str], gold: Sequence[Sequence[str]], score: Callable[[str, str], float]
) -> NDArray[np.float64]:
    if len(predicted) != len(gold) or not gold:
        raise OptionError(
            f"{len(predicted)} answers are to be compared with those of {len(gold)} questions.",
            "Give each question an answer, and one question at least.",
        )
    rows = zip(map(normalised, predicted), gold, strict=True)
    return np.array([max(score(answer, other) for other in _compared(own)) for answer, own in rows])


def _compared(gold: Sequence[str]) -> list[str]:
    """Gold answers as they are compared: those that are nothing but articles and marks do not count."""
    return [text for text in map(normalised, gold) if text] or [""]
