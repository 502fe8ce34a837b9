"""The model card: what a bundle or checkpoint says of itself to a reader, in Markdown with the hub's front matter."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from distilbert.files.reading import checked_size

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from distilbert.files.bundle import Manifest
    from distilbert.files.config import DistilBertConfig

CARD = "README.md"
_LARGEST_CARD = 2**20  # bytes; what is beyond is not read
_AT_HOME = "Where it is at home"

_NO_ABOUT = """Nobody has said yet what this model was trained on, where it is at home and under which licence:
compile it with `--about FILE` to say so here."""

_NO_ABOUT_CHECKPOINT = (
    """Nobody has said yet what this model was trained on, how well it does and under which licence it is."""
)

_PIPELINE = """from distilbert import pipeline

print(pipeline("{task}", model="{name}")({given}))"""
_TEXT = '"I love learning about DistilBERT!"'
_TRAIN = """from distilbert import DistilBertTokenizer
from distilbert.models import {kind}

tokenizer = DistilBertTokenizer.from_pretrained("{name}")
model = {kind}.from_pretrained("{name}")"""
_GIVEN = {  # by task: what its pipeline is shown with
    "text-classification": _TEXT,
    "feature-extraction": _TEXT,
    "fill-mask": '"I love [MASK] about DistilBERT!"',
    "token-classification": '"Ada Lovelace lived in London."',
    "question-answering": f'question="What do I love?", context={_TEXT}',
}


def write_card(folder: Path, name: str, config: DistilBertConfig, manifest: Manifest, about: str) -> None:
    """Write `README.md` into a bundle: the author's own words first, then what was measured when it was made."""
    front, body = _split_front_matter(about)
    front = front or f"library_name: distilbert\npipeline_tag: {manifest.task}"
    sections = [
        f"---\n{front}\n---",
        f"# {name}",
        body or _NO_ABOUT,
        _what(config, manifest),
        *([_gate(manifest)] if manifest.gate else []),
        _run(manifest.task, name),
    ]
    (folder / CARD).write_text("\n\n".join(sections) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Card:
    """What a card says: its front matter, a list of words by key, and where the model is at home, in Markdown."""

    front: Mapping[str, list[str]] = field(default_factory=dict)
    at_home: str = ""


def read_card(folder: Path) -> Card | None:
    """Read a folder's `README.md`, whoever wrote it; None where there is none that can be read.

    Of the front matter, plain words and lists of them are understood, not all of YAML.
    """
    path = folder / CARD
    try:
        checked_size(path)
        with path.open("rb") as file:
            text = file.read(_LARGEST_CARD).decode("utf-8", "replace").replace("\r\n", "\n")
    except OSError:
        return None
    front, body = _split_front_matter(text)
    at_home = re.search(rf"^## {_AT_HOME}$(.*?)(^## |\Z)", body, re.MULTILINE | re.DOTALL)
    return Card(_front_words(front), at_home[1].strip() if at_home else "")


def _front_words(front: str) -> dict[str, list[str]]:
    words: dict[str, list[str]] = {}
    key = ""
    for line in front.splitlines():
        if found := re.fullmatch(r"(\w+):\s*(.*)", line):
            key, told = found[1], found[2]
            words[key] = []
        elif found := re.fullmatch(r"\s*- (.*)", line):
            told = found[1]
        else:
            continue
        listed = told[1:-1].split(",") if told.startswith("[") and told.endswith("]") else [told]
        if key:
            words[key] += filter(None, (word.strip("\"' ") for word in listed))
    return words


def write_checkpoint_card(folder: Path, name: str, config: DistilBertConfig, task: str) -> None:
    """Write `README.md` into a checkpoint's folder: what it is, what nobody has said of it, and how to load it."""
    from distilbert.files.atomic import atomic_file

    code = _TRAIN.format(kind=config.architectures[0], name=name)
    sections = [
        f"---\nlibrary_name: transformers\npipeline_tag: {task}\n---",
        f"# {name}",
        _NO_ABOUT_CHECKPOINT,
        f"## What it is\n\n{_architecture(config, task)}",
        f"## Load it\n\n```python\n{code}\n```\n\ntransformers' class of that name loads it too.",
    ]
    with atomic_file(folder / "README.md") as path:
        path.write_text("\n\n".join(sections) + "\n", encoding="utf-8")


def _split_front_matter(about: str) -> tuple[str, str]:
    if about.startswith("---\n") and "\n---\n" in about[4:]:
        front, body = about[4:].split("\n---\n", 1)
        return front.strip(), body.strip()
    return "", about.strip()


def _what(config: DistilBertConfig, manifest: Manifest) -> str:
    made_by = ", ".join(f"{package} {version}" for package, version in manifest.made_by.items())
    return f"""## What it is

{_architecture(config, manifest.task)}
- precision: {manifest.precision}
- made by: {made_by}"""


def _architecture(config: DistilBertConfig, task: str) -> str:
    has_labels = task in ("text-classification", "token-classification")
    labels = f"\n- labels: {', '.join(config.labels)}" if has_labels else ""
    return f"""- task: {task}
- architecture: {config.model_type}, {config.n_layers} layers of {config.dim}, {config.n_heads} heads, \
feed-forward {config.hidden_dim}, at most {config.max_position_embeddings} tokens{labels}"""


def _gate(manifest: Manifest) -> str:
    how = manifest.int8
    rows = [f"- {engine}: {figures['said']}" for engine, figures in manifest.gate.items()]
    kept = ", ".join(how["linears_in_float"]) or "none"
    return "\n".join(
        [
            "## int8 against float32",
            "",
            "Measured when the bundle was made, on texts that it was not calibrated on:",
            "",
            *rows,
            f"- calibrated on {how['calibration_texts']:,} texts, clipped at {how['percentile']} %; "
            f"linears in float: {kept}",
        ]
    )


def _run(task: str, name: str) -> str:
    code = _PIPELINE.format(task=task, name=name, given=_GIVEN[task])
    return f"## Run it\n\n```python\n{code}\n```"
