"""A teacher is asked once: its answers outlive the run, and are never taken for those to another question."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from situations import contents, flipped
from small_runs import lessons, rows_file, run_killed, run_together
from tiny import tiny_checkpoint

from distilbert.errors import StorageError
from distilbert.training import answers
from distilbert.training.distil import distil
from distilbert.training.events import Answered
from distilbert.training.recipe import DistilRecipe
from distilbert.training.teachers import Teacher

if TYPE_CHECKING:
    from collections.abc import Callable

    from distilbert.training.events import Event

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True)
def entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's answers are kept."""
    monkeypatch.setenv("DISTILBERT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "v1" / "teachers"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many rows the teacher is asked, each time it is."""
    counts: list[int] = []
    answer = Teacher.answer

    def counted(self: Teacher, texts: Any, *rest: Any) -> Any:
        counts.append(len(texts))
        return answer(self, texts, *rest)

    monkeypatch.setattr(Teacher, "answer", counted)
    return counts


def run(
    folder: Path, *, ask_again: bool = False, tell: Callable[[Event], None] = lambda _: None, **changes: Any
) -> None:
    shutil.rmtree(folder / "out", ignore_errors=True)
    recipe = DistilRecipe(**lessons(folder, rows=24, **{"epochs": 1, **changes}))
    distil(recipe, folder / "out", ask_again=ask_again, tell=tell)


def test_a_teacher_is_asked_once(tmp_path: Path, asked: list[int]) -> None:
    told: list[Answered] = []

    def tell(event: Event) -> None:
        if isinstance(event, Answered):
            told.append(event)

    run(tmp_path, tell=tell)
    assert told == [Answered(str(tmp_path / "train.tsv"), 24, 24)]
    run(tmp_path, tell=tell, seed=1, n_layers=1, learning_rate=1e-4, label_weight=1.0)
    assert (len(told), asked) == (1, [24])


def test_a_file_that_moved_is_known_by_its_content(tmp_path: Path, asked: list[int]) -> None:
    run(tmp_path)
    shutil.copy(tmp_path / "train.tsv", tmp_path / "same.tsv")
    shutil.copytree(tmp_path / "teacher", tmp_path / "same")
    run(tmp_path, train=str(tmp_path / "same.tsv"), teacher=str(tmp_path / "same"))
    assert asked == [24]


CHANGES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "another teacher": lambda folder: {
        "teacher": str(tiny_checkpoint(folder / "other", model_type="bert", n_layers=4, seed=1))
    },
    "a changed table": lambda folder: {"train": str(rows_file(folder / "train.tsv", 24, seed=1))},
    "another column": lambda _: {"column": "label"},
    "a second column": lambda _: {"pair_column": "label"},
    "other rows": lambda _: {"max_rows": 20},
    "another length": lambda _: {"max_length": 12},
    "states of all layers": lambda _: {"hidden_weight": 1.0},
    "no states": lambda _: {"cosine_weight": 0.0},
}


@pytest.mark.parametrize("what", CHANGES)
def test_another_question_is_asked_anew(tmp_path: Path, asked: list[int], what: str) -> None:
    run(tmp_path)
    run(tmp_path, **CHANGES[what](tmp_path))
    assert len(asked) == 2


def test_a_table_that_is_read_by_two_columns_is_two_questions(tmp_path: Path, entries: Path) -> None:
    lessons(tmp_path, rows=24)
    table = str(tmp_path / "train.tsv")
    run(tmp_path, unlabelled=[table], unlabelled_column="label")
    first, second = (np.load(path) for path in entries.glob("*/logits.npy"))
    assert not np.array_equal(first, second)


def test_states_that_nobody_learns_are_not_kept(tmp_path: Path, entries: Path) -> None:
    run(tmp_path, cosine_weight=0.0)
    assert {path.name for path in entry_of(entries).iterdir()} == {"answers.json", "logits.npy"}


def entry_of(entries: Path) -> Path:
    (entry,) = (path for path in entries.iterdir() if path.is_dir())
    return entry


@pytest.mark.parametrize("damage", [flipped, Path.unlink, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("name", ["logits.npy", "states.npy", "answers.json"])
def test_a_damaged_entry_is_named_and_made_again_on_request(
    tmp_path: Path, entries: Path, asked: list[int], name: str, damage: Callable[[Path], Any]
) -> None:
    run(tmp_path)
    entry = entry_of(entries)
    whole = contents(entry)
    damage(entry / name)
    with pytest.raises(StorageError, match="were changed since they were written") as refused:
        run(tmp_path)
    assert str(entry) in refused.value.fault
    assert refused.value.next_step == "Ask the teacher again: --ask-again."
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()
    run(tmp_path, ask_again=True)
    assert asked == [24, 24]
    assert contents(entry) == whole


def test_every_bit_of_what_an_entry_is_made_from_counts(tmp_path: Path, entries: Path) -> None:
    run(tmp_path)
    path = entry_of(entries) / "answers.json"
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(StorageError, match="were changed"):
            answers._opened(path.parent)
    path.write_bytes(whole)
    assert answers._opened(path.parent).logits.shape == (24, 2)


class Stop(Exception):
    pass


@pytest.mark.parametrize("again", [False, True])
def test_a_process_that_ends_while_the_teacher_answers_loses_one_piece_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[int], entries: Path, again: bool
) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, Answered) and event.rows == 20:
            raise Stop

    run(tmp_path)
    whole = np.load(entry_of(entries) / "logits.npy")
    shutil.rmtree(entries)
    monkeypatch.setattr(answers, "PIECE", 10)
    with pytest.raises(Stop):
        run(tmp_path, tell=stop)
    asked.clear()
    run(tmp_path, ask_again=again)
    assert asked == ([10, 10, 4] if again else [4])
    logits = np.load(entry_of(entries) / "logits.npy")
    np.testing.assert_allclose(logits, whole, atol=1e-5)
    assert [path.name for path in entries.iterdir() if path.suffix == ".partial"] == []


def test_a_process_killed_when_the_teacher_has_answered_goes_on(tmp_path: Path, entries: Path) -> None:
    assert run_killed(lessons(tmp_path), tmp_path / "out", [(0, 0)], "distil") == [9, 0]
    assert (tmp_path / "out" / "model.safetensors").exists()
    assert entry_of(entries).suffix == ""


def test_a_damaged_piece_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: Path) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, Answered) and event.rows == 20:
            raise Stop

    monkeypatch.setattr(answers, "PIECE", 10)
    with pytest.raises(Stop):
        run(tmp_path, tell=stop)
    flipped(next(entries.glob("*.partial/000000.npz")))
    with pytest.raises(StorageError, match=r"\.partial: the teacher's answers were changed"):
        run(tmp_path)
    run(tmp_path, ask_again=True)


def test_two_processes_share_what_they_ask(tmp_path: Path, entries: Path) -> None:
    recipe = lessons(tmp_path, rows=24, epochs=1)
    run_together(recipe, tmp_path / "together", "distil")
    together = np.load(entry_of(entries) / "logits.npy")
    run(tmp_path, ask_again=True)
    np.testing.assert_allclose(together, np.load(entry_of(entries) / "logits.npy"), atol=1e-5)


def test_of_two_runs_at_once_one_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[int]
) -> None:
    """As two seeds: the second waits for the answers of the first."""
    lessons(tmp_path, rows=24)
    started = threading.Event()
    ended: list[str] = []

    def wait_and_run() -> None:
        started.wait()
        distil(DistilRecipe(**lessons(tmp_path, epochs=1, seed=1)), tmp_path / "second")
        ended.append("second")

    second = threading.Thread(target=wait_and_run, daemon=True)
    second.start()
    answer = Teacher.answer

    def slow(self: Teacher, *args: Any) -> Any:
        started.set()
        second.join(timeout=2)
        assert not ended
        return answer(self, *args)

    monkeypatch.setattr(Teacher, "answer", slow)
    run(tmp_path)
    second.join(timeout=60)
    assert ended
    assert asked == [24]


@pytest.mark.parametrize("written", ["000000.npz", "logits.npy", "answers.json"])
def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: Path, written: str
) -> None:
    def full(path: str | Path, *_: Any) -> None:
        if written in str(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    lessons(tmp_path, rows=24)
    with monkeypatch.context() as patched:
        patched.setattr("distilbert.files.atomic._flush", full)
        with pytest.raises(StorageError, match="cannot be written: No space left") as refused:
            run(tmp_path)
    assert "DISTILBERT_CACHE" in refused.value.next_step
    assert not [path for path in entries.iterdir() if path.is_dir() and path.suffix != ".partial"]
    assert not (tmp_path / "out").exists()
    run(tmp_path)
    assert (entry_of(entries) / "answers.json").exists()
