"""Sends attacks to a worker and says whether what came back is a named error or the right answer."""

from __future__ import annotations

import json
import math
import os
import selectors
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attacks.attack import BUNDLES, CHECK_HASHES, Attack

if TYPE_CHECKING:
    from collections.abc import Mapping

# Doors that read only some files, by how their names begin.
_READ_BY = {"tokenizer": ("tokenizer", "vocab"), "checkpoint": ("config", "model")}
MOST = 200 << 20  # bytes that an attack may have allocated
PATIENCE = 30  # seconds; on an idle machine most attacks take 0.05
WORKER = Path(__file__).with_name("worker.py")


class Worker:
    """A process that loads models for us; a new one takes the place of one that died or hung."""

    def __init__(self, victims: Mapping[str, Path], cache: Path) -> None:
        self._cache = str(cache)
        self._place = cache.parent
        self._victims = victims
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        environment = {**os.environ, "DISTILBERT_CACHE": self._cache, "DISTILBERT_THREADS": "1"}
        process = subprocess.Popen(
            [sys.executable, WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(self._place / "worker-says").open("a"),
            text=True,
            env=environment,
        )
        out = Path(self._cache) / "warm"
        warm = [
            ("pipeline", "int8"),
            ("verify", "int8"),
            ("tokenizer", "checkpoint"),
            ("pipeline", "sharded"),
        ]
        orders = [self._order(door, self._victims[victim], out) for door, victim in warm]
        self._write(process, orders)
        return process

    def _order(self, door: str, folder: Path, out: Path) -> dict[str, str]:
        return {"door": door, "folder": str(folder), "out": str(out), "cache": self._cache}

    @staticmethod
    def _write(process: subprocess.Popen[str], value: object) -> None:
        assert process.stdin is not None
        process.stdin.write(json.dumps(value) + "\n")
        process.stdin.flush()

    def ask(self, door: str, folder: Path, out: Path) -> dict[str, Any]:
        """What became of loading `folder` by `door`."""
        self._write(self._process, self._order(door, folder, out))
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._process.stdout, selectors.EVENT_READ)
            line = self._process.stdout.readline() if waiting.select(PATIENCE) else None
        if line:
            return dict(json.loads(line))
        self.close()
        ended = "hung" if line is None else f"ended with {self._process.returncode}"
        self._process = self._start()
        return {"other": f"the process {ended}", "allocated": 0, "strayed": []}

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class Court:
    """Commits attacks on whole victims, and finds fault with what becomes of them."""

    def __init__(self, victims: Mapping[str, Path], place: Path) -> None:
        self.victims, self.place = victims, place
        self.worker = Worker(victims, place / "cache")
        out = place / "whole-out"
        self._whole = {
            (victim, door): self.worker.ask(door, folder, out / victim / door).get("answer")
            for victim, folder in victims.items()
            for door in CHECK_HASHES
            if victim in BUNDLES
        }

    def close(self) -> None:
        self.worker.close()

    def try_attack(self, attack: Attack) -> str | None:
        """What is wrong with the outcome of an attack, if something is."""
        folder, out = self.place / f"attack-{attack.seed}", self.place / f"out-{attack.seed}"
        outside = folder.with_name(f"{folder.name}-outside")
        out.mkdir()
        try:
            damaged = attack.commit(self.victims, folder)
            before = _state(outside)
            said = self.worker.ask(attack.door, folder, out)
            if _state(outside) != before:
                return "a file outside was changed"
            return faults(said) or self._wrong(attack, damaged, said)
        finally:
            for path in (folder, out, outside):
                shutil.rmtree(path, ignore_errors=True)

    def _wrong(self, attack: Attack, damaged: Path, said: dict[str, Any]) -> str | None:
        """What is wrong with an answer, or with an error that names the wrong thing."""
        names_it = attack.victim in BUNDLES and not attack.signed and attack.door in CHECK_HASHES
        reads_it = damaged.name.startswith(_READ_BY.get(attack.door, ""))
        if attack.must_fail and reads_it and "answer" in said:
            return f"was answered: {said['answer']!r:.200}"
        if names_it and damaged.name != "bundle.json":
            whole = self._whole[attack.victim, attack.door]
            if "answer" in said and said["answer"] != whole:
                return (
                    f"a changed {damaged.name} was answered with {said['answer']!r:.200}, not {whole!r:.200}"
                )
            if "error" in said and damaged.name not in said["error"]:
                return f"{damaged.name} was changed, but the error names another thing: {said['error']}"
        return _misshapen(attack.door, said["answer"]) if "answer" in said else None


def faults(said: dict[str, Any]) -> str | None:
    """What no attack may bring about, whatever it damages."""
    if "other" in said:
        return f"not an error of ours: {said['other']}"
    if said["allocated"] > MOST:
        return f"{said['allocated'] >> 20} MB were allocated"
    if said["strayed"]:
        return f"strayed: {said['strayed'][:3]}"
    if "error" in said and (len(said["error"].splitlines()) > 2 or len(said["error"]) > 1_500):
        return f"an error of {len(said['error'])} characters: {said['error'][:1000]}"
    return None


def _misshapen(door: str, answer: Any) -> str | None:
    well = {
        "pipeline": lambda: (
            [set(row) for row in answer] == [{"label", "score"}] and _is_number(answer[0]["score"])
        ),
        "class": lambda: len(answer) == 1 and all(map(_is_number, answer[0])),
        "verify": lambda: 0 <= answer <= 0.05,
        "compile": lambda: answer == 0,
        "tokenizer": lambda: all(isinstance(token_id, int) for token_id in answer),
        "checkpoint": lambda: all(math.isfinite(total) for total in answer),
        "encoder": lambda: answer[:2] == [1, 3],
    }
    try:
        return None if well[door]() else f"answered {answer!r:.200}"
    except (TypeError, KeyError, IndexError, AttributeError) as error:
        return f"answered {answer!r:.200}: {error!r}"


def _is_number(value: object) -> bool:
    return isinstance(value, float)


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*"))}
