"""ONNX Runtime with its own tools alone: transformers' model exported, optimised for BERT, and quantised dynamically.

The steps are those of its makers' example for BERT, beside their page on quantisation:
https://github.com/microsoft/onnxruntime-inference-examples/tree/main/quantization/nlp/bert
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from distilbert.bench.peers.batches import answering, settings
from distilbert.bench.peers.pytorch import classifier
from distilbert.bench.ways import Loaded
from distilbert.files.atomic import atomic_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from distilbert.bench.peers.batches import Ids, Logits
    from distilbert.bench.ways import Source


def dynamic_int8(source: Source) -> Loaded:
    """One session with all threads, which is its default."""
    import onnxruntime

    path = source.made / "onnxruntime-dynamic.onnx"
    if not path.exists():
        _quantise(source, path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = source.threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(batches: Sequence[tuple[Ids, Ids]]) -> list[Logits]:
        return [
            session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0] for ids, mask in batches
        ]

    return Loaded(settings(run, source), answering(run, source, 1))


def _quantise(source: Source, path: Path) -> None:
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer

    exported = path.with_name("onnxruntime-exported.onnx")
    optimised = path.with_name("onnxruntime-optimised.onnx")
    _export(source, exported)
    config = json.loads((source.checkpoint / "config.json").read_text(encoding="utf-8"))
    heads = config.get("n_heads", config.get("num_attention_heads"))
    width = config.get("dim", config.get("hidden_size"))
    model = optimizer.optimize_model(str(exported), "bert", num_heads=heads, hidden_size=width)
    model.save_model_to_file(str(optimised))
    with atomic_file(path) as whole:
        # The type of what its own fused operators give, which it cannot infer: its error message says to name it.
        types = {"DefaultTensorType": TensorProto.FLOAT}
        quantize_dynamic(str(optimised), str(whole), weight_type=QuantType.QInt8, extra_options=types)
    exported.unlink()
    optimised.unlink()


def _export(source: Source, path: Path) -> None:
    import torch

    # Its optimiser finds attention, and fuses it, where transformers writes it out: "eager".
    model: Any = classifier(source, attn_implementation="eager")
    model.config.return_dict = False
    ids = torch.ones((2, 16), dtype=torch.int64)
    dynamic = {0: "batch", 1: "length"}
    # The exporter by tracing: the optimiser's patterns were made for its graphs.
    torch.onnx.export(
        model,
        (ids, ids),
        str(path),
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_axes={"input_ids": dynamic, "attention_mask": dynamic, "logits": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
