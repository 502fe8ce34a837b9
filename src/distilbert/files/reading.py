"""Reading what others wrote: regular files only, inside their own folder, and no more of them than makes sense.

A pipe would be waited for, a device read until memory is full, a link followed to files that are not the model's.
"""

from __future__ import annotations

import errno
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_LARGEST = 8 << 30  # bytes: holes in a file take no room on a disk, but a day to read


def checked_size(path: Path, folder: Path | None = None) -> int:
    """The bytes of a regular file in `folder` (by default the one that it is named in) or below it.

    Links may lead anywhere inside. A model in the Hugging Face cache is a folder `snapshots/COMMIT` of links to
    `blobs` beside `snapshots`: so they may, too. Raises `OSError`, whose `strerror` says what is wrong.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    root, real = (folder or path.parent).resolve(), path.resolve()
    blobs = [root.parent.parent / "blobs"] if root.parent.name == "snapshots" else []
    if not any(real.is_relative_to(place) for place in (root, *blobs)):
        raise OSError(errno.EXDEV, "it is a link that leads out of the model's folder", str(path))
    if status.st_size > _LARGEST:
        raise OSError(errno.EFBIG, f"it has {status.st_size:,} bytes, more than any model here", str(path))
    return status.st_size


def next_step(error: OSError, otherwise: str) -> str:
    """What to do about an error of these functions; `otherwise` for all but a link that leads out."""
    copy = "Copy the model with its links followed: cp -rL MODEL COPY."
    return copy if error.errno == errno.EXDEV else otherwise


def read_small(path: Path, limit: int) -> bytes:
    """All bytes of a file of at most `limit`. Raises `OSError` as `checked_size` does, and for a larger one."""
    size = checked_size(path)
    if size > limit:
        raise OSError(errno.EFBIG, f"it has {size:,} bytes, and at most {limit:,} are read", str(path))
    with path.open("rb") as file:
        return file.read(limit)
