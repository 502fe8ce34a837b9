"""The pages say what the figures are, and a stranger's text in them stays text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distilbert.report.markup import Heading, Paragraph, Picture, Table, markdown, page
from distilbert.report.wording import UNITS, with_interval

if TYPE_CHECKING:
    from pathlib import Path

VOID = {"meta", "path", "use", "rect"}  # without an end, or closed at once in SVG


class Reader(HTMLParser):
    """What a browser finds: each element's name and attributes, and the text; ends must match beginnings."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def html(reported: Path) -> Reader:
    return Reader((reported / "report.html").read_text(encoding="utf-8"))


def test_the_page_asks_nothing_of_a_network_and_runs_nothing(html: Reader, reported: Path) -> None:
    names = {name for name, _ in html.found}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "a", "form"}
    for _, attributes in html.found:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "srcset")]
        assert (attributes.get("xlink:href") or "#").startswith("#")
    content = (reported / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"url\((?!#)|@import", content)


def test_each_id_on_the_page_is_there_once_for_each_picture(html: Reader) -> None:
    ids = [attributes["id"] for _, attributes in html.found if attributes.get("id")]
    assert ids
    assert len(ids) == len(set(ids))


def test_a_text_with_markup_in_it_stays_text(html: Reader, reported: Path) -> None:
    """The row may be among the disagreements or not; a paragraph, a cell and a heading are tried below."""
    content = (reported / "report.html").read_text(encoding="utf-8")
    assert "<script" not in content
    found = json.loads((reported / "report.json").read_text(encoding="utf-8"))
    for model in found["models"][1:]:
        for row in model["disagreements"]:
            assert " ".join(row["text"].replace("\u202e", " ").split()) in html.text


@settings(max_examples=30)
@given(st.text(max_size=60))
def test_whatever_a_text_is_it_is_shown_as_it_is(text: str) -> None:
    shown = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    blocks = [
        Heading(f"a{text}", 1),
        Paragraph(text, text),
        Table([text, text], [[text, text]], words=True),
        Table([text, text], [[text, text]]),
    ]
    read = Reader(page([*blocks, Picture("p", text)], {"p": "<svg></svg>"}))
    assert {name for name, _ in read.found} <= {
        *("html", "head", "meta", "title", "style", "body", "main", "h1", "p", "strong", "div", "table"),
        *("thead", "tbody", "tr", "th", "td", "span", "figure", "svg"),
    }
    assert shown in read.text.partition("</style>")[0] or shown in read.text
    figure = next(attributes for name, attributes in read.found if name == "figure")
    assert figure["aria-label"] == shown
    for line in markdown(blocks).split("\n\n")[2].splitlines():
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 3  # its columns, and no more
    assert not re.search(r"(?<!\\)(?:\\\\)*<", markdown(blocks))


def test_both_pages_say_the_figures(html: Reader, reported: Path) -> None:
    found = json.loads((reported / "report.json").read_text(encoding="utf-8"))
    plain = (reported / "report.md").read_text(encoding="utf-8").replace("\\", "")
    for model in found["models"]:
        for name, score in model["scores"].items():
            assert with_interval(score, UNITS[name]) in plain
            assert with_interval(score, UNITS[name]) in html.text
        assert model["name"] in html.text
    for text in (plain, html.text):
        assert f"90 rows of {found['data']['file']}" in text
        assert "3 rounds after one to warm up" in text
        assert ("15 bins" in text) == (found["data"]["problem"] != "regression")


def test_pictures_named_on_the_page_lie_beside_it(reported: Path) -> None:
    named = re.findall(r"\]\((.+?)\)", (reported / "report.md").read_text(encoding="utf-8"))
    assert "accuracy-speed.png" in named
    assert set(named) == {path.name for path in reported.glob("*.png")}
