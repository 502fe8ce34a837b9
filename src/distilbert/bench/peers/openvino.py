"""OpenVINO with its own tools alone: transformers' model converted, in its default precision or in NNCF's int8."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from distilbert.bench.peers.batches import SIZES, answering, padded, settings, tokeniser
from distilbert.bench.peers.pytorch import classifier
from distilbert.bench.ways import Loaded
from distilbert.engines.openvino import import_openvino

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from distilbert.bench.peers.batches import Ids, Logits, Run
    from distilbert.bench.ways import Source

CALIBRATION_TEXTS = 300  # NNCF's default `subset_size`
# Its makers' two hints: https://docs.openvino.ai/2025/openvino-workflow/running-inference/optimize-inference/high-level-performance-hints.html
_LATENCY, _THROUGHPUT = "LATENCY", "THROUGHPUT"


def default(source: Source) -> Loaded:
    """bfloat16 where the processor has it, else float32: what OpenVINO chooses."""
    return _loaded(source, "openvino-float", _convert)


def nncf_int8(source: Source) -> Loaded:
    """NNCF's post-training quantisation for transformers."""
    return _loaded(source, "openvino-nncf", _quantise)


def _loaded(source: Source, name: str, make: Any) -> Loaded:
    openvino = import_openvino()

    path = source.made / f"{name}.xml"
    if not path.exists():
        unfinished = path.with_name(f"{name}-partial.xml")
        openvino.save_model(make(source), unfinished)
        unfinished.with_suffix(".bin").replace(path.with_suffix(".bin"))
        unfinished.replace(path)
    core = openvino.Core()
    model = core.read_model(path)
    threads = {"INFERENCE_NUM_THREADS": source.threads}
    one = _one_after_another(
        partial(core.compile_model, model, "CPU", {"PERFORMANCE_HINT": _LATENCY, **threads})
    )
    # As many streams as threads is what its hint for throughput comes to on small processors; said, it is so on all.
    streams = {"PERFORMANCE_HINT": _THROUGHPUT, "NUM_STREAMS": source.threads, **threads}
    side_by_side = _beside_each_other(partial(core.compile_model, model, "CPU", streams))
    many = [
        *settings(one, source, SIZES, ", latency hint"),
        *settings(side_by_side, source, SIZES, ", throughput hint"),
    ]
    return Loaded(many, answering(one, source, 1))


def _one_after_another(compiled: Callable[[], Any]) -> Run:
    request = cache(lambda: compiled().create_infer_request())  # at the first call: a start pays for one mode

    def run(batches: Sequence[tuple[Ids, Ids]]) -> list[Logits]:
        return [np.array(request().infer(list(batch))[0]) for batch in batches]

    return run


def _beside_each_other(compiled: Callable[[], Any]) -> Run:
    opened = cache(lambda: import_openvino().AsyncInferQueue(compiled()))

    def run(batches: Sequence[tuple[Ids, Ids]]) -> list[Logits]:
        queue = opened()
        found: dict[int, Logits] = {}

        def keep(request: Any, place: int) -> None:
            found[place] = np.array(request.get_output_tensor(0).data)

        queue.set_callback(keep)
        for place, batch in enumerate(batches):
            queue.start_async(list(batch), place)
        queue.wait_all()
        return [found[place] for place in range(len(batches))]

    return run


def _convert(source: Source) -> Any:
    openvino = import_openvino()
    import torch

    model = classifier(source)
    model.config.return_dict = False
    ids = torch.ones((2, 16), dtype=torch.int64)
    return openvino.convert_model(
        model,
        example_input={"input_ids": ids, "attention_mask": ids},
        input=[("input_ids", [-1, -1], np.int64), ("attention_mask", [-1, -1], np.int64)],
    )


def _quantise(source: Source) -> Any:
    import nncf

    rows = tokeniser(source)(source.calibration[:CALIBRATION_TEXTS])
    samples = [dict(zip(("input_ids", "attention_mask"), padded([row]), strict=True)) for row in rows]
    return nncf.quantize(
        _convert(source),
        nncf.Dataset(samples),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(samples),
    )
