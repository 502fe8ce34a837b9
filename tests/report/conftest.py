"""Reports of tiny models, one for each kind of problem."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from bundles import sentences
from stored_reports import Stored
from tiny import tiny_checkpoint

from distilbert import pipeline
from distilbert.compile import compile_checkpoint
from distilbert.report.writing import write_report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

ENTITIES = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
# How checkpoints of the problem are made. Of these seeds, the models' answers differ from row to row.
KINDS: dict[str, dict[str, Any]] = {
    "single_label_classification": {"labels": ("A", "B", "C"), "problem_type": "single_label_classification"},
    "multi_label_classification": {"labels": ("A", "B", "C"), "problem_type": "multi_label_classification"},
    "regression": {"labels": ("STARS",), "problem_type": "regression"},
    "token-classification": {"labels": ENTITIES, "head": "token-classification"},
    "question-answering": {"head": "question-answering"},
}
SCRIPT = "<script>alert('| good |')</script> & **bad** `movie`\u202e"
ROWS = 90


@pytest.fixture(scope="session")
def report_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a report on a teacher, a student whose labels stand in another order, and a bundle."""
    made: dict[str, Path] = {}

    def make(kind: str) -> Path:
        folder = tmp_path_factory.mktemp("reported")
        options = KINDS[kind]
        turned = {name: labels[::-1] for name, labels in options.items() if name == "labels"}
        tiny_checkpoint(folder / "teacher", **options, seed=7, model_type="bert", n_layers=4)
        tiny_checkpoint(folder / "student", **options | turned, seed=5, dtype="F16")
        compile_checkpoint(folder / "student", folder / "bundle")
        data = folder / _write_rows(kind, folder, [SCRIPT, *sentences(ROWS - 1, seed=3)])
        names = [str(folder / name) for name in ("teacher", "student", "bundle")]
        write_report(
            names,
            str(data),
            folder / "report",
            rounds=3,
            timed_rows=7,
            threads=1,
            of_texts={"long": "truncate"} if "problem_type" in options else {},
        )
        return folder / "report"

    return lambda kind: made.get(kind) or made.setdefault(kind, make(kind))


@pytest.fixture(scope="session", params=KINDS)
def reported(request: pytest.FixtureRequest, report_of: Callable[[str], Path]) -> Path:
    return report_of(request.param)


@pytest.fixture
def stored(reported: Path) -> Stored:
    return Stored(reported)


def _write_rows(kind: str, folder: Path, texts: Sequence[str]) -> str:
    """Write labelled texts, sentences or questions. Of the latter two, a third is as the teacher answers, a third as
    the student does.
    """
    if kind == "token-classification":
        words = [text.split() for text in texts]
        taggers = [pipeline("ner", folder / name) for name in ("teacher", "student")]
        said = [[*tag.labels_of_words(words)] for tag in taggers]
        said.append([["O"] * len(row) for row in words])
        rows = [zip(row, said[place % 3][place], strict=True) for place, row in enumerate(words)]
        parts = ["".join(f"{word}\t{label.replace('I-', 'B-')}\n" for word, label in row) for row in rows]
        (folder / "rows.iob2").write_text("\n".join(parts), encoding="utf-8")
        return "rows.iob2"
    if kind == "question-answering":
        answerers = [pipeline(kind, folder / name) for name in ("teacher", "student")]
        lines = []
        for place, (question, context) in enumerate(zip(texts, sentences(ROWS, seed=4), strict=True)):
            best = [answer(question, context)["answer"] for answer in answerers]
            right = [[best[0], context], [best[1]], []][place % 3]
            answers = [{"text": text, "answer_start": context.index(text)} for text in right]
            row = {"id": f"q{place}", "question": question, "context": context, "answers": answers}
            lines.append(json.dumps(row) + "\n")
        (folder / "rows.jsonl").write_text("".join(lines), encoding="utf-8")
        return "rows.jsonl"
    lines = [f"{text}\t{_gold(kind, KINDS[kind]['labels'], place)}\n" for place, text in enumerate(texts)]
    (folder / "rows.tsv").write_text("text\tlabel\n" + "".join(lines), encoding="utf-8")
    return "rows.tsv"


def _gold(kind: str, labels: tuple[str, ...], place: int) -> str:
    if kind == "regression":
        return str(place * 7 % 11)
    if kind == "multi_label_classification":
        return ",".join(label for bit, label in enumerate(labels) if place >> bit & 1)
    return labels[place % 3]
