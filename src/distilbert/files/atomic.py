"""All-or-nothing writes: a file or folder stands under its final name whole, or not at all.

A writer fills a temporary neighbour of the target (same file system), which is flushed to disk and renamed.
Whatever goes wrong on the way, a full disk or an interrupt, the neighbour is removed and the target is as before.
"""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from distilbert.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a path to write to; on success it becomes `path`, replacing what was there.

    Raises `StorageError` where the disk refuses: read-only, full, no such folder.
    """
    temporary = _neighbour(path)
    try:
        with named_errors(path):
            temporary.touch(exist_ok=False)
            yield temporary
            _flush(temporary)
            temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; on success it becomes `path`, which must not exist or be empty.

    Raises `StorageError` as `atomic_file` does, and for a `path` with something in it.
    """
    with named_errors(path):
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise StorageError(f"{path} is already there and is never overwritten.", "Choose another folder.")
        new_parents = [parent for parent in path.parents if not parent.exists()]
    temporary = _neighbour(path)
    try:
        with named_errors(path, temporary=temporary):
            temporary.mkdir(parents=True)
            yield temporary
            for written in temporary.rglob("*"):
                if written.is_file():
                    _flush(written)
            temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):  # the first one with something in it ends this
            for parent in new_parents:
                parent.rmdir()


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _neighbour(path: Path) -> Path:
    return path.parent / f".{path.name[:40]}.{secrets.token_hex(4)}.partial"  # names end at 255 bytes


def try_lock(file: IO[Any] | int) -> bool:
    """Whether this process now has the open file or folder to itself, until it is closed by whatever end.

    A lock file that is made and removed would stay behind a kill. Windows has no such locks: there it is always so.
    """
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def named_errors(
    path: Path,
    next_step: str = "Free space or choose another place; nothing was left half-written.",
    *,
    temporary: Path | None = None,
) -> Iterator[None]:
    """Turn what the system says into a `StorageError` about `path`, which is `temporary` until it is whole."""
    try:
        yield
    except StorageError as error:  # of a file in a folder: its final place says more than its present one
        if temporary is None:
            raise
        raise StorageError(error.fault.replace(str(temporary), str(path)), error.next_step) from error
    except BrokenPipeError:  # whoever reads has enough, which is nothing about this path
        raise
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}.", next_step) from error
