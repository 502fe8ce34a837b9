"""What a run keeps: every round of every way that ran, and the reason of each that did not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from bench_ways import way

from distilbert.bench.measured import Task, read_measured, write_measured
from distilbert.bench.running import Plan, measure, steps
from distilbert.bench.ways import OURS, PEERS, WAYS
from distilbert.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

    from distilbert.bench.ways import Source

TEXTS = ["a good film", "bad", "very good"]
GOLD = ["POSITIVE", "NEGATIVE", "NEGATIVE"]
PLAN = Plan([Task("some", TEXTS, alone=2, gold=GOLD), Task("long", TEXTS)], rounds=3, starts=1)


def test_each_way_is_timed_in_every_round_on_every_task(source: Source, tmp_path: Path) -> None:
    ways = [OURS[0], way("steady"), way("contrary")]
    told = []
    measured = measure("tiny", [(each, source) for each in ways], PLAN, lambda: told.append(1))
    assert len(told) == steps(ways, PLAN)
    assert [found.name for found in measured.found] == [each.name for each in ways]
    for found in measured.found:
        timed = found.tasks["some"]
        assert len(timed.seconds) == 3
        assert [len(each) for each in timed.milliseconds] == [2, 2, 2]
        assert len(found.tasks["long"].seconds) == 3
        assert found.tasks["long"].alone(50) is None
        assert found.starts[0] > 0
        assert found.memory > 1e7
        assert found.installed > 1e7
    own, steady, contrary = measured.found
    assert (own.precision, own.gated) == ("int8", True)
    assert measured.flips("some", steady) == 0  # the reference: the first that runs in float32
    assert measured.flips("some", contrary) == 3
    assert measured.accuracy("some", steady) == pytest.approx(2 / 3)
    assert measured.accuracy("long", steady) is None
    write_measured(tmp_path / "run.json", measured, commit="abc")
    assert read_measured(json.loads((tmp_path / "run.json").read_text())) == measured


def test_peers_that_are_not_there_or_fail_are_left_out_by_name(source: Source) -> None:
    ways = [OURS[0], way("absent", ("no_such_library",)), way("broken"), way("dying"), way("failing_later")]
    measured = measure("tiny", [(each, source) for each in ways], PLAN, lambda: None)
    assert [found.name for found in measured.found] == [OURS[0].name]
    assert [(left.name, left.reason, left.next_step) for left in measured.left_out] == [
        ("absent", "no_such_library not installed", "pip install absent"),
        ("broken", "RuntimeError: cannot convert aten::nothing", ""),
        ("dying", "its process ended with 9: out of memory", ""),
        ("failing_later", "ValueError: enough", ""),
    ]


def test_memory_is_that_of_the_setting_that_was_chosen(source: Source) -> None:
    measured = measure("tiny", [(each, source) for each in (OURS[0], way("heavy"))], PLAN, lambda: None)
    assert measured.found[1].tasks["some"].setting == "light"
    assert measured.found[1].memory < 300_000_000


def test_without_a_checkpoint_ours_are_timed_all_the_same(source: Source) -> None:
    lacking = replace(source, fault="the bundle could not be written as a checkpoint: disk full")
    measured = measure("tiny", [(each, lacking) for each in (OURS[0], way("steady"))], PLAN, lambda: None)
    assert [found.name for found in measured.found] == [OURS[0].name]
    assert [(left.name, left.reason) for left in measured.left_out] == [("steady", lacking.fault)]


def test_without_a_way_of_ours_there_is_nothing_to_compare(source: Source) -> None:
    with pytest.raises(
        EngineError, match=r"tiny could not be run: RuntimeError: cannot convert aten::nothing\."
    ):
        measure("tiny", [(way("broken", engine="onnxruntime"), source)], PLAN, lambda: None)


def test_slow_ways_take_no_part_where_texts_are_long() -> None:
    slow = [each for each in PEERS if each.slow]
    tasks = [Task("short", TEXTS), Task("long", TEXTS, slow_ways=False)]
    ready = [each for each in slow if not each.missing()]
    assert steps(slow, Plan(tasks, rounds=1, starts=0)) == 3 * len(ready)


def test_the_reference_answers_where_it_is_too_slow_to_be_timed(source: Source) -> None:
    slow = replace(way("contrary"), slow=True, reference=True)
    tasks = [Task("short", TEXTS), Task("long", TEXTS, slow_ways=False)]
    entries = [(each, source) for each in (OURS[0], slow, way("steady"))]
    measured = measure("tiny", entries, Plan(tasks, rounds=1, starts=0), lambda: None)
    assert [found.name for found in measured.on("short") if found.name == "contrary"]
    assert [found.name for found in measured.on("long") if found.name == "contrary"] == []
    assert measured.flips("long", measured.found[2]) == 3


def test_every_peer_has_an_advice_to_cite_and_a_way_to_install_it() -> None:
    assert len({each.name for each in WAYS}) == len(WAYS)
    for each in PEERS:
        assert each.advice.startswith("https://")
        assert each.install.startswith("pip install ")
        assert each.needs
        assert each.runs_on
