"""Reports of tiny models, one for each kind of problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from bundles import sentences
from tiny import tiny_checkpoint

from distilbert.compile import compile_checkpoint
from distilbert.files.tables import read_rows
from distilbert.report.writing import write_report

if TYPE_CHECKING:
    from pathlib import Path

KINDS: dict[str, dict[str, Any]] = {
    "single_label_classification": {"labels": ("A", "B", "C")},
    "multi_label_classification": {"labels": ("A", "B", "C")},
    "regression": {"labels": ("STARS",)},
}
SCRIPT = "<script>alert('| good |')</script> & **bad** `movie`\u202e"
ROWS = 90


@pytest.fixture(scope="session", params=KINDS)
def reported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report on a teacher, a student whose labels stand in another order, and a bundle."""
    kind, folder = request.param, tmp_path_factory.mktemp("reported")
    labels = KINDS[kind]["labels"]
    # of these seeds, both answer with more than one label
    tiny_checkpoint(
        folder / "teacher", labels=labels, problem_type=kind, seed=7, model_type="bert", n_layers=4
    )
    tiny_checkpoint(folder / "student", labels=labels[::-1], problem_type=kind, seed=5, dtype="F16")
    compile_checkpoint(folder / "student", folder / "bundle")
    texts = [SCRIPT, *sentences(ROWS - 1, seed=3)]
    lines = [f"{text}\t{_gold(kind, labels, place)}\n" for place, text in enumerate(texts)]
    data = folder / "rows.tsv"
    data.write_text("text\tlabel\n" + "".join(lines), encoding="utf-8")
    rows = list(read_rows(data))
    write_report(
        [str(folder / name) for name in ("teacher", "student", "bundle")],
        data.name,
        rows,
        [{"text": row.text("text")} for row in rows],
        "label",
        folder / "report",
        rounds=3,
        timed_texts=7,
        options={"threads": 1, "long": "truncate"},
    )
    return folder / "report"


def _gold(kind: str, labels: tuple[str, ...], place: int) -> str:
    if kind == "regression":
        return str(place * 7 % 11)
    if kind == "multi_label_classification":
        return ",".join(label for bit, label in enumerate(labels) if place >> bit & 1)
    return labels[place % 3]
