"""What a report says of its figures, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distilbert.metrics.calibration import BINS
from distilbert.report.markup import Block, Heading, Paragraph, Picture, Table
from distilbert.report.problems import PROBLEMS
from distilbert.report.wording import (
    A_SECOND,
    KEPT,
    MILLISECONDS,
    TIMES,
    UNITS,
    Unit,
    megabytes,
    millions,
    value_of,
    with_interval,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from distilbert.report.problem import Problem

    Figures = Mapping[str, Any]

LONGEST = 300  # characters of a text that are shown; report.json has them all

_ENGINES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}


def blocks(figures: Figures) -> list[Block]:
    """The whole page: verdict, picture, table, disagreements, calibration, how it was measured."""
    reference, *others = figures["models"]
    data = figures["data"]
    listed = others[0]["name"] if len(others) == 1 else f"{len(others)} models"
    return [
        Heading(f"{listed} beside {reference['name']}", 1),
        Paragraph(f"Measured on {data['rows']:,} rows of {data['file']}."),
        *(Paragraph(verdict(figures, other), other["name"]) for other in others),
        Picture("accuracy-speed", "Each model's score against its speed, with intervals."),
        Heading("Side by side"),
        _side_by_side(figures),
        *_disagreements(figures),
        *_calibration(figures),
        *_how(figures),
    ]


def verdict(figures: Figures, model: Figures) -> str:
    """One sentence on a model beside the reference: what is kept, what is saved, how fast it is."""
    name, reference = figures["measure"], figures["models"][0]
    unit = UNITS[name]
    theirs, ours = (value_of(each["scores"][name], unit) for each in (reference, model))
    return (
        f"keeps {with_interval(model['kept'], KEPT)} of {reference['name']}'s {unit.shown} ({ours} against {theirs}), "
        f"has {millions(model)} parameters ({millions(reference)}), takes {megabytes(model)} on disk "
        f"({megabytes(reference)}), and is {value_of(model['times_as_fast_one'], TIMES)} times as fast on one "
        f"{_problem(figures).unit}, {value_of(model['times_as_fast_many'], TIMES)} times on many."
    )


def _problem(figures: Figures) -> Problem:
    return PROBLEMS[figures["data"]["problem"]]


def _side_by_side(figures: Figures) -> Table:
    models = figures["models"]
    rows = [(shown, *(cell(model) for model in models)) for shown, cell in _lines(figures)]
    return Table(["", *(model["name"] for model in models)], rows)


def _lines(figures: Figures) -> Iterator[tuple[str, Callable[[Figures], str]]]:
    """The table's rows: what each is called, and its cell for a model."""
    first, reference, unit = figures["measure"], figures["models"][0]["name"], _problem(figures).unit
    for name in figures["models"][0]["scores"]:
        yield UNITS[name].shown, _scored(name)
    yield f"of {reference}'s {UNITS[first].shown} kept", _shown("kept", KEPT)
    yield "parameters", millions
    yield "on disk", megabytes
    yield "weights", _weights
    yield f"one {unit}: p50, ms", _shown("p50_ms", MILLISECONDS)
    yield f"one {unit}: p95, ms", _shown("p95_ms", MILLISECONDS)
    yield f"one {unit}: times as fast", _shown("times_as_fast_one", TIMES)
    yield f"many: {unit}s a second", _shown("texts_per_second", A_SECOND)
    yield "many: times as fast", _shown("times_as_fast_many", TIMES)
    yield f"agrees with {reference}", _agreed
    if figures["models"][0]["calibration"]:
        yield "calibration error, points", lambda model: f"{100 * model['calibration']['error']:.1f}"


def _scored(name: str) -> Callable[[Figures], str]:
    return lambda model: with_interval(model["scores"][name], UNITS[name])


def _shown(key: str, unit: Unit) -> Callable[[Figures], str]:
    return lambda model: with_interval(model[key], unit) if key in model else "–"


def _weights(model: Figures) -> str:
    stored, runs = model["weights"], model["runs"]
    return stored if stored == runs else f"{stored}, run in {runs}"


def _agreed(model: Figures) -> str:
    if "agreement" not in model:
        return "–"
    agreement = model["agreement"]
    if "share" in agreement:
        return f"{100 * agreement['share']:.1f} %"
    unit = UNITS["pearson"]
    return f"{value_of({'value': agreement['pearson']}, unit)} ({unit.shown})"


# Where they disagree


def _disagreements(figures: Figures) -> Iterator[Block]:
    reference, *others = figures["models"]
    yield Heading("Where they disagree")
    for model in others:
        yield Paragraph(_counted(figures, model), f"{model['name']}:")
        if model["disagreements"]:
            columns = ["row", "text", "right", reference["name"], model["name"]]
            yield Table(columns, [_row(found) for found in model["disagreements"]], words=True)


def _counted(figures: Figures, model: Figures) -> str:
    agreement, rows = model["agreement"], figures["data"]["rows"]
    if "share" not in agreement:
        return f"differs by {agreement['mean_difference']:.3f} on average; most on:"
    parts = {
        "from right to wrong": agreement["right_to_wrong"],
        "from wrong to right": agreement["wrong_to_right"],
        "from one right answer to another": agreement.get("right_to_right", 0),
    }
    parts["from wrong to wrong"] = agreement["changed"] - sum(parts.values())
    said = ", ".join(f"{count:,} {kind}" for kind, count in parts.items() if count)
    counts = f"{agreement['changed']:,} of {rows:,} answers differ{': ' * bool(said)}{said}."
    return f"{counts} Those of which both are surest:" if model["disagreements"] else counts


def _row(found: Figures) -> tuple[str, ...]:
    text = " ⸺ ".join(found[part] for part in ("text", "text_pair") if part in found)
    shown = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return str(found["row"]), shown, _named(found["gold"]), _said(found["reference"]), _said(found["model"])


def _named(answer: Any) -> str:
    if isinstance(answer, list):
        return ", ".join(answer) or "none"
    return answer or "none" if isinstance(answer, str) else f"{answer:.3f}"


def _said(said: Figures) -> str:
    if "scores" not in said:
        return _named(said["answer"])
    names = said["answer"] if isinstance(said["answer"], list) else [said["answer"]]
    return (
        ", ".join(f"{_named(name)} {score:.3f}" for name, score in zip(names, said["scores"], strict=True))
        or "none"
    )


def _calibration(figures: Figures) -> Iterator[Block]:
    if not figures["models"][0]["calibration"]:
        return
    yield Heading("Calibration")
    yield Picture("reliability", "How often each model is right against how sure it is.")
    yield Paragraph(
        f"How sure a model is: {_problem(figures).sure}. The answers fall into {BINS} bins of equal width between 0 "
        "and 1; a point is a bin, the larger the more answers are in it, and on the dotted line a model is as often "
        "right as it is sure. The calibration error is the distance from that line, averaged over answers (expected "
        "calibration error, Guo et al., 2017)."
    )


def _how(figures: Figures) -> Iterator[Block]:
    timed = figures["timed"]
    machine = timed["machine"]
    unit = UNITS[figures["measure"]]
    reference, rows = figures["models"][0]["name"], _problem(figures).unit
    yield Heading("How it was measured")
    if figures["constant"] is not None:
        constant = value_of({"value": figures["constant"]}, unit)
        yield Paragraph(f"The best constant answer gets {constant} {unit.shown}.")
    yield Paragraph(
        "Brackets behind scores and what is kept hold the 95 % bootstrap interval over rows (1,000 resamples); for "
        f"what is kept, {reference} and the other model get the same rows each time."
    )
    yield Paragraph(
        f"Speed: {timed['rounds']} rounds after one to warm up, each model once a round, in an order drawn anew; "
        f"{timed['texts']:,} {rows}s, from text to scores, one by one and then all in one call. Figures are medians "
        "over rounds, brackets the least and the greatest round, ratios taken within rounds. "
        f"Up to {timed['threads']} batches at the same time; one {rows} uses one thread."
    )
    yield Paragraph(
        f"Machine: {machine['processor']}, {machine['system']}; Python {machine['python']}, "
        f"distilbert {machine['distilbert']}, "
        + ", ".join(f"{shown} {machine[name]}" for name, shown in _ENGINES.items() if name in machine)
        + "."
    )
    yield Paragraph(
        "On disk: the files that run a model. Every answer is in predictions/, every timing in timings.json, every "
        "figure in report.json, computed from the two."
    )
