"""Which engine runs a bundle: ONNX Runtime, unless int8 passed its gate on OpenVINO too and that is faster here.

ONNX Runtime's int8 answers do not depend on a text's neighbours to the bit, so OpenVINO must be worth it (`WORTH`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from distilbert.engines.onnx_runtime import OnnxRuntimeEngine
from distilbert.engines.outputs import outputs_of
from distilbert.errors import EngineError, NotInstalledError, OptionError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from distilbert.engines.base import Engine
    from distilbert.engines.outputs import Shapes
    from distilbert.engines.speeds import Speeds
    from distilbert.files.bundle import Bundle
    from distilbert.files.config import DistilBertConfig

ONNX_RUNTIME, OPENVINO = ENGINES = ("onnxruntime", "openvino")  # each named as its package
WORTH = 1.05  # times as fast


def load_engine(
    bundle: Bundle, config: DistilBertConfig, threads: int | None = None, engine: str | None = None
) -> Engine:
    """Open a bundle's graph with the engine of this name, by default with the one that `choose_engine` chooses.

    Raises `OptionError` for an unknown name, `EngineError` for an int8 bundle that passed no gate on that engine and
    for a graph that it refuses, `NotInstalledError` where it is not installed.
    """
    chosen = choose_engine(bundle, config, engine, threads)
    return open_graph(chosen, bundle.graph, threads, outputs_of(bundle.manifest.task, config))


def open_graph(
    engine: str, model: Path | bytes, threads: int | None = None, outputs: Shapes | None = None
) -> Engine:
    """Open a graph with an engine. Raises `EngineError`, or `NotInstalledError`."""
    if engine == ONNX_RUNTIME:
        return OnnxRuntimeEngine(model, threads, outputs)
    from distilbert.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(model, threads, outputs)


def installed(engine: str) -> str | None:
    """The version of an engine's package, found without importing it; None where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(engine)
    except PackageNotFoundError:
        return None


def choose_engine(
    bundle: Bundle,
    config: DistilBertConfig,
    engine: str | None = None,
    threads: int | None = None,
    measure: Callable[[Bundle, DistilBertConfig, int | None], Speeds] | None = None,
) -> str:
    """The name of the engine that runs a bundle: `engine`, else `DISTILBERT_ENGINE`, else the faster one that may.

    `measure` gives the seconds that each takes here with so many threads; it is asked only where both may run the
    bundle, and once. Raises `OptionError` for an unknown name, `EngineError` for one on which this int8 passed no gate.
    """
    if engine is not None:
        return _allowed(bundle, engine, "engine")
    if (foreseen := foreseen_engine(bundle, threads)) is not None:
        return foreseen
    from distilbert.engines.speeds import measure_speeds, remember_speeds

    try:
        speeds = (measure or measure_speeds)(bundle, config, threads)
    except (EngineError, NotInstalledError):  # of what is installed, but does not work here
        return ONNX_RUNTIME
    remember_speeds(bundle, speeds, threads)
    return _faster(speeds)


def foreseen_engine(bundle: Bundle, threads: int | None = None) -> str | None:
    """As `choose_engine` without a name, but nothing is measured: None where that is still to be done."""
    if asked := os.environ.get("DISTILBERT_ENGINE"):
        return _allowed(bundle, asked, "DISTILBERT_ENGINE")
    manifest = bundle.manifest
    if manifest.precision != "int8" or OPENVINO not in manifest.gate or installed(OPENVINO) is None:
        return ONNX_RUNTIME
    from distilbert.engines.speeds import known_speeds

    speeds = known_speeds(bundle, threads)
    return None if speeds is None else _faster(speeds)


def _allowed(bundle: Bundle, asked: str, option: str) -> str:
    if asked not in ENGINES:
        raise OptionError(
            f"{option} must be one of {', '.join(ENGINES)}, not {asked!r}.",
            "Leave it out to use the one that suits the model and this machine.",
        )
    manifest = bundle.manifest
    if asked != ONNX_RUNTIME and manifest.precision == "int8" and asked not in manifest.gate:
        raise EngineError(
            f"{bundle.folder} is int8 that passed no gate on {asked}, so it does not run on it.",
            f"Compile it again with {asked} installed, which judges it there, or leave the engine out.",
        )
    return asked


def _faster(speeds: Speeds) -> str:
    return OPENVINO if speeds[OPENVINO] * WORTH < speeds[ONNX_RUNTIME] else ONNX_RUNTIME
