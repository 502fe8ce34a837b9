"""`distilbert bench`: what it prints of the ways that are here, and what it refuses."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bundles import sentences
from situations import complaint, on_a_terminal
from tiny import tiny_checkpoint

from distilbert.bench import ways

if TYPE_CHECKING:
    from situations import Command

SHORT = ("--texts", "texts.csv", "--rounds", 2, "--threads", 1)


@pytest.fixture
def texts(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with 20 texts in it; of the peers, none is to be had: theirs are tests/bench/test_peers_parity.py."""
    (here / "texts.csv").write_text("text\n" + "".join(f"{text}\n" for text in sentences(20, longest=6)))
    monkeypatch.setattr(ways, "find_spec", lambda name: None if name in ("openvino", "torch") else object())
    return here


def test_it_times_what_is_here_names_what_is_not_and_recommends(
    texts: Path, distilbert: Command, tiny_int8: Path
) -> None:
    outcome = distilbert("bench", tiny_int8, *SHORT)
    assert (outcome.code, outcome.err) == (0, "")
    heads, own, blank, *left, advice = outcome.out.splitlines()
    assert heads.startswith("way ")
    assert own.startswith("distilbert, ONNX Runtime  int8 ")
    assert blank == ""
    assert [line.split(":")[1] for line in left] == [f" {way.name}" for way in ways.WAYS[1:]]
    assert left[0] == (
        "Not run: distilbert, OpenVINO: openvino not installed (pip install 'distilbert[openvino]')"
    )
    assert advice.startswith("Use distilbert, ONNX Runtime: ")
    assert advice.endswith("pip install 'distilbert[bench]'.")


def test_json_has_every_timing(texts: Path, distilbert: Command, tiny_classifier: Path) -> None:
    [run] = distilbert("bench", tiny_classifier, *SHORT, "--json").objects()
    [own] = run["found"]
    assert (run["model"], run["threads"], run["rounds"], run["texts"]) == (
        str(tiny_classifier),
        1,
        2,
        {"texts": 20},
    )
    assert own["precision"] == "fp32"
    assert len(own["tasks"]["texts"]["seconds"]) == 2
    assert [len(each) for each in own["tasks"]["texts"]["milliseconds"]] == [20, 20]


def test_without_texts_it_takes_prose_that_every_python_brings(
    texts: Path, distilbert: Command, tiny_int8: Path
) -> None:
    [run] = distilbert("bench", tiny_int8, "--rounds", 1, "--json").objects()
    assert run["texts"] == {"texts": 200}


def test_a_tagger_is_refused_before_anything_runs(texts: Path, distilbert: Command) -> None:
    tiny_checkpoint(texts / "tagger", head="token-classification", labels=("O", "B-PER"))
    outcome = distilbert("bench", "tagger", *SHORT)
    assert outcome.code == 2
    assert complaint(outcome.err) == (
        "tagger is a model for token-classification; bench compares text classifiers.\n"
        "Name a text classifier; `distilbert report` times taggers and answerers.\n"
    )


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (("bench", "nowhere"), 1, "nowhere"),
        (("bench", "distilbert-sst2", "--texts", "none.csv"), 1, "none.csv cannot be read"),
        (("bench", "distilbert-sst2", "--texts", "texts.csv", "--column", "review"), 1, "no column 'review'"),
        (("bench", "distilbert-sst2", "--column", "review"), 2, "--column names a column, and there is no"),
        (("bench", "distilbert-sst2", "--rounds", "0"), 2, "--rounds"),
        (("bench",), 2, "MODEL"),
    ],
)
def test_what_is_not_there_is_named(
    line: tuple[str, ...], code: int, said: str, texts: Path, distilbert: Command
) -> None:
    outcome = distilbert(*line)
    assert outcome.code == code
    assert said in complaint(outcome.err)


def test_a_terminal_sees_how_far_it_has_come(texts: Path, distilbert: Command, tiny_int8: Path) -> None:
    code, shown = on_a_terminal(distilbert, "bench", tiny_int8, *SHORT, stream="stderr")
    assert code == 0
    assert "measurements" in shown


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, ["interrupted"]), (signal.SIGTERM, 143, [])]
)
def test_ctrl_c_and_sigterm_leave_no_process_and_no_folder_behind(
    number: signal.Signals, code: int, said: list[str], texts: Path, distilbert: Command, tiny_int8: Path
) -> None:
    (texts / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(texts / "tmp")}
    line = ("bench", tiny_int8, *SHORT, "--rounds", 1000)
    with distilbert.start(
        *map(str, line), env=environment, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        workers = []
        while not workers:
            time.sleep(0.1)
            workers = [child for child in children(process.pid) if "distilbert.bench.worker" in child[1]]
        # a terminal tells the whole group, whoever ends a process that one alone
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert err.decode().splitlines()[-1:] == said
    assert not any(Path(f"/proc/{worker}").exists() for worker, _ in workers)
    assert [*(texts / "tmp").iterdir()] == []


def children(parent: int) -> list[tuple[int, str]]:
    """The children of a process: number and command line."""
    numbers = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [(int(n), Path(f"/proc/{n}/cmdline").read_text()) for n in numbers]
