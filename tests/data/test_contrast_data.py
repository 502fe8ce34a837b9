"""What CONTRAST.md promises of contrast.tsv, checked on the file itself."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

CONTRAST = Path(__file__).with_name("contrast.tsv")
CARD = Path(__file__).with_name("CONTRAST.md")

# Twice the words in common over the words of both. The lowest pair has 0.533, the median 0.889.
LEAST_SHARED = 0.5


class Row(NamedTuple):
    pair: str
    phenomenon: str
    text: str
    label: str


def read_rows() -> list[Row]:
    with CONTRAST.open(encoding="utf-8", newline="") as file:
        return [Row(**line) for line in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


ROWS = read_rows()


def pairs() -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in ROWS:
        found.setdefault(row.pair, []).append(row)
    return found


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w[\w'-]*", text.lower()))


def shared_words(first: str, second: str) -> float:
    left, right = words(first), words(second)
    return 2 * (left & right).total() / (left.total() + right.total())


def phenomena() -> Counter[str]:
    return Counter(members[0].phenomenon for members in pairs().values())


def test_the_header_names_the_four_columns() -> None:
    assert CONTRAST.read_text("utf-8").splitlines()[0].split("\t") == ["pair", "phenomenon", "text", "label"]


def test_there_are_at_least_a_hundred_pairs_numbered_from_one() -> None:
    assert len(pairs()) >= 100
    assert list(pairs()) == [str(number) for number in range(1, len(pairs()) + 1)]


@pytest.mark.parametrize("members", pairs().values(), ids=pairs())
def test_a_pair_is_two_close_sentences_of_one_phenomenon_with_opposite_labels(members: list[Row]) -> None:
    first, second = members
    assert {first.label, second.label} == {"NEGATIVE", "POSITIVE"}
    assert first.phenomenon == second.phenomenon
    assert shared_words(first.text, second.text) >= LEAST_SHARED


def test_in_at_least_twenty_pairs_only_the_order_of_the_words_differs() -> None:
    assert sum(words(first.text) == words(second.text) for first, second in pairs().values()) >= 20


def test_no_sentence_occurs_twice() -> None:
    assert [text for text, times in Counter(row.text.lower() for row in ROWS).items() if times > 1] == []


@pytest.mark.parametrize("text", [row.text for row in ROWS])
def test_a_sentence_is_clean_text_of_5_to_35_words(text: str) -> None:
    assert 5 <= len(text.split()) <= 35
    assert text == " ".join(text.split()), "a doubled space, or one at an end"
    assert '"' not in text, "a double quote is read differently by different readers of tsv"
    assert text[0].isupper()
    assert text.endswith(".")


def test_half_of_the_pairs_put_the_positive_sentence_first() -> None:
    assert sum(first.label == "POSITIVE" for first, _ in pairs().values()) == len(pairs()) / 2


def test_every_phenomenon_has_at_least_fifteen_pairs_and_the_card_counts_them_right() -> None:
    assert min(phenomena().values()) >= 15
    counted = re.findall(r"^\| (\w+) \| (\d+) \|", CARD.read_text("utf-8"), flags=re.MULTILINE)
    assert {name: int(count) for name, count in counted} == phenomena()
