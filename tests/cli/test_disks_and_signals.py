"""Disks that are full or read-only, streams that are closed, and Ctrl-C: said in a line, and nothing half-written."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from bundles import sentences
from situations import Command, Place, complaint, contents, needs, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


# Disks that are full or read-only


# Lets a process write no file beyond 40 blocks, of 512 or 1,024 bytes.
LIMITED = ("sh", "-c", 'ulimit -f 40 && exec "$@"', "sh")


def test_a_bundle_too_large_for_its_place_leaves_nothing(place: Place, distilbert: Command) -> None:
    line = ["compile", place.whole_checkpoint, "--out", "new/out", "--precision", "fp32"]
    outcome = distilbert.process(*line, prefix=LIMITED)
    assert outcome.code == 1
    assert "new/out cannot be written: File too large" in complaint(outcome.err)
    assert contents(place.folder) == {}


def test_answers_too_large_for_their_place_leave_what_was_there(
    place: Place, distilbert: Command, tiny_fp32: Path
) -> None:
    place.file("answers.csv", "mine")
    place.file("many.txt", "".join(f"{text}\n" for text in sentences(2000)))
    before = contents(place.folder)
    line = ["classify", "--model", tiny_fp32, "--file", "many.txt", "--out", "answers.csv"]
    outcome = distilbert.process(*line, prefix=LIMITED)
    assert outcome.code == 1
    assert "answers.csv cannot be written: File too large" in complaint(outcome.err)
    assert contents(place.folder) == before


def test_a_disk_that_fills_up_at_any_file_of_a_bundle_leaves_nothing(
    place: Place, distilbert: Command, full_disk: Callable[[int], None]
) -> None:
    line = ["compile", place.whole_checkpoint, "--out", "out", "--precision", "fp32"]
    for files in range(100):
        full_disk(files)
        outcome = distilbert(*line)
        if outcome.code == 0:
            break
        assert outcome.code == 1
        assert "cannot be written: No space left on device" in complaint(outcome.err)
        assert contents(place.folder) == {}
    assert files > 5  # each of its files was once the last straw
    assert distilbert("verify", "out").code == 0


def test_a_disk_that_fills_up_under_answers_leaves_what_was_there(
    place: Place, distilbert: Command, tiny_fp32: Path, full_disk: Callable[[int], None]
) -> None:
    place.file("answers.csv", "mine")
    full_disk(0)
    outcome = distilbert("classify", "--model", tiny_fp32, "hello", "--out", "answers.csv")
    assert outcome.code == 1
    assert "answers.csv cannot be written: No space left on device" in complaint(outcome.err)
    assert contents(place.folder) == {"answers.csv": b"mine"}


def in_a_small_file_system(options: str) -> tuple[str, ...]:
    """A prefix that runs a command with a small file system of its own over ./disk, where the kernel lets us."""
    script = f'mount -t tmpfs -o {options} none disk && exec "$@"'
    prefix = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh")
    if not shutil.which("unshare") or subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("needs a kernel that lets a user mount a file system in a namespace")
    return prefix


SMALL_DISKS = {"size=64k": "No space left on device", "ro": "Read-only file system"}


@pytest.mark.parametrize("options", SMALL_DISKS)
@pytest.mark.parametrize("target", ["out", "new/out", "answers.csv"])
def test_a_real_disk_that_is_full_or_read_only_is_named(
    options: str, target: str, place: Place, distilbert: Command, tiny_fp32: Path
) -> None:
    (place.folder / "disk").mkdir()
    place.file("many.txt", "".join(f"{text}\n" for text in sentences(2000)))
    line = ["compile", place.whole_checkpoint, "--precision", "fp32"]
    if target == "answers.csv":
        line = ["classify", "--model", tiny_fp32, "--file", "many.txt"]
    prefix = in_a_small_file_system(options)
    outcome = distilbert.process(*line, "--out", f"disk/{target}", prefix=prefix)
    assert outcome.code == 1
    assert f"disk/{target} cannot be written: {SMALL_DISKS[options]}" in complaint(outcome.err)


def test_a_full_device_behind_out_is_named(place: Place, distilbert: Command, tiny_fp32: Path) -> None:
    needs("/dev/full")
    (place.folder / "full.csv").symlink_to("/dev/full")
    outcome = distilbert("classify", "--model", tiny_fp32, "hello", "--out", "full.csv")
    assert outcome.code == 1
    assert "full.csv cannot be written: No space left on device" in complaint(outcome.err)


@pytest.mark.parametrize(
    "line", ["classify hello", "classify hello --json", "compile --help", "score --file {reviews}"]
)
def test_a_full_device_behind_standard_output_is_named(
    line: str, place: Place, distilbert: Command, tiny_fp32: Path
) -> None:
    needs("/dev/full")
    words = line.split() if "--help" in line else words_of(place, line, tiny_fp32)
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        process = distilbert.start(*words, stdout=full, stderr=subprocess.PIPE)
        err = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 1
    assert complaint(err).startswith("standard output")
    assert "No space left on device" in err


# Streams and signals


@pytest.fixture
def many(place: Place) -> Path:
    return place.file("many.txt", "".join(f"{text}\n" for text in sentences(20_000, longest=5)))


@pytest.mark.parametrize("options", ["", "--json"])
def test_a_reader_that_has_seen_enough_ends_the_command_quietly(
    options: str, distilbert: Command, tiny_fp32: Path, many: Path
) -> None:
    line = ["classify", "--model", tiny_fp32, "--file", many, *options.split()]
    process = distilbert.start(*line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stderr
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) == 1


@pytest.mark.parametrize(("stream", "code"), [("<&-", 1), (">&-", 0), ("2>&-", 0)])
def test_a_closed_stream_is_an_empty_one(
    stream: str, code: int, distilbert: Command, tiny_fp32: Path, here: Path
) -> None:
    line = ["classify", "--model", tiny_fp32, "--json", *(["--file", "-"] if stream == "<&-" else ["hello"])]
    outcome = distilbert.process(*line, prefix=("sh", "-c", f'exec "$@" {stream}', "sh"))
    assert outcome.code == code
    assert outcome.err == "" or "standard input has no rows" in complaint(outcome.err)
    assert bool(outcome.out) == (stream == "2>&-")


@pytest.mark.parametrize("streams", ["2>&-", ">&- 2>&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_a_file_is_answered_whole_without_any_stream(
    streams: str, distilbert: Command, tiny_fp32: Path, place: Place
) -> None:
    """What would be said must not end in a file that got the closed stream's number."""
    place.file("texts.txt", "hello\n" + "long " * 600 + "\n")
    line = ["classify", "--model", tiny_fp32, "--file", "texts.txt", "--out"]
    assert distilbert.process(*line, "whole.csv").code == 0
    outcome = distilbert.process(*line, "answers.csv", prefix=("sh", "-c", f'exec "$@" {streams}', "sh"))
    assert outcome.code == 0
    files = contents(place.folder)
    assert files["answers.csv"] == files["whole.csv"]


def slow_texts() -> Iterator[bytes]:
    yield from (f"text {number}\n".encode() for number in range(64))


def interrupted(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.decode().strip() == "interrupted"


def test_an_interrupt_while_texts_come_slowly_ends_with_130(distilbert: Command, tiny_fp32: Path) -> None:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = distilbert.start("classify", "--model", tiny_fp32, "--json", "--file", "-", **pipes)
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"".join(slow_texts()))
    process.stdin.flush()
    assert process.stdout.readline()  # it is at work, and waits for more
    interrupted(process)


def test_an_interrupt_leaves_no_half_a_file(distilbert: Command, tiny_fp32: Path, here: Path) -> None:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    line = ["classify", "--model", tiny_fp32, "--file", "-", "--out", "answers.csv"]
    process = distilbert.start(*line, **pipes)
    assert process.stdin
    process.stdin.write(b"".join(slow_texts()))
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while not list(here.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(here.iterdir())  # half a file, under another name
    interrupted(process)
    assert list(here.iterdir()) == []
