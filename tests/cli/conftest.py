"""What the tests of all commands share: the command, a folder to call it in, and texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bundles import sentences
from situations import Command, Place
from tiny import tiny_checkpoint

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def distilbert(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(monkeypatch, capsys)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, where the command is called."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random classifier that is sure of itself (nearly all texts are POSITIVE), so that int8 passes the gate."""
    return tiny_checkpoint(tmp_path_factory.mktemp("sure") / "checkpoint")


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .tsv of 2,600 different texts, enough to calibrate int8 and to judge it, with a name or an id as label."""
    labels = ("NEGATIVE", "POSITIVE", "0", "1")
    rows = [f"{text} {place}\t{labels[place % 4]}\n" for place, text in enumerate(sentences(2600, longest=8))]
    path = tmp_path_factory.mktemp("reviews") / "reviews.tsv"
    path.write_text("text\tlabel\n" + "".join(rows), encoding="utf-8")
    return path


@pytest.fixture
def place(here: Path, tiny_classifier: Path, tiny_int8: Path, reviews: Path) -> Place:
    return Place(here, tiny_classifier, tiny_int8, reviews)
