"""The wheel, installed in an environment of its own, away from the sources: all commands work, and it is small."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tiny import tiny_checkpoint

pytestmark = [pytest.mark.full, pytest.mark.timeout(1800)]

REPO = Path(__file__).parent.parent
MAX_MEGABYTES = 340  # with the models of three tasks
TOOLS = re.compile(r"(pip|setuptools|pkg_resources|_distutils_hack|distutils-precedence)\b")

# Each command as a user calls it, with the embedded model and a tiny checkpoint.
LINES = {
    "answer": ["answer", "--model", "answerer", "Is it funny?", "--context", "A warm and funny film."],
    "bench": ["bench", "distilbert-sst2", "--texts", "reviews.csv", "--rounds", "1"],
    "classify": ["classify", "A warm and funny film.", "--json"],
    "compile": ["compile", "checkpoint", "--out", "bundle", "--precision", "fp32"],
    "convert": ["convert", "pytorch_model.bin", "--out", "converted"],
    "distil": ["distil", "--teacher", "checkpoint", "--train", "reviews.csv", "--out", "student"],
    "finetune": ["finetune", "--model", "checkpoint", "--train", "reviews.csv", "--out", "tuned"],
    "info": ["info", "distilbert-sst2"],
    "prepare": ["prepare", "reviews.csv", "--out", "data"],
    "report": ["report", "checkpoint", "distilbert-sst2", "--data", "reviews.csv", "--out", "report"],
    "score": ["score", "--file", "reviews.csv"],
    "tag": ["tag", "--model", "tagger", "A warm and funny film."],
    "verify": ["verify", "distilbert-sst2"],
}
# those that need libraries that the wheel does not bring
EXTRAS = {"convert": "train", "distil": "train", "finetune": "train", "report": "report"}


def run(*line: object, cwd: Path, code: int = 0) -> str:
    """What it prints, told nothing of the source tree."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([*map(str, line)], capture_output=True, text=True, cwd=cwd, env=environment)
    assert done.returncode == code, f"{line}\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
    return done.stdout or done.stderr


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment; the tests are skipped where pip cannot reach an index."""
    folder = tmp_path_factory.mktemp("wheel") / "environment"
    run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    asked = [folder / "bin" / "pip", "download", "--quiet", "--no-deps", "--retries", "0", "--timeout", "20"]
    reached = subprocess.run([*asked, "hatchling"], capture_output=True, cwd=folder.parent)
    if reached.returncode:
        pytest.skip("needs a package index that pip can reach: check the network or PIP_INDEX_URL")
    return folder


@pytest.fixture(scope="session")
def wheel(environment: Path) -> Path:
    out = environment.parent / "dist"
    pip = environment / "bin" / "pip"
    run(pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", out, REPO, cwd=environment.parent)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(environment: Path, wheel: Path) -> Path:
    """The environment's `distilbert`."""
    constraints = REPO / "constraints.txt"
    pip = environment / "bin" / "pip"
    run(pip, "install", "--quiet", "--constraint", constraints, wheel, cwd=environment.parent)
    return environment / "bin" / "distilbert"


def test_it_holds_the_package_the_model_and_their_licences_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for needed in ("LICENSE", "NOTICE"):
        assert any(name.endswith(f".dist-info/licenses/{needed}") for name in names)
    embedded = REPO / "src" / "distilbert" / "embedded"
    shipped = {path.relative_to(REPO / "src").as_posix() for path in embedded.rglob("*") if path.is_file()}
    assert shipped <= set(names)
    assert "distilbert/embedded/distilbert-sst2/onnx/model_quantized.onnx" in names
    strangers = [name for name in names if not name.startswith(("distilbert/", "distilbert-"))]
    strangers += [name for name in names if re.search(r"(^|/)(tests?|benchmarks?|docs)(/|$)|/test_", name)]
    assert strangers == []


def test_every_command_works_away_from_the_sources(
    installed: Path, tmp_path: Path, tiny_classifier: Path
) -> None:
    (tmp_path / "checkpoint").symlink_to(tiny_classifier)
    tiny_checkpoint(tmp_path / "answerer", head="question-answering")
    tiny_checkpoint(tmp_path / "tagger", head="token-classification", labels=("O", "B-PER", "I-PER"))
    (tmp_path / "reviews.csv").write_text("text,label\nDull.,NEGATIVE\nA warm and funny film.,POSITIVE\n")
    where = "import distilbert; print(distilbert.__file__)"
    assert str(installed.parent.parent) in run(installed.with_name("python"), "-c", where, cwd=tmp_path)
    listed = run(installed, "--help", cwd=tmp_path).partition("Commands:")[2]
    commands = re.findall(r"^  (\w+)  ", listed, re.MULTILINE)
    assert {"classify", "compile", "score", "verify"} <= set(commands) <= set(LINES)
    for name in commands:
        assert f"Usage: distilbert {name}" in run(installed, name, "--help", cwd=tmp_path)
        said = run(installed, *LINES[name], cwd=tmp_path, code=int(name in EXTRAS))
        assert f"pip install 'distilbert[{EXTRAS[name]}]'" in said if name in EXTRAS else said.strip()


def test_site_packages_without_pip_and_setuptools_is_under_340_megabytes(installed: Path) -> None:
    (packages,) = installed.parent.parent.glob("lib/python*/site-packages")
    kept = [entry for entry in packages.iterdir() if not TOOLS.match(entry.name)]
    files = [file for entry in kept for file in (entry.rglob("*") if entry.is_dir() else [entry])]
    megabytes = sum(file.lstat().st_size for file in files if file.is_file()) / 1e6
    assert megabytes < MAX_MEGABYTES, f"{megabytes:.0f} MB"
    print(f"site-packages without pip and setuptools: {megabytes:.0f} MB")
