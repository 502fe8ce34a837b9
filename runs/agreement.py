"""How often SST-2's students say what their teacher says: of whole sentences that none of them was taught.

    python runs/agreement.py

SST-2's held-back rows are mostly short phrases, on which all students do as well, and a published dev set is no place
to choose by. So recipes are compared on 4,000 of IMDb's sentences that no recipe draws. The table is in docs/lab.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from ledger import RESULTS, ROOT, write_between

from distilbert import pipeline
from distilbert.files.tables import read_rows
from distilbert.tasks.scores import softmax
from distilbert.training.data import draw_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

SENTENCES, TAUGHT = 4_000, 122_500  # the most that any recipe draws, `max_unlabelled`
TEACHER, STUDENTS = "sst2-teacher", "sst2-student*"
OUTPUTS = ROOT / "runs" / "out"


class Closeness(NamedTuple):
    """Of a student to its teacher."""

    agreement: float  # share of sentences of which both say the same
    divergence: float  # mean of KL(teacher || student), nats


def untaught(sentences: list[str]) -> list[str]:
    """Sentences that no recipe draws: those that one would draw next."""
    drawn = (draw_rows(sentences, count) for count in (TAUGHT + SENTENCES, TAUGHT))
    return [sentences[number] for number in np.setdiff1d(*drawn)]


def probabilities(run: str, sentences: list[str]) -> NDArray[np.float32]:
    """What a run's model gives each label, `[sentences, labels]`."""
    return softmax(np.array([*pipeline("text-classification", OUTPUTS / run).logits(sentences)]))


def compare(teacher: NDArray[np.floating], student: NDArray[np.floating]) -> Closeness:
    """How close a student's probabilities are to its teacher's, both `[sentences, labels]`.

    >>> compare(np.array([[0.5, 0.5], [0.9, 0.1]]), np.array([[0.5, 0.5], [0.1, 0.9]]))
    Closeness(agreement=0.5, divergence=0.8789)
    """
    agreement = np.mean(teacher.argmax(axis=1) == student.argmax(axis=1))
    divergence = np.sum(teacher * np.log(teacher / student), axis=1).mean()
    return Closeness(float(agreement), round(float(divergence), 4))


def main() -> None:
    """Ask teacher and students, and write the table."""
    sentences = untaught([row.text("text") for row in read_rows(OUTPUTS / "imdb" / "sentences.txt")])
    teacher = probabilities(TEACHER, sentences)
    runs = [path.name for path in OUTPUTS.glob(STUDENTS) if (RESULTS / f"{path.name}.json").exists()]
    found = {run: compare(teacher, probabilities(run, sentences)) for run in runs}
    lines = ["| student | says what its teacher says | KL(teacher, student), nats |", "| --- | --- | --- |"]
    lines += [
        f"| {run} | {100 * agreement:.2f} % | {divergence:.4f} |"
        for run, (agreement, divergence) in sorted(found.items(), key=lambda item: item[1].divergence)
    ]
    write_between("agreement", "\n".join(lines), ROOT / "docs" / "lab.md")


if __name__ == "__main__":
    main()
