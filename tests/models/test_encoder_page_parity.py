"""docs/encoder.md names what there is, and the encoder stays one sitting's reading."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

pytestmark = pytest.mark.parity

REPO = Path(__file__).parent.parent.parent
PAGE = (REPO / "docs" / "encoder.md").read_text(encoding="utf-8")
ENCODER = ("distilbert.models.encoder", "distilbert.models.heads")
ROOMS = (*ENCODER, "distilbert.models.families", "distilbert.files.checkpoint")


def source(room: str) -> str:
    return Path(str(import_module(room).__file__)).read_text(encoding="utf-8")


def test_every_name_of_code_on_the_page_is_in_the_code() -> None:
    code = "".join(map(source, ROOMS))
    names = [name for name in re.findall(r"`([A-Za-z_.]+)`", PAGE) if "/" not in name]
    assert len(names) > 20
    for name in names:
        if not name.endswith((".py", ".weight")):
            assert name.split(".")[-1] in code, name


def test_every_part_of_the_encoder_and_every_head_is_on_the_page() -> None:
    for room in ENCODER:
        for name, part in vars(import_module(room)).items():
            if isinstance(part, type) and part.__module__ == room and name != "Inputs":
                assert f"`{name}`" in PAGE, name


def test_every_file_on_the_page_is_there() -> None:
    for path in re.findall(r"`((?:src|tests)/[\w/.]+)`|\]\((\w+\.md)\)", PAGE):
        assert (REPO / path[0]).exists() if path[0] else (REPO / "docs" / path[1]).exists()


def test_the_encoder_and_its_heads_are_about_400_lines() -> None:
    lines = "".join(map(source, ENCODER)).splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 400
