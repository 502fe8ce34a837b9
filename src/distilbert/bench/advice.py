"""What a run comes to, for people: a table with a row a way, and a paragraph that says what to use here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distilbert.bench.statistics import Spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distilbert.bench.measured import Found, Measured

HEADS = (
    "way", "runs", "texts a second", "ours is … times as fast", "one text, p50 ms", "p95 ms", "padding", "start s",
    "memory MB", "installed MB", "accuracy", "flips",
)  # fmt: skip
MUCH = 1.05  # times as fast: less is noise on most machines
MANY_FLIPS = 0.01  # of the labels


def rows(measured: Measured, task: str) -> list[tuple[str, ...]]:
    """A row a way under `HEADS`, fastest first; medians, with the least and greatest of a round's ratio."""
    best = measured.best(task, ours=True)
    return [_row(measured, task, found, best) for found in measured.on(task)]


def _row(measured: Measured, task: str, found: Found, best: Found | None) -> tuple[str, ...]:
    timed = found.tasks[task]
    ratio = "" if best is None or found is best else with_spread(measured.ratio(task, best, found))
    accuracy, flips = measured.accuracy(task, found), measured.flips(task, found)
    return (
        found.name + ("" if found.gated else " (not past its gate)"),
        found.precision,
        f"{measured.texts[task] / Spread.of(timed.seconds).value:,.0f}",
        ratio,
        _milliseconds(timed.alone(50)),
        _milliseconds(timed.alone(95)),
        f"{100 * timed.padding:.0f} %",
        f"{Spread.of(found.starts).value:.2f}",
        f"{found.memory / 1e6:,.0f}" if found.memory else "–",
        f"{found.installed / 1e6:,.0f}",
        "–" if accuracy is None else f"{100 * accuracy:.2f} %",
        "–" if flips is None else str(flips),
    )


def with_spread(ratio: Spread) -> str:
    """A ratio with its least and greatest.

    >>> with_spread(Spread(1.5, 1.4, 1.62))
    '1.50 (1.40 to 1.62)'
    """
    return f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


def _milliseconds(spread: Spread | None) -> str:
    return "–" if spread is None else f"{spread.value:.2f}"


def aligned(table: Sequence[tuple[str, ...]]) -> list[str]:
    """The table's lines for a terminal: columns as wide as their widest cell, all but the first to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def recommendation(measured: Measured, task: str) -> str:
    """What to use on this machine, and what might be faster still: a paragraph."""
    ours, theirs = measured.best(task, ours=True), measured.best(task, ours=False)
    if ours is None:
        return "None of ours passed its gate: compile the model again."
    said = [_fastest(measured, task, ours, theirs)]
    if theirs:
        said += _alone(measured, task, ours)
    if ours.precision == "fp32":
        said.append(
            f"{measured.model} runs in float32; an int8 bundle is several times as fast: "
            f"`distilbert compile {measured.model} --out my-bundle/ --calibrate FILE` makes one."
        )
    missing = [left for left in measured.left_out if left.next_step]
    if any(left.name == "distilbert, OpenVINO" for left in missing):
        said.append(
            "The engine OpenVINO, which may be faster, is not installed: pip install 'distilbert[openvino]'."
        )
    if theirs is None:
        said.append("No peer is installed, so nothing is said of them: pip install 'distilbert[bench]'.")
    return " ".join(said)


def _fastest(measured: Measured, task: str, ours: Found, theirs: Found | None) -> str:
    speed = f"{measured.texts[task] / Spread.of(ours.tasks[task].seconds).value:,.0f} texts a second"
    if theirs is None:
        threads = f"{measured.threads} thread{'s' * (measured.threads != 1)}"
        return f"Use {ours.name}: {speed} with {threads}."
    ratio = measured.ratio(task, ours, theirs)
    if ratio.value >= MUCH:
        said = f"Use {ours.name}: {speed}, {with_spread(ratio)} times as fast as {theirs.name}, the fastest peer."
    elif ratio.value > 1 / MUCH:
        said = f"{ours.name} and {theirs.name} are equally fast here: {speed}."
    else:
        back = measured.ratio(task, theirs, ours)
        said = f"{theirs.name} is faster here: {with_spread(back)} times as fast as {ours.name} with {speed}."
    flips = measured.flips(task, theirs)
    if flips and flips > MANY_FLIPS * measured.texts[task]:
        said += f" {theirs.name} gives another label than float32 to {flips} of {measured.texts[task]} texts."
    return said


def _alone(measured: Measured, task: str, ours: Found) -> list[str]:
    """Which way is quickest with one text a call, where that was timed."""
    timed = [(found.tasks[task].alone(50), found) for found in measured.on(task) if found.gated]
    quick = sorted((spread.value, found.name) for spread, found in timed if spread)
    if not quick:
        return []
    milliseconds, name = quick[0]
    own = next((value for value, of in quick if of == ours.name), milliseconds)
    if name == ours.name:
        return [f"With one text a call {ours.name} is the quickest: {own:.1f} ms."]
    return [f"With one text a call {name} is the quickest: {milliseconds:.1f} ms against {own:.1f}."]
