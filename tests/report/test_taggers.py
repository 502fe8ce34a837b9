"""Every figure about taggers is what anyone computes again, in plain Python, from the files beside it."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

import pytest
from stored_reports import Stored, paired, same_calibration, same_intervals

from distilbert import pipeline
from distilbert.report.stored import Predictions
from distilbert.report.taggers import ENTITIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path


@pytest.fixture(scope="module")
def reported(report_of: Callable[[str], Path]) -> Path:
    return report_of("token-classification")


def entities(labels: Sequence[str]) -> list[tuple[str, int, int]]:
    """B-X, then I-X; an I-X by itself is none."""
    found, begun = [], None
    for place, label in enumerate([*labels, "O"]):
        if begun is not None and label != f"I-{labels[begun][2:]}":
            found.append((labels[begun][2:], begun, place))
            begun = None
        if label.startswith("B-"):
            begun = place
    return found


def test_what_is_stored_is_what_the_models_answer(reported: Path, stored: Stored) -> None:
    words = [row["words"] for row in stored.rows]
    assert sum(map(len, words)) > 500
    for name, answers in stored.answers.items():
        tag = pipeline("ner", reported.parent / name, threads=1)
        tags = [list(zip(row["answer"], row["scores"], strict=True)) for row in answers]
        assert tags == list(tag.tags_of_words(words))
        assert [row["gold"] for row in answers] == [row["gold"] for row in stored.rows]


def test_a_sentence_can_be_found_in_its_file(reported: Path, stored: Stored) -> None:
    content = (reported.parent / "rows.iob2").read_text(encoding="utf-8").split("\n")
    assert all(content[row["line"] - 1].split("\t")[0] == row["words"][0] for row in stored.rows)


@pytest.mark.parametrize("name", ["f1", "precision", "recall"])
def test_scores_and_what_is_kept_with_their_intervals(name: str, stored: Stored) -> None:
    gold = [{*entities(row["gold"])} for row in stored.rows]
    said = {
        model: [{*entities(row["answer"])} for row in answers] for model, answers in stored.answers.items()
    }

    def score(model: str, rows: Iterable[int]) -> float:
        rows = list(rows)
        right = sum(len(said[model][row] & gold[row]) for row in rows)
        found, there = (sum(len(side[row]) for row in rows) for side in (said[model], gold))
        below = {"f1": (found + there) / 2, "precision": found, "recall": there}[name]
        return right / below if below else 0.0

    assert 0 < score("student", range(len(gold))) < 1
    assert stored.figures["measure"] == "f1"
    same_intervals(stored, name, score)


def test_a_sentence_agrees_where_all_of_its_entities_do(stored: Stored) -> None:
    gold = [entities(row["gold"]) for row in stored.rows]
    theirs = [entities(row["answer"]) for row in stored.answers["teacher"]]
    for model in stored.figures["models"][1:]:
        ours = [entities(row["answer"]) for row in stored.answers[model["name"]]]
        rows = ((a != b, a == right, b == right) for a, b, right in zip(theirs, ours, gold, strict=True))
        differ, was, now = zip(*rows, strict=True)
        assert sum(differ) > 0
        assert model["agreement"] == paired(differ, was, now)


def test_the_disagreements_are_sentences_of_which_both_are_surest(stored: Stored) -> None:
    teacher = stored.answers["teacher"]
    for model in stored.figures["models"][1:]:
        far = {}
        for row, (a, b) in enumerate(zip(teacher, stored.answers[model["name"]], strict=True)):
            words = zip(a["answer"], b["answer"], a["scores"], b["scores"], strict=True)
            sure = [min(theirs, ours) for was, now, theirs, ours in words if was != now]
            far[row] = max(sure) if entities(a["answer"]) != entities(b["answer"]) else 0.0
        expected = sorted((row for row in far if far[row] > 0), key=lambda row: -far[row])[:10]
        assert [found["row"] - 1 for found in model["disagreements"]] == expected
        for row, found in zip(expected, model["disagreements"], strict=True):
            words = stored.rows[row]["words"]
            assert (found["text"], found["line"]) == (" ".join(words), stored.rows[row]["line"])
            answer = stored.answers[model["name"]][row]
            own = entities(answer["answer"])
            assert found["model"]["answer"] == [
                f"{' '.join(words[start:end])} ({kind})" for kind, start, end in own
            ]
            means = [fmean(answer["scores"][start:end]) for _, start, end in own]
            assert found["model"]["scores"] == pytest.approx(means)
            assert len(found["gold"]) == len(entities(stored.rows[row]["gold"]))


def test_calibration_is_of_words(stored: Stored) -> None:
    for model in stored.figures["models"]:
        pairs = zip(stored.rows, stored.answers[model["name"]], strict=True)
        points = [
            (score, said == right)
            for row, answer in pairs
            for score, said, right in zip(answer["scores"], answer["answer"], row["gold"], strict=True)
            if score is not None
        ]
        same_calibration(model["calibration"], points)


def test_a_word_of_which_a_tokenizer_keeps_nothing_is_neither_sure_nor_unsure() -> None:
    kept, dropped = (
        {"answer": ["O", label], "scores": [None, score]} for label, score in (("B-PER", 0.9), ("O", None))
    )
    rows = [{"line": 1, "words": ["\u200b", "\u0301"], "gold": ["O", "B-PER"]}]
    labels = ("O", "B-PER", "I-PER")
    stored = Predictions("dev.conll", "token-classification", labels, rows, (), ([kept], [dropped]))
    assert ENTITIES.distances(stored, 1).tolist() == [0]
    sure, right = ENTITIES.points(stored, 0) or ([], [])
    assert (list(sure), list(right)) == ([0.9], [True])
    assert ENTITIES.points(stored, 1) is None


def test_the_page_speaks_of_sentences_and_entities(reported: Path) -> None:
    page = (reported / "report.md").read_text(encoding="utf-8").replace("\\", "")
    for part in ("'s F1 (", "| precision |", "many: sentences a second", "one sentence: p50", "gives a word"):
        assert part in page
    assert "text" not in page.replace("from text to scores", "").partition("How it was")[0].replace(
        "| row | text |", ""
    )
