"""Small training runs for tests: a tiny model, rows that can be learnt, a recipe, and runs that are killed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from bundles import sentences
from corpora import save_corpus
from tiny import tiny_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

SMALL = {
    "epochs": 2,
    "batch_size": 8,
    "learning_rate": 1e-3,
    "max_length": 24,
    "precision": "float32",
    "device": "cpu",
}


def rows_file(path: Path, rows: int, seed: int = 0) -> Path:
    """Texts that say "good" or "bad" somewhere, and the label that follows from it."""
    texts = sentences(rows, longest=8)
    lines = [
        f"{text} {('bad', 'good')[(place + seed) % 2]} film\t{(place + seed) % 2}"
        for place, text in enumerate(texts)
    ]
    path.write_text("text\tlabel\n" + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def knobs(folder: Path, rows: int = 80, **changes: Any) -> dict[str, Any]:
    """A recipe's values, whose model and rows are made in `folder` unless they are there."""
    model = folder / "start"
    if not model.exists():
        tiny_checkpoint(model)
        rows_file(folder / "train.tsv", rows)
        rows_file(folder / "dev.tsv", 20, seed=1)
    files = {"model": str(model), "train": str(folder / "train.tsv"), "dev": str(folder / "dev.tsv")}
    return {**SMALL, **files, **changes}


def lessons(folder: Path, rows: int = 80, **changes: Any) -> dict[str, Any]:
    """As `knobs`, for a student of half the layers of a BERT in `folder`."""
    teacher = folder / "teacher"
    if not teacher.exists():
        tiny_checkpoint(teacher, model_type="bert", n_layers=4)
        rows_file(folder / "train.tsv", rows)
        rows_file(folder / "dev.tsv", 20, seed=1)
    files = {"teacher": str(teacher), "train": str(folder / "train.tsv"), "dev": str(folder / "dev.tsv")}
    return {**SMALL, **files, **changes}


def language(folder: Path, **changes: Any) -> dict[str, Any]:
    """As `lessons`, for a student that learns a language from a corpus, beside a BERT."""
    teacher = folder / "guesser"
    if not teacher.exists():
        tiny_checkpoint(teacher, model_type="bert", head="masked-lm", n_layers=4)
        save_corpus(folder / "data", sentences(90, longest=12))
    return {**SMALL, "teacher": str(teacher), "data": str(folder / "data"), "hold_back": 10, **changes}


def log_of(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


# What both scripts below begin with; `sys.argv`: the command, its recipe as JSON, and out.
_COMMAND = """
import json, os, signal, sys, threading, warnings
from importlib import import_module
from pathlib import Path
import torch
from distilbert.training import recipe as recipes

command, out = sys.argv[1], Path(sys.argv[3])
values = json.loads(sys.argv[2])
kind = "General" if "data" in values else command.capitalize()
recipe = getattr(recipes, f"{kind}Recipe")(**values)
"""

# And in `sys.argv` for each start but the last when it is to be killed: from which step
# on (the start before may have gone past it and saved; 0: when the teacher has answered), and how many milliseconds
# later. Each start is a fork, so that Python and PyTorch start once.
_KILLED = """
run = getattr(import_module(f"distilbert.training.{command}"), command)
warnings.simplefilter("ignore")
for start, kill in enumerate([*json.loads(sys.argv[4]), None]):
    child = os.fork()
    if not child:
        def tell(event):
            if kill and getattr(event, "step", 0) >= kill[0]:
                threading.Timer(kill[1] / 1000, os.kill, (os.getpid(), signal.SIGKILL)).start()
        run(recipe, out, resume=start > 0, tell=tell)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status))
"""

# Two processes, as `accelerate launch --multi_gpu --num_processes 2` starts them (docs/lab.md: not with --cpu).
_TOGETHER = """
children = []
for rank in range(2):
    child = os.fork()
    if not child:
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        run = getattr(import_module(f"distilbert.training.{command}"), command)
        warnings.simplefilter("ignore")
        run(recipe, out)
        os._exit(0)
    children.append(child)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def run_killed(
    recipe: dict[str, Any], out: Path, kills: list[tuple[int, float]], command: str = "finetune"
) -> list[int]:
    """Run to the end, killed on the way as `kills` says; the signals that ended each start (0 for the last)."""
    ended = _python(_COMMAND + _KILLED, command, json.dumps(recipe), str(out), json.dumps(kills))
    assert ended.returncode == 0, ended.stderr
    return [int(line) for line in ended.stdout.split()]


def run_together(recipe: dict[str, Any], out: Path, command: str = "finetune") -> None:
    """Run in two processes on this processor."""
    network = {
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
    }
    ended = _python(
        _COMMAND + _TOGETHER, command, json.dumps(recipe), str(out), ACCELERATE_USE_CPU="true", **network
    )
    assert ended.returncode == 0, ended.stderr


def launched(folder: Path, *line: str) -> str:
    """What our command says on standard error, begun in `folder` by accelerate as two processes."""
    # accelerate 1.15 starts a single process for `--cpu --num_processes 2`, without a word
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "-m", "distilbert"]
    argv = [sys.executable, *launch, *line]
    ended = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=250)
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def _python(code: str, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=250, env=surroundings
    )
