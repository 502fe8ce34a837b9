"""A checkpoint -> a bundle: build the graph, quantise it past its gate, write everything whole or not at all."""

from distilbert.compile.bundles import compile_checkpoint, float_bundle
from distilbert.compile.probes import verify
from distilbert.compile.quantise import Gate, Int8

__all__ = ["Gate", "Int8", "compile_checkpoint", "float_bundle", "verify"]
