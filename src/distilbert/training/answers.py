"""A teacher's answers to the rows of a table, asked for once and kept in this machine's cache.

An entry `teachers/KEY/` has `logits.npy`, `states.npy` if states were asked for, and `answers.json`: what the key is
made of, and each file's SHA-256, which is checked whenever it is opened. Until it is whole, `KEY.partial/` has a file
for each piece of `PIECE` rows: a process that was killed loses at most one, and several processes share them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from distilbert.errors import StorageError
from distilbert.files.atomic import atomic_file, atomic_folder, named_errors
from distilbert.files.cache import cache_folder, sha256
from distilbert.training.data import rows_at, text_of
from distilbert.training.events import Answered
from distilbert.training.teachers import Answers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from distilbert.training.data import Texts
    from distilbert.training.evaluation import Runner
    from distilbert.training.events import Event
    from distilbert.training.teachers import Teacher, Text

PIECE = 4096  # rows
_ADVICE = "Free space, or set DISTILBERT_CACHE to another place; what was answered is kept."


def answers_to(
    texts: Texts,
    columns: tuple[str, str | None],
    teacher: Teacher,
    layers: Sequence[int],
    made_from: Mapping[str, Any],
    runner: Runner,
    *,
    anew: bool,
    tell: Callable[[Event], None],
) -> Answers:
    """The answers to rows of one table, whose texts, and their second halves, stand in `columns`.

    From the cache if they are there, else from the teacher; `anew` asks in any case. `made_from` is all that the
    answers depend on beside the rows, the columns and the layers. Raises `StorageError` for an entry that was changed
    since, and where the disk refuses.
    """
    (source,) = texts.sources
    key = {
        **made_from,
        "columns": columns,
        "layers": list(layers),
        "rows": hashlib.sha256(texts.lines.tobytes()).hexdigest(),
    }
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    folder = cache_folder() / "teachers" / name
    here = runner.accelerator
    if anew and here.is_main_process:
        shutil.rmtree(folder, ignore_errors=True)
    here.wait_for_everyone()
    if not folder.exists():
        pieces = folder.with_name(f"{name}.partial")
        with named_errors(pieces, _ADVICE):
            asked = _asked(texts, source.path, columns)
            for number, rows in enumerate(_cut(asked)):
                if number % here.num_processes == here.process_index:
                    _answer_piece(pieces / f"{number:06}.npz", rows, teacher, layers, runner)
                tell(Answered(source.path, min((number + 1) * PIECE, len(texts)), len(texts)))
            here.wait_for_everyone()
            if here.is_main_process:
                _assemble(folder, pieces, key)
        here.wait_for_everyone()
    return _opened(folder)


def _asked(texts: Texts, path: str, columns: tuple[str, str | None]) -> Iterator[Text]:
    return (text_of(row, *columns) for row in rows_at(path, texts.lines))


def _cut(texts: Iterator[Text]) -> Iterator[list[Text]]:
    while piece := list(islice(texts, PIECE)):
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
    opened = [np.load(path) for path in sorted(pieces.glob("*.npz"))]
    with atomic_folder(folder) as new:
        for name in opened[0].files:
            np.save(new / f"{name}.npy", np.concatenate([piece[name] for piece in opened]))
        hashes = {path.name: sha256(path) for path in sorted(new.glob("*.npy"))}
        (new / "answers.json").write_text(json.dumps({"made_from": key, "sha256": hashes}, indent=1) + "\n")
    shutil.rmtree(pieces)


def _opened(folder: Path) -> Answers:
    """The arrays, mapped into memory, after a look at each one's hash."""
    try:
        hashes = json.loads((folder / "answers.json").read_bytes())["sha256"]
        damaged = [name for name, digest in hashes.items() if sha256(folder / name) != digest]
        arrays = {} if damaged else {name: np.load(folder / name, mmap_mode="r") for name in hashes}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        damaged = ["answers.json"]
    if damaged:
        raise StorageError(
            f"{folder / damaged[0]}: the teacher's answers were changed since they were written (SHA-256).",
            "Ask the teacher again: --ask-again.",
        )
    return Answers(arrays["logits.npy"], arrays.get("states.npy"))
