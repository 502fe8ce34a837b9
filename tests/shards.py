"""Tiny checkpoints in shards, as transformers' `save_pretrained(max_shard_size=...)` lays them out."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tiny import save_tensors, tiny_arrays, tiny_checkpoint

from distilbert.files.config import DistilBertConfig
from distilbert.files.weights import INDEX, SINGLE


def shard_name(number: int, of: int) -> str:
    return f"model-{number + 1:05}-of-{of:05}.safetensors"


def save_shards(
    folder: Path, arrays: Mapping[str, np.ndarray], place: Callable[[int], int]
) -> dict[str, Any]:
    """Write each tensor into shard `place(its number)` and an index as transformers writes it; return the index."""
    places = [place(number) for number in range(len(arrays))]
    names = {shard: shard_name(shard, max(places) + 1) for shard in sorted(set(places))}
    weight_map = dict(zip(arrays, (names[shard] for shard in places), strict=True))
    for name in names.values():
        save_tensors(folder / name, {key: arrays[key] for key in arrays if weight_map[key] == name})
    size = sum(array.nbytes for array in arrays.values())
    index = {"metadata": {"total_parameters": size // 4, "total_size": size}, "weight_map": weight_map}
    write_index(folder, index)
    return index


def write_index(folder: Path, index: Mapping[str, Any]) -> None:
    (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")


def sharded(folder: Path, shards: int = 3, **settings: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """A tiny classifier in so many shards; its arrays and its index."""
    tiny_checkpoint(folder, **settings)
    (folder / SINGLE).unlink()
    config = DistilBertConfig.from_folder(folder)
    arrays = tiny_arrays(config)
    return arrays, save_shards(folder, arrays, lambda number: number % shards)
