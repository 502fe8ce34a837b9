"""A stranger's graph may give its outputs any shape; whoever runs it gets a named error."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from distilbert import DistilBertForSequenceClassification, pipeline
from distilbert.compile.probes import verify
from distilbert.engines.outputs import outputs_of, shape_fault
from distilbert.errors import BundleError, EngineError
from distilbert.files.bundle import read_manifest, write_manifest
from distilbert.files.checkpoint import TASKS
from distilbert.files.config import DistilBertConfig

if TYPE_CHECKING:
    from collections.abc import Callable

DOORS: dict[str, Callable[[Path], Any]] = {
    "a pipeline": lambda folder: pipeline(model=folder)("hello"),
    "a pipeline with windows": lambda folder: pipeline(model=folder)("hello", long="window"),
    "a class": lambda folder: DistilBertForSequenceClassification.from_pretrained(folder)([[2, 3]]),
    "verify": verify,
}


def reshaped(operator: str, axis: int) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "onnx" / "model.onnx"
        model = onnx.load(path)
        last = model.graph.node[-1]
        [name], last.output[0] = last.output, "own"
        model.graph.initializer.append(numpy_helper.from_array(np.array([axis]), "axis"))
        model.graph.node.append(helper.make_node(operator, ["own", "axis"], [name]))
        model.graph.output[0].type.tensor_type.ClearField("shape")
        path.write_bytes(model.SerializeToString())

    return spoil


def another_label(folder: Path) -> None:
    path = folder / "config.json"
    names = {"id2label": {"0": "a", "1": "b", "2": "c"}, "label2id": {"a": 0, "b": 1, "c": 2}}
    path.write_text(json.dumps(json.loads(path.read_text()) | names))


SPOILS = {
    "an axis more": (reshaped("Unsqueeze", 2), r"logits of shape \[1, 2, 1\]; for its task .* \[1, 2\]"),
    "an axis less": (reshaped("Squeeze", 0), r"logits of shape \[2\]; for its task .* \[1, 2\]"),
    "too few labels": (another_label, r"logits of shape \[1, 2\]; for its task .* \[1, 3\]"),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("spoil", "fault"), SPOILS.values(), ids=SPOILS)
def test_an_output_of_another_shape_is_named(
    spoil: Callable[[Path], None], fault: str, door: str, tiny_fp32: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_fp32, tmp_path / "bundle"))
    spoil(folder)
    write_manifest(folder, read_manifest(folder / "bundle.json"))  # its hashes fit
    with pytest.raises(EngineError, match=rf"model\.onnx gives {fault}") as refusal:
        DOORS[door](folder)
    assert len(str(refusal.value).splitlines()) == 2


@pytest.mark.parametrize("rows", [1, 3, 9])
def test_a_language_model_gives_the_rows_asked_for_at_most_all(rows: int) -> None:
    inputs = {"input_ids": np.ones((2, 5), np.int64), "positions": np.zeros((2, rows), np.int64)}
    outputs = outputs_of("fill-mask", DistilBertConfig(vocab_size=7, pad_token_id=0))
    assert shape_fault(outputs, inputs, {"logits": np.zeros((2, min(rows, 5), 7), np.float32)}) is None
    assert shape_fault(outputs, inputs, {"logits": np.zeros((2, min(rows, 5), 6), np.float32)})


@pytest.mark.parametrize("task", ["chess", "", None, 7, [], {}])
def test_another_task_is_named(task: Any) -> None:
    with pytest.raises(BundleError, match="The bundle names the task"):
        outputs_of(task, DistilBertConfig())


def test_every_head_that_runs_has_outputs() -> None:
    for task in set(TASKS.values()) - {"multiple-choice"}:  # it is trained here, not run
        assert outputs_of(task, DistilBertConfig())
