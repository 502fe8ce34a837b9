"""What was measured, as the report's folder keeps it: every answer and every timing, so that figures can be checked.

| file                       | holds                                                                         |
| -------------------------- | ----------------------------------------------------------------------------- |
| `predictions/models.json`  | the data's name, kind of problem and labels; each model and the file of its answers |
| `predictions/rows.jsonl`   | the texts and their right answers                                             |
| `predictions/N-NAME.jsonl` | a line a row: its number from 1, the right answer, the model's, its logits    |
| `timings.json`             | the machine; of each round, the models' order and every measurement           |

The first model is the reference. Logits stand in the order of `labels`, the reference's.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from distilbert.files.config import DistilBertConfig
from distilbert.files.table_writer import write_rows
from distilbert.files.tables import read_rows
from distilbert.tasks.measures import MEASURES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from distilbert.engines.base import Floats
    from distilbert.files.config import ProblemType
    from distilbert.tasks.measures import Answers

PREDICTIONS, MODELS, ROWS, TIMINGS = "predictions", "models.json", "rows.jsonl", "timings.json"


@dataclass(frozen=True)
class Model:
    """A model's name in the report, and what its files say."""

    name: str
    parameters: int
    bytes: int  # of the files that must be there to run it
    weights: str  # how they are stored: "fp16", "fp32", "int8"
    runs: str  # in which precision it was run: "fp32" or "int8"


@dataclass(frozen=True, eq=False)
class Predictions:
    """The rows, and of each model its logits `[rows, labels]`; the first model is the reference."""

    data: str  # the file's name
    problem: ProblemType
    labels: tuple[str, ...]
    texts: Sequence[Mapping[str, str]]  # "text", and of pairs "text_pair"
    gold: Answers
    models: tuple[Model, ...]
    logits: tuple[Floats, ...]


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


def answer_of(problem: ProblemType, labels: Sequence[str], answer: Any) -> Any:
    """One row of `Answers` as people read it: a label's name, a list of names, or a number."""
    if problem == "regression":
        return float(answer)
    if problem == "multi_label_classification":
        return [label for label, there in zip(labels, answer, strict=True) if there]
    return labels[int(answer)]


def write_predictions(folder: Path, found: Predictions) -> None:
    """Write what models answered into the report's `folder`."""
    place = folder / PREDICTIONS
    place.mkdir()
    gold = [answer_of(found.problem, found.labels, answer) for answer in found.gold]
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
    rows = ({**text, "gold": answer} for text, answer in zip(found.texts, gold, strict=True))
    write_rows(place / ROWS, rows, [*found.texts[0], "gold"])
    for name, logits in zip(names, found.logits, strict=True):
        write_rows(place / name, _lines(found, gold, logits), ["row", "gold", "answer", "logits"])


def _file_of(number: int, name: str) -> str:
    return f"{number}-{re.sub('[^A-Za-z0-9_.-]+', '-', name)[:80]}.jsonl"


def _lines(found: Predictions, gold: list[Any], logits: Floats) -> Iterator[dict[str, Any]]:
    predicted = MEASURES[found.problem].predicted(logits)
    for number, (right, answer, row) in enumerate(zip(gold, predicted, logits, strict=True), 1):
        said = answer_of(found.problem, found.labels, answer)
        yield {"row": number, "gold": right, "answer": said, "logits": row.tolist()}


def read_predictions(folder: Path) -> Predictions:
    """Read what models answered from a report's `folder`, to the bit. Raises `DataError` for a damaged table."""
    place = folder / PREDICTIONS
    about = json.loads((place / MODELS).read_text(encoding="utf-8"))
    problem, labels = cast("ProblemType", about["problem"]), tuple(about["labels"])
    config = DistilBertConfig(labels=labels, problem_type=problem)
    rows = list(read_rows(place / ROWS))
    tables = [read_rows(place / model.pop("answers")) for model in about["models"]]
    return Predictions(
        data=about["data"],
        problem=problem,
        labels=labels,
        texts=[{name: row.text(name) for name in row.values if name != "gold"} for row in rows],
        gold=MEASURES[problem].gold(rows, "gold", config),
        models=tuple(Model(**model) for model in about["models"]),
        logits=tuple(np.array([row.value("logits") for row in table], np.float32) for table in tables),
    )


def write_timings(folder: Path, timings: Timings) -> None:
    """Write every measurement into the report's `folder`."""
    _write_json(folder / TIMINGS, asdict(timings))


def read_timings(folder: Path) -> Timings:
    """Read every measurement from a report's `folder`, to the bit."""
    stored = json.loads((folder / TIMINGS).read_text(encoding="utf-8"))
    return Timings(**{**stored, "rounds": [Round(**values) for values in stored["rounds"]]})


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
