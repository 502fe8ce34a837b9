"""Files that others wrote: regular ones, inside their folder, up to a size; all else is an OSError that says why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from distilbert.files.reading import checked_size, read_small

INSIDE = {
    "a file": lambda folder: folder / "file",
    "a link to a neighbour": lambda folder: link(folder / "link", "file"),
    "a link to a folder below": lambda folder: link(folder / "link", "below/deep"),
    "a folder's link": lambda folder: link(folder / "road", "below") / "deep",
    "a chain of links": lambda folder: link(link(folder / "link", "other").with_name("other"), "file"),
}
OUTSIDE = {
    "a link out": (lambda folder: link(folder / "link", "../secret"), "leads out of the model's folder"),
    "an absolute link": (lambda folder: link(folder / "link", folder.parent / "secret"), "leads out"),
    "a folder's link": (lambda folder: link(folder / "road", "..") / "secret", "leads out"),
    "a neighbour whose name begins alike": (lambda f: link(f / "link", "../model-2/file"), "leads out"),
    "a device": (lambda folder: link(folder / "link", "/dev/zero"), "not a regular file"),
    "a pipe": (lambda folder: os.mkfifo(folder / "pipe") or folder / "pipe", "not a regular file"),
    "a folder": (lambda folder: folder / "below", "not a regular file"),
    "nothing": (lambda folder: folder / "gone", "No such file"),
    "a circle": (lambda folder: link(folder / "link", "link"), "Too many levels"),
    "nine gigabytes of holes": (
        lambda folder: hollow(folder / "hollow"),
        "9,663,676,416 bytes, more than any",
    ),
}


def link(path: Path, aim: str | Path) -> Path:
    path.symlink_to(aim)
    return path


def hollow(path: Path) -> Path:
    with path.open("wb") as file:
        file.truncate(9 << 30)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    for path in (
        folder / "file",
        folder / "below" / "deep",
        tmp_path / "model-2" / "file",
        tmp_path / "secret",
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"1234")
    return folder


@pytest.mark.parametrize("make", INSIDE.values(), ids=INSIDE)
def test_what_lies_in_the_folder_is_read(make, folder: Path) -> None:
    path = make(folder)
    if path.name == "other":  # the end of the chain; its beginning is meant
        path = folder / "link"
    assert checked_size(path, folder) == 4
    assert checked_size(path, Path(os.path.relpath(folder))) == 4


@pytest.mark.parametrize(("make", "fault"), OUTSIDE.values(), ids=OUTSIDE)
def test_what_lies_elsewhere_or_is_no_file_is_refused(make, fault: str, folder: Path) -> None:
    path = make(folder)
    with pytest.raises(OSError, match=fault) as refusal:
        checked_size(path, folder)
    assert refusal.value.strerror


def test_a_folder_may_be_reached_by_a_link(folder: Path, tmp_path: Path) -> None:
    assert read_small(link(tmp_path / "way", "model") / "file", 4) == b"1234"


def test_in_the_hubs_cache_links_lead_to_the_blobs_of_their_own_repository_only(tmp_path: Path) -> None:
    for repository in ("one", "other"):
        (tmp_path / repository / "blobs").mkdir(parents=True)
        (tmp_path / repository / "blobs" / "hash").write_bytes(b"12")
    snapshot = tmp_path / "one" / "snapshots" / "0a1b"
    (snapshot / "onnx").mkdir(parents=True)
    assert checked_size(link(snapshot / "a", "../../blobs/hash")) == 2
    assert checked_size(link(snapshot / "onnx" / "a", "../../../blobs/hash"), snapshot) == 2
    with pytest.raises(OSError, match="leads out"):
        checked_size(link(snapshot / "b", "../../../other/blobs/hash"))


def test_a_file_of_just_the_limit_is_read_and_a_larger_one_is_not(folder: Path) -> None:
    assert read_small(folder / "file", 4) == b"1234"
    with pytest.raises(OSError, match="it has 4 bytes, and at most 3 are read"):
        read_small(folder / "file", 3)
