"""The command as a user has it, situations to call it in, and what it says of them."""

from __future__ import annotations

import io
import json
import os
import pty
import shlex
import shutil
import subprocess
import sys
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tiny import save_checkpoint, save_vocabulary, tiny_arrays, tiny_config

from distilbert.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


@dataclass(frozen=True)
class Outcome:
    """What a command left behind: its exit code, and what it wrote."""

    code: int
    out: str
    err: str

    def objects(self) -> list[dict[str, Any]]:
        """Standard output as JSON, an object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Command:
    """`distilbert(...)` in this process; `.process(...)` and `.start(...)` in one of their own."""

    # The shell of a background job lets its processes ignore Ctrl-C; a user's terminal does not.
    _CODE = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from distilbert.cli import main; main()"
    )
    argv = (sys.executable, "-c", _CODE)

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *args: object, stdin: bytes = b"") -> Outcome:
        with self._monkeypatch.context() as patched:
            patched.setattr(sys, "argv", ["distilbert", *map(str, args)])
            patched.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            patched.setattr(warnings, "showwarning", warnings.showwarning)  # `main` sets its own
            with pytest.raises(SystemExit) as end:
                main()
        out, err = self._capsys.readouterr()
        return Outcome(int(end.value.code or 0), out, err)

    def process(self, *args: object, prefix: tuple[str, ...] = (), **options: Any) -> Outcome:
        ended = subprocess.run(
            [*prefix, *self.argv, *map(str, args)], capture_output=True, text=True, timeout=120, **options
        )
        return Outcome(ended.returncode, ended.stdout, ended.stderr)

    def start(self, *args: object, **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*self.argv, *map(str, args)], **options)


@dataclass(frozen=True)
class Place:
    """The empty folder that the command is called in, and whole things to copy and break."""

    folder: Path
    whole_checkpoint: Path
    whole_bundle: Path
    reviews: Path

    def checkpoint(self, **changes: Any) -> Path:
        """A copy of a checkpoint, with some keys of config.json changed."""
        folder = Path(shutil.copytree(self.whole_checkpoint, self.folder / "model"))
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
        return folder

    def bundle(self, **changes: Any) -> Path:
        """A copy of an int8 bundle, with some keys of bundle.json changed."""
        folder = Path(shutil.copytree(self.whole_bundle, self.folder / "model"))
        path = folder / "bundle.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
        return folder

    def tensors(self, change: Callable[[dict[str, np.ndarray]], Any]) -> Path:
        """A checkpoint whose tensors were changed."""
        config = tiny_config()
        arrays = tiny_arrays(config)
        change(arrays)
        save_vocabulary(save_checkpoint(self.folder / "model", config, arrays))
        return self.folder / "model"

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path


def flipped(path: Path) -> None:
    """Turn one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path, by: int) -> None:
    path.write_bytes(path.read_bytes()[:-by])


def needs(path: str) -> None:
    if not Path(path).exists():
        pytest.skip(f"needs {path}")


def words_of(place: Place, line: str, model: Path) -> list[str]:
    """The line's words, with a tiny model where it names none."""
    words = shlex.split(line.format(checkpoint=place.whole_checkpoint, reviews=place.reviews))
    needs_model = words[0] in ("classify", "score") and "--model" not in words
    return [*words, "--model", str(model)] if needs_model else words


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
        if not path.is_symlink()
    }


def complaint(err: str) -> str:
    """The message: what follows `error:`, at most two lines."""
    _, found, message = err.rpartition("error: ")
    assert found, err
    assert 1 <= len(message.splitlines()) <= 2, message
    assert "Traceback" not in err
    return message


def on_a_terminal(distilbert: Command, *args: object, stream: str) -> tuple[int, str]:
    """Run with `stream` on a pseudo-terminal; the exit code and what the terminal showed."""
    ours, theirs = pty.openpty()
    options: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: theirs}
    environment = {**os.environ, "TERM": "xterm"}
    process = distilbert.start(*args, stdin=subprocess.DEVNULL, env=environment, **options)
    os.close(theirs)
    shown = bytearray()

    def read() -> None:
        try:
            while piece := os.read(ours, 4096):
                shown.extend(piece)
        except OSError:  # on Linux, the end of a pseudo-terminal
            pass

    reader = threading.Thread(target=read)
    reader.start()
    code = process.wait(timeout=60)
    reader.join(timeout=10)
    os.close(ours)
    return code, shown.decode()
