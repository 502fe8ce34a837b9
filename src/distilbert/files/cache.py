"""What belongs to this machine and can be made again: compiled float32 bundles, stamps of checked files.

One folder: `DISTILBERT_CACHE`, else `distilbert` under `XDG_CACHE_HOME` or `~/.cache`. Everything in it lies
below one version, so a release that changes what is stored simply does not see the old entries.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from distilbert.errors import StorageError
from distilbert.files.atomic import atomic_file

VERSION = "v1"
_CHUNK = 1 << 20


def cache_folder() -> Path:
    """The cache of this machine and version; not created until something is stored.

    Raises `StorageError` where the user has no home folder and no variable names another place.
    """
    if chosen := os.environ.get("DISTILBERT_CACHE"):
        return Path(chosen) / VERSION
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "distilbert" / VERSION
    try:
        return Path.home() / ".cache" / "distilbert" / VERSION
    except RuntimeError as error:  # a container's user without a name
        raise StorageError("There is no home folder to keep a cache in.", "Set DISTILBERT_CACHE.") from error


def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def known_sha256(path: Path) -> str:
    """As `sha256`, but a file whose size and time were seen before on this machine is not read again.

    A cache that cannot be written only costs the reading.
    """
    status = path.stat()
    seen = [status.st_size, status.st_mtime_ns]
    with suppress(OSError, ValueError, TypeError, StorageError):
        stored_seen, stored_digest = json.loads(_stamp_file(path).read_bytes())
        if stored_seen == seen:
            return str(stored_digest)
    digest = sha256(path)
    with suppress(OSError, StorageError):
        stamp_file = _stamp_file(path)
        stamp_file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(stamp_file) as temporary:
            temporary.write_text(json.dumps([seen, digest]))
    return digest


def _stamp_file(path: Path) -> Path:
    place = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    return cache_folder() / "stamps" / f"{place}.json"
