"""A notepad for ONNX graphs: nodes and constants are noted in order, then bound into a model.

Only standard operators (opset 20: `Gelu`, `LayerNormalization`), so the same file runs in ONNX Runtime,
OpenVINO and transformers.js.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OPSET = 20
IR_VERSION = 9

_ELEMENT_TYPES = {"int64": TensorProto.INT64, "float32": TensorProto.FLOAT}


class Notepad:
    """Nodes and constants of a graph in the making. Every method returns the name of what it noted."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._once: dict[tuple[Any, ...], str] = {}
        self._defaults: dict[str, Sequence[str | int]] = {}

    def add(self, operator: str, *inputs: str, name: str, **attributes: Any) -> str:
        """Note a node with one output, which bears the node's name; the same name twice is a mistake."""
        self._nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def add_once(self, operator: str, *inputs: str, name: str, **attributes: Any) -> str:
        """As `add`, but one node serves all that ask for the same operator on the same inputs."""
        key = (operator, inputs)
        if key not in self._once:
            self._once[key] = self.add(operator, *inputs, name=name, **attributes)
        return self._once[key]

    def constant(self, name: str, array: np.ndarray[Any, Any]) -> str:
        """Note an array under its name, once."""
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def default_input(self, name: str, array: np.ndarray[Any, Any], shape: Sequence[str | int]) -> str:
        """Note an input, int64 of this shape, that may be left out: then it is `array`."""
        self._defaults[name] = shape
        return self.constant(name, array)

    def ints(self, *values: int) -> str:
        """A small int64 vector, such as a shape."""
        return self.constant("ints_" + "_".join(map(str, values)), np.array(values, np.int64))

    def model(
        self,
        inputs: Sequence[str],
        outputs: Mapping[str, Sequence[str | int]],
        metadata: Mapping[str, str],
    ) -> onnx.ModelProto:
        """Bind everything into a checked model.

        `inputs` are int64 `[batch, length]` and must be given, unlike those noted with a default; `outputs`
        gives each float32 output its shape.
        """
        shapes = {**dict.fromkeys(inputs, ("batch", "length")), **self._defaults}
        graph = helper.make_graph(
            self._nodes,
            "distilbert",
            [_value(name, "int64", shape) for name, shape in shapes.items()],
            [_value(name, "float32", shape) for name, shape in outputs.items()],
            initializer=list(self._constants.values()),
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="distilbert",
        )
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model)
        return model


def _value(name: str, element: str, shape: Sequence[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, _ELEMENT_TYPES[element], list(shape))
