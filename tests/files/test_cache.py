"""What was read before is not read again, unless it changed; and nothing depends on the cache being there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from distilbert.errors import StorageError
from distilbert.files import cache
from distilbert.files.cache import cache_folder, known_sha256, sha256


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DISTILBERT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files whose bytes were read, in order."""
    read: list[Path] = []

    def counting(path: Path) -> str:
        read.append(path)
        return sha256(path)

    monkeypatch.setattr(cache, "sha256", counting)
    return read


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"weights")
    return path


def of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_a_hash_is_of_the_whole_file(size: int, tmp_path: Path) -> None:
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    assert sha256(tmp_path / "file") == of(content)


def test_a_file_is_read_once(own_cache: Path, file: Path, readings: list[Path]) -> None:
    assert [known_sha256(file) for _ in range(3)] == [of(b"weights")] * 3
    assert readings == [file]


def test_a_file_changed_in_place_is_read_again_though_its_size_is_the_same(
    own_cache: Path, file: Path, readings: list[Path]
) -> None:
    known_sha256(file)
    before = file.stat().st_mtime_ns
    file.write_bytes(b"WEIGHTS")
    os.utime(file, ns=(before, before + 1))
    assert known_sha256(file) == of(b"WEIGHTS")
    assert len(readings) == 2


def test_a_file_of_another_size_is_read_again_though_its_time_is_the_same(
    own_cache: Path, file: Path, readings: list[Path]
) -> None:
    known_sha256(file)
    before = file.stat()
    file.write_bytes(b"more weights")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert known_sha256(file) == of(b"more weights")


def test_files_do_not_share_a_stamp_and_names_of_one_file_do(
    own_cache: Path, file: Path, readings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = file.with_name("twin.onnx")
    twin.write_bytes(b"weights")
    link = file.with_name("link.onnx")
    link.symlink_to(file)
    monkeypatch.chdir(file.parent)
    for path in (file, twin, link, Path("model.onnx")):
        assert known_sha256(path) == of(b"weights")
    assert readings == [file, twin]


def test_a_link_that_leads_elsewhere_now_is_followed(own_cache: Path, file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    assert known_sha256(link) == of(b"weights")
    other = tmp_path / "other"
    other.write_bytes(b"other")
    link.unlink()
    link.symlink_to(other)
    assert known_sha256(link) == of(b"other")


def test_a_name_that_is_not_unicode_is_a_name(own_cache: Path, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    try:
        path.write_bytes(b"weights")
    except OSError:
        pytest.skip("needs a file system with names that are not UTF-8")
    assert known_sha256(path) == known_sha256(path) == of(b"weights")


@pytest.mark.parametrize(
    "stamp", [b"", b"{}", b"[1, 2, 3]", b"null", b"\xff", b'[[0, 0], "0"]', b"[[7", b'{"a": 1, "b": 2}', b"5"]
)
def test_a_spoilt_stamp_only_costs_the_reading(
    stamp: bytes, own_cache: Path, file: Path, readings: list[Path]
) -> None:
    known_sha256(file)
    [stored] = own_cache.rglob("*.json")
    stored.write_bytes(stamp)
    assert known_sha256(file) == known_sha256(file) == of(b"weights")
    assert len(readings) == 2  # and it is mended


def block_with_a_file(place: Path) -> None:
    place.write_bytes(b"")


def block_with_a_broken_link(place: Path) -> None:
    place.symlink_to("/proc/self/nowhere/at/all")


@pytest.mark.parametrize("block", [block_with_a_file, block_with_a_broken_link])
@pytest.mark.parametrize("at", ["cache", "cache/v1", "cache/v1/stamps"])
def test_a_cache_that_cannot_be_written_only_costs_the_reading(
    at: str, block: object, own_cache: Path, file: Path, readings: list[Path], tmp_path: Path
) -> None:
    (tmp_path / at).parent.mkdir(parents=True, exist_ok=True)
    block(tmp_path / at)  # type: ignore[operator]
    assert [known_sha256(file) for _ in range(2)] == [of(b"weights")] * 2
    assert len(readings) == 2


def test_the_cache_lies_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DISTILBERT_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / "home" / ".cache" / "distilbert" / "v1"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "distilbert" / "v1"
    monkeypatch.setenv("DISTILBERT_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine" / "v1"
    assert list(tmp_path.iterdir()) == []  # asking makes nothing


def test_a_user_without_a_home_is_served_without_a_cache(
    monkeypatch: pytest.MonkeyPatch, file: Path, readings: list[Path]
) -> None:
    for variable in ("DISTILBERT_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987_654_321)  # as in a container that was given a number only
    with pytest.raises(StorageError, match="DISTILBERT_CACHE"):
        cache_folder()
    assert known_sha256(file) == of(b"weights")
