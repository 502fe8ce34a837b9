"""Every figure about answerers is what anyone computes again, in plain Python, from the files beside it."""

from __future__ import annotations

import re
import string
from collections import defaultdict
from statistics import fmean
from typing import TYPE_CHECKING

import pytest
from stored_reports import Stored, paired, same_calibration, same_intervals

from distilbert import pipeline
from distilbert.report.figures import figures
from distilbert.report.markup import markdown
from distilbert.report.pages import blocks
from distilbert.report.stored import Model, Predictions, Round, Timings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


@pytest.fixture(scope="module")
def reported(report_of: Callable[[str], Path]) -> Path:
    return report_of("question-answering")


def plain(text: str) -> str:
    """An answer as SQuAD's script compares it."""
    text = "".join(char for char in text.lower() if char not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def f1(ours: str, theirs: str) -> float:
    given, right = plain(ours).split(), plain(theirs).split()
    if not given or not right:
        return float(given == right)
    shared = sum(min(given.count(word), right.count(word)) for word in {*given})
    return 2 * shared / (len(given) + len(right))


def exact(ours: str, theirs: str) -> float:
    return float(plain(ours) == plain(theirs))


def best(score: Callable[[str, str], float], said: str, gold: list[str]) -> float:
    return max(score(said, right) for right in gold or [""])


def test_what_is_stored_is_what_the_models_answer(reported: Path, stored: Stored) -> None:
    asked = [{"question": row["question"], "context": row["context"]} for row in stored.rows]
    for name, answers in stored.answers.items():
        answer = pipeline(model=reported.parent / name, threads=1, handle_impossible_answer=True)
        keys = ("answer", "score", "start", "end")
        assert [{key: row[key] for key in keys} for row in answers] == list(answer(iter(asked)))


@pytest.mark.parametrize(("name", "score"), [("f1", f1), ("exact", exact)])
def test_scores_and_what_is_kept_with_their_intervals(
    name: str, score: Callable[[str, str], float], stored: Stored
) -> None:
    gold = [row["gold"] for row in stored.rows]
    assert [] in gold
    scores = {
        model: [best(score, row["answer"], right) for row, right in zip(answers, gold, strict=True)]
        for model, answers in stored.answers.items()
    }

    def mean(model: str, rows: Iterable[int]) -> float:
        return fmean(scores[model][row] for row in rows)

    assert all(0 < fmean(own) < 1 for own in scores.values())
    assert stored.figures["measure"] == "f1"
    same_intervals(stored, name, mean)


def test_agreement_is_of_answers_as_they_are_compared(stored: Stored) -> None:
    gold = [row["gold"] for row in stored.rows]
    theirs = [row["answer"] for row in stored.answers["teacher"]]
    for model in stored.figures["models"][1:]:
        ours = [row["answer"] for row in stored.answers[model["name"]]]
        differ = [plain(a) != plain(b) for a, b in zip(theirs, ours, strict=True)]
        was, now = (
            [best(exact, said, right) == 1 for said, right in zip(answers, gold, strict=True)]
            for answers in (theirs, ours)
        )
        assert any(differ)
        twice = sum(all(row) for row in zip(differ, was, now, strict=True))
        assert model["agreement"] == paired(differ, was, now) | {"right_to_right": twice}


def test_the_disagreements_are_questions_of_which_both_are_surest(stored: Stored) -> None:
    teacher = stored.answers["teacher"]
    for model in stored.figures["models"][1:]:
        student = stored.answers[model["name"]]
        far = {
            row: min(a["score"], b["score"])
            for row, (a, b) in enumerate(zip(teacher, student, strict=True))
            if plain(a["answer"]) != plain(b["answer"])
        }
        expected = sorted(far, key=lambda row: -far[row])[:10]
        assert [found["row"] - 1 for found in model["disagreements"]] == expected
        for row, found in zip(expected, model["disagreements"], strict=True):
            assert (found["id"], found["text"]) == (stored.rows[row]["id"], stored.rows[row]["question"])
            assert found["gold"] == stored.rows[row]["gold"]
            for side, answers in (("reference", teacher), ("model", student)):
                said = answers[row]
                assert found[side] == {"answer": said["answer"], "scores": [said["score"]]}
                assert said["answer"] in found["text_pair"]
            assert found["text_pair"].strip("…") in stored.rows[row]["context"]


def test_calibration_is_of_exact_matches(stored: Stored) -> None:
    for model in stored.figures["models"]:
        pairs = zip(stored.rows, stored.answers[model["name"]], strict=True)
        points = [(said["score"], best(exact, said["answer"], row["gold"]) == 1) for row, said in pairs]
        same_calibration(model["calibration"], points)


def test_two_right_answers_may_differ() -> None:
    """Right, then right in other words; wrong twice; and none where there is one."""
    golds = [["Lyon", "the city of Lyon"], ["Paris"], ["Rome"]]
    rows = [{"id": "", "question": "Where?", "context": "Rome", "gold": gold} for gold in golds]
    said = [["Lyon", "Nice", "Rome"], ["city of Lyon", "Nantes", ""]]
    answers = [[{"answer": text, "score": 1 + 1e-12, "start": 0, "end": 4} for text in own] for own in said]
    models = (Model("a", 1, 1, "fp32", "fp32"), Model("b", 1, 1, "fp32", "fp32"))
    timings = Timings({}, 1, 1, [Round(["a", "b"], {"a": 1, "b": 1}, {"a": [1], "b": [1]})])
    found = figures(
        Predictions("dev.json", "question-answering", (), rows, models, (answers[0], answers[1])), timings
    )
    timed = {**found["timed"], "machine": defaultdict(str)}
    page = markdown(blocks({**found, "timed": timed}))
    assert "3 of 3 answers differ: 1 from right to wrong, 1 from one right answer to another, 1 from" in page
    assert "| Rome | Rome 1.000 | none 1.000 |" in page


def test_the_page_speaks_of_questions_and_answers(reported: Path) -> None:
    page = (reported / "report.md").read_text(encoding="utf-8").replace("\\", "")
    for part in (
        "'s F1 (",
        "| exact match |",
        "many: questions a second",
        "one question: p50",
        "exact match.",
    ):
        assert part in page
