"""What the project asks of itself, held against one run of `make bench`: each bar with its figure, met or missed.

Of ours only ways count whose bundle passed its gate; peers count whatever their flips. A ratio is the median of the
ratios within rounds, at least five; with fewer it is shown and judged by nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from distilbert.bench.advice import with_spread
from distilbert.bench.statistics import Spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from distilbert.bench.measured import Found, Measured

SENTENCES, REVIEWS = "SST-2 dev", "IMDb reviews"
ON_ONNX_RUNTIME, ON_OPENVINO = "distilbert, ONNX Runtime", "distilbert, OpenVINO"
DYNAMIC, NNCF = "ONNX Runtime, dynamic int8", "OpenVINO, NNCF int8"
TEACHER_1, TEACHER_32 = "teacher in transformers, batch 1", "teacher in transformers, batch 32"
WEIGHTS, FRESH = "weights", "fresh weights: speed only"  # what a way's versions say of them
LEAST_ROUNDS = 5


@dataclass(frozen=True)
class Starts:
    """From a command typed to its answer, in new processes: seconds by round, and the greatest VmHWM in MB."""

    ours: Sequence[float]
    theirs: Sequence[float]
    megabytes: float


@dataclass(frozen=True)
class Agreement:
    """How far answers agree, on so many texts: labels between engines, and alone against in a batch by engine."""

    texts: int
    same_between_engines: float | None  # shares of labels; None where only one engine runs
    same_alone: Mapping[str, float]
    score_difference: Mapping[str, float]  # the greatest


@dataclass(frozen=True)
class Figures:
    """All that the bars are about."""

    wide: Measured  # 6 × 768
    shapes: Measured  # the shipped shapes, and transformers running the teacher
    starts: Starts
    agreement: Agreement


@dataclass(frozen=True)
class Bar:
    """A demand, what was found, and whether that meets it; None: not judged."""

    number: str
    asks: str
    found: str
    met: bool | None


def bars(figures: Figures) -> list[Bar]:
    """Every bar, in the order in which they were set."""
    wide = figures.wide
    return [
        *_fastest(wide, SENTENCES, "1", 1.1),
        _against(wide, SENTENCES, "1", wide.best(SENTENCES, ours=True), DYNAMIC, 1.3),
        *_fastest(wide, REVIEWS, "2", 1.0),
        *_alone(wide),
        _against(wide, SENTENCES, "5", _named(wide, ON_ONNX_RUNTIME), DYNAMIC, 1.25),
        _against(wide, SENTENCES, "5", _named(wide, ON_ONNX_RUNTIME), NNCF, 0.95),
        *_shapes(figures.shapes),
        *_starts(figures.starts),
        *_agreement(figures.agreement),
    ]


def _named(measured: Measured, name: str) -> Found | None:
    return next((found for found in measured.found if found.name == name and found.gated), None)


def _fastest(measured: Measured, task: str, number: str, least: float) -> Iterator[Bar]:
    theirs = measured.best(task, ours=False)
    yield _against(
        measured, task, number, measured.best(task, ours=True), theirs.name if theirs else "any peer", least
    )


def _against(measured: Measured, task: str, number: str, ours: Found | None, name: str, least: float) -> Bar:
    asks = f"{measured.texts.get(task, 0)} {task}: at least {least} × {name}"
    theirs = next((found for found in measured.on(task) if found.name == name), None)
    if ours is None or theirs is None:
        return Bar(number, asks, "not run", None)
    ratio = measured.ratio(task, ours, theirs)
    met = ratio.value >= least if measured.rounds >= LEAST_ROUNDS else None
    return Bar(number, asks, f"{with_spread(ratio)}, {ours.name}", met)


def _alone(measured: Measured) -> Iterator[Bar]:
    """One text a call, by our way with the lowest median; the same way must have the lowest 95th percentile too."""
    timed = [found for found in measured.on(SENTENCES) if found.gated]
    middles = {found.name: _milliseconds(found, 50) for found in timed}
    own = min((found for found in timed if found.ours), key=lambda found: middles[found.name], default=None)
    for share in (50, 95):
        asks = f"one text a call: p{share} below every peer's"
        values = {found.name: _milliseconds(found, share) for found in timed if not found.ours}
        if own is None or not values:
            yield Bar("3", asks, "not run", None)
            continue
        best = min(values, key=lambda name: values[name])
        mine = _milliseconds(own, share)
        met = mine < values[best] if measured.rounds >= LEAST_ROUNDS else None
        yield Bar("3", asks, f"{mine:.2f} ms, {own.name}; {values[best]:.2f} ms, {best}", met)


def _milliseconds(found: Found, share: float) -> float:
    spread = found.tasks[SENTENCES].alone(share)
    return spread.value if spread else float("inf")


def _shapes(measured: Measured) -> Iterator[Bar]:
    """The narrow shape's faster way is asked for; the others, and a teacher told to batch, are shown beside it.

    Weights that are fresh passed no gate that means anything: they show a speed, and meet nothing.
    """
    timed = measured.on(SENTENCES)
    own = [each for each in timed if each.ours and each.gated]
    narrow = next((each for each in own if each.name.startswith("sst2-narrow")), None)
    fresh = any(each.versions.get(WEIGHTS) == FRESH for each in (narrow, _named(measured, TEACHER_1)) if each)
    for found in own:
        for name in (TEACHER_1, TEACHER_32):
            shown = _against(measured, SENTENCES, "6", found, name, 25)
            if found is narrow and name == TEACHER_1:
                yield replace(shown, met=None, found=f"{shown.found}; {FRESH}") if fresh else shown
            else:
                yield Bar("6", shown.asks.replace("at least 25 ×", "beside"), shown.found, None)


def _starts(starts: Starts) -> Iterator[Bar]:
    ratio = Spread.of([their / our for our, their in zip(starts.ours, starts.theirs, strict=True)])
    judged = len(starts.ours) >= LEAST_ROUNDS
    asks = "cold start of `distilbert classify`: at most 1/12 of a transformers pipeline's"
    yield Bar("7", asks, f"1/{with_spread(ratio)}", ratio.value >= 12 if judged else None)
    yield Bar("7", "its VmHWM: under 130 MB", f"{starts.megabytes:.0f} MB", starts.megabytes < 130)


def _agreement(found: Agreement) -> Iterator[Bar]:
    texts = f"{found.texts:,} SST-2 training sentences"
    between = found.same_between_engines
    yield Bar("8", f"{texts}: the same label on both engines, at least 99 %", *_share(between, 0.99))
    openvino = found.same_alone.get(ON_OPENVINO)
    asks = "OpenVINO, alone and in a batch: the same label, at least 99.9 %"
    yield Bar("8", asks, *_share(openvino, 0.999))
    for name, asks, least in (
        (ON_OPENVINO, "OpenVINO, alone and in a batch: scores within 0.005", 0.005),
        (ON_ONNX_RUNTIME, "ONNX Runtime, alone and in a batch: equal to the bit", 0.0),
    ):
        difference = found.score_difference.get(name)
        said = "not run" if difference is None else f"{difference:.2g}"
        yield Bar("8", asks, said, None if difference is None else difference <= least)


def _share(value: float | None, least: float) -> tuple[str, bool | None]:
    return ("not run", None) if value is None else (f"{100 * value:.2f} %", value >= least)


def all_met(found: Sequence[Bar], told: Callable[[str], object] = print) -> bool:
    """Tell of each bar; whether none was missed."""
    words = {True: "met", False: "MISSED", None: "–"}
    for bar in found:
        told(f"{words[bar.met]:<7} {bar.number}  {bar.asks}: {bar.found}")
    return all(bar.met is not False for bar in found)
