"""A `pytorch_model.bin` becomes a checkpoint: read as weights, and refused, with nothing run, where it is code."""

from __future__ import annotations

import collections
import io
import os
import pickle
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from tiny import save_vocabulary
from twins import CLASSES, batch, theirs

from distilbert import models
from distilbert.errors import CheckpointError, ConfigError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.parity

NAME = "DistilBertForSequenceClassification"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder as transformers 4 left it: config.json, vocab.txt, pytorch_model.bin."""
    return save_as_pickle(tmp_path / "model", theirs(NAME))


def save_as_pickle(folder: Path, model: Any, change: Callable[[Any], Any] = lambda state: state) -> Path:
    import torch

    folder.mkdir()
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    save_vocabulary(folder, 120)
    torch.save(change(model.state_dict()), folder / "pytorch_model.bin")
    return folder / "pytorch_model.bin"


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_s_pickle_becomes_its_checkpoint(tmp_path: Path, name: str) -> None:
    import torch
    import transformers

    reference = theirs(name)
    models.convert(save_as_pickle(tmp_path / "model", reference), tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "config.json",
        "model.safetensors",
        "vocab.txt",
    }
    kinds = (getattr(models, name), getattr(transformers, name))
    with torch.no_grad():
        expected = reference(**batch(name))[0]
        for kind in kinds:
            torch.testing.assert_close(
                kind.from_pretrained(tmp_path / "out").eval()(**batch(name))[0], expected
            )


def old_names(state: dict[str, Any]) -> dict[str, Any]:
    """As BERT's first releases and DataParallel saved."""
    renamed = {key.replace("LayerNorm.weight", "LayerNorm.gamma"): value for key, value in state.items()}
    return {
        f"module.{key.replace('LayerNorm.bias', 'LayerNorm.beta')}": value for key, value in renamed.items()
    }


CHANGES: dict[str, Callable[[Any], Any]] = {
    "old names": old_names,
    "float16": lambda state: {name: tensor.half() for name, tensor in state.items()},
    "an ordered dictionary": collections.OrderedDict,
    "transposed in memory": lambda state: {
        name: tensor.T.contiguous().T if tensor.ndim == 2 else tensor for name, tensor in state.items()
    },
    "parameters": lambda state: {
        name: __import__("torch").nn.Parameter(tensor) for name, tensor in state.items()
    },
    "with position ids": lambda state: {
        **state,
        "bert.embeddings.position_ids": __import__("torch").arange(24)[None],
    },
}


@pytest.mark.parametrize("change", CHANGES)
def test_weights_are_read_however_they_were_saved(tmp_path: Path, change: str) -> None:
    import torch

    name = "BertForSequenceClassification"
    reference = theirs(name)
    models.convert(save_as_pickle(tmp_path / "model", reference, CHANGES[change]), tmp_path / "out")
    model = getattr(models, name).from_pretrained(tmp_path / "out")
    close = 0.05 if change == "float16" else 1e-5
    torch.testing.assert_close(
        model(**batch(name)).logits, reference(**batch(name)).logits, rtol=0, atol=close
    )


class Touch:
    """What an attacker puts into a pickle: loading it with `pickle` would make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def harmful(path: Path, marker: Path, how: str) -> None:
    """Write a `pytorch_model.bin` that runs a command when unpickled."""
    import torch

    if how == "a pickle of its own":
        path.write_bytes(pickle.dumps({"a": Touch(marker)}, protocol=2))
    elif how == "in Python's newest pickle":
        path.write_bytes(pickle.dumps({"a": Touch(marker)}))
    elif how == "among tensors":
        torch.save({"pre_classifier.weight": torch.zeros(2), "classifier.weight": Touch(marker)}, path)
    elif how == "in the old format":
        torch.save({"classifier.weight": Touch(marker)}, path, _use_new_zipfile_serialization=False)
    elif how == "as a whole model":
        torch.save(torch.nn.Linear(2, 2), path)
    else:  # by the names that PyTorch's unpickler does know, with a function of its own beside
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as files:
            files.writestr("archive/data.pkl", pickle.dumps(Touch(marker), protocol=2))
            files.writestr("archive/version", "3\n")
        path.write_bytes(archive.getvalue())


HARM = [
    "a pickle of its own",
    "among tensors",
    "in the old format",
    "as a whole model",
    "in an archive of its own",
]
UNREAD = "in Python's newest pickle"  # whose first byte PyTorch's unpickler does not know


@pytest.mark.parametrize("how", [*HARM, UNREAD])
def test_a_file_that_carries_code_is_refused_and_nothing_is_run(
    saved: Path, tmp_path: Path, how: str
) -> None:
    marker = tmp_path / "harm"
    harmful(saved, marker, how)
    with pytest.raises(CheckpointError) as refusal:
        models.convert(saved, tmp_path / "out")
    assert not marker.exists()
    assert not (tmp_path / "out").exists()
    fault = str(refusal.value)
    asked = "torch.nn.modules.linear.Linear" if how == "as a whole model" else "posix.mkdir"
    if how != UNREAD:
        assert f"{saved} holds code, not weights alone: it asks for" in fault
        assert asked in fault
    assert "Nothing was run." in fault
    assert len(fault.splitlines()) == 2


def test_the_harm_would_be_done_by_who_trusts_it(saved: Path, tmp_path: Path) -> None:
    """Else the test above could not fail."""
    import torch

    for how in (*HARM[:3], UNREAD):
        marker = tmp_path / how.replace(" ", "-")
        harmful(saved, marker, how)
        with suppress(Exception):  # once it has run, some are no files of torch.save's
            torch.load(saved, weights_only=False)
        assert marker.exists(), how


WRONG: dict[str, tuple[Callable[[Any], Any], str]] = {
    "nested": (lambda state: {"state_dict": state}, "'state_dict' is a OrderedDict, not a tensor"),
    "a list": (lambda state: list(state.values()), "it holds a list, not tensors by name"),
    "a number beside": (lambda state: {**state, "epoch": 3}, "'epoch' is a int, not a tensor"),
    "sparse": (
        lambda state: {name: tensor.to_sparse() for name, tensor in state.items()},
        "is sparse or quantised",
    ),
    "a few bytes that claim to be many": (
        lambda state: {**state, "classifier.weight": __import__("torch").zeros(1).expand(10**9, 10**9)},
        "classifier.weight claims more values than the file has",
    ),
    "one missing": (
        lambda state: {name: tensor for name, tensor in state.items() if name != "classifier.bias"},
        "classifier.bias is missing",
    ),
    "one of nobody": (
        lambda state: {**state, "adapter.weight": __import__("torch").zeros(3)},
        "adapter.weight is left over",
    ),
    "not finite": (
        lambda state: {name: tensor * float("nan") for name, tensor in state.items()},
        "is not finite",
    ),
    "whole numbers": (
        lambda state: {name: tensor.long() for name, tensor in state.items()},
        "is stored as I64",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_model_s_weights_is_refused_by_name(tmp_path: Path, case: str) -> None:
    change, fault = WRONG[case]
    path = save_as_pickle(tmp_path / "model", theirs(NAME), change)
    with pytest.raises(CheckpointError) as refusal:
        models.convert(path, tmp_path / "out")
    assert fault in refusal.value.fault
    assert str(path) in refusal.value.fault
    assert ".partial" not in str(refusal.value)
    assert sorted(child.name for child in tmp_path.iterdir()) == ["model"]


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", b"\x80\x02.", os.urandom(1000)])
def test_a_file_of_anything_else_is_refused(saved: Path, tmp_path: Path, content: bytes) -> None:
    saved.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin (is no file of weights|holds code)"):
        models.convert(saved, tmp_path / "out")


def test_a_file_that_ends_early_is_refused(saved: Path, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    for size in (100, len(whole) // 2, len(whole) - 10):
        saved.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match="is no file of weights that PyTorch saved"):
            models.convert(saved, tmp_path / "out")


def test_what_is_not_there_or_there_already_is_named(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"gone\.bin cannot be read: No such file"):
        models.convert(saved.with_name("gone.bin"), tmp_path / "out")
    os.mkfifo(saved.with_name("pipe.bin"))
    with pytest.raises(CheckpointError, match=r"pipe\.bin cannot be read: it is not a regular file"):
        models.convert(saved.with_name("pipe.bin"), tmp_path / "out")
    with pytest.raises(StorageError, match="is already there"):
        models.convert(saved, saved.parent)
    saved.with_name("config.json").unlink()
    with pytest.raises(ConfigError, match=r"has no config\.json"):
        models.convert(saved, tmp_path / "out")
