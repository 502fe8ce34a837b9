"""OpenVINO: one compiled graph with a stream for each worker, each of one thread, called by as many threads.

Streams beside each other are faster here too than one batch over all threads (docs/decisions.md), and share the
weights. What it compiles is kept in this machine's cache.
"""

from __future__ import annotations

import ctypes
import os
import sys
import weakref
from collections import deque
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from distilbert.engines.checking import (
    AGAIN,
    OTHER_TOKENIZER,
    check_names,
    check_shapes,
    checked_graph,
    first_line,
    shown,
)
from distilbert.engines.threads import choose_threads
from distilbert.errors import EngineError, NotInstalledError, StorageError
from distilbert.files.cache import cache_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from distilbert.engines.base import Floats, TokenIds
    from distilbert.engines.graph_file import Graph
    from distilbert.engines.outputs import Shapes

_REFUSALS = (RuntimeError, ValueError, TypeError)  # what OpenVINO raises
_engines: weakref.WeakSet[OpenVinoEngine] = weakref.WeakSet()


class OpenVinoEngine:
    """Runs what `OnnxRuntimeEngine` runs, to its contract, with OpenVINO on the processor.

    A text's int8 answer may move a little with its neighbours, within the bundle's gate. It can be pickled, and after
    a fork the child compiles its own. Raises `NotInstalledError` without OpenVINO, `EngineError` for a graph or ids
    that it refuses.
    """

    library = "openvino"

    def __init__(
        self, model: Path | bytes, threads: int | None = None, outputs: Shapes | None = None
    ) -> None:
        self._model, self._outputs = model, outputs
        self.workers = choose_threads(threads)
        graph = checked_graph(model)
        self._ids = _rows_picked_by("input_ids", graph)
        self._open(cached=not isinstance(model, bytes))
        self.input_names, self.output_names = tuple(graph.inputs), tuple(graph.outputs)
        taken = {name for value in self._compiled.inputs for name in value.names}
        # its reader of ONNX makes a constant of an input with a default, `positions`: `run` picks those rows
        self._fed = tuple(name for name in graph.inputs if name in taken)
        check_names(model, outputs, self.output_names)
        _engines.add(self)

    def run(self, inputs: Mapping[str, TokenIds]) -> dict[str, Floats]:
        """See `Engine.run`."""
        self._check_inputs(inputs)
        if self._compiled is None:
            with self._opening:
                if self._compiled is None:  # forked; in a child the cache of compiled graphs hangs
                    self._open(cached=False)
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        try:
            request.infer({name: inputs[name] for name in self._fed}, share_inputs=True)
            named = {name: np.array(request.get_tensor(name).data) for name in self.output_names}
            if "positions" in inputs and "positions" in self.input_names and "positions" not in self._fed:
                named = {name: _picked(rows, inputs["positions"]) for name, rows in named.items()}
        except (*_REFUSALS, IndexError) as error:
            raise EngineError(
                f"OpenVINO could not run {shown(self._model)}: {first_line(error)}", OTHER_TOKENIZER
            ) from error
        self._idle.append(request)
        check_shapes(self._model, self._outputs, inputs, named)
        return named

    def _check_inputs(self, inputs: Mapping[str, TokenIds]) -> None:
        """OpenVINO takes ids that it has no row for as it likes, and an input left out from the call before."""
        fault = next((f"{name} is missing" for name in self._fed if name not in inputs), None)
        ids = inputs.get("input_ids")
        if fault is None and ids is not None and ids.size and not 0 <= ids.min() <= ids.max() < self._ids:
            fault = f"input_ids run from {ids.min()} to {ids.max()}, and it has {self._ids:,}"
        if fault:
            raise EngineError(f"OpenVINO could not run {shown(self._model)}: {fault}.", OTHER_TOKENIZER)

    def _open(self, *, cached: bool) -> None:
        self._core, self._compiled = _compiled(self._model, self.workers, cached=cached)
        self._idle: deque[Any] = deque()  # requests: each is for one call at a time
        self._opening = Lock()

    def _after_fork(self) -> None:
        """Forget what was compiled, without its end: that would wait for threads which a fork does not copy."""
        for lost in (self._core, self._compiled, *self._idle):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(lost))
        self._core = self._compiled = None
        self._idle, self._opening = deque(), Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"model": self._model, "threads": self.workers, "outputs": self._outputs}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]


def _forget_all() -> None:
    for engine in list(_engines):
        engine._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def import_openvino() -> Any:
    """OpenVINO without its telemetry; `NotInstalledError` where it is not installed.

    On import it writes an id into the home folder and tells its maker (openvino.tools.ovc), unless the package for
    that cannot be imported.
    """
    ours = "openvino" not in sys.modules and "openvino_telemetry" not in sys.modules
    if ours:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        import openvino
    except ImportError as error:
        raise NotInstalledError(
            "engine 'openvino' needs OpenVINO, which is not installed.",
            "Install it with: pip install 'distilbert[openvino]', or use engine 'onnxruntime'.",
        ) from error
    finally:
        if ours:
            del sys.modules["openvino_telemetry"]
    return openvino


def _compiled(model: Path | bytes, workers: int, *, cached: bool) -> tuple[Any, Any]:
    """A core and the graph that it compiled, for so many calls at a time."""
    options = {
        "INFERENCE_PRECISION_HINT": "f32",  # bf16 moves labels, and scores with the batch
        "NUM_STREAMS": workers,
        "INFERENCE_NUM_THREADS": workers,
        "ENABLE_CPU_PINNING": False,  # several processes would share the first processors
    }
    core = import_openvino().Core()
    try:
        if cached:
            try:
                folder = str(cache_folder() / "openvino")
                return core, core.compile_model(str(model), "CPU", {**options, "CACHE_DIR": folder})
            except (*_REFUSALS, StorageError):  # a cache that cannot be used only costs the time
                core = import_openvino().Core()
        return core, core.compile_model(
            core.read_model(model if isinstance(model, bytes) else str(model)), "CPU", options
        )
    except _REFUSALS as error:
        raise EngineError(f"OpenVINO cannot load {shown(model)}: {first_line(error)}", AGAIN) from error


def _rows_picked_by(name: str, graph: Graph) -> int:
    """How many rows the smallest table has from which this input picks."""
    tables = [node.inputs[0] for node in graph.nodes if node.operator == "Gather" and node.inputs[1] == name]
    return min((graph.weights[table].shape[0] for table in tables if table in graph.weights), default=0)


def _picked(rows: Floats, positions: TokenIds) -> Floats:
    """Of `[batch, length, width]` the rows at `positions`, `[batch, rows]` or `[1, rows]` for all."""
    positions = positions[:, : rows.shape[1]]
    picked: Floats = np.take_along_axis(
        rows, np.broadcast_to(positions, (len(rows), positions.shape[1]))[..., None], 1
    )
    return picked
