"""What ways are loaded from: a model by name becomes our bundle and, where there is PyTorch, a checkpoint for peers."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING

from distilbert.bench.ways import Source
from distilbert.engines.threads import choose_threads
from distilbert.errors import OptionError
from distilbert.files.bundle import is_bundle
from distilbert.files.config import DistilBertConfig
from distilbert.files.hub import resolve
from distilbert.files.tables import read_column
from distilbert.runtime import find_bundle

if TYPE_CHECKING:
    from pathlib import Path

MAX_TEXTS = 1_000
DEFAULT_TEXTS = 200
LONGEST = 512  # tokens: what peers cut to, and no more than the model reads


def find_source(name: str, made: Path, threads: int | None, texts: list[str]) -> Source:
    """Look the model up, and write what peers need of it into the folder `made`.

    Raises `OptionError` for a model that is no text classifier, and what loading a model raises.
    """
    folder = resolve(name)
    bundle = find_bundle(folder)
    if bundle.manifest.task != "text-classification":
        raise OptionError(
            f"{name} is a model for {bundle.manifest.task}; bench compares text classifiers.",
            "Name a text classifier; `distilbert report` times taggers and answerers.",
        )
    checkpoint, fault = folder, ""
    if is_bundle(folder):
        checkpoint = made / "checkpoint"
        if find_spec("torch"):
            fault = _write_checkpoint(folder, checkpoint)
    longest = min(LONGEST, DistilBertConfig.from_folder(bundle.folder).max_position_embeddings)
    return Source(bundle.folder, checkpoint, made, choose_threads(threads), texts, longest, fault)


def _write_checkpoint(bundle: Path, out: Path) -> str:
    """Write it in a process that may import PyTorch; what went wrong, "" if nothing did: ours are timed anyway."""
    line = [sys.executable, "-m", "distilbert.bench.peers.checkpoint", str(bundle), str(out)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if not done.returncode:
        return ""
    reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return f"the bundle could not be written as a checkpoint: {reason}"


def texts_of(file: str | None, column: str) -> list[str]:
    """At most 1,000 texts of a table, or some prose that every Python brings. Raises `DataError` as tables do."""
    if file:
        return list(islice(read_column(file, column), MAX_TEXTS))
    return _prose()


def _prose() -> list[str]:
    """Paragraphs of Python's own language reference, evenly spaced: real sentences of real lengths, in English."""
    from pydoc_data.topics import topics

    paragraphs = [" ".join(part.split()) for text in topics.values() for part in text.split("\n\n")]
    sentences = [part for part in paragraphs if part.endswith(".") and 20 < len(part) < 1_000]
    return sentences[:: len(sentences) // DEFAULT_TEXTS][:DEFAULT_TEXTS]
