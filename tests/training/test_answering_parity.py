"""Answerers learn from questions with their answers, and students from answerers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bundles import sentences
from small_runs import SMALL, log_of
from tiny import tiny_checkpoint

from distilbert import pipeline
from distilbert.errors import DataError, DistilBertError, OptionError
from distilbert.text.tokenizer import DistilBertTokenizer
from distilbert.training.data import Padding
from distilbert.training.distil import distil
from distilbert.training.finetune import finetune
from distilbert.training.questions import asked_tables
from distilbert.training.recipe import FinetuneRecipe, ReaderRecipe

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore::UserWarning")]


def row(number: int, question: str, context: str, answer: str) -> dict[str, Any]:
    answers = [{"text": answer, "answer_start": context.index(answer)}]
    return {"id": str(number), "question": question, "context": context, "answers": answers}


def squad(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def what_is_said(count: int = 240) -> list[dict[str, Any]]:
    """Contexts that say "good" or "bad" somewhere, which is asked for."""
    rows = []
    for number, text in enumerate(sentences(count, longest=6)):
        words = [word for word in text.split() if word not in ("good", "bad")]
        words.insert(number % (len(words) + 1), answer := ("good", "bad")[number % 2])
        rows.append(row(number, "how was it", " ".join(words), answer))
    return rows


def knobs(folder: Path, **changes: Any) -> dict[str, Any]:
    train = squad(folder / "train.jsonl", what_is_said())
    there = {"train": str(train), "hold_back": 20, "task": "question-answering"}
    return {**SMALL, **there, "max_length": 40, "epochs": 6, "learning_rate": 1e-2, **changes}


def finetuned(folder: Path, **changes: Any) -> Path:
    model, out = tiny_checkpoint(folder / "bare", head="none"), folder / "answerer"
    finetune(FinetuneRecipe(**knobs(folder, model=str(model), **changes)), out)
    return out


def test_an_answerer_learns_what_is_asked_for_and_runs(tmp_path: Path) -> None:
    out = finetuned(tmp_path)
    first, *_, last = [line["f1"] for line in log_of(out) if "evaluation" in line]
    assert first <= last
    assert last > 0.8
    answer = pipeline("question-answering", out)(question="how was it", context="the film is bad and boring")
    assert answer["answer"] == "bad"


def test_an_answerer_is_judged_by_saying_that_there_is_no_answer_where_there_is_none(tmp_path: Path) -> None:
    rows = [{**one, "answers": []} for one in what_is_said(40)]
    out = finetuned(tmp_path, train=str(squad(tmp_path / "none.jsonl", rows)), hold_back=10)
    assert [line["exact"] for line in log_of(out) if "evaluation" in line][-1] == 1


@pytest.mark.parametrize("changes", [{}, {"soft_weight": 0.0, "label_weight": 1.0, "cosine_weight": 0.0}])
def test_a_student_learns_what_its_teacher_answers(tmp_path: Path, changes: dict[str, Any]) -> None:
    teacher = finetuned(tmp_path)
    out = tmp_path / "student"
    distil(ReaderRecipe(**knobs(tmp_path, teacher=str(teacher), n_layers=1, **changes)), out)
    assert json.loads((out / "config.json").read_text())["n_layers"] == 1
    assert json.loads((out / "training.json").read_text())["held_back"]["f1"] > 0.7


def test_an_answer_stands_in_the_window_that_has_it_and_in_others_is_none(tmp_path: Path) -> None:
    context = "a b c d e f g h good"
    train = squad(tmp_path / "a.jsonl", [row(1, "how", context, "good"), row(2, "how", context, "c d")])
    tokenizer = DistilBertTokenizer.from_folder(tiny_checkpoint(tmp_path / "m", head="none"))
    recipe = FinetuneRecipe(model="m", train=str(train), max_length=12)  # which leaves a part six tokens
    asked, dev = asked_tables(recipe, tokenizer, Padding(0))
    assert dev is None
    for place, span in enumerate(asked.spans):
        ids = asked.texts.ids[asked.texts.row(place)]
        if span.any():
            said = tokenizer.decode(ids[span[0] : span[1] + 1].tolist())
            assert said == asked.questions[asked.asked[place]].answers[0].text
    assert [int(asked.spans[asked.asked == number].any(axis=1).sum()) >= 1 for number in (0, 1)] == [
        True,
        True,
    ]
    assert not asked.spans[0].any()  # of the first window, which does not reach "good"
    batch = asked.batch(np.arange(len(asked.lengths)))
    assert batch["among"][:, 0].all()
    assert not batch["among"][:, 1 : asked.windows[0].place].any()  # the question is no place for an answer


def test_questions_on_a_held_back_context_are_held_back_together(tmp_path: Path) -> None:
    contexts = [f"{text} good" for text in dict.fromkeys(sentences(30, longest=6))]
    rows = [
        row(place, question, context, "good")
        for place, context in enumerate(contexts)
        for question in ("a", "b")
    ]
    train = squad(tmp_path / "a.jsonl", rows)
    tokenizer = DistilBertTokenizer.from_folder(tiny_checkpoint(tmp_path / "m", head="none"))
    recipe = FinetuneRecipe(model="m", train=str(train), max_length=40, hold_back=9)
    asked, dev = asked_tables(recipe, tokenizer, Padding(0))
    assert dev is not None
    assert len(dev.questions) == 10
    assert not {one.context for one in dev.questions} & {one.context for one in asked.questions}


@pytest.mark.parametrize(
    ("rows", "changes", "kind", "says"),
    [
        ([row(1, "how", "it is good", "good") | {"context": "bad"}], {}, DataError, "good"),
        ([row(1, "how", "it is good", "good")], {"hold_back": 1}, OptionError, "leaves none"),
        ([row(1, "how", "it is good", "good")], {"max_rows": 2}, OptionError, "has 1 questions"),
        (
            [row(1, "how", "it is good", "good")],
            {"max_length": 4},
            OptionError,
            "line 1: max_length is 4, which",
        ),
    ],
)
def test_what_cannot_be_learnt_is_named(
    tmp_path: Path,
    rows: list[dict[str, Any]],
    changes: dict[str, Any],
    kind: type[DistilBertError],
    says: str,
) -> None:
    model, bad = tiny_checkpoint(tmp_path / "bare", head="none"), squad(tmp_path / "bad.jsonl", rows)
    recipe = knobs(tmp_path, model=str(model), **{"hold_back": 0, **changes}) | {"train": str(bad)}
    with pytest.raises(kind, match=r".") as refused:
        finetune(FinetuneRecipe(**recipe), tmp_path / "out")
    assert says in refused.value.fault
    assert not (tmp_path / "out").exists()
