"""The table and the recommendation say what the timings say, and name a faster peer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from timings import TASK, found, measured

from distilbert.bench.advice import HEADS, aligned, recommendation, rows
from distilbert.bench.measured import Found, LeftOut

OWN = found("distilbert, ONNX Runtime", 1.0, ours=True, flips=1)
FLOAT = found("transformers, batch 1", 8.0, 20.0, precision="fp32")


def test_a_row_holds_medians_and_the_ratio_of_the_same_rounds() -> None:
    first, second = rows(measured(FLOAT, OWN), TASK)
    assert first == (
        "distilbert, ONNX Runtime", "int8", "100", "", "5.00", "9.50", "25 %", "0.50", "120", "50", "99.00 %", "1",
    )  # fmt: skip
    assert second[:5] == ("transformers, batch 1", "fp32", "12", "8.00 (8.00 to 8.00)", "20.00")
    heads, *lines = aligned([HEADS, first, second])
    assert lines[0].index("int8") == lines[1].index("fp32") == heads.index("runs")


@pytest.mark.parametrize(
    ("peer", "said"),
    [
        (
            found("peer", 2.0, 9.0),
            "Use distilbert, ONNX Runtime: 100 texts a second, 2.00 (2.00 to 2.00) times as fast",
        ),
        (found("peer", 1.02), "distilbert, ONNX Runtime and peer are equally fast here: 100 texts a second."),
        (
            found("peer", 0.5),
            "peer is faster here: 2.00 (2.00 to 2.00) times as fast as distilbert, ONNX Runtime",
        ),
        (found("peer", 0.5, 2.0), "With one text a call peer is the quickest: 2.0 ms against 5.0."),
        (found("peer", 2.0, 9.0), "With one text a call distilbert, ONNX Runtime is the quickest: 5.0 ms."),
        (found("peer", 0.5, flips=7), "peer gives another label than float32 to 7 of 100 texts."),
    ],
)
def test_the_recommendation_names_what_is_faster_even_if_it_is_a_peer(peer: Found, said: str) -> None:
    assert said in recommendation(measured(OWN, FLOAT, peer), TASK)


def test_ours_counts_only_past_its_gate() -> None:
    lucky = replace(found("distilbert, OpenVINO", 0.1, ours=True), gated=False)
    run = measured(lucky, OWN, FLOAT)
    assert run.best(TASK, ours=True) == OWN
    assert rows(run, TASK)[0][0] == "distilbert, OpenVINO (not past its gate)"
    assert recommendation(measured(lucky), TASK) == "None of ours passed its gate: compile the model again."


def test_it_says_what_would_make_it_faster() -> None:
    slow = replace(OWN, precision="fp32")
    missing = LeftOut("distilbert, OpenVINO", "openvino not installed", "pip install 'distilbert[openvino]'")
    said = recommendation(measured(slow, left_out=(missing,)), TASK)
    assert "`distilbert compile my-model --out my-bundle/ --calibrate FILE`" in said
    assert "pip install 'distilbert[openvino]'" in said
    assert "pip install 'distilbert[bench]'" in said  # no peer ran
    assert "bench]" not in recommendation(measured(OWN, FLOAT), TASK)
