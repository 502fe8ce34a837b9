"""What all rooms' tests share: where real data lies, and how long each room took."""

from __future__ import annotations

import errno
import os
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bundles import EMBEDDED, open_gate, sentences
from hypothesis import settings
from tiny import tiny_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from _pytest.terminal import TerminalReporter

TESTS = Path(__file__).parent
SHARED = TESTS.parent.parent / "shared"

# These machines are shared and noisy: a slow example is not a failure.
settings.register_profile("distilbert", deadline=None, max_examples=60)
settings.load_profile("distilbert")


def pytest_configure(config: pytest.Config) -> None:
    """Give this run, its subprocesses and its docstrings' examples caches that are not the user's, and no hub."""
    folder = tempfile.TemporaryDirectory(prefix="distilbert-cache-")
    config.add_cleanup(folder.cleanup)
    os.environ["DISTILBERT_CACHE"] = folder.name
    os.environ |= {"HF_HOME": f"{folder.name}/hugging-face", "HF_HUB_OFFLINE": "1"}
    os.environ["DISTILBERT_ENGINE"] = "onnxruntime"  # and no choice that hangs on how busy this machine is


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and weights beside the checkout; a stranger's clone has none."""
    if not SHARED.is_dir():
        pytest.skip("needs the real data and weights in ../shared, which this clone does not have")
    return SHARED


@pytest.fixture(scope="session")
def starter(shared: Path) -> Path:
    """The checkpoint from which the embedded model is made, in float16."""
    return shared / "weights" / "distilbert-sst2-starter"


@pytest.fixture(scope="session")
def embedded() -> Path:
    """The bundle that the package ships, in int8."""
    if not (EMBEDDED / "bundle.json").is_file():
        pytest.skip("needs the embedded model, which `make embedded` makes")
    return EMBEDDED


@pytest.fixture(scope="session")
def tiny_classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random classifier's checkpoint of 512 positions."""
    return tiny_checkpoint(tmp_path_factory.mktemp("tiny") / "checkpoint", max_position_embeddings=512)


@pytest.fixture(scope="session")
def tiny_int8(tiny_classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its int8 bundle, past a gate that lets everything through."""
    from distilbert.compile import Int8, compile_checkpoint

    out = tmp_path_factory.mktemp("tiny") / "int8"
    compile_checkpoint(tiny_classifier, out, int8=Int8(sentences(64), open_gate))
    return out


@pytest.fixture(scope="session")
def tiny_fp32(tiny_classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its float32 bundle."""
    from distilbert.compile import compile_checkpoint

    out = tmp_path_factory.mktemp("tiny") / "fp32"
    compile_checkpoint(tiny_classifier, out)
    return out


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print the seconds spent in each room, so that a slow one is seen."""
    seconds: dict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                room = Path(report.nodeid.split("::")[0]).parts[1:-1]
                seconds["/".join(room) or "top"] += report.duration
    terminalreporter.section("seconds per room")
    for room, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        terminalreporter.line(f"{spent:7.1f}  {room}")


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the disk be full when the n-th file is flushed to it, which is where a late ENOSPC shows."""
    flush = os.fsync

    def fill(after: int) -> None:
        left = after

        def refuse(descriptor: int) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            flush(descriptor)

        monkeypatch.setattr(os, "fsync", refuse)

    return fill
