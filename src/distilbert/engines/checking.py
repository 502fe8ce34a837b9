"""What engines share: a graph is checked before a library opens it, its outputs are those of its task, and what is
refused is refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from distilbert.engines.graph_file import GraphFault, read_graph
from distilbert.engines.graph_sizes import check_graph
from distilbert.engines.outputs import shape_fault
from distilbert.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from distilbert.engines.base import Floats, TokenIds
    from distilbert.engines.graph_file import Graph
    from distilbert.engines.outputs import Shapes

AGAIN = "Compile the model again, or install the bundle again."
OTHER_TOKENIZER = "Check that the tokenizer belongs to this model: `distilbert verify` does."


def checked_graph(model: Path | bytes) -> Graph:
    """The structure of a graph that a library may open; `EngineError` for any other: see `engines.graph_file`."""
    try:
        graph = read_graph(model)
        check_graph(graph)
    except OSError as error:
        fault = f"{shown(model)} cannot be read: {error.strerror}."
    except GraphFault as error:
        fault = f"{shown(model)} {error}."
    else:
        return graph
    raise EngineError(fault, AGAIN)


def check_names(model: Path | bytes, outputs: Shapes | None, names: Sequence[str]) -> None:
    """Raise `EngineError` where a graph gives other outputs than `outputs`, if that says which."""
    if outputs and sorted(outputs) != sorted(names):
        raise EngineError(
            f"{shown(model)} gives {', '.join(names):.80}; for its task it must give {', '.join(outputs)}.",
            AGAIN,
        )


def check_shapes(
    model: Path | bytes, outputs: Shapes | None, inputs: Mapping[str, TokenIds], named: Mapping[str, Floats]
) -> None:
    """Raise `EngineError` where an answer to these inputs has another shape than `outputs` says."""
    if outputs and (fault := shape_fault(outputs, inputs, named)):
        raise EngineError(f"{shown(model)} {fault}.", AGAIN)


def shown(model: Path | bytes) -> str:
    """A graph in the words of an error."""
    return f"a graph of {len(model):,} bytes" if isinstance(model, bytes) else str(model)


def first_line(error: Exception) -> str:
    """What a library says, as far as it fits into a line; OpenVINO says first where in its sources that is."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line and "Exception from src/" not in line), type(error).__name__)
