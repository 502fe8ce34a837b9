"""A worker answers over its pipe whatever its library prints, and neither its end nor ours leaves anything behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bench_ways import way

from distilbert import pipeline
from distilbert.bench.process import WayFailedError, WorkerProcess
from distilbert.bench.ways import OURS

if TYPE_CHECKING:
    from distilbert.bench.ways import Source

TEXTS = ["a good film", "bad", "not very good", "the story is boring and the acting terrible"]


def test_our_own_way_answers_as_the_pipeline_does(source: Source) -> None:
    with WorkerProcess(OURS[0]) as process:
        assert "onnxruntime" in process.load(source)["versions"]
        process.ask("texts", name="some", texts=TEXTS)
        together, alone = (process.ask("answer", texts="some", alone=alone) for alone in (False, True))
        assert together == alone  # int8 on ONNX Runtime, to the bit
        expected = pipeline("text-classification", source.bundle, engine="onnxruntime")(TEXTS)
        assert together["labels"] == [answer["label"] for answer in expected]
        assert together["scores"] == [answer["score"] for answer in expected]
        assert process.ask("many", texts="some")["seconds"] > 0
        assert len(process.ask("alone", texts="some")["milliseconds"]) == len(TEXTS)
        assert 1e7 < process.ask("memory")["bytes"] < 1e10


def test_the_fastest_setting_is_kept_and_its_padding_told(source: Source) -> None:
    with WorkerProcess(way("steady")) as process:
        process.load(source)
        process.ask("texts", name="some", texts=["good", "good film story"])
        chosen = process.ask("choose", texts="some")
        assert chosen["setting"] == "quick"
        assert chosen["padding"] == pytest.approx(2 / 10)  # 3 and 5 tokens with [CLS] and [SEP]


def test_what_a_library_prints_is_no_reply(source: Source) -> None:
    with WorkerProcess(way("chatty")) as process:
        process.load(source)
        process.ask("texts", name="some", texts=TEXTS)
        assert process.ask("answer", texts="some")["labels"][0] == "POSITIVE"


def test_each_setting_is_warm_when_it_is_compared(source: Source) -> None:
    with WorkerProcess(way("uneven")) as process:
        process.load(source)
        process.ask("texts", name="some", texts=TEXTS)
        assert process.ask("choose", texts="some")["setting"] == "late"


def test_a_worker_that_hangs_is_given_up(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distilbert.bench.process.PATIENCE", 1.2)
    with WorkerProcess(way("hanging")) as process, pytest.raises(WayFailedError, match="no answer in 0 min"):
        process.load(source)


def test_our_own_errors_are_told_without_their_class(source: Source) -> None:
    nowhere = replace(source, bundle=source.bundle / "nowhere")
    with WorkerProcess(OURS[0]) as process, pytest.raises(WayFailedError) as failed:
        process.load(nowhere)
    assert "nowhere" in str(failed.value)
    assert "Error" not in str(failed.value)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken", "RuntimeError: cannot convert aten::nothing"),
        ("dying", "its process ended with 9: out of memory"),
        ("nowhere", "AttributeError: module 'bench_ways' has no attribute 'nowhere'"),
    ],
)
def test_a_way_that_fails_says_why_in_one_line(name: str, reason: str, source: Source) -> None:
    with WorkerProcess(way(name)) as process, pytest.raises(WayFailedError) as failed:
        process.load(source)
    assert str(failed.value) == reason


def test_its_process_ends_with_the_block_however_that_ends(source: Source) -> None:
    with suppress(KeyboardInterrupt), WorkerProcess(way("steady")) as process:
        process.load(source)
        number = process._process.pid
        raise KeyboardInterrupt
    assert not Path(f"/proc/{number}").exists()


def test_a_worker_ends_when_its_parent_is_killed(source: Source) -> None:
    program = """
import time
from bench_ways import way
from distilbert.bench.process import WorkerProcess
worker = WorkerProcess(way("steady"))
print(worker._process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        number = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
    for _ in range(200):
        if not Path(f"/proc/{number}").exists() or ") Z " in Path(f"/proc/{number}/stat").read_text():
            return
        time.sleep(0.1)
    raise AssertionError("the worker is still there")
