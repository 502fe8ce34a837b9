"""What is written stands under its name whole, or the place is as it was before."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING

import pytest

from distilbert.errors import DataError, StorageError
from distilbert.files.atomic import atomic_file, atomic_folder

if TYPE_CHECKING:
    from pathlib import Path

ENDS = [
    KeyboardInterrupt(),
    SystemExit(3),
    MemoryError(),
    RuntimeError("a bug"),
    DataError("a row is bad.", "Mend it."),
    BrokenPipeError(errno.EPIPE, "Broken pipe"),
    GeneratorExit(),
]


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("before", [None, b"", b"before, and longer than after"])
def test_a_file_is_replaced_whole_and_only_at_the_end(before: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    if before is not None:
        path.write_bytes(before)
    with atomic_file(path) as temporary:
        temporary.write_bytes(b"after")
        assert temporary.parent == tmp_path  # the same file system, so that renaming is one step
        assert (path.read_bytes() if path.exists() else None) == before
    assert contents(tmp_path) == {"a.txt": b"after"}


def test_a_folder_appears_whole_and_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "bundle"
    with atomic_folder(path) as temporary:
        (temporary / "onnx").mkdir()
        (temporary / "onnx" / "model.onnx").write_bytes(b"graph")
        assert not path.exists()
    assert contents(path) == {"onnx": None, "onnx/model.onnx": b"graph"}
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["bundle"]


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    with atomic_folder(tmp_path / "bundle") as temporary:
        (temporary / "a").write_bytes(b"a")
    assert contents(tmp_path) == {"bundle": None, "bundle/a": b"a"}


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
def test_whatever_ends_the_writing_of_a_file_leaves_what_was_there(
    end: BaseException, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_bytes(b"before")
    with pytest.raises(type(end)) as raised, atomic_file(tmp_path / "a.txt") as temporary:  # noqa: PT012
        temporary.write_bytes(b"half")
        raise end
    assert raised.value is end
    assert contents(tmp_path) == {"a.txt": b"before"}


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
def test_whatever_ends_the_filling_of_a_folder_leaves_nothing(end: BaseException, tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "bundle"
    with pytest.raises(type(end)) as raised, atomic_folder(path) as temporary:  # noqa: PT012
        (temporary / "onnx").mkdir()
        (temporary / "onnx" / "model.onnx").write_bytes(b"half")
        raise end
    assert raised.value is end
    assert contents(tmp_path) == {}


def test_a_parent_that_was_there_or_is_used_by_another_stays(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "old" / "bundle"):
        raise RuntimeError
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "new" / "bundle"):  # noqa: PT012
        (tmp_path / "new" / "another.txt").write_bytes(b"theirs")
        raise RuntimeError
    assert contents(tmp_path) == {"old": None, "new": None, "new/another.txt": b"theirs"}


@pytest.mark.parametrize("inside", ["a.txt", ".hidden", "folder/"])
def test_a_folder_with_something_in_it_is_refused_and_kept(inside: str, tmp_path: Path) -> None:
    place = tmp_path / "bundle" / inside
    place.parent.mkdir()
    place.mkdir() if inside.endswith("/") else place.write_bytes(b"mine")
    before = contents(tmp_path)
    with pytest.raises(StorageError, match="already there and is never overwritten"):
        atomic_folder(tmp_path / "bundle").__enter__()
    assert contents(tmp_path) == before


def test_a_file_in_a_folder_s_place_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "bundle").write_bytes(b"mine")
    with pytest.raises(StorageError, match="already there"):
        atomic_folder(tmp_path / "bundle").__enter__()
    assert contents(tmp_path) == {"bundle": b"mine"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone/a", "No such file"),
        ("file/a", "Not a directory"),
        ("a" * 300, "File name too long"),
        ("dir", "Is a"),
    ],
)
def test_a_place_where_no_file_can_be_is_named_with_the_reason(
    name: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "dir").mkdir()
    before = contents(tmp_path)
    with pytest.raises(StorageError) as raised, atomic_file(tmp_path / name) as temporary:
        temporary.write_bytes(b"x")
    assert f"{tmp_path / name} cannot be written: {reason}" in raised.value.fault
    assert raised.value.next_step
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "reason"), [("file/a", "Not a directory"), ("a" * 300, "File name too long")]
)
def test_a_place_where_no_folder_can_be_is_named_with_the_reason(
    name: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(StorageError) as raised, atomic_folder(tmp_path / name):
        pass
    assert f"{tmp_path / name} cannot be written: {reason}" in raised.value.fault
    assert contents(tmp_path) == {"file": b"mine"}


@pytest.mark.parametrize("name", ["a" * 255, "é" * 127])
def test_a_name_as_long_as_a_name_can_be_is_written(name: str, tmp_path: Path) -> None:
    with atomic_file(tmp_path / name) as temporary:
        temporary.write_bytes(b"x")
    (tmp_path / name).unlink()
    with atomic_folder(tmp_path / name) as temporary:
        (temporary / "a").write_bytes(b"x")
    assert contents(tmp_path) == {name: None, f"{name}/a": b"x"}


def test_a_disk_that_turns_out_full_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for kind, name in ((atomic_file, "a"), (atomic_folder, "b")):
        with pytest.raises(StorageError) as raised, kind(tmp_path / name) as temporary:
            (temporary if name == "a" else temporary / "inside").write_bytes(b"x")
        assert f"{name} cannot be written: No space left on device" in raised.value.fault
    assert contents(tmp_path) == {}


def test_a_file_that_cannot_be_written_into_a_folder_is_named_by_its_final_place(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with (
        pytest.raises(StorageError) as raised,
        atomic_folder(out) as folder,
        atomic_file(folder / "gone" / "a.txt"),
    ):
        pass
    assert raised.value.fault == f"{out}/gone/a.txt cannot be written: No such file or directory."
    assert contents(tmp_path) == {}


def test_a_writer_that_makes_no_file_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"before")
    with pytest.raises(StorageError), atomic_file(tmp_path / "a") as temporary:
        temporary.unlink()
    assert contents(tmp_path) == {"a": b"before"}


def test_of_many_writers_one_wins_and_none_leaves_anything(tmp_path: Path) -> None:
    won: list[int] = []
    refused: list[StorageError] = []

    def write(number: int) -> None:
        with atomic_file(tmp_path / "file") as temporary:
            temporary.write_text(f"{number}" * 10_000)
        try:
            with atomic_folder(tmp_path / "folder") as temporary:
                (temporary / "a").write_text(f"{number}")
            won.append(number)
        except StorageError as error:
            refused.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set((tmp_path / "file").read_text())) == 1
    assert len(won) == 1
    assert len(refused) == 7
    assert contents(tmp_path).keys() == {"file", "folder", "folder/a"}
    assert (tmp_path / "folder" / "a").read_text() == f"{won[0]}"
