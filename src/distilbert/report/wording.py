"""How figures are written for people, in tables, sentences and pictures alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Unit(NamedTuple):
    """How a score is called and written: times `factor`, with so many places, and its sign."""

    shown: str
    factor: float = 100
    places: int = 1
    sign: str = " %"


UNITS: Mapping[str, Unit] = {
    "accuracy": Unit("accuracy"),
    "f1": Unit("F1"),
    "exact": Unit("exact match"),
    "precision": Unit("precision"),
    "recall": Unit("recall"),
    "f1_micro": Unit("F1, micro"),
    "f1_macro": Unit("F1, macro"),
    "pearson": Unit("Pearson's correlation", 1, 3, ""),
    "spearman": Unit("Spearman's correlation", 1, 3, ""),
}
KEPT = Unit("kept")
TIMES = Unit("times as fast", 1, 2, "")
MILLISECONDS = Unit("milliseconds", 1, 2, "")
A_SECOND = Unit("a second", 1, 0, "")


def with_interval(figure: Mapping[str, float | None], unit: Unit) -> str:
    """A figure with its interval in brackets.

    >>> with_interval({"value": 0.912, "low": 0.9, "high": 0.925}, UNITS["accuracy"])
    '91.2 % [90.0, 92.5]'
    """
    low, high = (_number(figure[end], unit) for end in ("low", "high"))
    return f"{value_of(figure, unit)} [{low}, {high}]"


def value_of(figure: Mapping[str, float | None], unit: Unit) -> str:
    """A figure without its interval; a dash where there is none."""
    return _number(figure["value"], unit) + (unit.sign if figure["value"] is not None else "")


def _number(value: float | None, unit: Unit) -> str:
    return "–" if value is None else f"{unit.factor * value:,.{unit.places}f}"


def millions(model: Mapping[str, Any]) -> str:
    """A model's parameters.

    >>> millions({"parameters": 66_955_010})
    '67.0 M'
    """
    return f"{model['parameters'] / 1e6:.{1 if model['parameters'] >= 1e5 else 2}f} M"


def megabytes(model: Mapping[str, Any]) -> str:
    """A model's files.

    >>> megabytes({"bytes": 25_400_000})
    '25.4 MB'
    """
    return f"{model['bytes'] / 1e6:.{1 if model['bytes'] >= 1e5 else 2}f} MB"
