"""A graph's weights are read back: to the bit from float32, within half a step from int8."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from bundles import dequantised_checkpoint, open_gate, sentences
from tiny import tiny_checkpoint

from distilbert.compile import Int8, compile_checkpoint
from distilbert.errors import BundleError
from distilbert.files.bundle import GRAPHS, open_bundle
from distilbert.files.checkpoint import read_checkpoint
from distilbert.files.config import DistilBertConfig
from distilbert.graph.heads import HEADS
from distilbert.graph.reading import read_graph
from distilbert.graph.weights import WEIGHT_MAX

if TYPE_CHECKING:
    from pathlib import Path

    from distilbert.files.checkpoint import Checkpoint, Head


def of_checkpoint(folder: Path) -> Checkpoint:
    return read_checkpoint(folder, DistilBertConfig.from_folder(folder))


def of_bundle(folder: Path) -> Checkpoint:
    return read_graph(open_bundle(folder).graph, DistilBertConfig.from_folder(folder))


@pytest.mark.parametrize("untied", [False, True], ids=["tied", "not tied"])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("model_type", ["distilbert", "bert"])
def test_a_float32_graph_gives_back_what_it_was_made_of(
    tmp_path: Path, model_type: str, head: Head, untied: bool
) -> None:
    source = tiny_checkpoint(tmp_path / "source", model_type=model_type, head=head)
    whole = of_checkpoint(source)
    if untied and head == "masked-lm":
        from safetensors.numpy import load_file, save_file

        own = {"distilbert": "vocab_projector.weight", "bert": "cls.predictions.decoder.weight"}[model_type]
        arrays = load_file(source / "model.safetensors")
        arrays[own] = np.random.default_rng(0).normal(size=(whole.config.vocab_size, 32)).astype(np.float32)
        save_file(arrays, source / "model.safetensors")
        whole = of_checkpoint(source)
    compile_checkpoint(source, tmp_path / "bundle")
    read = of_bundle(tmp_path / "bundle")
    assert read.head == head
    spare = {"pooler.weight", "pooler.bias"} if head == "none" else set()  # no graph has it
    assert read.arrays.keys() == whole.arrays.keys() - spare
    for name, array in read.arrays.items():
        np.testing.assert_array_equal(array, whole.arrays[name], err_msg=name)
        assert array.flags.writeable
        assert array.flags.c_contiguous


@pytest.mark.parametrize("head", HEADS)
def test_an_int8_graph_gives_its_integers_times_their_scales(tmp_path: Path, head: Head) -> None:
    source = tiny_checkpoint(tmp_path / "source", head=head, max_position_embeddings=512)
    compile_checkpoint(source, tmp_path / "bundle", int8=Int8(sentences(64), open_gate))
    whole, read = of_checkpoint(source), of_bundle(tmp_path / "bundle")
    assert read.arrays.keys() == whole.arrays.keys()
    rounded = 0
    for name, array in read.arrays.items():
        exact = whole.arrays[name]
        if np.array_equal(array, exact):
            continue
        rounded += 1
        half_a_step = np.abs(exact).max(axis=1, keepdims=True) / WEIGHT_MAX / 2
        assert (np.abs(array - exact) <= half_a_step * 1.001).all(), name
    tables = 1 if head == "masked-lm" else 2  # a language model's words are there in float too
    assert rounded == 2 * 6 + tables


def test_the_embedded_model_is_read_as_its_graph_says(embedded: Path, tmp_path: Path) -> None:
    by_hand = of_checkpoint(dequantised_checkpoint(embedded, tmp_path / "checkpoint"))
    read = of_bundle(embedded)
    assert read.head == by_hand.head
    assert read.arrays.keys() == by_hand.arrays.keys()
    for name, array in read.arrays.items():
        np.testing.assert_array_equal(array, by_hand.arrays[name])


def test_a_graph_of_another_make_is_refused(tiny_fp32: Path, tmp_path: Path) -> None:
    config = DistilBertConfig.from_folder(tiny_fp32)
    path = tiny_fp32 / GRAPHS["fp32"]
    with pytest.raises(BundleError, match=r"it has no 'transformer\.layer\.2\.attention\.q_lin\.weight'"):
        read_graph(path, replace(config, n_layers=3))
    with pytest.raises(BundleError, match=r"has shape \[\d+, 32\], but config.json says \[\d+, 64\]"):
        read_graph(path, replace(config, dim=64))
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "bare.onnx")
    with pytest.raises(BundleError, match="is no graph of a model with this config"):
        read_graph(tmp_path / "bare.onnx", config)
