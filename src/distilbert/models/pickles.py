"""`pytorch_model.bin` -> `model.safetensors`: a pickle is read as weights, never as code.

PyTorch's own restricted unpickler does it: it knows tensors and dictionaries, and calls nothing else.
"""

from __future__ import annotations

import pickle
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file as save_tensors
from torch import Tensor

from distilbert.errors import CheckpointError
from distilbert.files.atomic import atomic_folder
from distilbert.files.checkpoint import read_checkpoint, stored_names
from distilbert.files.config import DistilBertConfig
from distilbert.files.hub import TOKENIZER
from distilbert.files.reading import checked_size
from distilbert.files.weights import SINGLE

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from distilbert.files.checkpoint import Checkpoint

_SAFE = "Take this model as model.safetensors, or from someone you trust who saves it so."


def convert(path: str | os.PathLike[str], out: str | os.PathLike[str]) -> None:
    """Write the checkpoint `out` from a `pytorch_model.bin`, with the `config.json` and tokenizer that lie beside it.

    In float32, under the names that transformers gives. Raises `CheckpointError` for a file that holds code, or
    anything but the weights that the config asks for, `ConfigError`, and `StorageError` where `out` is there already
    or cannot be written.
    """
    source = Path(path)
    config = DistilBertConfig.from_folder(source.parent)
    with atomic_folder(Path(out)) as folder:
        checkpoint = _read(source, config, folder)
        names = stored_names(config, checkpoint.head)
        arrays = {names[canonical]: array for canonical, array in checkpoint.arrays.items()}
        save_arrays(arrays, folder / SINGLE, {"format": "pt"})
        config.saved_as("float32").save(folder)
        for name in TOKENIZER:
            if (source.parent / name).is_file():
                shutil.copyfile(source.parent / name, folder / name)


def _read(source: Path, config: DistilBertConfig, folder: Path) -> Checkpoint:
    """Read a pickle as strictly as any checkpoint: by way of a file in `folder`."""
    tensors = _unpickled(source)
    if faults := list(_faults(tensors)):
        raise CheckpointError(f"{source}: {faults[0]}.", "Name a model's state_dict, saved with torch.save.")
    save_tensors({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, folder / SINGLE)
    try:
        return read_checkpoint(folder, config)
    except CheckpointError as error:
        fault = error.fault.replace(str(folder / SINGLE), str(source))
        raise CheckpointError(fault, error.next_step) from error


def _unpickled(source: Path) -> Any:
    try:
        checked_size(source)
        return torch.load(source, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{source} cannot be read: {error.strerror}.", "Check the name.") from error
    except pickle.UnpicklingError as error:
        if asked := re.search(r"GLOBAL (\S+)", str(error)):
            fault = f"{source} holds code, not weights alone: it asks for {asked[1]}. Nothing was run."
            raise CheckpointError(fault, _SAFE) from error
        raise _unreadable(source, error) from error
    except Exception as error:  # a file of anything: RuntimeError, EOFError, KeyError, ValueError, ...
        raise _unreadable(source, error) from error


def _unreadable(source: Path, error: Exception) -> CheckpointError:
    told = re.search(r"WeightsUnpickler error: (.+)|^(?!Weights only load failed)(.+)", str(error))
    reason = (told[1] or told[2])[:150].rstrip(". ") if told else type(error).__name__
    return CheckpointError(
        f"{source} is no file of weights that PyTorch saved: {reason}. Nothing was run.", _SAFE
    )


def _faults(tensors: Any) -> Iterator[str]:
    if not isinstance(tensors, dict):
        yield f"it holds a {type(tensors).__name__}, not tensors by name"
        return
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            yield f"{name!r:.60} is a {type(tensor).__name__}, not a tensor"
        elif tensor.layout is not torch.strided or tensor.is_quantized:
            yield f"{name} is sparse or quantised"
        elif tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
            yield f"{name} claims more values than the file has"
