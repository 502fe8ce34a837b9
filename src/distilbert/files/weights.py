"""Where a checkpoint's tensors lie: in `model.safetensors`, or in several such files (shards) under an index.

Headers are judged whole, by the safetensors library and then against the index, before an array is allocated.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open

from distilbert.errors import CheckpointError
from distilbert.files.reading import checked_size, next_step, read_small

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    Float32 = npt.NDArray[np.float32]

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
DTYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "F64": "<f8"}  # bfloat16: the upper half of a float32

_WHOLE_FILE = "Download the file or save the model again."
_ONE_SAVE = "Take index and shards from one save of the model."
_CONVERT = {
    "pytorch_model.bin": "Convert it, as weights alone: distilbert convert pytorch_model.bin --out FOLDER."
}
_MAX_HEADER_BYTES = 4 * 2**20  # 1000 layers need two; an index is shorter than its shards' headers


class Stored(NamedTuple):
    """A tensor in a file whose header was judged: `size` bytes from `start`."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int


def weights_file(folder: Path) -> Path:
    """The folder's `model.safetensors`, or else its index; raises `CheckpointError` where there is neither."""
    for path in (folder / SINGLE, folder / INDEX):
        if path.is_file():
            return path
        if path.exists():
            raise CheckpointError(f"{path} is not a file.", _WHOLE_FILE)
    pickled = next((name for name in ("pytorch_model.bin", "tf_model.h5") if (folder / name).exists()), None)
    if pickled:
        raise CheckpointError(
            f"{folder} has {pickled} but no {SINGLE}. Only that is read: a pickle can hold code.",
            _CONVERT.get(pickled, "Save it again with transformers, as safetensors."),
        )
    raise CheckpointError(f"{folder} has no {SINGLE}.", "Name the folder that save_pretrained wrote.")


def read_headers(path: Path) -> dict[str, Stored]:
    """What the weights file, or the shards of an index, hold: {name: where it lies}.

    Raises `CheckpointError` for a file that is not whole, and for shards that are not as their index says.
    """
    if path.name != INDEX:
        return _read_header(path)
    index = _read_index(path)
    shards = {name: _read_header(_shard(path, name)) for name in sorted(set(index.weight_map.values()))}
    if mislaid := list(_mislaid(index.weight_map, shards)):
        raise CheckpointError(f"{path}: {listed(mislaid)}.", _ONE_SAVE)
    tensors = {name: stored for shard in shards.values() for name, stored in shard.items()}
    held = sum(stored.size for stored in tensors.values())
    if index.total_size not in (None, held):
        raise CheckpointError(
            f"{path} says total_size {index.total_size!r:.60}, but its shards hold {held} bytes.", _ONE_SAVE
        )
    return tensors


def shards_of(index: Path) -> list[str]:
    """The names of the files that an index asks for, each a plain name in the index's own folder."""
    return sorted(set(_read_index(index).weight_map.values()))


def read_tensor(name: str, stored: Stored) -> Float32:
    """Read one tensor as float32; raises `CheckpointError` where the file ends early or a value is not finite."""
    count = int(np.prod(stored.shape))
    try:
        raw = np.fromfile(stored.path, DTYPES[stored.dtype], count, offset=stored.start)
    except OSError as error:
        raise _unreadable(stored.path, error) from error
    if raw.size < count:
        raise CheckpointError(f"{stored.path} ended while {name} was read.", _WHOLE_FILE)
    if stored.dtype == "BF16":
        raw = np.left_shift(wide := raw.astype("<u4"), 16, out=wide).view("<f4")
    with np.errstate(over="ignore"):
        array: Float32 = raw.astype(np.float32, copy=False).reshape(stored.shape)
    if not np.isfinite(array).all():
        where = [int(i) for i in np.argwhere(~np.isfinite(array))[0]]
        raise CheckpointError(
            f"{stored.path}: {name} is not finite: element {where} is {array[tuple(where)]}.",
            "These weights are spoilt: take an earlier checkpoint.",
        )
    return array


def listed(faults: list[str]) -> str:
    """The first five faults on one line, whatever the names in them are like, and how many more there are."""
    more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
    return "; ".join(" ".join(fault[:300].split()) for fault in faults[:5]) + more


class _Index(NamedTuple):
    weight_map: dict[str, str]  # tensor -> shard
    total_size: Any  # bytes; None where it does not say


def _read_index(path: Path) -> _Index:
    try:
        values = json.loads(read_small(path, _MAX_HEADER_BYTES))
        weight_map, total_size = values["weight_map"], (values.get("metadata") or {}).get("total_size")
        entries = weight_map.items()
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        fault = f"{path} is not an index of shards: {type(error).__name__}: {error!s:.100}."
        raise CheckpointError(fault, _WHOLE_FILE) from error
    for tensor, shard in entries:
        if not isinstance(shard, str) or not re.fullmatch(
            r"[\w-][\w. -]{,200}\.safetensors", shard, re.ASCII
        ):
            raise CheckpointError(
                f"{path} puts {tensor!r:.100} in {shard!r:.100}, which is no .safetensors file of its own folder.",
                "Do not use this checkpoint, or save the model again.",
            )
    if not weight_map:
        raise CheckpointError(f"{path} names no tensors: its weight_map is empty.", _WHOLE_FILE)
    return _Index(weight_map, total_size)


def _shard(index: Path, name: str) -> Path:
    path = index.parent / name
    if not path.is_file():
        raise CheckpointError(f"{path} is not there, but {INDEX} asks for it.", _WHOLE_FILE)
    return path


def _mislaid(weight_map: Mapping[str, str], shards: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, shard in weight_map.items():
        if name not in shards[shard]:
            yield f"{shard} has no {name}"
    for shard, tensors in shards.items():
        for name in tensors:
            if (told := weight_map.get(name)) != shard:
                yield f"{shard} holds {name}, which the index {f'puts in {told}' if told else 'does not name'}"


_LIBRARY_FAULTS = (  # what the safetensors library says -> what it means
    (r"header.?too|invalid.?header.?length", "claims a header of {header} bytes"),
    (
        r"incomplete|not fully covered",
        "is cut short or has bytes too many: its header describes another size",
    ),
    (r"invalid.?offset", "has tensors that overlap or leave a hole"),
    (r"invalid.?shape|tensor.?invalid|overflow", "has a tensor whose shape does not fit its bytes"),
    (r"", "has a header that cannot be read"),
)


def _read_header(path: Path) -> dict[str, Stored]:
    """Read one file's header, once the library has judged it."""
    try:
        size = checked_size(path)
        with path.open("rb") as file:
            claimed = int.from_bytes(file.read(8), "little")
            if claimed > _MAX_HEADER_BYTES:
                raise SafetensorError("header too large")
            with safe_open(path, framework="numpy"):
                header: dict[str, Any] = json.loads(file.read(claimed))
    except SafetensorError as error:
        meaning = next(
            text for pattern, text in _LIBRARY_FAULTS if re.search(pattern, str(error), re.IGNORECASE)
        )
        fault = f"{path} ({size} bytes) {meaning.format(header=claimed)}."
        raise CheckpointError(fault, _WHOLE_FILE) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    header.pop("__metadata__", None)
    return {name: _stored(path, 8 + claimed, tensor) for name, tensor in header.items()}


def _stored(path: Path, body: int, tensor: Mapping[str, Any]) -> Stored:
    start, end = tensor["data_offsets"]
    return Stored(path, tensor["dtype"], tuple(tensor["shape"]), body + start, end - start)


def _unreadable(path: Path, error: OSError) -> CheckpointError:
    fault = f"{path} cannot be read: {error.strerror or error}."
    return CheckpointError(fault, next_step(error, _WHOLE_FILE))
