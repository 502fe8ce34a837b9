"""Each of the project's bars is met or missed by just the figures that it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from bars import (
    DYNAMIC,
    NNCF,
    ON_ONNX_RUNTIME,
    ON_OPENVINO,
    REVIEWS,
    SENTENCES,
    TEACHER_1,
    TEACHER_32,
    WEIGHTS,
    Agreement,
    Figures,
    Starts,
    all_met,
    bars,
    verdict,
)
from timings import found, measured

from distilbert.bench.measured import LeftOut

if TYPE_CHECKING:
    from distilbert.bench.measured import Measured

BOTH = (SENTENCES, REVIEWS)


def wide(
    *, ort: float = 1.0, openvino: float = 0.9, dynamic: float = 1.4, nncf: float = 1.0, alone: float = 4.0,
    gated: bool = True, rounds: int = 5,
) -> Measured:  # fmt: skip
    return measured(
        found(ON_ONNX_RUNTIME, ort, alone, ours=True, tasks=BOTH, rounds=rounds),
        found(ON_OPENVINO, openvino, alone, ours=True, tasks=BOTH, rounds=rounds, gated=gated),
        found(DYNAMIC, dynamic, 5.0, tasks=BOTH, rounds=rounds),
        found(NNCF, nncf, 5.0, tasks=BOTH, rounds=rounds),
        rounds=rounds,
    )


def shapes(narrow: float = 1.0) -> Measured:
    return measured(
        found(f"sst2-narrow {ON_OPENVINO}", narrow, ours=True, rounds=5),
        found(TEACHER_1, 26.0, rounds=5),
        found(TEACHER_32, 13.0, rounds=5),
        rounds=5,
    )


GOOD = Figures(
    wide=wide(),
    shapes=shapes(),
    starts=Starts([0.3] * 5, [4.0] * 5, 119.0),
    agreement=Agreement(
        10_000, 0.995, {ON_OPENVINO: 0.9995, ON_ONNX_RUNTIME: 1.0}, {ON_OPENVINO: 0.004, ON_ONNX_RUNTIME: 0.0}
    ),
)


def test_where_all_is_well_every_bar_is_judged_and_met() -> None:
    assert all_met(bars(GOOD))
    assert {bar.number for bar in bars(GOOD)} == {"1", "2", "3", "5", "6", "7", "8"}
    unjudged = [bar for bar in bars(GOOD) if bar.met is None]
    assert [bar.found for bar in unjudged] == [f"13.00 (13.00 to 13.00), sst2-narrow {ON_OPENVINO}"]
    assert {verdict(bar) for bar in bars(GOOD)} == {"met", ""}


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({"wide": wide(nncf=0.98)}, ["1"]),  # 1.09 times as fast as the fastest peer
        ({"wide": wide(openvino=0.89, nncf=0.88)}, ["1", "2", "5"]),
        ({"wide": wide(dynamic=1.24, nncf=1.0)}, ["5"]),
        ({"wide": wide(dynamic=1.16, nncf=1.0)}, ["1", "5"]),
        ({"wide": wide(alone=5.5)}, ["3", "3"]),
        ({"wide": wide(gated=False)}, ["1"]),  # OpenVINO was the faster one
        ({"shapes": shapes(narrow=1.05)}, ["6"]),
        ({"starts": replace(GOOD.starts, ours=[0.34] * 5)}, ["7"]),
        ({"starts": replace(GOOD.starts, megabytes=131.0)}, ["7"]),
        ({"agreement": replace(GOOD.agreement, same_between_engines=0.9899)}, ["8"]),
        ({"agreement": replace(GOOD.agreement, same_alone={ON_OPENVINO: 0.9989})}, ["8"]),
        ({"agreement": replace(GOOD.agreement, score_difference={ON_OPENVINO: 0.0051})}, ["8"]),
        ({"agreement": replace(GOOD.agreement, score_difference={ON_ONNX_RUNTIME: 1e-7})}, ["8"]),
    ],
)
def test_a_bar_is_missed_by_the_figure_it_is_about(change: dict[str, Any], missed: list[str]) -> None:
    found = bars(replace(GOOD, **change))
    assert [bar.number for bar in found if bar.met is False] == missed
    assert not all_met(found)


def test_of_the_narrow_shape_only_the_faster_way_is_judged() -> None:
    slower = found(f"sst2-narrow {ON_ONNX_RUNTIME}", 2.0, ours=True, rounds=5)
    both = replace(shapes(), found=[*shapes().found, slower])
    assert [bar.met for bar in bars(replace(GOOD, shapes=both)) if bar.number == "6"].count(True) == 1
    assert all_met(bars(replace(GOOD, shapes=both)))


@pytest.mark.parametrize(("place", "run"), [(0, "sst2-narrow"), (1, "sst2-teacher")])
def test_fresh_weights_meet_no_bar_and_the_run_that_trains_them_is_named(place: int, run: str) -> None:
    ways = [*shapes().found]
    ways[place] = replace(ways[place], versions={WEIGHTS: run})
    found = bars(replace(GOOD, shapes=replace(shapes(), found=ways)))
    assert verdict(next(bar for bar in found if bar.number == "6")) == (
        f"not shown: run `python runs/ledger.py {run}`"
    )
    assert {bar.met for bar in found if bar.number == "6"} == {None}
    assert not all_met(found)


LEFT = LeftOut("CTranslate2, int8", "RuntimeError: no kernel")
SLOW = LeftOut("torch.compile", "no compiler")


@pytest.mark.parametrize(
    ("left", "not_shown"),
    [
        (LEFT, ["1", "2", "3", "3"]),
        (SLOW, ["1", "3", "3"]),  # it takes no part where texts are long
        (LeftOut(NNCF, "nncf not installed"), ["1", "2", "3", "3", "5"]),
    ],
)
def test_a_peer_that_did_not_run_shows_no_bar_that_it_might_decide(
    left: LeftOut, not_shown: list[str]
) -> None:
    kept = [each for each in wide().found if each.name != left.name]
    found = bars(replace(GOOD, wide=replace(wide(), found=kept, left_out=[left])))
    lacking = [bar for bar in found if verdict(bar).startswith("not shown")]
    assert [bar.number for bar in lacking] == not_shown
    assert all(left.name in bar.lacks and left.reason in bar.lacks for bar in lacking)
    assert {bar.met for bar in lacking} == {None}
    assert not all_met(found)


@pytest.mark.parametrize(("part", "numbers"), [("shapes", "6"), ("starts", "77"), ("agreement", "8888")])
def test_a_part_that_failed_leaves_its_own_bars_unshown(part: str, numbers: str) -> None:
    found = bars(replace(GOOD, **{part: None}))
    assert [bar.number for bar in found if bar.lacks] == [*numbers]
    assert not all_met(found)


def test_with_fewer_than_five_rounds_no_ratio_is_judged() -> None:
    found = bars(replace(GOOD, wide=wide(openvino=9.0, ort=9.0, rounds=4)))
    assert {bar.met for bar in found if bar.number in ("1", "2", "3", "5")} == {None}


def test_what_did_not_run_meets_nothing() -> None:
    alone = measured(found(ON_ONNX_RUNTIME, 1.0, ours=True, tasks=BOTH, rounds=5), rounds=5)
    nothing = Agreement(10_000, None, {}, {})
    found_ = bars(replace(GOOD, wide=alone, agreement=nothing))
    assert all(bar.lacks for bar in found_ if bar.number in ("1", "2", "3", "5", "8"))
    assert {bar.met for bar in found_ if bar.number in ("1", "2", "3", "5", "8")} == {None}
