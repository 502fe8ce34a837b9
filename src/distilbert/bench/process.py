"""The parent's end of a worker: start it, ask it, and let nothing of it be left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from threading import Timer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from distilbert.bench.ways import Source, Way


PATIENCE = 1200  # seconds until a worker that says nothing counts as hung: making a model takes minutes


class WayFailedError(Exception):
    """A way that could not be loaded or run, with the reason in one line."""


class WorkerProcess:
    """One way in a process of its own; a context manager, which ends the process however its block ends."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed below
        self._process = subprocess.Popen(
            [sys.executable, "-m", "distilbert.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env={
                **os.environ,
                "HF_HUB_OFFLINE": "1",
                "TOKENIZERS_PARALLELISM": "true",
                "PYTHONWARNINGS": "ignore",
            },
        )

    def load(self, source: Source, setting: str = "") -> dict[str, Any]:
        """Let it load its way, with one of its settings where that is named."""
        folders = {name: str(getattr(source, name)) for name in ("bundle", "checkpoint", "made")}
        return self.ask("load", loader=self.way.loader, source={**asdict(source), **folders}, setting=setting)

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """Its reply. Raises `WayFailedError` where it says what failed, ended, or lost our patience."""
        assert self._process.stdin
        assert self._process.stdout
        begun, alarm = time.monotonic(), Timer(PATIENCE, self._process.kill)
        alarm.daemon = True
        alarm.start()
        try:
            print(json.dumps({"do": do, **request}), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            alarm.cancel()
        if not line:
            code = self._process.wait()
            if time.monotonic() - begun >= PATIENCE:
                raise WayFailedError(f"no answer in {PATIENCE / 60:.0f} minutes")
            raise WayFailedError(f"its process ended with {code}{self._last_words()}")
        reply: dict[str, Any] = json.loads(line)
        if "fault" in reply:
            raise WayFailedError(reply["fault"].strip().split("\n")[0][:300])
        return reply

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = [line.strip() for line in self._said if line.strip()]
        return f": {lines[-1][:300]}" if lines else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._said.close()
