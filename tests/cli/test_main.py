"""`distilbert` itself: helps, exit codes, and examples that work as they are printed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import click
import pytest
from bundles import sentences
from situations import Command
from tiny import word_answerer, word_tagger

from distilbert import __version__
from distilbert.cli import COMMANDS
from distilbert.cli import distilbert as group

if TYPE_CHECKING:
    from pathlib import Path


def examples(name: str) -> list[str]:
    """The lines of a command's help that call it."""
    command = group.get_command(click.Context(group), name)
    assert command is not None
    assert command.epilog
    return [line.strip() for line in command.epilog.splitlines() if re.match(r"  .*\bdistilbert ", line)]


NEED_TORCH = ("convert", "distil", "finetune")  # theirs run in test_convert_parity.py and so on
EXAMPLES = [line for name in COMMANDS if name not in NEED_TORCH for line in examples(name)]


def test_the_command_is_installed_under_the_package_s_name() -> None:
    [script] = entry_points(group="console_scripts", name="distilbert")
    assert script.value == "distilbert.cli:main"


def test_alone_it_shows_its_help(distilbert: Command) -> None:
    outcome = distilbert()
    assert outcome.code in (0, 2)  # click 8.2 calls it wrong use
    for name, purpose in COMMANDS.items():
        assert re.search(rf"{name} +{purpose}", outcome.out + outcome.err)


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_s_help_has_examples_as_they_are_typed(
    name: str, option: str, distilbert: Command
) -> None:
    outcome = distilbert(name, option)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"Usage: distilbert {name} ")
    shown = [line.strip() for line in outcome.out.partition("Examples:\n")[2].splitlines()]
    assert shown == examples(name)  # click breaks no line of them
    assert len(shown) >= 2


def test_every_option_is_explained(distilbert: Command) -> None:
    context = click.Context(group)
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
        unexplained = [option.name for option in options if not option.help]
        assert unexplained == ([] if name != "compile" else ["precision"])  # its choices say it


@pytest.fixture(scope="module")
def example_files(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path, tiny_fp32: Path) -> Path:
    """A folder with every file that an example names."""
    folder = tmp_path_factory.mktemp("examples")
    texts = [f"{text} {number}" for number, text in enumerate(sentences(2600, longest=6))]
    (folder / "texts.txt").write_text("".join(f"{text}\n" for text in texts))
    rows = "".join(f"{text}\t{number % 2}\n" for number, text in enumerate(texts))
    (folder / "train.tsv").write_text("sentence\tlabel\n" + rows)
    (folder / "dev.iob2").write_text("Ada\tB-PER\nlived\tO\n")
    (folder / "dev.tsv").write_text("sentence\tlabel\ngood\t1\nbad\t0\n")
    (folder / "reviews.csv").write_text("id,review\n1,good\n2,bad\n")
    (folder / "train.iob2").write_text("".join(f"Ada\tB-PER\n{text}\tO\n\n" for text in texts))
    paragraphs = [
        {
            "context": f"film {text}",
            "qas": [{"id": text, "question": "what", "answers": [{"text": "film", "answer_start": 0}]}],
        }
        for text in texts
    ]
    (folder / "train.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    (folder / "dev.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs[:1]}]}))
    (folder / "questions.csv").write_text("id,question,context\n1,who is it,the film is good\n")
    subprocess.run(["gzip", "-k", "reviews.csv", "questions.csv"], cwd=folder, check=True)
    for name in ("my-checkpoint", "my-teacher", "my-student"):
        shutil.copytree(checkpoint, folder / name)
    shutil.copytree(tiny_fp32, folder / "my-bundle")
    word_answerer(folder / "my-answerer", ["film"])
    for name in ("my-tagger", "my-smaller-tagger"):
        word_tagger(folder / name, {"ada": "B-PER"})
    ours = [*Command.argv, "prepare", "texts.txt", "--out", "my-data"]
    subprocess.run(ours, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.usefixtures("embedded")
@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_in_a_help_works_as_it_is_printed(
    line: str, example_files: Path, tmp_path: Path, distilbert: Command
) -> None:
    if " compile " in line:  # it makes what other examples use
        line = line.replace("--out my-bundle/", f"--out {tmp_path / 'my-bundle'}/")
    if " prepare " in line and "--re" not in line:
        line = line.replace("--out my-data/", f"--out {tmp_path / 'my-data'}/")
    ours = shlex.join(distilbert.argv)
    shell = re.sub(r"(^|\| )distilbert ", lambda match: f"{match[1]}{ours} ", line)
    assert ours in shell
    ended = subprocess.run(
        ["sh", "-c", shell], cwd=example_files, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout or "--out" in line


def test_the_version_is_the_package_s(distilbert: Command) -> None:
    outcome = distilbert("--version")
    assert outcome.code == 0
    assert outcome.out.strip().endswith(__version__)


def test_help_imports_neither_the_runtime_nor_numpy(distilbert: Command) -> None:
    code = (
        "import sys; sys.argv = ['distilbert', '--help']\n"
        "from distilbert.cli import main\n"
        "try: main()\n"
        "except SystemExit: print(sorted({'numpy', 'onnxruntime', 'onnx', 'tokenizers'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.stdout.splitlines()[-1] == "[]"
