"""The README's promises are typed in: its Python runs, its commands answer what it prints."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parent.parent
README = (REPO / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=REPO).stdout


def test_the_first_program_prints_what_the_readme_says():
    program = blocks("python")[0]
    promised = program.split("# ")[-1].strip()
    assert run(sys.executable, "-c", program).strip() == promised


def commands() -> list[tuple[str, str]]:
    """Each `$ distilbert` command that the README shows with its output."""
    shown = []
    for block in blocks("console"):
        for part in block.split("$ ")[1:]:
            command, _, output = part.partition("\n")
            if command.startswith("distilbert") and output.strip():
                shown.append((command, output))
    return shown


@pytest.mark.parametrize(("command", "output"), commands())
def test_a_command_answers_as_the_readme_shows(command, output):
    assert run(sys.executable, "-m", "distilbert", *shlex.split(command)[1:]) == output


def test_every_option_that_the_readme_names_exists():
    for block in blocks("console"):
        for line in re.findall(r"distilbert (\w+)(.*)", block):
            help_text = run(sys.executable, "-m", "distilbert", line[0], "--help")
            for option in re.findall(r"--[a-z-]+", line[1]):
                assert option in help_text


def test_its_links_to_files_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (REPO / target).exists(), target
