"""How a graph holds its weights: in float32, or in int8 with calibrated activations.

The two classes answer the same two questions, so that `graph.encoder` is written once:
`linear` (x W^T + b) and `lookup` (rows of an embedding table).

int8 is static (docs/lab.md has the trials): weights symmetric per output channel, activations uint8 per
tensor. Weights use 7 bits, -63..63: processors without VNNI add pairs of uint8 x int8 products in int16,
where 2 x 255 x 63 fits and 2 x 255 x 127 does not, so the answer is the same on every processor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distilbert.graph.nodes import Notepad

    Arrays = Mapping[str, np.ndarray]

WEIGHT_MAX = 63


class Weights(Protocol):
    """What the encoder asks of a checkpoint's arrays."""

    def linear(self, pad: Notepad, x: str, name: str, site: str) -> str:
        """Note `x W^T + b` with the arrays `name.weight` and `name.bias`: `[..., in]` to `[..., out]`.

        `site` names the activation `x`; linears that share an input share a site.
        """

    def lookup(self, pad: Notepad, operator: str, table: str, *where: str) -> str:
        """Note the choice of rows from an embedding table by `operator`, `Gather` or `Slice`, as float32."""


@dataclass(frozen=True)
class FloatWeights:
    """Weights as they are. `sites` fills with the activation that enters each linear, for calibration."""

    arrays: Arrays
    sites: dict[str, str] = field(default_factory=dict)

    def linear(self, pad: Notepad, x: str, name: str, site: str) -> str:
        """See `Weights.linear`."""
        self.sites.setdefault(site, x)
        weight = pad.constant(f"{name}.weight", self.arrays[f"{name}.weight"].T)
        product = pad.add("MatMul", x, weight, name=f"{name}.product")
        return _add_bias(pad, self.arrays, product, name)

    def lookup(self, pad: Notepad, operator: str, table: str, *where: str) -> str:
        """See `Weights.lookup`."""
        return pad.add(operator, pad.constant(table, self.arrays[table]), *where, name=f"{table}.rows")


@dataclass(frozen=True)
class Int8Weights:
    """Weights in int8, activations in uint8 by `ranges`: site -> (low, high). `keep_float` names linears.

    The form of each linear (`QuantizeLinear -> DequantizeLinear -> MatMul(DequantizeLinear) -> Add`) is
    the one that ONNX Runtime turns into one integer kernel with a float result.
    """

    arrays: Arrays
    ranges: Mapping[str, tuple[float, float]]
    keep_float: frozenset[str] = frozenset()

    def linear(self, pad: Notepad, x: str, name: str, site: str) -> str:
        """See `Weights.linear`."""
        if name in self.keep_float:
            return FloatWeights(self.arrays).linear(pad, x, name, site)
        weight, scale = quantize_rows(self.arrays[f"{name}.weight"])
        dequantized = pad.add(
            "DequantizeLinear",
            pad.constant(f"{name}.weight.int8", weight.T),
            pad.constant(f"{name}.weight.scale", scale),
            name=f"{name}.weight",
            axis=1,
        )
        product = pad.add("MatMul", self._quantized(pad, x, site), dequantized, name=f"{name}.product")
        return _add_bias(pad, self.arrays, product, name)

    def _quantized(self, pad: Notepad, x: str, site: str) -> str:
        scale, zero_point = activation_scale(*self.ranges[site])
        parameters = (
            pad.constant(f"{site}.scale", scale),
            pad.constant(f"{site}.zero_point", zero_point),
        )
        integers = pad.add_once("QuantizeLinear", x, *parameters, name=f"{x}.uint8")
        return pad.add_once("DequantizeLinear", integers, *parameters, name=f"{x}.dequantized")

    def lookup(self, pad: Notepad, operator: str, table: str, *where: str) -> str:
        """See `Weights.lookup`."""
        # Not DequantizeLinear before the choice of rows: that would be done for the whole table at each call.
        rows, scale = quantize_rows(self.arrays[table])
        chosen = pad.add(operator, pad.constant(f"{table}.int8", rows), *where, name=f"{table}.int8_rows")
        scales = pad.add(
            operator,
            pad.constant(f"{table}.scale", scale[:, None]),
            *where,
            name=f"{table}.row_scales",
        )
        cast = pad.add("Cast", chosen, name=f"{table}.cast", to=1)  # 1: float32
        return pad.add("Mul", cast, scales, name=f"{table}.rows")


def _add_bias(pad: Notepad, arrays: Arrays, product: str, name: str) -> str:
    return pad.add("Add", product, pad.constant(f"{name}.bias", arrays[f"{name}.bias"]), name=name)


def quantize_rows(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantise each row of `[rows, columns]` symmetrically: int8 `[rows, columns]`, float32 scales `[rows]`.

    >>> integers, scale = quantize_rows(np.array([[0.25, -1.0], [0.0, 0.0]], np.float32))
    >>> integers.tolist()
    [[16, -63], [0, 0]]
    """
    scale = np.abs(matrix).max(axis=1) / np.float32(WEIGHT_MAX)
    scale[scale == 0] = 1
    return np.rint(matrix / scale[:, None]).astype(np.int8), scale.astype(np.float32)


def activation_scale(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Scale and zero point that map `low..high`, widened to hold 0, onto 0..255.

    >>> scale, zero_point = activation_scale(-1.0, 1.55)
    >>> round(float(scale), 6), int(zero_point)
    (0.01, 100)
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255
    if scale < np.finfo(np.float32).tiny:  # an activation that is always 0
        scale = 1.0
    return np.array(scale, np.float32), np.array(round(-low / scale), np.uint8)
