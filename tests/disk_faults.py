"""A disk that refuses: commands run again and again, and each time another of their writes fails.

The faults are those of `faults.c`, preloaded into the command's process, so that whoever writes is met.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from situations import Command, Outcome

SOURCE = Path(__file__).parent / "faults.c"

# Name -> the error, and whether it lasts: a full disk stays full, a bad block is one.
WAYS = {"full": (errno.ENOSPC, True), "one bad block": (errno.EIO, False)}


def fault_library(folder: Path) -> Path:
    """Compile `faults.c`; the test is skipped where that cannot be done."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler or os.uname().sysname != "Linux":
        pytest.skip("needs Linux and a C compiler (apt-get install gcc libc6-dev)")
    library = folder / "faults.so"
    line = [compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", SOURCE, "-o", library, "-ldl"]
    subprocess.run(line, check=True)
    return library


@dataclass(frozen=True)
class Disk:
    """A folder whose writes fail in one of the `WAYS`, and the command that writes there."""

    folder: Path
    way: str
    library: Path
    distilbert: Command

    def refusals(self, *line: object, environment: dict[str, str]) -> Iterator[tuple[str, Outcome]]:
        """The write that failed ("CALL PATH") and what the command made of it, for each of its writes in turn.

        The caller looks at the folder, and empties it, before it asks for the next.
        """
        log = self.library.with_name("log")
        for number in count():
            code, lasting = WAYS[self.way]
            orders = "\n".join(map(str, (self.folder, number, code, int(lasting), log)))
            faulty = {"LD_PRELOAD": str(self.library), "DISK_FAULT": orders}
            log.unlink(missing_ok=True)
            outcome = self.distilbert.process(*line, env=os.environ | environment | faulty)
            if not log.exists():  # it has no such write: that was the last
                assert number, "nothing was written"
                assert outcome.code == 0, outcome.err
                return
            yield log.read_text().splitlines()[0], outcome

    @property
    def reason(self) -> str:
        """What the error's message must say."""
        return os.strerror(WAYS[self.way][0])
