"""Our own ways: the pipeline that users call, on each engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distilbert.bench.ways import Loaded, Setting
from distilbert.pipelines import pipeline
from distilbert.text.batching import TEXTS_PER_BATCH, cut

if TYPE_CHECKING:
    from distilbert.bench.ways import Source


def onnxruntime(source: Source) -> Loaded:
    """What the base install runs."""
    return _on("onnxruntime", source)


def openvino(source: Source) -> Loaded:
    """The same bundle with the extra `openvino`."""
    return _on("openvino", source)


def _on(engine: str, source: Source) -> Loaded:
    classify = pipeline(
        "text-classification",
        source.bundle,
        threads=source.threads,
        engine=engine,
        truncation=True,
        max_length=source.max_length,
    )
    workers = classify.engine.workers
    many = Setting(
        f"{TEXTS_PER_BATCH} texts, {workers} worker{'s' * (workers != 1)}",
        classify,
        lambda lengths: cut(lengths, TEXTS_PER_BATCH, workers),
    )
    return Loaded([many], classify)
