"""ONNX Runtime: one single-threaded session, which as many threads as there are workers may call at once.

Several single-threaded batches beside each other beat one batch spread over threads (docs/lab.md), share one
copy of the weights, leave no threads behind that a fork would lose, and make the answer independent of their number.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

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
from distilbert.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from distilbert.engines.base import Floats, TokenIds
    from distilbert.engines.outputs import Shapes


class OnnxRuntimeEngine:
    """Runs a bundle's `.onnx` file (a path), or a graph that this process made (its bytes), on the processor.

    `threads` is the number of workers: `distilbert.engines.threads.choose_threads` says what None means.
    `outputs` are those that a stranger's graph must give (`engines.outputs`), which every batch is held to.
    It can be pickled and survives a fork. Raises `EngineError` for a graph that ONNX Runtime refuses.
    """

    library = "onnxruntime"

    def __init__(
        self, model: Path | bytes, threads: int | None = None, outputs: Shapes | None = None
    ) -> None:
        self._model, self._outputs = model, outputs
        self.workers = choose_threads(threads)
        self._session = _open_session(model)
        inputs = (*self._session.get_inputs(), *self._session.get_overridable_initializers())
        self.input_names = tuple(value.name for value in inputs)
        self.output_names = tuple(value.name for value in self._session.get_outputs())
        check_names(model, outputs, self.output_names)

    def run(self, inputs: Mapping[str, TokenIds]) -> dict[str, Floats]:
        """See `Engine.run`."""
        try:
            outputs = self._session.run(
                None, {name: inputs[name] for name in self.input_names if name in inputs}
            )
        except _runtime_errors() as error:
            raise EngineError(
                f"ONNX Runtime could not run {shown(self._model)}: {first_line(error)}", OTHER_TOKENIZER
            ) from error
        named = dict(zip(self.output_names, cast("list[Floats]", outputs), strict=True))
        check_shapes(self._model, self._outputs, inputs, named)
        return named

    def __getstate__(self) -> dict[str, Any]:
        return {"model": self._model, "threads": self.workers, "outputs": self._outputs}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]


def _open_session(model: Path | bytes) -> Any:
    # From 1.32 on it writes an id into the home folder and sends what it does to its maker, unless this is set before
    # it is imported (its Privacy.md; its functions come too late). A user's own word, such as 0, stands.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    if not isinstance(model, bytes):  # bytes are a graph that this process made
        checked_graph(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # it pays for one shape; every batch here has its own
    options.log_severity_level = 4  # errors are raised, so they need not be printed too
    source = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except _runtime_errors() as error:
        raise EngineError(
            f"ONNX Runtime cannot load {shown(model)}: {first_line(error)}",
            AGAIN,
        ) from error


def _runtime_errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises: classes of its own, sharing no base but Exception, and ValueError."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    named = [value for value in vars(state).values() if isinstance(value, type)]
    return (RuntimeError, ValueError, *(kind for kind in named if issubclass(kind, Exception)))
