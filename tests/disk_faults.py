"""A disk that refuses: a command runs again and again, and each time another of its writes fails.

The faults are those of `faults.c`, preloaded into the command's process, so that whoever writes is met.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from situations import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).parent / "faults.c"

# Name -> the error, and whether it lasts: a full disk stays full, a bad block is one.
WAYS = {"full": (errno.ENOSPC, True), "one bad block": (errno.EIO, False)}

# Loads all that a command may need and then forks for each number that it reads: starting takes a second.
SERVER = """
import ctypes, os, sys
import huggingface_hub, onnx, onnxruntime, safetensors.numpy, tokenizers
import distilbert.compile, distilbert.files.download, distilbert.graph.encoder, distilbert.pipelines
from distilbert.cli import main
folder, error, lasting, results = sys.argv[1:5]
del sys.argv[1:5]
for number in sys.stdin:
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{results}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    log = f"{results}/faults".encode()
    ctypes.CDLL(None).let_fail(folder.encode(), int(number), int(error), int(lasting), log)
    try:
        main()
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(end.code or 0)  # what the parent's libraries would wait for at the end was not forked
"""
NEVER = 1 << 30


def fault_library(folder: Path) -> Path:
    """Compile `faults.c`; the test is skipped where that cannot be done."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler or sys.platform != "linux":
        pytest.skip("needs Linux and a C compiler: apt-get install gcc libc6-dev")
    library = folder / "faults.so"
    line = [compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", SOURCE, "-o", library, "-ldl"]
    subprocess.run(line, check=True)
    return library


@dataclass(frozen=True)
class FaultyCommand:
    """A command whose n-th write below a folder fails; `results` is where its process leaves what it said."""

    server: subprocess.Popen[str]
    results: Path

    def __call__(self, number: int = NEVER) -> Outcome:
        assert self.server.stdin
        assert self.server.stdout
        print(number, file=self.server.stdin, flush=True)
        code = int(self.server.stdout.readline())
        return Outcome(code, *((self.results / name).read_text() for name in ("out", "err")))

    def refused(self) -> Iterator[tuple[str, Outcome]]:
        """Each of its writes in turn, as "CALL PATH", and what the command made of its failing.

        The caller looks at the folder, and empties it, before it asks for the next.
        """
        faults = self.results / "faults"
        for number in count():
            faults.unlink(missing_ok=True)
            outcome = self(number)
            if not faults.exists():  # it has no such write: that was the last
                assert number, "nothing was written"
                assert outcome.code == 0, outcome.err
                return
            yield faults.read_text().splitlines()[0], outcome


@dataclass(frozen=True)
class Disk:
    """A folder whose writes fail in one of the `WAYS`."""

    folder: Path
    way: str
    library: Path

    @contextmanager
    def command(self, *words: object, **environment: str) -> Iterator[FaultyCommand]:
        """The command `distilbert` with these words, in a process that meets this disk."""
        error, lasting = WAYS[self.way]
        results = self.folder.with_name("results")
        results.mkdir()
        line = [sys.executable, "-c", SERVER, self.folder, error, int(lasting), results, *words]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        environment = os.environ | {"LD_PRELOAD": str(self.library)} | environment
        with subprocess.Popen([*map(str, line)], env=environment, **pipes) as server:
            yield FaultyCommand(server, results)

    @property
    def reason(self) -> str:
        """What an error's message must say."""
        return os.strerror(WAYS[self.way][0])

    def empty(self) -> None:
        shutil.rmtree(self.folder)
        self.folder.mkdir()
