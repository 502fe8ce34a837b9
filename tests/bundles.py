"""What tests of compiling and running share: texts of tiny words, gates, and float32 weights out of int8 graphs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save_file
from tiny import WORDS

from distilbert.compile import Gate
from distilbert.files.hub import EMBEDDED as EMBEDDED_MODELS
from distilbert.metrics.gate import Verdict
from distilbert.tasks.gates import GATES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from distilbert.files.checkpoint import Checkpoint
    from distilbert.text.tokenizer import DistilBertTokenizer

EMBEDDED = EMBEDDED_MODELS / "distilbert-sst2"


def sentences(count: int, seed: int = 0, longest: int = 30) -> list[str]:
    """Random texts of 1 to `longest` words that every tiny tokenizer knows."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(1, longest + 1))) for _ in range(count)]


def gate_after(failures: int) -> Callable[[Checkpoint, DistilBertTokenizer], Gate]:
    """A gate that refuses so many candidates and then lets one through; errors are measured all the same.

    The real gates need thousands of texts, and random weights flip more labels than trained ones.
    """

    def make_gate(checkpoint: Checkpoint, tokenizer: DistilBertTokenizer) -> Gate:
        texts: list[Any] = sentences(40, seed=1)
        if checkpoint.head == "question-answering":
            texts = list(zip(texts, sentences(40, seed=2), strict=True))
        score, measure = GATES[checkpoint.head](texts, None, tokenizer, checkpoint.config)
        judged = 0

        def judge(reference: Any, candidate: Any) -> Verdict:
            nonlocal judged
            judged += 1
            error = measure(reference, candidate).error
            return Verdict(judged > failures, error, {"error": error}, f"mean error {error:.4f}")

        return Gate(score, judge)

    return make_gate


open_gate = gate_after(0)


def dequantised_checkpoint(bundle: Path, out: Path) -> Path:
    """Write the float32 weights that an int8 bundle's graph stands for as a checkpoint in Hugging Face's names."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(bundle / "onnx" / "model_quantized.onnx").graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    arrays = {}
    for name, array in stored.items():
        if name.endswith(".int8"):
            real = name.removesuffix(".int8")
            arrays[real] = array.astype(np.float32) * stored[f"{real}.scale"]
        elif name.endswith((".weight", ".bias")):
            arrays[name] = array
    for name in arrays:
        if arrays[name].ndim == 2 and not name.startswith("embeddings."):
            arrays[name] = arrays[name].T  # a graph multiplies from the right, a checkpoint from the left
    heads = ("pre_classifier.", "classifier.", "qa_outputs.")
    named = {
        name if name.startswith(heads) else f"distilbert.{name}": np.ascontiguousarray(array)
        for name, array in arrays.items()
    }
    out.mkdir(parents=True)
    save_file(named, out / "model.safetensors")
    for name in ("config.json", "vocab.txt", "tokenizer_config.json"):
        shutil.copy(bundle / name, out / name)
    return out


def compiled_without_torch(source: Path, out: Path, *options: object) -> Path:
    """Compile as a user does, by the command, in a process that cannot import torch or transformers."""
    program = (
        "import sys; sys.modules.update(torch=None, transformers=None);"
        "from distilbert.cli import main; sys.argv[0] = 'distilbert'; main()"
    )
    line = [sys.executable, "-c", program, "compile", str(source), "--out", str(out), *map(str, options)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    print(done.stderr)  # what pytest shows when a test fails: how the gate went
    return out


def sst2_sentences(shared: Path, out: Path, count: int) -> Path:
    """A file of the first different whole sentences of SST-2's training set."""
    lines = (shared / "data" / "sst2" / "train_sentences.tsv").read_text(encoding="utf-8").split("\n")[1:]
    texts = list(dict.fromkeys(line.split("\t")[0] for line in lines if line))[:count]
    assert len(texts) == count
    out.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return out
