"""ENOSPC and EIO at each write in turn: a named error, nothing half-written, and the next try works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bundles import sentences
from disk_faults import WAYS, Disk, fault_library
from hub_server import serve
from situations import Command, Outcome, complaint, contents

from distilbert.cli.bulk import WINDOW
from distilbert.compile import verify
from distilbert.files.cache import sha256

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

TEXT = "a very good movie"
WRITES = {"open", "write", "close", "rename"}


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fault_library(tmp_path_factory.mktemp("faults"))


@pytest.fixture(params=WAYS)
def disk(request: pytest.FixtureRequest, here: Path, library: Path) -> Disk:
    (here / "disk").mkdir()
    return Disk(here / "disk", request.param, library)


def assert_told(outcome: Outcome, disk: Disk, name: object) -> None:
    """An error of ours, which is two lines, with the reason and a name that the user knows."""
    assert outcome.code == 1
    message = complaint(outcome.err)
    assert len(message.splitlines()) == 2, outcome.err
    assert f": {disk.reason}." in message
    assert str(name) in message
    assert ".partial" not in message


def assert_met(faults: list[str], calls: set[str]) -> None:
    assert calls <= {fault.split()[0] for fault in faults}, faults


def test_compile_leaves_nothing_whichever_write_fails(disk: Disk, tiny_classifier: Path) -> None:
    out, faults = disk.folder / "new" / "out", []
    with disk.command("compile", tiny_classifier, "--out", out, "--precision", "fp32") as command:
        for fault, outcome in command.refused():
            faults.append(fault)
            assert_told(outcome, disk, out)
            assert contents(disk.folder) == {}, fault
    assert_met(faults, {"mkdir", "fsync", *WRITES})
    assert verify(out) == 0


@pytest.mark.parametrize("name", ["answers.csv", "answers.jsonl.gz"])
def test_answers_stand_whole_or_as_before_whichever_write_fails(
    name: str, disk: Disk, distilbert: Command, tiny_int8: Path
) -> None:
    texts = disk.folder.with_name("texts.txt")
    texts.write_text("".join(f"{text}\n" for text in sentences(2 * WINDOW)))
    whole, out, faults = disk.folder.with_name(name), disk.folder / name, []
    line = ["classify", "--model", tiny_int8, "--file", texts, "--resume", "--out"]
    assert distilbert(*line, whole).code == 0
    out.write_bytes(b"mine")
    with disk.command(*line, out) as command:
        for fault, outcome in command.refused():
            faults.append(fault)
            if outcome.code:
                assert_told(outcome, disk, out)
                assert out.read_bytes() == b"mine", fault
                assert command().code == 0
            assert out.read_bytes() == whole.read_bytes(), fault
            assert contents(disk.folder).keys() == {name}, fault
            disk.empty()
            out.write_bytes(b"mine")
    assert_met(faults, {"ftruncate", "fsync", *WRITES})


def test_a_corpus_stands_whole_or_goes_on_whichever_write_fails(
    disk: Disk, distilbert: Command, tiny_classifier: Path
) -> None:
    texts = disk.folder.with_name("texts.txt")
    texts.write_text("".join(f"{text}\n" for text in sentences(200)))
    whole, out, faults = disk.folder.with_name("whole"), disk.folder / "data", []
    line = ["prepare", texts, "--tokenizer", tiny_classifier, "--resume", "--out"]
    assert distilbert(*line, whole).code == 0
    with disk.command(*line, out) as command:
        for fault, outcome in command.refused():
            faults.append(fault)
            if outcome.code:
                assert_told(outcome, disk, out)
                assert not out.exists(), fault
                assert command().code == 0
            assert contents(out) == contents(whole), fault
            assert [path.name for path in disk.folder.iterdir()] == ["data"], fault
            disk.empty()
    assert_met(faults, {"mkdir", "fsync", *WRITES})


def test_a_model_compiled_into_the_cache_is_whole_or_absent_whichever_write_fails(
    disk: Disk, distilbert: Command, tiny_classifier: Path
) -> None:
    line, faults = ["classify", TEXT, "--model", tiny_classifier], []
    expected = distilbert(*line).out
    with disk.command(*line, DISTILBERT_CACHE=str(disk.folder)) as command:
        for fault, outcome in command.refused():
            faults.append(fault)
            if outcome.code:
                assert_told(outcome, disk, disk.folder)
            else:  # what only saves time was not stored
                assert outcome.out == expected, fault
            for bundle in disk.folder.glob("*/bundles/*"):
                assert verify(bundle) == 0
            again = command()
            assert (again.code, again.out) == (0, expected), (fault, again.err)
            disk.empty()
    assert_met(faults, {"mkdir", *WRITES})


def test_a_download_is_whole_or_absent_whichever_write_fails(
    disk: Disk, tiny_classifier: Path, distilbert: Command
) -> None:
    expected, faults = distilbert("classify", TEXT, "--model", tiny_classifier).out, []
    with serve() as hub:
        hub.add("tiny/classifier", tiny_classifier)
        environment = {"HF_HOME": str(disk.folder), "HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0"}
        with disk.command("classify", TEXT, "--model", "tiny/classifier", **environment) as command:
            for fault, outcome in command.refused():
                faults.append(fault)
                if outcome.code:
                    assert_told(outcome, disk, disk.folder)
                else:
                    assert outcome.out == expected, fault
                assert_whole(disk.folder, tiny_classifier)
                again = command()
                assert (again.code, again.out) == (0, expected), (fault, again.err)
                disk.empty()
    assert_met(faults, {"mkdir", "symlink", *WRITES})


def assert_whole(cache: Path, model: Path) -> None:
    """Under a final name stands what the hub has; its contents are called by their SHA-256."""
    for blob in cache.rglob("blobs/*"):
        assert blob.name.endswith(".incomplete") or sha256(blob) == blob.name, blob
    for file in cache.rglob("snapshots/*/*"):
        assert file.read_bytes() == (model / file.name).read_bytes()
