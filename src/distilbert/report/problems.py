"""The kinds of problems that a report is made of, by the names under which they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distilbert.report.answerers import ANSWERS
from distilbert.report.classifiers import CLASSES
from distilbert.report.taggers import ENTITIES
from distilbert.tasks import measures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distilbert.files.config import DistilBertConfig
    from distilbert.report.problem import Problem

PROBLEMS: Mapping[str, Problem] = {
    **CLASSES,
    "token-classification": ENTITIES,
    "question-answering": ANSWERS,
}
TASKS = tuple(dict.fromkeys(problem.task for problem in PROBLEMS.values()))


def problem_of(task: str, config: DistilBertConfig) -> str:
    """The problem that a model of one of `TASKS` is for."""
    return measures.problem_of(config) if task == "text-classification" else task
