"""The examples in this wing's docstrings, which need PyTorch."""

from __future__ import annotations

import doctest
from importlib import import_module
from pkgutil import iter_modules

import pytest

from distilbert import models

pytestmark = pytest.mark.parity

MODULES = [module.name for module in iter_modules(models.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_do_what_they_say(name: str) -> None:
    assert doctest.testmod(import_module(f"distilbert.models.{name}"), raise_on_error=True).failed == 0


def test_there_are_examples() -> None:
    found = [doctest.DocTestFinder().find(import_module(f"distilbert.models.{name}")) for name in MODULES]
    assert sum(bool(test.examples) for tests in found for test in tests) >= 3
