"""ENOSPC and EIO at each write in turn: a named error, nothing half-written under a final name, and the next try works."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from bundles import sentences
from disk_faults import WAYS, Disk, fault_library
from hub_server import serve
from situations import Command, Outcome, complaint, contents

from distilbert.compile import verify
from distilbert.files.cache import sha256

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

NAME = "tiny/classifier"


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fault_library(tmp_path_factory.mktemp("faults"))


@pytest.fixture(params=WAYS)
def disk(request: pytest.FixtureRequest, here: Path, library: Path, distilbert: Command) -> Disk:
    (here / "disk").mkdir()
    return Disk(here / "disk", request.param, library, distilbert)


def assert_told(outcome: Outcome, disk: Disk, *names: str) -> None:
    """An error of ours, which is two lines, with the reason and a name that the user knows."""
    assert outcome.code == 1
    message = complaint(outcome.err)
    assert len(message.splitlines()) == 2, outcome.err
    assert f": {disk.reason}." in message
    assert any(name in message for name in names), message
    assert ".partial" not in message


def emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def calls(faults: list[str]) -> set[str]:
    return {fault.split()[0] for fault in faults}


def test_compile_leaves_nothing_whichever_write_fails(disk: Disk, tiny_classifier: Path) -> None:
    out = disk.folder / "new" / "out"
    line = ["compile", tiny_classifier, "--out", out, "--precision", "fp32"]
    faults = []
    for fault, outcome in disk.refusals(*line, environment={}):
        faults.append(fault)
        assert_told(outcome, disk, f"{out} cannot", f"{out}/")
        assert contents(disk.folder) == {}, fault
    assert calls(faults) == {"mkdir", "open", "write", "close", "fsync", "rename"}
    assert verify(out) == 0


@pytest.mark.parametrize("name", ["answers.csv", "answers.jsonl.gz"])
def test_answers_stand_whole_or_as_before_whichever_write_fails(
    name: str, disk: Disk, distilbert: Command, tiny_int8: Path
) -> None:
    texts = disk.folder.parent / "many.txt"
    texts.write_text("".join(f"{text}\n" for text in sentences(200)))
    whole, out = disk.folder.parent / name, disk.folder / name
    line = ["classify", "--model", tiny_int8, "--file", texts, "--out"]
    assert distilbert(*line, whole).code == 0
    out.write_bytes(b"mine")
    faults = []
    for fault, outcome in disk.refusals(*line, out, environment={}):
        faults.append(fault)
        if outcome.code:
            assert_told(outcome, disk, f"{out} cannot")
            assert out.read_bytes() == b"mine", fault
            again = distilbert(*line, out)
            assert again.code == 0, again.err
        assert out.read_bytes() == whole.read_bytes(), fault
        emptied(disk.folder)
        out.write_bytes(b"mine")
    assert calls(faults) == {"open", "write", "close", "fsync", "rename"}


def test_a_download_is_whole_or_absent_whichever_write_fails(
    disk: Disk, tiny_classifier: Path, distilbert: Command
) -> None:
    expected = distilbert("classify", "a very good movie", "--model", tiny_classifier).out
    with serve() as hub:
        hub.add(NAME, tiny_classifier)
        environment = {
            "HF_HOME": str(disk.folder / "hub"),
            "HF_ENDPOINT": hub.endpoint,
            "HF_HUB_OFFLINE": "0",
            "DISTILBERT_CACHE": str(disk.folder / "cache"),
        }
        line = ["classify", "a very good movie", "--model", NAME]
        faults = []
        for fault, outcome in disk.refusals(*line, environment=environment):
            faults.append(fault)
            if outcome.code:
                assert_told(outcome, disk, str(disk.folder / "hub"), str(disk.folder / "cache"))
            else:
                assert outcome.out == expected, fault
            assert_whole(disk.folder, tiny_classifier)
            again = distilbert.process(*line, env=os.environ | environment)
            assert (again.code, again.out) == (0, expected), (fault, again.err)
            emptied(disk.folder)
    assert calls(faults) >= {"mkdir", "open", "write", "close", "fsync", "rename"}


def assert_whole(folder: Path, model: Path) -> None:
    """What stands under a final name is what the hub has, or a whole bundle."""
    for blob in folder.rglob("blobs/*"):
        assert blob.name.endswith(".incomplete") or sha256(blob) == blob.name, blob
    for file in folder.rglob("snapshots/*/*"):
        assert file.read_bytes() == (model / file.name).read_bytes()
    for bundle in folder.glob("cache/*/bundles/[!.]*"):
        verify(bundle)
