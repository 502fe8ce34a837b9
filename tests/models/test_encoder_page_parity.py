"""docs/encoder.md names what there is, and the encoder stays one sitting's reading."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from distilbert.files import checkpoint
from distilbert.models import encoder, families, heads

pytestmark = pytest.mark.parity

REPO = Path(__file__).parent.parent.parent
PAGE = (REPO / "docs" / "encoder.md").read_text(encoding="utf-8")
ROOMS = (encoder, heads, families, checkpoint)


def test_every_name_of_code_on_the_page_is_in_the_code() -> None:
    source = "".join(Path(str(room.__file__)).read_text(encoding="utf-8") for room in ROOMS)
    names = [name for name in re.findall(r"`([A-Za-z_.]+)`", PAGE) if "/" not in name]
    assert len(names) > 20
    for name in names:
        if not name.endswith((".py", ".weight")):
            assert name.split(".")[-1] in source, name


def test_every_part_of_the_encoder_and_every_head_is_on_the_page() -> None:
    for room in (encoder, heads):
        for name, part in vars(room).items():
            if isinstance(part, type) and part.__module__ == room.__name__ and name != "Inputs":
                assert f"`{name}`" in PAGE, name


def test_every_file_on_the_page_is_there() -> None:
    for path in re.findall(r"`((?:src|tests)/[\w/.]+)`|\]\((\w+\.md)\)", PAGE):
        assert (REPO / path[0]).exists() if path[0] else (REPO / "docs" / path[1]).exists()


def test_the_encoder_and_its_heads_are_about_400_lines() -> None:
    lines = [Path(str(room.__file__)).read_text(encoding="utf-8").splitlines() for room in (encoder, heads)]
    assert sum(bool(line.strip()) for room in lines for line in room) <= 400
