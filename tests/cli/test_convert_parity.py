"""`distilbert convert` as it is typed."""

from __future__ import annotations

import shlex
import shutil
from typing import TYPE_CHECKING

import pytest
from tiny import tiny_checkpoint

from distilbert.cli.convert import command

if TYPE_CHECKING:
    from pathlib import Path

    from situations import Command

pytestmark = pytest.mark.parity

EXAMPLES = [line.strip() for line in (command.epilog or "").splitlines() if line.startswith("  distilbert ")]


@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_in_its_help_works_and_what_it_makes_classifies(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, distilbert: Command
) -> None:
    import torch
    from safetensors.torch import load_file

    model = tiny_checkpoint(tmp_path / "my-model")
    torch.save(load_file(model / "model.safetensors"), model / "pytorch_model.bin")
    (model / "model.safetensors").unlink()
    monkeypatch.chdir(tmp_path if "my-model" in line else model)
    outcome = distilbert(*shlex.split(line)[1:])
    out = shlex.split(line)[-1]
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"{out}: model.safetensors. Try: distilbert classify --model {out} TEXT\n"
    assert distilbert("classify", "--model", out, "a good film").code == 0


def test_code_is_refused_with_the_command_s_exit_code(tmp_path: Path, distilbert: Command) -> None:
    import torch

    model = tiny_checkpoint(tmp_path / "model")
    torch.save(print, model / "pytorch_model.bin")
    outcome = distilbert("convert", str(model / "pytorch_model.bin"), "--out", str(tmp_path / "out"))
    assert outcome.code == 1
    assert "holds code, not weights alone: it asks for" in outcome.err
    assert not (tmp_path / "out").exists()
    shutil.rmtree(model)
