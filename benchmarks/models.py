"""What `make bench` measures: the project's own students where `make runs` has made them, else models of their shapes.

The benchmark's model has DistilBERT's own shape, 6 × 768, and real labels: a student widened (`widening.py`). What is
fresh serves for speed alone and says so. All is made once, into `runs/out/bench`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from widening import narrowed, save, shortened, widened

from distilbert.bench.ways import Source
from distilbert.compile import Gate, Int8, compile_checkpoint
from distilbert.compile.split import MAX_GATE_TEXTS, split_texts
from distilbert.files.tables import read_column
from distilbert.tasks.gates import GATES

if TYPE_CHECKING:
    from collections.abc import Callable

    from distilbert.files.checkpoint import Checkpoint
    from distilbert.text.tokenizer import DistilBertTokenizer

REPO = Path(__file__).parent.parent
SHARED = REPO.parent / "shared"
TRAINED = REPO / "runs" / "out"
STARTER = SHARED / "weights" / "distilbert-sst2-starter"
E5 = SHARED / "weights" / "e5-small"
SENTENCES = SHARED / "data" / "sst2" / "train_sentences.tsv"
FRESH = "fresh weights: speed only"


@dataclass(frozen=True)
class Shape:
    """A shape that ships: its source, and whose weights it has where they are not the run's: "" where they are."""

    name: str
    source: Source
    instead: str = ""


def student() -> Path:
    """The checkpoint that is widened: the shipped student where it is there, else the starter."""
    trained = TRAINED / "sst2-student-2"
    return trained if trained.is_dir() else STARTER


def wide(out: Path, threads: int, say: Callable[[str], None]) -> Source:
    """The benchmark's model, 6 × 768: checkpoint and int8 bundle, past its gate."""
    from distilbert.models.pretrained import read_weights

    name = f"{student().name}-wide"
    checkpoint = out / name
    if not checkpoint.exists():
        save(widened(read_weights(student())), student(), checkpoint)
    return _source(out, checkpoint, threads, say)


def shapes(out: Path, threads: int, say: Callable[[str], None]) -> list[Shape]:
    """The student's own shape, half its feed-forward, and three layers."""
    fresh = {"sst2-student-2": None, "sst2-narrow": narrowed, "sst2-three": shortened}
    return [_shape(name, make, out, threads, say) for name, make in fresh.items()]


def teacher(out: Path) -> tuple[Path, bool]:
    """The 12-layer teacher's checkpoint (12 × 384), and whether it was trained; fresh, e5-small with a new head."""
    trained, fresh = TRAINED / "sst2-teacher", out / "fresh-sst2-teacher"
    if trained.is_dir():
        return trained, True
    if not fresh.exists():
        import warnings

        from distilbert.models import BertForSequenceClassification, NewHeadWarning
        from distilbert.text.tokenizer import DistilBertTokenizer

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NewHeadWarning)
            model = BertForSequenceClassification.from_pretrained(E5, id2label={0: "NEGATIVE", 1: "POSITIVE"})
        model.save_pretrained(fresh, DistilBertTokenizer.from_folder(E5))
    return fresh, False


def _shape(
    name: str,
    make: Callable[[Checkpoint], Checkpoint] | None,
    out: Path,
    threads: int,
    say: Callable[[str], None],
) -> Shape:
    from distilbert.models.pretrained import read_weights

    trained = TRAINED / name
    if trained.is_dir():
        return Shape(name, _source(out, trained, threads, say))
    if make is None:  # the starter has this shape, and was trained, but not by this teacher
        return Shape(name, _source(out, STARTER, threads, say), "the starter's weights")
    fresh = out / f"fresh-{name}"
    if not fresh.exists():
        save(make(read_weights(STARTER)), STARTER, fresh)
    return Shape(name, _source(out, fresh, threads, say, judged=False), FRESH)


def _source(
    out: Path, checkpoint: Path, threads: int, say: Callable[[str], None], judged: bool = True
) -> Source:
    """The checkpoint with its int8 bundle, calibrated as `distilbert compile` does by default."""
    bundle, made = out / f"{checkpoint.name}-int8", out / f"{checkpoint.name}-peers"
    texts = list(read_column(SENTENCES, "sentence"))
    calibration, others = split_texts(texts, seed=0)
    if not bundle.exists():
        say(f"compiling {checkpoint.name}")
        judging = [texts[place] for place in others[:MAX_GATE_TEXTS]]

        def make_gate(model: Checkpoint, tokenizer: DistilBertTokenizer) -> Gate:
            gate = Gate(*GATES[model.head](judging, None, tokenizer, model.config))
            return gate if judged else _open(gate)

        int8 = Int8([texts[place] for place in calibration], make_gate)
        compile_checkpoint(checkpoint, bundle, int8=int8, say=say)
    made.mkdir(parents=True, exist_ok=True)
    return Source(bundle, checkpoint, made, threads, [texts[place] for place in calibration])


def _open(gate: Gate) -> Gate:
    """A gate that lets everything through: fresh weights are unsure of every label, and serve for speed alone."""

    def judge(reference: Any, candidate: Any) -> Any:
        return dataclasses.replace(gate.judge(reference, candidate), passed=True)

    return Gate(gate.score, judge)
