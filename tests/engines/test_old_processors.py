"""The embedded model on a processor of 2013, emulated: no AVX-512, no VNNI, and the same bits."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not shutil.which("qemu-x86_64") or platform.machine() != "x86_64",
        reason="needs qemu-x86_64 on an x86-64 machine: apt-get install qemu-user",
    ),
]

HASWELL = ("qemu-x86_64", "-cpu", "Haswell")

# Without VNNI, two products of uint8 and int8 are summed in 16 bits, which saturate: 2 × 255 × 127 is more than
# they hold. The graph answers the sum of 64 products of 255 with 127, then with 63, the largest that 7 bits hold.
SATURATION = """
import json
import numpy as np
from onnx import TensorProto, helper
from distilbert.engines.onnx_runtime import OnnxRuntimeEngine
weights = np.array([127] * 64 + [63] * 64, np.int8).reshape(2, 64).T
graph = helper.make_graph(
    [helper.make_node("MatMulInteger", ["a", "b"], ["sums"])],
    "saturation",
    [helper.make_tensor_value_info("a", TensorProto.UINT8, [1, 64])],
    [helper.make_tensor_value_info("sums", TensorProto.INT32, [1, 2])],
    [helper.make_tensor("b", TensorProto.INT8, [64, 2], weights.tobytes(), raw=True)],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
engine = OnnxRuntimeEngine(model.SerializeToString())
print(json.dumps(engine.run({"a": np.full((1, 64), 255, np.uint8)})["sums"].tolist()))
"""


def run(*arguments: str, prefix: tuple[str, ...] = ()) -> str:
    """What Python prints, with all that it loads, on the processor of `prefix`."""
    done = subprocess.run(
        [*prefix, sys.executable, *arguments], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_emulated_processor_saturates_8_bit_weights_but_not_7_bit_ones() -> None:
    [[eight_bits, seven_bits]] = json.loads(run("-c", SATURATION, prefix=HASWELL))
    assert eight_bits == 64 // 2 * 32_767 < 64 * 255 * 127
    assert seven_bits == 64 * 255 * 63


def test_the_embedded_model_answers_its_probes_with_the_same_bits_without_vnni() -> None:
    line = ("-m", "distilbert", "verify", "distilbert-sst2")
    said = run(*line, prefix=HASWELL)
    assert "probes answered as when it was made, to the bit (int8)" in said
    assert said == run(*line)
