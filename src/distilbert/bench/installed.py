"""How much disk a way takes: its packages with all that they need, as they are installed here."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

import distilbert

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def installed_bytes(packages: Iterable[str]) -> int:
    """Bytes of the files of these packages and of the packages that they need, extras left out."""
    size, seen, left = 0, set[str](), list(packages)
    while left:
        name = re.sub(r"[-_.]+", "-", left.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:  # needed on other systems only
            continue
        size += _own(name, [Path(str(file.locate())) for file in found.files or []])
        left += [_NAME.match(line)[0] for line in found.requires or [] if "extra ==" not in line]  # type: ignore[index]
    return size


def _own(name: str, files: list[Path]) -> int:
    if name == "distilbert":  # which may be installed as a link to its sources
        files = [*Path(distilbert.__file__).parent.rglob("*")]
    return sum(file.stat().st_size for file in files if file.is_file() and file.suffix != ".pyc")
