"""Vocabularies side by side: who reads what another was taught needs the same ids for the same tokens."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from distilbert.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from distilbert.text.tokenizer import DistilBertTokenizer

_SHOWN = 3  # differing entries


def words_of(tokenizer: DistilBertTokenizer) -> list[str]:
    """A tokenizer's vocabulary by id; of an id that no token has, an empty string."""
    ids = tokenizer.get_vocab()
    words = [""] * (max(ids.values()) + 1)
    for word, place in ids.items():
        words[place] = word
    return words


def compare_vocabularies(vocabularies: Mapping[str, Sequence[str]]) -> None:
    """Raise `OptionError` with the first entries that differ, if any do. `vocabularies`: by whose they are."""
    (name, first), *others = vocabularies.items()
    for other, words in others:
        pairs = enumerate(zip_longest(first, words))
        if different := [(place, a, b) for place, (a, b) in pairs if a != b]:
            shown = ", ".join(f"{place} is {a!r} and {b!r}" for place, a, b in different[:_SHOWN])
            raise OptionError(
                f"{name} and {other} have different vocabularies: {shown} ({len(different):,} in all).",
                "Prepare the data with the teacher's own tokenizer; a student has its teacher's.",
            )
