"""The roofline's reckoning: costs follow from shapes, kernels find their row, and the table adds up."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def costs(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield importlib.import_module("costs")
    sys.modules.pop("costs")


@pytest.fixture
def roofline(monkeypatch, costs):
    yield importlib.import_module("roofline")
    sys.modules.pop("roofline")


@pytest.mark.parametrize(
    ("operator", "inputs", "output", "expected"),
    [
        ("MatMul", [("float", (2, 5, 3)), ("float", (3, 7))], (2, 5, 7), (0, 420, 4 * (30 + 21 + 70))),
        ("MatMul", [("float", (2, 4, 5, 3)), ("float", (2, 4, 3, 5))], (2, 4, 5, 5), (0, 1200, 4 * (120 + 120 + 200))),
        ("MatMulIntegerToFloat", [("uint8", (5, 3)), ("int8", ())], (5, 7), (210, 0, 15 + 21 + 4 * 35)),
        ("Add", [("float", (5, 7)), ("float", (7,))], (5, 7), (0, 35, 4 * (35 + 7 + 35))),
        ("Gather", [("int8", (30522, 7)), ("int64", (5,))], (5, 7), (0, 0, 2 * 4 * 35)),
        ("Reshape", [("float", (5, 7)), ("int64", (2,))], (35,), (0, 0, 0)),
    ],
)  # fmt: skip
def test_what_an_operator_costs_follows_from_its_shapes(costs, operator, inputs, output, expected):
    found = costs.cost(operator, inputs, [("float", output)])
    assert (found.int8, found.float32, found.bytes) == expected


def test_every_operator_of_the_embedded_graph_has_a_row_and_a_shape(costs, embedded):
    graph = costs.Graph(embedded / "onnx" / "model_quantized.onnx")
    assert not [name for name in graph.nodes if costs.kind(name) == "other"]
    tensors = graph.tensors((3, 7))
    assert all(min(tensors[node.output[0]][1], default=1) > 0 for node in graph.nodes.values())


@pytest.mark.parametrize("length", [2, 9])
def test_matrix_products_cost_what_the_model_s_sizes_say(costs, embedded, length):
    """6 layers of 384, feed-forward 1,536, 2 labels; of the last layer only the first token's row."""
    dim, inner, layers = 384, 1536, 6
    token = 2 * (4 * dim * dim + 2 * dim * inner)
    whole = (layers - 1) * (length * token + 4 * length * length * dim)
    last = 2 * (length * 2 * dim * dim + 2 * dim * dim + 2 * dim * inner) + 4 * length * dim
    head = 2 * (dim * dim + 2 * dim)
    graph = costs.Graph(embedded / "onnx" / "model_quantized.onnx")
    assert graph.products((1, length)) == whole + last + head
    assert graph.products((3, length)) == 3 * graph.products((1, length))


def test_what_passes_within_a_fused_kernel_moves_nowhere(costs, embedded):
    graph = costs.Graph(embedded / "onnx" / "model_quantized.onnx")
    names = [f"transformer.layer.1.ffn.{name}" for name in ("lin1.product", "lin1", "active", "active.uint8")]
    apart = costs.added(graph.cost([name], (2, 8)) for name in names)
    together = graph.cost(names, (2, 8))
    assert (together.int8, together.float32) == (apart.int8, apart.float32)
    assert apart.bytes - together.bytes == 2 * 3 * 4 * 2 * 8 * 1536  # three tensors, each written and read


@pytest.mark.parametrize(
    ("engine", "library"), [("session_kernels", "onnxruntime"), ("request_kernels", "openvino")]
)
def test_an_engine_s_kernels_find_their_row_and_the_table_adds_up(roofline, embedded, engine, library):
    pytest.importorskip(library)
    ids = [np.ones((2, length), np.int64) for length in (5, 9, 7)]
    batches = [{"input_ids": rows, "attention_mask": np.ones_like(rows)} for rows in ids]
    rounds = getattr(roofline, engine)(embedded / "onnx" / "model_quantized.onnx", batches, 2, 2)
    assert len(rounds) == (2 if library == "onnxruntime" else 1)
    peak = roofline.Peak("a machine", 1e12, 1e11, ((1 << 20, 1e11), (1 << 30, 1e10)))
    rows = roofline.reckon(rounds, peak)
    graph = roofline.Graph(embedded / "onnx" / "model_quantized.onnx")
    linears = [row for row in rows if row.kind.startswith("linear")]
    assert len(linears) == 4
    products = sum(row.cost.int8 for row in linears)
    attention = 4 * 2 * 384 * sum(5 * length * length + length for length in (5, 9, 7))
    head = 6 * 2 * (384 * 384 + 2 * 384)
    assert products + attention + head == sum(graph.products(rows.shape) for rows in ids)
    assert "between operators" in [row.kind for row in rows]
    shown = roofline.table(rows).splitlines()
    assert len(shown) == 2 + len(rows)
    assert all(line.count("|") == 9 for line in shown)
    assert sum(float(line.split("|")[3].strip(" %")) for line in shown[2:]) == pytest.approx(100, abs=1)
    assert rows == sorted(rows, key=lambda row: -row.seconds)


def test_at_best_is_the_slower_of_computing_and_moving(roofline):
    peak = roofline.Peak("a machine", 1000.0, 100.0, ((10, 50.0), (100, 5.0)))
    for cost, seconds in [
        (roofline.Cost(int8=2000), 2.0),
        (roofline.Cost(int8=1000, float32=100), 2.0),
        (roofline.Cost(bytes=10), 0.2),
        (roofline.Cost(bytes=50), 10.0),
        (roofline.Cost(int8=2000, bytes=1000), 200.0),
    ]:
        assert peak.seconds(cost) == seconds


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
def test_this_machine_s_peak_is_measured_or_the_reason_is_told(roofline):
    try:
        peak = roofline.measure_peak(1, 0.001)
    except SystemExit as stop:
        assert "AVX" in str(stop.code)  # noqa: PT017
    else:
        assert peak.int8 > peak.float32 > 0
        assert all(rate > 0 for _, rate in peak.bandwidths)
