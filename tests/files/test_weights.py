import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shards import save_shards, shard_name, sharded, write_index
from tiny import save_tensors, tiny_arrays, tiny_checkpoint, tiny_config

from distilbert.errors import CheckpointError
from distilbert.files.checkpoint import read_checkpoint
from distilbert.files.config import DistilBertConfig
from distilbert.files.weights import INDEX, SINGLE, shards_of


def read(folder):
    return read_checkpoint(folder, DistilBertConfig.from_folder(folder))


def refused(folder):
    with pytest.raises(CheckpointError) as caught:
        read(folder)
    assert caught.value.next_step
    assert "\n" not in str(caught.value.fault)
    return caught.value.fault


@pytest.mark.parametrize("model_type", ["distilbert", "bert"])
def test_shards_hold_what_one_file_holds(tmp_path, model_type):
    whole = read(tiny_checkpoint(tmp_path / "whole", model_type=model_type))
    sharded(tmp_path / "shards", model_type=model_type)
    parts = read(tmp_path / "shards")
    assert parts.head == whole.head
    assert parts.arrays.keys() == whole.arrays.keys()
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(parts.arrays[name], array)


@given(places=st.lists(st.integers(0, 5), min_size=40, max_size=40))
def test_however_tensors_are_spread_over_shards_they_are_found(tmp_path_factory, places):
    folder = tiny_checkpoint(tmp_path_factory.mktemp("spread"))
    (folder / SINGLE).unlink()
    arrays = tiny_arrays(tiny_config())
    index = save_shards(folder, arrays, places.__getitem__)
    assert shards_of(folder / INDEX) == sorted(set(index["weight_map"].values()))
    for name, array in read(folder).arrays.items():
        np.testing.assert_array_equal(array, arrays[name])


def test_one_file_beside_an_index_is_taken(tmp_path):
    sharded(tmp_path)
    tiny_checkpoint(tmp_path, seed=1)
    first = next(iter(tiny_arrays(tiny_config(), seed=1)))
    np.testing.assert_array_equal(read(tmp_path).arrays[first], tiny_arrays(tiny_config(), seed=1)[first])


@pytest.mark.parametrize("metadata", [{}, {"total_size": None}, None], ids=str)
def test_an_index_that_says_no_size_is_read(tmp_path, metadata):
    _, index = sharded(tmp_path)
    write_index(tmp_path, {**index, "metadata": metadata})
    assert read(tmp_path).head == "sequence-classification"


TENSOR = "transformer.layer.1.ffn.lin1.bias"


def moved(folder, arrays, index):
    at_home = index["weight_map"][TENSOR]
    index["weight_map"][TENSOR] = next(shard for shard in index["weight_map"].values() if shard != at_home)


def nowhere(folder, arrays, index):
    index["weight_map"]["adapter.weight"] = shard_name(0, 3)


def unnamed(folder, arrays, index):
    del index["weight_map"][TENSOR]


def twice(folder, arrays, index):
    at_home = index["weight_map"]["classifier.weight"]
    other = next(shard for shard in index["weight_map"].values() if shard != at_home)
    there = [name for name, shard in index["weight_map"].items() if shard == other]
    save_tensors(folder / other, {name: arrays[name] for name in [*there, "classifier.weight"]})


def two_names(folder, arrays, index):
    shard = shard_name(3, 4)
    save_tensors(folder / shard, {"module.classifier.weight": arrays["classifier.weight"]})
    index["weight_map"]["module.classifier.weight"] = shard
    index["metadata"]["total_size"] += arrays["classifier.weight"].nbytes


def left_over(folder, arrays, index):
    save_tensors(folder / shard_name(3, 4), {"adapter.weight": np.zeros(3, np.float32)})
    index["weight_map"]["adapter.weight"] = shard_name(3, 4)
    index["metadata"]["total_size"] += 12


def lost(folder, arrays, index):
    (folder / shard_name(1, 3)).unlink()


def cut(folder, arrays, index):
    path = folder / shard_name(1, 3)
    path.write_bytes(path.read_bytes()[:-1])


def spoilt(folder, arrays, index):
    name = next(name for name, shard in index["weight_map"].items() if shard == shard_name(1, 3))
    there = {
        key: arrays[key].copy() for key, shard in index["weight_map"].items() if shard == shard_name(1, 3)
    }
    there[name].flat[0] = np.nan
    save_tensors(folder / shard_name(1, 3), there)


def resized(folder, arrays, index):
    index["metadata"]["total_size"] -= 4


def from_another_save(folder, arrays, index):
    save_tensors(folder / shard_name(0, 3), {"a\nname of two lines": np.zeros(1, np.float32)})


WRONG_SHARDS = {
    "a tensor in another shard": (moved, f"holds {TENSOR}, which the index puts in model-"),
    "a tensor in no shard": (nowhere, f"{shard_name(0, 3)} has no adapter.weight"),
    "a tensor that the index does not name": (unnamed, f"holds {TENSOR}, which the index does not name"),
    "a tensor in two shards": (twice, "holds classifier.weight, which the index puts in model-"),
    "a tensor under two names": (
        two_names,
        "classifier.weight and module.classifier.weight are two names of one tensor",
    ),
    "a tensor left over": (left_over, "adapter.weight is left over: the config asks for no such tensor"),
    "a shard that is missing": (lost, f"{shard_name(1, 3)} is not there, but {INDEX} asks for it"),
    "a shard cut short": (cut, f"{shard_name(1, 3)} ("),
    "not a number": (spoilt, "is not finite: element [0"),
    "another size in all": (resized, "but its shards hold"),
    "a shard of another save": (from_another_save, "; and "),
}


@pytest.mark.parametrize(("change", "fault"), WRONG_SHARDS.values(), ids=WRONG_SHARDS)
def test_shards_that_are_not_as_their_index_says_are_refused(tmp_path, change, fault):
    arrays, index = sharded(tmp_path)
    change(tmp_path, arrays, index)
    write_index(tmp_path, index)
    told = refused(tmp_path)
    assert fault in told
    assert str(tmp_path) in told


@pytest.mark.parametrize(
    "shard",
    [
        "../model.safetensors",
        "/etc/model.safetensors",
        "sub/model.safetensors",
        "..\\model.safetensors",
        "C:model.safetensors",
        "..",
        ".safetensors",
        "model.bin",
        "a\nb.safetensors",
        "",
        7,
        None,
        ["model.safetensors"],
    ],
    ids=repr,
)
def test_a_shard_lies_in_the_folder_of_its_index(tmp_path, shard):
    folder = tmp_path / "model"
    _, index = sharded(folder)
    save_tensors(tmp_path / SINGLE, {"secret": np.zeros(1, np.float32)})
    index["weight_map"][TENSOR] = shard
    write_index(folder, index)
    told = refused(folder)
    assert "which is no .safetensors file of its own folder" in told
    assert repr(shard) in told


BROKEN = {
    "no JSON": b"<!DOCTYPE html>",
    "not UTF-8": b'{"weight_map": {"\xff": "a"}}',
    "a list": b"[]",
    "no map": b'{"metadata": {}}',
    "a map that is a list": b'{"weight_map": [["a", "b.safetensors"]]}',
    "metadata of another kind": b'{"weight_map": {"a": "b.safetensors"}, "metadata": 7}',
    "too deep": b'{"weight_map":' + b"[" * 100_000,
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_an_index_that_is_none_is_refused(tmp_path, content):
    sharded(tmp_path)
    (tmp_path / INDEX).write_bytes(content)
    assert f"{INDEX} is not an index of shards" in refused(tmp_path)


def test_an_index_of_any_length_is_refused_unread(tmp_path):
    sharded(tmp_path)
    (tmp_path / INDEX).write_bytes(b" " * (4 * 2**20 + 1))
    assert f"{INDEX} cannot be read: it has 4,194,305 bytes, and at most 4,194,304 are read" in refused(
        tmp_path
    )


def test_an_index_of_nothing_is_refused(tmp_path):
    sharded(tmp_path)
    write_index(tmp_path, {"weight_map": {}})
    assert "its weight_map is empty" in refused(tmp_path)


def test_reading_shards_takes_the_arrays_memory_and_that_of_one_tensor_more(tmp_path):
    sharded(tmp_path, dim=128, n_layers=8, hidden_dim=512)
    read(tmp_path)  # what is imported and cached on the first call does not count
    tracemalloc.start()
    arrays = read(tmp_path).arrays.values()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < sum(array.nbytes for array in arrays) + 2.5 * max(array.nbytes for array in arrays)
