"""The pages are typed in: what README.md and docs/*.md show is run, in order, in a fresh folder for each page.

How a block is read:

- ```sh: commands for a shell, those of the package by their real name. A ```text block right after it is what they
  print, errors too; where the page shows none, they must succeed.
- ```console: the same, each command after `$ ` with its output below.
- ```python: a program, in one namespace with the page's earlier ones. Its lines that begin with `# ` are what it
  prints. Where none of the page's programs imports distilbert, it cannot be imported.
- ```csv NAME: a file that the following commands read; ```toml NAME too.

`…` stands for any text on its line, and on a line of its own for any lines.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bundles import sentences
from hub_server import serve
from tiny import tiny_checkpoint, word_answerer, word_tagger

from distilbert import errors
from distilbert.files.bundle import read_manifest, write_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

REPO = Path(__file__).parent.parent
PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted((REPO / "docs").glob("*.md")))]
WITH_BLOCKS = [page for page in PAGES if "\n```" in (REPO / page).read_text(encoding="utf-8")]

FOREIGN = (
    "accelerate",
    "git",
    "make",
    "npm",
    "pip",
    "/usr/bin/time",
)  # commands that the pages show and the tests leave alone
SMALL = ("cp", "echo", "head", "mkdir", "rm", "yes")  # commands that go before those of the package
HUB_MODEL = "distilbert-base-uncased-finetuned-sst-2-english"


# what the tagger of the pages knows
NAMES = {"ada": "B-PER", "lovelace": "I-PER", "london": "B-LOC", "war": "B-WORK-OF-ART"}
NAMES |= dict.fromkeys(("and", "peace"), "I-WORK-OF-ART")

ERROR_PAGE = "docs/errors.md"  # has a test of its own
PYTORCH_PAGES = ("docs/distil.md", "docs/finetune.md")
needs_pytorch = [pytest.mark.parity, pytest.mark.skipif(not find_spec("torch"), reason="needs PyTorch")]
TRACEBACK = re.compile(r"^Traceback .*?\n(?=error: )", re.MULTILINE | re.DOTALL)

END = "⸺ end of the program ⸺"
READ_AND_RUN = f"""
import json, sys
sys.modules.update(dict.fromkeys(sys.argv[1:]))
names = {{}}
for line in sys.stdin:
    exec(json.loads(line), names)
    print({END!r}, flush=True)
"""


@dataclass(frozen=True)
class Block:
    """What stands between two fences: its language, the word after it, and the content; `line` for messages."""

    language: str
    name: str
    content: str
    line: int


def blocks(text: str) -> list[Block]:
    return [
        Block(found[1], found[2], found[3], text[: found.start()].count("\n") + 1)
        for found in re.finditer(r"^```(\w+) ?(\S*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


def read(page: str) -> str:
    return (REPO / page).read_text(encoding="utf-8")


def commands(block: Block, following: Block | None) -> list[tuple[str, str | None]]:
    """A block's commands, each with what it prints; None where the page does not show it."""
    text = block.content.replace("\\\n", " ")
    if block.language == "console":
        parts = [part.partition("\n") for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]]
        return [(command, output or None) for command, _, output in parts]
    shown = following.content if following and following.language == "text" and not following.name else None
    lines = [line for line in text.splitlines() if line.strip()]
    return [*((line, "" if shown else None) for line in lines[:-1]), (lines[-1], shown)]


def same(shown: str, printed: str) -> bool:
    lines = (
        "(.*\n)*" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + " *\n"
        for line in shown.strip().splitlines()
    )
    return re.fullmatch("".join(lines), printed.strip() + "\n") is not None


class Reader:
    """Someone who types a page in, in a folder of their own."""

    def __init__(self, folder: Path, endpoint: str, text: str) -> None:
        self.folder, self.blocks = folder, blocks(text)
        self.python: subprocess.Popen[str] | None = None
        bin_folder = folder.parent / "bin"
        bin_folder.mkdir()
        for name, words in (("distilbert", "-m distilbert"), ("python", "")):
            script = bin_folder / name
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
            script.chmod(script.stat().st_mode | stat.S_IXUSR)
        self.env = {
            **os.environ,
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "HF_HOME": str(folder.parent / "hugging-face"),
            "HF_HUB_OFFLINE": "0",
            "HF_ENDPOINT": endpoint,
        }

    def type_in(self) -> Iterator[tuple[int, str, str]]:
        """Run everything; yield (line, what the page shows, what came out) where they are to be compared."""
        for block, following in zip(self.blocks, [*self.blocks[1:], None], strict=True):
            if block.language in ("sh", "console"):
                yield from self._commands(block, following)
            elif block.language == "python":
                shown = "".join(f"{line[2:]}\n" for line in block.content.splitlines() if line[:2] == "# ")
                printed = self._program(block.content)
                if shown:
                    yield block.line, shown, printed
            elif block.name:
                (self.folder / block.name).write_text(block.content, encoding="utf-8")

    def _commands(self, block: Block, following: Block | None) -> Iterator[tuple[int, str, str]]:
        shown = printed = ""
        typed = [row for row in commands(block, following) if row[0].split()[0] not in FOREIGN]
        for command, output in typed:
            code, said = self.run("sh", "-c", command)
            if output is None:
                assert code == 0, f"line {block.line}: {command}\n{said}"
            elif block.language == "console":
                yield block.line, output, said
            else:
                shown, printed = shown + output, printed + said
                assert code == 0 or "error: " in output, f"line {block.line}: {command}\n{said}"
        if shown:
            yield block.line, shown, printed

    def _program(self, program: str) -> str:
        """What a program prints, in the one process that runs those of this page."""
        if self.python is None:
            ours = any(
                re.search(r"from distilbert[\w.]* import", block.content)
                for block in self.blocks
                if block.language == "python"
            )
            line = [sys.executable, "-c", READ_AND_RUN, *([] if ours else ["distilbert"])]
            streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
            self.python = subprocess.Popen(line, **streams, text=True, cwd=self.folder, env=self.env)
        assert self.python.stdin
        assert self.python.stdout
        print(json.dumps(program), file=self.python.stdin, flush=True)
        printed = ""
        for line in self.python.stdout:
            if line == f"{END}\n":
                return printed
            printed += line
        raise AssertionError(f"{program}\n{printed}")

    def run(self, *command: str) -> tuple[int, str]:
        ended = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env=self.env,
            timeout=120,
        )
        return ended.returncode, ended.stdout


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory, tiny_classifier: Path, tiny_fp32: Path) -> Path:
    """The files that the pages name and do not show."""
    folder = tmp_path_factory.mktemp("samples")
    texts = [f"{text} {number}" for number, text in enumerate(sentences(2600, longest=8))]
    tiny_checkpoint(folder / "my-checkpoint")
    word_tagger(folder / "my-tagger", NAMES)
    word_answerer(folder / "my-answerer", ["lyon", "ada", "zoe"])
    shutil.copytree(tiny_classifier, folder / "unsure-checkpoint")  # int8 flips too many of its labels
    (folder / "texts.csv").write_text("review\n" + "".join(f"{text}\n" for text in texts))
    rows = "".join(f"{text},{('NEGATIVE', 'POSITIVE')[n % 2]}\n" for n, text in enumerate(texts[:200]))
    (folder / "labelled.csv").write_text("text,label\n" + rows)
    (folder / "reviews.csv").write_text("review\nA warm and funny film.\nDull.\n")
    (folder / "reviews.txt.gz").write_bytes(gzip.compress(b"A warm and funny film.\nDull.\n"))
    strange = shutil.copytree(tiny_fp32, folder / "strange-bundle")  # vouched for, but its graph is none
    (strange / "onnx" / "model.onnx").write_text("no graph")
    write_manifest(strange, read_manifest(strange / "bundle.json"))
    return folder


@pytest.fixture
def reader(request: pytest.FixtureRequest, tmp_path: Path, samples: Path, embedded: Path) -> Iterator[Reader]:
    with serve() as hub:
        hub.add(HUB_MODEL, embedded)
        folder = shutil.copytree(samples, tmp_path / "here")
        reader = Reader(folder, hub.endpoint, read(request.param))
        yield reader
        if reader.python:
            reader.python.communicate()


@pytest.mark.parametrize(
    "reader",
    [
        pytest.param(page, marks=needs_pytorch if page in PYTORCH_PAGES else [])
        for page in WITH_BLOCKS
        if page != ERROR_PAGE
    ],
    indirect=True,
)
def test_a_page_typed_in_from_top_to_bottom_does_what_it_shows(reader: Reader) -> None:
    for line, shown, printed in reader.type_in():
        assert same(shown, printed), f"line {line} shows\n{shown}\nand this came out:\n{printed}"


@pytest.mark.parametrize("page", WITH_BLOCKS)
def test_every_command_on_a_page_is_run_or_known_to_be_another_s(page: str) -> None:
    for block in blocks(read(page)):
        assert block.language in ("sh", "console", "python", "text", "csv", "toml", "js")
        if block.language in ("sh", "console"):
            for command, _ in commands(block, None):
                assert "distilbert" in command or command.split()[0] in (*FOREIGN, *SMALL)


@pytest.mark.parametrize("page", [*PAGES, "SECURITY.md"])
def test_links_and_tests_named_on_a_page_are_there(page: str) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", read(page)):
        if not target.startswith("http"):
            path = (REPO / page).parent.joinpath(target) if target else REPO / page
            assert path.exists(), target
            assert not anchor or anchor in anchors(path.read_text(encoding="utf-8")), f"{target}#{anchor}"
    for named in re.findall(r"`((?:tests|src|benchmarks)/[\w/.-]+)`", read(page)):
        assert (REPO / named).exists(), named


def anchors(text: str) -> set[str]:
    """What a page's headings are called in links, as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


# errors.md has them all

WITH_PYTORCH = {"TrainingError"}  # tests/training/test_loop_parity.py

# The base class, then all others in the module's order.
ERRORS = [kind for kind in vars(errors).values() if isinstance(kind, type)]


def test_the_table_of_errors_is_that_of_the_module() -> None:
    rows = re.findall(r"^\| \[`(\w+)`\]\(#\w+\) \| (.+?) \| (.+?) \|$", read(ERROR_PAGE), re.MULTILINE)
    expected = [
        (
            kind.__name__,
            str(getattr(kind, "exit_code", "")) or "0, a note",
            (kind.__doc__ or "").split("\n")[0],
        )
        for kind in ERRORS[1:]
    ]
    assert rows == expected


@pytest.mark.parametrize("reader", [ERROR_PAGE], indirect=True)
def test_each_error_is_shown_by_a_command_that_raises_just_it(reader: Reader) -> None:
    beginning, *sections = read(ERROR_PAGE).split("\n## ")
    reader.blocks = blocks(beginning)
    assert all(same(shown, printed) for _, shown, printed in reader.type_in())
    for section in sections:
        name = section.partition("\n")[0]
        if name in WITH_PYTORCH:
            continue
        reader.blocks = [debugging(block) for block in blocks(section)]
        [(_, shown, printed)] = reader.type_in()
        assert same(shown, TRACEBACK.sub("", printed)), (
            f"{name} shows\n{shown}\nand this came out:\n{printed}"
        )
        assert ("note: " if name == "TruncationWarning" else f"\ndistilbert.errors.{name}: ") in printed
    assert [section.partition("\n")[0] for section in sections] == [kind.__name__ for kind in ERRORS[1:]]


def debugging(block: Block) -> Block:
    """The same commands with --debug, which shows the class of an error."""
    if block.language != "sh":
        return block
    return replace(block, content=re.sub(r"\bdistilbert (?=[a-z])", "distilbert --debug ", block.content))
