"""What teaching is worth: students beside their teacher and beside twins that learned from labels alone.

    python runs/students.py

reads the predictions in docs/runs/ and writes the table of docs/lab.md. A row of figures is about a run's seeds: their
mean, the least and the greatest, and, against the teacher and the twins, intervals over rows and seeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from ledger import RESULTS, ROOT, write_between

from distilbert.files.tables import read_rows
from distilbert.metrics.intervals import over_seeds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from distilbert.metrics.intervals import Estimate


class Comparison(NamedTuple):
    """A row of the table: runs by their names in the ledger."""

    students: str
    teacher: str
    twins: str | None


COMPARISONS = [
    Comparison("sst2-student", "sst2-teacher", "sst2-twin"),
    Comparison("sst2-twin", "sst2-teacher", None),
    Comparison("sst2-student-spaced", "sst2-teacher", None),
    Comparison("sst2-student-half", "sst2-teacher", None),
    Comparison("sst2-student-twice", "sst2-teacher", None),
    Comparison("sst2-student-plain", "sst2-teacher", None),
    Comparison("sst2-narrow", "sst2-teacher", None),
    Comparison("sst2-three", "sst2-teacher", None),
    Comparison("banking77-student", "banking77-teacher", None),
    Comparison("imdb-student", "imdb-teacher", "imdb-twin"),
]


def right(name: str) -> NDArray[np.bool_]:
    """Which rows a run's models were right on, `[seeds, rows]`; of a run without seeds there is one."""
    paths = sorted(RESULTS.glob(f"{name}.predictions.tsv.gz")) or sorted(
        RESULTS.glob(f"{name}-[0-9].predictions.tsv.gz")
    )
    return np.array([[_is_right(row.values) for row in read_rows(path)] for path in paths])


def _is_right(values: dict[str, str]) -> bool:
    """Of a row of `score --predictions`: its line, its label (a name or an id), and what each label got."""
    _, gold, *names = values
    said = max(names, key=lambda name: float(values[name]))
    return values[gold] in (said, str(names.index(said)))


def table() -> str:
    """The Markdown table; of what was not run yet there is no row."""
    lines = [
        "| students | seeds | accuracy, mean | least to greatest | kept of the teacher's | gain over twins |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for students, teacher, twins in COMPARISONS:
        found, whole = right(students), right(teacher)
        if not (len(found) and len(whole)):
            continue
        shares = 100 * found.mean(axis=1)
        kept = over_seeds(lambda a, b: b / a, whole, found)
        gain = "–"
        if twins and len(theirs := right(twins)):
            gain = percent(over_seeds(lambda a, b: b - a, theirs, found), "+.2f", "points")
        lines.append(
            f"| {students} | {len(found)} | {shares.mean():.2f} % | {shares.min():.2f} to {shares.max():.2f} "
            f"| {percent(kept, '.1f', '%')} | {gain} |"
        )
    return "\n".join(lines)


def percent(estimate: Estimate, form: str, unit: str) -> str:
    """A share with its interval, a hundred times as much."""
    value, low, high = (
        100 * figure for figure in (estimate.value, estimate.interval.low, estimate.interval.high)
    )
    return f"{value:{form}} {unit} [{low:{form}}, {high:{form}}]"


if __name__ == "__main__":
    write_between("students", table(), ROOT / "docs" / "lab.md")
