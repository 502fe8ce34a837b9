"""Importing costs nothing, and classifying loads only what classifying needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import distilbert

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = ("openvino", "torch", "transformers", "accelerate", "pandas", "onnx", "huggingface_hub", "rich")


def modules_after(program: str, *arguments: object) -> set[str]:
    """The top-level modules that a fresh interpreter holds once it has run the program."""
    report = "\nimport json, sys\nprint(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", program + report, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_imports_nothing_else() -> None:
    bare = modules_after("")
    assert modules_after("import distilbert") - bare <= {"distilbert", "__future__", "typing"} | set(
        sys.stdlib_module_names
    )


def test_every_public_name_is_there_and_listed() -> None:
    assert sorted(distilbert.__all__) == distilbert.__all__
    for name in distilbert.__all__:
        assert getattr(distilbert, name).__module__.startswith("distilbert.")
    with pytest.raises(AttributeError, match="no attribute 'DistilBertForFun'"):
        _ = distilbert.DistilBertForFun


RUNS = {
    "a pipeline": """
import sys
from distilbert import pipeline
assert pipeline(model=sys.argv[1])(["a good film", "bad"] * 40)[0]["label"]
""",
    "a model and its tokenizer": """
import sys
from distilbert import DistilBertForSequenceClassification, DistilBertTokenizer
tokenizer = DistilBertTokenizer.from_pretrained(sys.argv[1])
model = DistilBertForSequenceClassification.from_pretrained(sys.argv[1])
assert model(**tokenizer("a good film", return_tensors="np")).logits.shape == (1, 2)
""",
    "the command": """
import sys
from distilbert.cli import main
sys.argv[1:] = ["classify", "--model", sys.argv[1], "a good film"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
""",
    "the command on a file": """
import sys
from pathlib import Path
from distilbert.cli import main
texts, out = (str(Path(sys.argv[2], name)) for name in ("texts.txt", "answers.jsonl"))
Path(texts).write_text("good\\nbad\\n")
sys.argv[1:] = ["classify", "--model", sys.argv[1], "--file", texts, "--out", out]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
""",
}


@pytest.mark.parametrize("run", RUNS)
def test_classifying_never_loads_what_it_does_not_need(run: str, tiny_int8: Path, tmp_path: Path) -> None:
    loaded = modules_after(RUNS[run], tiny_int8, tmp_path)
    assert {"onnxruntime", "tokenizers", "numpy"} <= loaded  # it did classify
    assert not loaded & set(HEAVY)
