"""A report's folder: measured, reckoned and written, whole or not at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from distilbert.files.atomic import atomic_folder
from distilbert.report.figures import figures
from distilbert.report.markup import markdown, page
from distilbert.report.measuring import find_models, predict, spread, time_models
from distilbert.report.pages import blocks
from distilbert.report.plots import need_matplotlib, pictures
from distilbert.report.stored import read_predictions, read_timings, write_predictions, write_timings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from distilbert.files.tables import Row

FIGURES = "report.json"


def write_report(
    names: Sequence[str],
    data: str,
    rows: Sequence[Row],
    texts: Sequence[Mapping[str, str]],
    label_column: str,
    out: Path,
    *,
    rounds: int,
    timed_texts: int,
    options: Mapping[str, Any],
    tell: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Compare the models on `rows`, whose `texts` they get, with the first one; write `out`; return the figures.

    `options` are the pipeline's (`threads`, `long`); `tell` hears of so many more texts out of `texts_to_read`.
    Raises `NotInstalledError` without matplotlib, `StorageError` where `out` cannot be written or holds something,
    `OptionError` for models that cannot be compared, `DataError` for labels that they do not have.
    """
    need_matplotlib()
    with atomic_folder(out) as folder:
        found = find_models(names)
        timed = spread(texts, timed_texts)
        write_predictions(folder, predict(found, data, rows, texts, label_column, options, tell))
        write_timings(folder, time_models(found, timed, rounds, options, tell))
        return write_pages(folder)


def texts_to_read(models: int, texts: int, rounds: int, timed_texts: int) -> int:
    """How many texts a report's models read in all: each once, and those timed twice a round."""
    return models * (texts + 2 * (rounds + 1) * min(timed_texts, texts))


def write_pages(folder: Path) -> dict[str, Any]:
    """Reckon all figures from what is stored in `folder`, write them and the pages there, and return them."""
    found = figures(read_predictions(folder), read_timings(folder))
    content = json.dumps(found, ensure_ascii=False, indent=1, allow_nan=False)
    (folder / FIGURES).write_text(content + "\n", encoding="utf-8")
    drawn = pictures(found)
    for name, (png, _) in drawn.items():
        (folder / f"{name}.png").write_bytes(png)
    written = blocks(found)
    (folder / "report.md").write_text(markdown(written), encoding="utf-8")
    drawings = {name: svg for name, (_, svg) in drawn.items()}
    (folder / "report.html").write_text(page(written, drawings), encoding="utf-8")
    return found
