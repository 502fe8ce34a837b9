"""A report's folder: measured, reckoned and written, whole or not at all."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distilbert.errors import OptionError
from distilbert.files.atomic import atomic_folder
from distilbert.files.tables import source_of
from distilbert.report.figures import figures
from distilbert.report.markup import markdown, page
from distilbert.report.measuring import find_models, predict, time_models
from distilbert.report.pages import blocks
from distilbert.report.plots import need_matplotlib, pictures
from distilbert.report.stored import read_predictions, read_timings, write_predictions, write_timings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from distilbert.report.measuring import Found, Tell
    from distilbert.report.problem import Read

    Counted = Callable[[int], AbstractContextManager[Tell]]

FIGURES = "report.json"


def write_report(
    names: Sequence[str],
    data: str,
    out: Path,
    *,
    rounds: int,
    timed_rows: int,
    threads: int | None = None,
    engine: str | None = None,
    of_texts: Mapping[str, Any] | None = None,
    counted: Counted = lambda _: nullcontext(lambda _: None),
) -> dict[str, Any]:
    """Compare the models on the rows of the file `data` with the first one; write `out`; return the figures.

    `of_texts` is what a classifier's rows need to be told of: `column`, `pair_column`, `label_column`, `long`.
    `counted` gets the number of rows to be read in all, for as long as its function hears of so many more of them.
    Raises `NotInstalledError` without matplotlib, `StorageError` where `out` cannot be written or holds something,
    `OptionError` for models that cannot be compared, `DataError` for rows that they cannot be compared on.
    """
    need_matplotlib()
    source_of(data)  # what is not there is told before models are compiled
    with atomic_folder(out) as folder:
        found = find_models(names)
        read = _read(names[0], found[0], data, of_texts or {})
        options = {"threads": threads, "engine": engine, **read.options}
        with counted(_rows_to_read(len(found), len(read.rows), rounds, timed_rows)) as tell:
            write_predictions(folder, predict(found, Path(data).name, read, options, tell))
            write_timings(folder, time_models(found, read, timed_rows, rounds, options, tell))
        return write_pages(folder)


def _read(name: str, reference: Found, data: str, of_texts: Mapping[str, Any]) -> Read:
    task = reference.problem.task
    for option in of_texts if task != "text-classification" else ():
        raise OptionError(
            f"--{option.replace('_', '-')} is about classifiers, and {name} is for {task}.", "Leave it out."
        )
    return reference.problem.read(data, reference.config, **of_texts)


def _rows_to_read(models: int, rows: int, rounds: int, timed: int) -> int:
    """Each model reads each row once, and those timed twice a round."""
    return models * (rows + 2 * (rounds + 1) * min(timed, rows))


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
