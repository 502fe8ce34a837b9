"""What the project asks of itself, held against one run of `make bench`: each bar with its figure, met or missed.

Of ours only ways count whose bundle passed its gate; peers count whatever their flips. A ratio is the median of the
ratios within rounds, at least five; with fewer it is judged by nobody. A bar is not shown to be met while a way that it
is about did not run: it says which, and why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from distilbert.bench.advice import with_spread
from distilbert.bench.statistics import Spread
from distilbert.bench.ways import PEERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from distilbert.bench.measured import Found, Measured

SENTENCES, REVIEWS = "SST-2 dev", "IMDb reviews"
ON_ONNX_RUNTIME, ON_OPENVINO = "distilbert, ONNX Runtime", "distilbert, OpenVINO"
DYNAMIC, NNCF = "ONNX Runtime, dynamic int8", "OpenVINO, NNCF int8"
TEACHER_1, TEACHER_32 = "teacher in transformers, batch 1", "teacher in transformers, batch 32"
WEIGHTS = "weights"  # in a way's versions: the run that would have trained them, where they are fresh
NOT_RUN = "not measured"
LEAST_ROUNDS = 5
LEAST_START, MOST_MEGABYTES = 12, 130  # times as fast as a transformers pipeline; MB


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
    """All that the bars are about; None where it could not be measured."""

    wide: Measured  # 6 × 768
    shapes: Measured | None = None  # the shipped shapes, and transformers running the teacher
    starts: Starts | None = None
    agreement: Agreement | None = None


@dataclass(frozen=True)
class Bar:
    """A demand, what was found, and whether that meets it; None: not judged. `lacks`: why nothing is shown."""

    number: str
    asks: str
    found: str
    met: bool | None
    lacks: str = ""


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
        *_shapes(figures.shapes or replace(wide, found=[], left_out=[])),
        *_starts(figures.starts),
        *_agreement(figures.agreement or Agreement(0, None, {}, {})),
    ]


def _named(measured: Measured, name: str) -> Found | None:
    return next((found for found in measured.found if found.name == name and found.gated), None)


def _fastest(measured: Measured, task: str, number: str, least: float) -> Iterator[Bar]:
    theirs = measured.best(task, ours=False)
    bar = _against(
        measured, task, number, measured.best(task, ours=True), theirs.name if theirs else "any peer", least
    )
    yield _lacking(bar, measured, task)


def _lacking(bar: Bar, measured: Measured, task: str) -> Bar:
    """The same bar; not shown where a peer is lacking, which might have been the fastest."""
    slow = {way.name for way in PEERS if way.slow} if task == REVIEWS else set()
    lacks = [
        f"{left.name}: {left.reason}"
        for left in measured.left_out
        if left.name not in {ON_ONNX_RUNTIME, ON_OPENVINO} | slow
    ]
    return replace(bar, met=None, lacks="; ".join(lacks)) if lacks else bar


def _against(measured: Measured, task: str, number: str, ours: Found | None, name: str, least: float) -> Bar:
    asks = f"{measured.texts.get(task, 0)} {task}: at least {least} × {name}"
    theirs = next((found for found in measured.on(task) if found.name == name), None)
    if ours is None or theirs is None:
        whose = name if ours else "way of ours that passed its gate"
        reason = next((f": {left.reason}" for left in measured.left_out if left.name == whose), "")
        return Bar(number, asks, "", None, f"no {whose}{reason}")
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
            yield Bar("3", asks, "", None, "no peer, or none of ours")
            continue
        best = min(values, key=lambda name: values[name])
        mine = _milliseconds(own, share)
        met = mine < values[best] if measured.rounds >= LEAST_ROUNDS else None
        bar = Bar("3", asks, f"{mine:.2f} ms, {own.name}; {values[best]:.2f} ms, {best}", met)
        yield _lacking(bar, measured, SENTENCES)


def _milliseconds(found: Found, share: float) -> float:
    spread = found.tasks[SENTENCES].alone(share)
    return spread.value if spread else float("inf")


def _shapes(measured: Measured) -> Iterator[Bar]:
    """The narrow shape's faster way is asked for; the others, and a teacher told to batch, are shown beside it.

    Weights that are fresh passed no gate that means anything: they have a speed, and meet nothing.
    """
    timed = measured.on(SENTENCES)
    own = [each for each in timed if each.ours and each.gated]
    narrow = next((each for each in own if each.name.startswith("sst2-narrow")), None)
    runs = [each.versions.get(WEIGHTS) for each in (narrow, _named(measured, TEACHER_1)) if each]
    lacks = "; ".join(f"run `python runs/ledger.py {run}`" for run in runs if run)
    if narrow is None:
        yield _against(measured, SENTENCES, "6", None, TEACHER_1, 25)
    for found in own:
        for name in (TEACHER_1, TEACHER_32):
            shown = _against(measured, SENTENCES, "6", found, name, 25)
            if found is narrow and name == TEACHER_1:
                yield replace(shown, met=None, lacks=lacks) if lacks else shown
            else:
                yield Bar("6", shown.asks.replace("at least 25 ×", "beside"), shown.found, None)


def _starts(starts: Starts | None) -> Iterator[Bar]:
    asks = (
        f"cold start of `distilbert classify`: at most 1/{LEAST_START} of a transformers pipeline's",
        f"its VmHWM: under {MOST_MEGABYTES} MB",
    )
    if starts is None:
        yield from (Bar("7", each, "", None, NOT_RUN) for each in asks)
        return
    ratio = Spread.of([their / our for our, their in zip(starts.ours, starts.theirs, strict=True)])
    judged = len(starts.ours) >= LEAST_ROUNDS
    yield Bar("7", asks[0], f"1/{with_spread(ratio)}", ratio.value >= LEAST_START if judged else None)
    yield Bar("7", asks[1], f"{starts.megabytes:.0f} MB", starts.megabytes < MOST_MEGABYTES)


def _agreement(found: Agreement) -> Iterator[Bar]:
    texts = f"{found.texts:,} SST-2 training sentences"
    between = found.same_between_engines
    yield _share(f"{texts}: the same label on both engines, at least 99 %", between, 0.99)
    openvino = found.same_alone.get(ON_OPENVINO)
    yield _share("OpenVINO, alone and in a batch: the same label, at least 99.9 %", openvino, 0.999)
    for name, asks, least in (
        (ON_OPENVINO, "OpenVINO, alone and in a batch: scores within 0.005", 0.005),
        (ON_ONNX_RUNTIME, "ONNX Runtime, alone and in a batch: equal to the bit", 0.0),
    ):
        difference = found.score_difference.get(name)
        if difference is None:
            yield Bar("8", asks, "", None, NOT_RUN)
        else:
            yield Bar("8", asks, f"{difference:.2g}", difference <= least)


def _share(asks: str, value: float | None, least: float) -> Bar:
    if value is None:
        return Bar("8", asks, "", None, NOT_RUN)
    return Bar("8", asks, f"{100 * value:.2f} %", value >= least)


def verdict(bar: Bar) -> str:
    """What is said of a bar: met, missed, not shown with the reason, or nothing where it is not judged."""
    if bar.lacks:
        return f"not shown: {bar.lacks}"
    return {True: "met", False: "MISSED", None: ""}[bar.met]


def all_met(found: Sequence[Bar]) -> bool:
    """Whether none was missed, and none is not shown."""
    return not any(bar.lacks or bar.met is False for bar in found)
