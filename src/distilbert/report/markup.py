"""A page as a list of blocks, and the same page in Markdown and in HTML. Whatever a block holds is text, never markup.

The HTML is one file that asks nothing of a network and runs no script, for phones and desks, light and dark.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Heading:
    """A title (level 1) or a section's."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """Sentences; `lead` stands before them in bold."""

    text: str
    lead: str = ""


@dataclass(frozen=True)
class Table:
    """Cells below column names. `words`: cells hold sentences, else figures."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: bool = False


@dataclass(frozen=True)
class Picture:
    """One of the report's pictures, by name, and what it shows, for those who cannot see it."""

    name: str
    shows: str


Block: TypeAlias = "Heading | Paragraph | Table | Picture"


def markdown(blocks: Sequence[Block]) -> str:
    """The page in Markdown, with pictures as the files NAME.png beside it."""
    return "\n\n".join(_in_markdown(block) for block in blocks) + "\n"


def _in_markdown(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {_escaped(block.text)}"
        case Paragraph():
            lead = f"**{_escaped(block.lead)}** " if block.lead else ""
            return lead + _escaped(block.text)
        case Picture():
            return f"![{_escaped(block.shows)}]({block.name}.png)"
        case Table():
            rule = ["---", *["---" if block.words else "---:"] * (len(block.columns) - 1)]
            rows = [[_escaped(cell) for cell in row] for row in (block.columns, *block.rows)]
            return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))


def _escaped(text: str) -> str:
    """One line of text that Markdown takes for nothing else."""
    return re.sub(r"(?<=\])\(|[\\`*_<>|~&]", lambda found: f"\\{found.group()}", _on_one_line(text))


def _on_one_line(text: str) -> str:
    """Without what would break a line, or turn its direction."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def page(blocks: Sequence[Block], drawings: Mapping[str, str]) -> str:
    """The page in HTML; `drawings` are the pictures as SVG, by name."""
    title = next(block.text for block in blocks if isinstance(block, Heading))
    body = "\n".join(_in_html(block, drawings) for block in blocks)
    return _PAGE.replace("{title}", _safe(title)).replace("{style}", _STYLE).replace("{body}", body)


def _in_html(block: Block, drawings: Mapping[str, str]) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{_safe(block.text)}</h{block.level}>"
        case Paragraph():
            lead = f"<strong>{_safe(block.lead)}</strong> " if block.lead else ""
            return f"<p>{lead}{_safe(block.text)}</p>"
        case Picture():
            return f'<figure role="img" aria-label="{_safe(block.shows)}">{drawings[block.name]}</figure>'
        case Table():
            return _table(block)


def _table(table: Table) -> str:
    names = "".join(f'<th scope="col">{_safe(name)}</th>' for name in table.columns)
    rows = [
        f'<tr><th scope="row">{_safe(first)}</th>'
        + "".join(
            f'<td data-of="{_safe(name)}">{_safe(cell) if table.words else _figure(cell)}</td>'
            for name, cell in zip(table.columns[1:], cells, strict=True)
        )
        + "</tr>"
        for first, *cells in table.rows
    ]
    kind = "words" if table.words else "figures"
    body = "\n".join(rows)
    return (
        f'<div class="wide"><table class="{kind}">\n<thead><tr>{names}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _figure(cell: str) -> str:
    """A figure, its interval in one piece and less loud."""
    return re.sub(r"\[.*\]", r"<span>\g<0></span>", _safe(cell))


def _safe(text: str) -> str:
    return html.escape(_on_one_line(text))


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""

_STYLE = """:root {
  --ink: #1f2328; --soft: #59636e; --paper: #ffffff; --line: #d5d9de; --band: #f6f8fa;
  color-scheme: light dark;
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --soft: #9aa4af; --paper: #14171b; --line: #363c44; --band: #1c2127; }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main { max-width: 54rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
p { margin: .6rem 0; overflow-wrap: anywhere; }
figure { margin: 1.2rem auto; max-width: 38rem; }
figure svg { display: block; width: 100%; height: auto; }
figure text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif !important; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; line-height: 1.4; }
th, td { padding: .4rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; overflow-wrap: anywhere; }
tbody th { font-weight: 500; }
.figures td, .figures thead th:not(:first-child) { text-align: right; font-variant-numeric: tabular-nums; }
.figures tbody tr { background: var(--paper); }
.figures tbody tr:nth-child(odd) { background: var(--band); }
.figures tbody th { position: sticky; left: 0; background: inherit; }
.figures span { white-space: nowrap; color: var(--soft); }
.words td { overflow-wrap: break-word; min-width: 7.5rem; }
.words td:nth-child(2) { overflow-wrap: anywhere; min-width: 16rem; }
.words th:first-child { white-space: nowrap; }
.words tbody th { color: var(--soft); font-variant-numeric: tabular-nums; }
@media (max-width: 40rem) {
  .figures { font-size: .8rem; }
  .figures th, .figures td { padding: .35rem .4rem; }
  .words thead { display: none; }
  .words tr { display: block; padding: .6rem 0; border-bottom: 1px solid var(--line); }
  .words th, .words td, .words td:nth-child(2) { display: block; min-width: 0; border: 0; padding: .05rem 0; }
  .words td:not(:nth-child(2))::before { content: attr(data-of) ": "; color: var(--soft); }
  .words tbody th::before { content: "row "; }
}
"""
