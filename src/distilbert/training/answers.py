"""A teacher's answers to the rows of a table, asked for once and kept in this machine's cache.

An entry `teachers/KEY/` has `logits.npy`, `states.npy` if states were asked for, and `answers.json`: what the key is
made of, and each file's SHA-256, which is checked whenever it is opened. Until it is whole, `KEY.partial/` has a file
for each piece of `PIECE` rows: a process that was killed loses at most one, and several processes share them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from distilbert.errors import StorageError
from distilbert.files.atomic import atomic_file, atomic_folder, named_errors, try_lock
from distilbert.files.cache import cache_folder, known_sha256, sha256
from distilbert.training.data import rows_at, text_of
from distilbert.training.events import Answered
from distilbert.training.teachers import Answers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from accelerate import Accelerator

    from distilbert.training.data import Texts
    from distilbert.training.evaluation import Runner
    from distilbert.training.events import Event
    from distilbert.training.teachers import Teacher, Text

PIECE = 4096  # rows
_ADVICE = "Free space, or set DISTILBERT_CACHE to another place; what was answered is kept."


def answers_to(
    texts: Texts,
    teacher: Teacher,
    layers: Sequence[int],
    made_from: Mapping[str, Any],
    runner: Runner,
    *,
    anew: bool,
    tell: Callable[[Event], None],
) -> Answers:
    """The answers to rows of one table.

    From the cache if they are there, else from the teacher; `anew` asks in any case. `made_from` is all that the
    answers depend on beside the table, its rows and the layers. Raises `StorageError` for an entry that was changed
    since, and where the disk refuses.
    """
    (source,) = texts.sources
    path = Path(source.path)
    key = {
        **made_from,
        "table": [*path.suffixes, known_sha256(path)],
        "columns": source.columns,
        "rows": hashlib.sha256(texts.lines.tobytes()).hexdigest(),
        "layers": [*layers],
    }
    folder = cache_folder() / "teachers" / _name(key)
    pieces = folder.with_name(f"{folder.name}.partial")
    here = runner.accelerator
    if anew and here.is_main_process:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(pieces, ignore_errors=True)
    with _disk_faults(folder), _alone(folder, here):
        if not folder.exists():
            for number, rows in enumerate(_asked(texts)):
                if number % here.num_processes == here.process_index:
                    _answer_piece(pieces / f"{number:06}.npz", rows, teacher, layers, runner)
                tell(Answered(source.path, min((number + 1) * PIECE, len(texts)), len(texts)))
            here.wait_for_everyone()
            if here.is_main_process:
                _assemble(folder, pieces, key)
            here.wait_for_everyone()
    return _opened(folder)


def _name(key: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]


@contextmanager
def _disk_faults(folder: Path) -> Iterator[None]:
    try:
        with named_errors(folder):
            yield
    except StorageError as error:
        raise StorageError(error.fault, _ADVICE) from error


@contextmanager
def _alone(folder: Path, here: Accelerator) -> Iterator[None]:
    """Of several runs that lack an entry, as seeds started at once, the first asks and the others wait for it."""
    if not here.is_main_process or folder.exists():
        here.wait_for_everyone()
        yield
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as file:
        while not try_lock(file):
            time.sleep(0.5)
        here.wait_for_everyone()
        yield


def _asked(texts: Texts) -> Iterator[list[Text]]:
    """The rows as they stand in their table, in pieces."""
    (source,) = texts.sources
    rows = (text_of(row, *source.columns) for row in rows_at(source.path, texts.lines))
    while piece := list(islice(rows, PIECE)):
        yield piece


def _answer_piece(
    path: Path, texts: Sequence[Text], teacher: Teacher, layers: Sequence[int], runner: Runner
) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    answers = teacher.answer(texts, layers, runner)
    arrays = {name: array for name, array in answers._asdict().items() if array is not None}
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def _assemble(folder: Path, pieces: Path, key: Mapping[str, Any]) -> None:
    try:
        opened = [dict(np.load(path)) for path in sorted(pieces.glob("*.npz"))]
    except (BadZipFile, ValueError, EOFError) as error:
        raise _changed(pieces) from error
    with atomic_folder(folder) as new:
        for name in opened[0]:
            np.save(new / f"{name}.npy", np.concatenate([piece[name] for piece in opened]))
        hashes = {path.name: sha256(path) for path in sorted(new.glob("*.npy"))}
        (new / "answers.json").write_text(json.dumps({"made_from": key, "sha256": hashes}, indent=1) + "\n")
    shutil.rmtree(pieces)


def _opened(folder: Path) -> Answers:
    """The arrays, after a look at each one's hash; that of what they are made from is the folder's name."""
    try:
        said = json.loads((folder / "answers.json").read_bytes())
        is_whole = _name(said["made_from"]) == folder.name and "logits.npy" in said["sha256"]
    except (OSError, ValueError, LookupError, TypeError):
        is_whole = False
    if not is_whole:
        raise _changed(folder / "answers.json")
    for name, digest in said["sha256"].items():
        if not (folder / name).is_file() or sha256(folder / name) != digest:
            raise _changed(folder / name)
    arrays = {name: np.load(folder / name) for name in said["sha256"]}
    return Answers(arrays["logits.npy"], arrays.get("states.npy"))


def _changed(path: Path) -> StorageError:
    return StorageError(
        f"{path}: the teacher's answers were changed since they were written (SHA-256).",
        "Ask the teacher again: --ask-again.",
    )
