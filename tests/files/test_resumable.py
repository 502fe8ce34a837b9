"""Resumable tables: killed at any write, or anywhere between, and gone on with: the same bytes in the end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from distilbert.errors import DataError, OptionError, StorageError
from distilbert.files.resumable import resumable_table
from distilbert.files.tables import read_rows

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [{"text": f"\ufeffrow, {number}", "score": number / 7} for number in range(10)]
PIECE = 3
MADE_FROM = {"input": "abc", "--top-k": None}
KILLED = 9


def write(path: Path, *, resume: bool = True, rows: int = len(ROWS), **made_from: Any) -> None:
    with resumable_table(path, ["text", "score"], MADE_FROM | made_from, resume=resume) as table:
        for start in range(table.rows, rows, PIECE):
            table.append(ROWS[start : start + PIECE])


def left_by_a_kill(path: Path, pieces: int, **made_from: Any) -> None:
    """Write so many pieces, and end as SIGKILL ends: nothing more runs."""
    child = os.fork()
    if child == 0:
        with resumable_table(path, ["text", "score"], MADE_FROM | made_from, resume=False) as table:
            for piece in range(pieces):
                table.append(ROWS[PIECE * piece : PIECE * (piece + 1)])
            os._exit(KILLED)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED


def partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")


def journal(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial.jsonl")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["write", "fsync", "replace", "unlink"])
@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "csv.gz"])
def test_killed_at_any_call_and_gone_on_with_it_ends_in_the_same_bytes(
    tmp_path: Path, ending: str, call: str, when: str
) -> None:
    whole = tmp_path / f"whole.{ending}"
    write(whole)
    assert [row.values["text"] for row in read_rows(whole)] == [row["text"] for row in ROWS]
    path = tmp_path / f"killed.{ending}"
    for calls in range(1, 100):
        if not _killed_at(path, call, calls, when):
            break
        assert not path.exists() or path.read_bytes() == whole.read_bytes()
        write(path)
        assert path.read_bytes() == whole.read_bytes()
        path.unlink()
    assert calls > 1, "no such call was made"
    assert names(tmp_path) == {whole.name, path.name}


def _killed_at(path: Path, call: str, calls: int, when: str) -> bool:
    """Whether a process that writes the table was killed at so many calls; a write stops half-way."""
    from pathlib import Path as Paths

    from distilbert.files import resumable

    child = os.fork()
    if child == 0:
        left = calls

        def counted(original: Any) -> Any:
            def wrapper(*args: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0 and when == "before":
                    if call == "write":
                        original(args[0], bytes(args[1])[: len(args[1]) // 2])
                    os._exit(KILLED)
                result = original(*args)
                if left == 0:
                    os._exit(KILLED)
                return result

            return wrapper

        class File(resumable.FileIO):
            write = counted(resumable.FileIO.write)

        if call == "write":
            resumable.FileIO = File  # type: ignore[misc]
        elif call == "fsync":
            os.fsync = counted(os.fsync)
        else:
            setattr(Paths, call, counted(getattr(Paths, call)))
        write(path)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED


@pytest.mark.parametrize("input", ["abc", "xyz"])
def test_what_is_left_is_never_written_over_without_resume(tmp_path: Path, input: str) -> None:  # noqa: A002
    path = tmp_path / "t.csv"
    left_by_a_kill(path, 2, input=input)
    with pytest.raises(
        StorageError, match=r"t\.csv\.partial and .* hold 6 rows of an interrupted run\.\nAdd --resume"
    ):
        write(path, resume=False)
    write(path, resume=True, input=input)
    assert len(list(read_rows(path))) == len(ROWS)


def test_what_was_made_from_something_else_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    left_by_a_kill(path, 2, input="xyz")
    before = partial(path).read_bytes(), journal(path).read_bytes()
    with pytest.raises(OptionError, match="was made with another input: xyz, now abc"):
        write(path, resume=True)
    assert (partial(path).read_bytes(), journal(path).read_bytes()) == before
    with pytest.raises(OptionError, match="another --top-k: None, now 3"):
        write(path, resume=True, **{"input": "xyz", "--top-k": 3})


def test_nothing_safe_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError), resumable_table(tmp_path / "t.tsv", ["text"], {}, resume=False) as table:
        table.append([{"text": "a\tb"}])
    assert names(tmp_path) == set()


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: os.truncate(partial(path), 3),
        lambda path: journal(path).unlink(),
        lambda path: journal(path).write_bytes(b"\0" * 99),
        lambda path: journal(path).write_text('{"a": 1}\n{"rows": 1, "bytes": 1}\n'),
        lambda path: journal(path).write_text("[" * 100_000 + "\n"),
    ],
    ids=["a table cut short", "no journal", "a journal of zeros", "somebody's own lines", "deep JSON"],
)
def test_what_no_run_of_ours_left_is_not_touched(tmp_path: Path, damage: Any, resume: bool) -> None:
    path = tmp_path / "t.csv"
    left_by_a_kill(path, 2)
    damage(path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(StorageError, match="are not what an interrupted run leaves"):
        write(path, resume=resume)
    kept = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert kept == before


@pytest.mark.parametrize(
    "nothing",
    [
        lambda path: partial(path).unlink(),
        lambda path: os.truncate(journal(path), 5),
        lambda path: os.truncate(journal(path), 0),
        lambda path: journal(path).write_text('{"made_from": {}}\n{"rows": Infinity, "bytes": 1}\n'),
    ],
    ids=["only the journal of a finished run", "half a first line", "no first line", "no number of rows"],
)
def test_what_holds_no_rows_is_begun_again(tmp_path: Path, nothing: Any) -> None:
    path = tmp_path / "t.csv"
    left_by_a_kill(path, 2)
    os.truncate(partial(path), 0)
    nothing(path)
    write(path, resume=False)
    assert [row.values["text"] for row in read_rows(path)] == [row["text"] for row in ROWS]
    assert names(tmp_path) == {"t.csv"}


def test_what_the_input_is_at_fault_for_is_removed(tmp_path: Path) -> None:
    def fail() -> None:
        with resumable_table(tmp_path / "t.tsv", ["text", "score"], {}, resume=False) as table:
            table.append([{"text": "a", "score": 1}])
            table.append([{"text": "a\tb", "score": 1}])

    with pytest.raises(DataError):
        fail()
    assert names(tmp_path) == set()


def test_a_link_is_followed_where_it_is_the_table_s_and_refused_where_it_lies_in_wait(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "t.csv").symlink_to(tmp_path / "real" / "mine.csv")
    write(tmp_path / "t.csv")
    assert (tmp_path / "t.csv").is_symlink()
    assert len(list(read_rows(tmp_path / "real" / "mine.csv"))) == len(ROWS)
    (tmp_path / "precious").write_text("precious")
    partial(tmp_path / "u.csv").symlink_to(tmp_path / "precious")
    with pytest.raises(StorageError, match="cannot be written"):
        write(tmp_path / "u.csv")
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_journal_that_cannot_be_opened_leaves_nothing_new(tmp_path: Path) -> None:
    journal(tmp_path / "t.csv").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        write(tmp_path / "t.csv")
    assert names(tmp_path) == {"t.csv.partial.jsonl"}


def test_two_processes_at_one_table_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    with resumable_table(path, ["text", "score"], MADE_FROM, resume=False) as table:
        table.append(ROWS[:PIECE])
        child = os.fork()
        if child == 0:
            os.close(table.table.fileno())  # what a fork shares, another process would not have
            try:
                write(path)
            except StorageError as error:
                os._exit(KILLED if "being written by another process" in str(error) else 1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED
        table.append(ROWS[PIECE:])
    assert len(list(read_rows(path))) == len(ROWS)


def test_a_folder_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(StorageError, match="is a folder"):
        write(tmp_path / "t.csv")
    assert names(tmp_path) == {"t.csv"}
