"""Ways to run and something to run them on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from distilbert.bench.ways import Source

TESTS = Path(__file__).parent.parent


@pytest.fixture
def source(tiny_int8: Path, tiny_classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """A tiny model; workers find this folder's ways."""
    path = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    return Source(tiny_int8, tiny_classifier, tmp_path, 1, ["a good film", "bad"], max_length=64)
