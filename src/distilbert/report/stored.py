"""What was measured, as the report's folder keeps it: every answer and every timing, so that figures can be checked.

| file                       | holds                                                                         |
| -------------------------- | ----------------------------------------------------------------------------- |
| `predictions/models.json`  | the data's name, the problem and labels; each model and the file of its answers |
| `predictions/rows.jsonl`   | the rows: texts, words or questions, and their right answers                  |
| `predictions/N-NAME.jsonl` | a line a row: its number from 1, the right answer, the model's, how sure it is |
| `timings.json`             | the machine; of each round, the models' order and every measurement           |

The first model is the reference. What rows and answers hold beside `gold` and `answer` is the problem's (`problems`).
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from distilbert.files.table_writer import write_rows
from distilbert.files.tables import read_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    Row: TypeAlias = Mapping[str, Any]  # what JSON can hold
    Answer: TypeAlias = Mapping[str, Any]

PREDICTIONS, MODELS, ROWS, TIMINGS = "predictions", "models.json", "rows.jsonl", "timings.json"


@dataclass(frozen=True)
class Model:
    """A model's name in the report, and what its files say."""

    name: str
    parameters: int
    bytes: int  # of the files that must be there to run it
    weights: str  # how they are stored: "fp16", "fp32", "int8"
    runs: str  # in which precision it was run: "fp32" or "int8"


@dataclass(frozen=True)
class Predictions:
    """The rows, and each model's answers to them; the first model is the reference."""

    data: str  # the file's name
    problem: str  # one of `problems.PROBLEMS`
    labels: tuple[str, ...]
    rows: Sequence[Row]
    models: tuple[Model, ...]
    answers: tuple[Sequence[Answer], ...]


@dataclass(frozen=True)
class Round:
    """One round: each model once, in this order."""

    order: Sequence[str]
    seconds: Mapping[str, float]  # by model: all texts in one call
    milliseconds: Mapping[str, Sequence[float]]  # by model: each text alone


@dataclass(frozen=True)
class Timings:
    """Where, how and how long."""

    machine: Mapping[str, str]
    threads: int
    texts: int
    rounds: Sequence[Round]


def write_predictions(folder: Path, found: Predictions) -> None:
    """Write what models answered into the report's `folder`."""
    place = folder / PREDICTIONS
    place.mkdir()
    names = [_file_of(number, model.name) for number, model in enumerate(found.models, 1)]
    about = {
        "data": found.data,
        "problem": found.problem,
        "labels": found.labels,
        "models": [
            {**asdict(model), "answers": name} for model, name in zip(found.models, names, strict=True)
        ],
    }
    _write_json(place / MODELS, about)
    write_rows(place / ROWS, found.rows, [*found.rows[0]])
    for name, answers in zip(names, found.answers, strict=True):
        lines = (
            {"row": number, "gold": row["gold"], **answer}
            for number, (row, answer) in enumerate(zip(found.rows, answers, strict=True), 1)
        )
        write_rows(place / name, lines, ["row", "gold", *answers[0]])


def _file_of(number: int, name: str) -> str:
    return f"{number}-{re.sub('[^A-Za-z0-9_.-]+', '-', name)[:80]}.jsonl"


def read_predictions(folder: Path) -> Predictions:
    """Read what models answered from a report's `folder`, to the bit. Raises `DataError` for a damaged table."""
    place = folder / PREDICTIONS
    about = json.loads((place / MODELS).read_text(encoding="utf-8"))
    tables = [read_rows(place / model.pop("answers")) for model in about["models"]]
    return Predictions(
        data=about["data"],
        problem=about["problem"],
        labels=tuple(about["labels"]),
        rows=[dict(row.values) for row in read_rows(place / ROWS)],
        models=tuple(Model(**model) for model in about["models"]),
        answers=tuple([_answer(row.values) for row in table] for table in tables),
    )


def _answer(line: Mapping[str, Any]) -> Answer:
    return {name: value for name, value in line.items() if name not in ("row", "gold")}


def write_timings(folder: Path, timings: Timings) -> None:
    """Write every measurement into the report's `folder`."""
    _write_json(folder / TIMINGS, asdict(timings))


def read_timings(folder: Path) -> Timings:
    """Read every measurement from a report's `folder`, to the bit."""
    stored = json.loads((folder / TIMINGS).read_text(encoding="utf-8"))
    return Timings(**{**stored, "rounds": [Round(**values) for values in stored["rounds"]]})


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
