"""OpenVINO: one compiled graph with a stream for each worker, each of one thread, called by as many threads.

Streams beside each other are faster here too than one batch over all threads (docs/decisions.md), and share the
weights. But a text that comes alone leaves the other streams idle: for those the graph is compiled again, as one stream
of all threads. What it compiles is kept in this machine's cache.
"""

from __future__ import annotations

import ctypes
import os
import sys
import weakref
from collections import deque
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

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
from distilbert.files.cache import cache_folder, known_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distilbert.engines.base import Floats, TokenIds
    from distilbert.engines.graph_file import Graph
    from distilbert.engines.outputs import Shapes

_REFUSALS = (RuntimeError, ValueError, TypeError)  # what OpenVINO raises
_LONE_CALLS = (
    2  # from so many on texts alone have their own graph: a command's only one would be answered later for it
)
_engines: weakref.WeakSet[OpenVinoEngine] = weakref.WeakSet()


class _Opened(NamedTuple):
    """A compiled graph, what keeps it alive, and its idle requests: each is for one call at a time."""

    core: Any
    compiled: Any
    idle: deque[Any]


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
        self._rows = {name: _rows_picked_by(name, graph) for name in graph.inputs}
        self._opening = Lock()
        self._cached = not isinstance(model, bytes)
        self._running: deque[None] = deque()  # one for each call that is under way
        self._lone_calls = 0
        self._opened: dict[int, _Opened] = {}  # by their streams: as many as workers, or 1 for texts alone
        opened = self._graph_of(self.workers)
        self.input_names, self.output_names = tuple(graph.inputs), tuple(graph.outputs)
        taken = {name for value in opened.compiled.inputs for name in value.names}
        # its reader of ONNX makes a constant of an input with a default, `positions`: `run` picks those rows
        self._fed = tuple(name for name in graph.inputs if name in taken)
        check_names(model, outputs, self.output_names)
        _engines.add(self)

    def run(self, inputs: Mapping[str, TokenIds]) -> dict[str, Floats]:
        """See `Engine.run`."""
        self._check_inputs(inputs)
        self._running.append(None)
        try:
            named = self._run(inputs, self._streams(inputs))
        finally:
            self._running.pop()
        check_shapes(self._model, self._outputs, inputs, named)
        return named

    def _streams(self, inputs: Mapping[str, TokenIds]) -> int:
        """Of the graph that answers: 1, of all threads, for a text with nothing beside it."""
        if len(self._running) > 1 or len(inputs["input_ids"]) > 1:
            return self.workers
        self._lone_calls += 1
        return 1 if self._lone_calls >= _LONE_CALLS else self.workers

    def _run(self, inputs: Mapping[str, TokenIds], streams: int) -> dict[str, Floats]:
        opened = self._graph_of(streams)
        try:
            request = opened.idle.pop()
        except IndexError:
            request = opened.compiled.create_infer_request()
        try:
            request.start_async({name: inputs[name] for name in self._fed}, share_inputs=True)
            request.wait()  # `infer` with one stream keeps what went wrong to itself
            named = {name: np.array(request.get_tensor(name).data) for name in self.output_names}
            if "positions" in inputs and "positions" in self.input_names and "positions" not in self._fed:
                named = {name: _picked(rows, inputs["positions"]) for name, rows in named.items()}
        except (*_REFUSALS, IndexError) as error:
            self._opened.pop(
                streams, None
            )  # what failed once fails again, with the next batch of the shape before
            raise EngineError(
                f"OpenVINO could not run {shown(self._model)}: {first_line(error)}", OTHER_TOKENIZER
            ) from error
        opened.idle.append(request)
        return named

    def _check_inputs(self, inputs: Mapping[str, TokenIds]) -> None:
        """OpenVINO takes ids that it has no row for as it likes, and an input left out from the call before."""
        for name in self._fed:
            if fault := _fault(name, inputs.get(name), self._rows[name]):
                raise EngineError(f"OpenVINO could not run {shown(self._model)}: {fault}.", OTHER_TOKENIZER)

    def _graph_of(self, streams: int) -> _Opened:
        """The compiled graph; compiled at its first call, and again after a fork or a failure."""
        if (opened := self._opened.get(streams)) is None:
            with self._opening:
                if (opened := self._opened.get(streams)) is None:
                    opened = _open(self._model, streams, self.workers, cached=self._cached)
                    self._opened[streams] = opened
        return opened

    def _after_fork(self) -> None:
        """Forget what was compiled, without its end: that would wait for threads which a fork does not copy."""
        for core, compiled, idle in self._opened.values():
            for lost in (core, compiled, *idle):
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(lost))
        self._opened, self._opening, self._cached = {}, Lock(), False
        self._running.clear()

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
    # Its bindings look NumPy up at their first array; two threads that do so at once wait for each other for ever.
    openvino.Tensor(np.zeros(1, np.float32)).data  # noqa: B018
    return openvino


def _open(model: Path | bytes, streams: int, threads: int, *, cached: bool) -> _Opened:
    """Compile a graph for so many calls at a time, of so many threads in all.

    `cached`: keep what comes of it, which hangs in a forked child.
    """
    options = {
        "INFERENCE_PRECISION_HINT": "f32",  # bf16 moves labels, and scores with the batch
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # several processes would share the first processors
    }
    core = import_openvino().Core()
    try:
        if cached:
            try:
                # by content: OpenVINO knows a file again by its name, size and second
                folder = str(cache_folder() / "openvino" / known_sha256(Path(str(model)))[:32])
                kept = core.compile_model(str(model), "CPU", {**options, "CACHE_DIR": folder})
                return _Opened(core, kept, deque())
            except (*_REFUSALS, OSError, StorageError):  # a cache that cannot be used only costs the time
                core = import_openvino().Core()
        read = core.read_model(model if isinstance(model, bytes) else str(model))
        return _Opened(core, core.compile_model(read, "CPU", options), deque())
    except _REFUSALS as error:
        raise EngineError(f"OpenVINO cannot load {shown(model)}: {first_line(error)}", AGAIN) from error


def _fault(name: str, values: TokenIds | None, rows: int) -> str:
    """What is wrong with an input that picks from so many rows, 0 for one that picks none; "" if nothing is."""
    if values is None:
        return f"{name} is missing"
    if values.dtype != np.int64:
        return f"{name} is {values.dtype}, and must be int64"
    if rows and values.size and not 0 <= values.min() <= values.max() < rows:
        return f"{name} run from {values.min()} to {values.max()}, and it has {rows:,}"
    return ""


def _rows_picked_by(name: str, graph: Graph) -> int:
    """How many rows the smallest table has from which this input picks; 0 where it picks from none."""
    tables = [node.inputs[0] for node in graph.nodes if node.operator == "Gather" and node.inputs[1] == name]
    return min((graph.weights[table].shape[0] for table in tables if table in graph.weights), default=0)


def _picked(rows: Floats, positions: TokenIds) -> Floats:
    """Of `[batch, length, width]` the rows at `positions`, `[batch, rows]` or `[1, rows]` for all."""
    positions = positions[:, : rows.shape[1]]
    picked: Floats = np.take_along_axis(
        rows, np.broadcast_to(positions, (len(rows), positions.shape[1]))[..., None], 1
    )
    return picked
