"""What an attacker, or a bad disk, does to a model's files: every attack follows from its seed.

>>> attack = Attack.of(7)  # doctest: +SKIP
>>> attack.commit(victims, folder)  # doctest: +SKIP

An attack takes a whole model (a checkpoint, one in shards, a bundle in float32 or int8), damages a copy of it by one
row of the tables in the modules `on_*`, and, for a bundle, either leaves `bundle.json` as it was or signs the damage in
it, since an attacker can. Then it says by which door the copy is to be loaded, and whether that may succeed.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attacks.on_files import BYTES, JSON, PLACES
from attacks.on_graphs import GRAPHS
from attacks.on_models import CONFIGS, INDEXES, MANIFESTS, TOKENIZERS, VOCABULARIES, WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

CHECKPOINTS = ("checkpoint", "sharded")
BUNDLES = ("fp32", "int8")
DOORS = {
    **dict.fromkeys(CHECKPOINTS, ("pipeline", "class", "encoder", "tokenizer", "compile", "checkpoint")),
    **dict.fromkeys(BUNDLES, ("pipeline", "class", "tokenizer", "verify")),
}
CHECK_HASHES = (
    "pipeline",
    "class",
    "verify",
)  # the tokenizer's files can be read without a bundle around them
_EMPTY = hashlib.sha256().hexdigest()


@dataclass(frozen=True)
class Kind:
    """A table of ways to damage files whose path matches one of the patterns, given the victims that have them."""

    table: Mapping[str, Callable[[random.Random, Path], None]]
    victims: tuple[str, ...]
    patterns: tuple[str, ...]
    weight: int  # how often it is chosen
    door: str = ""  # for most of these attacks; "": any


_ALL = (*CHECKPOINTS, *BUNDLES)
KINDS = {
    "bytes": Kind(BYTES, _ALL, ("*.json", "*.txt", "*.safetensors", "onnx/*"), 6),
    "places": Kind(PLACES, _ALL, ("*.json", "*.txt", "*.safetensors", "onnx/*", "onnx", "README.md"), 3),
    "JSON": Kind(JSON, _ALL, ("*.json",), 6),
    "config": Kind(CONFIGS, _ALL, ("config.json",), 3),
    "weights": Kind(WEIGHTS, CHECKPOINTS, ("*.safetensors",), 4, "checkpoint"),
    "index": Kind(INDEXES, ("sharded",), ("*.index.json",), 2, "checkpoint"),
    "vocabulary": Kind(VOCABULARIES, CHECKPOINTS, ("vocab.txt",), 1, "tokenizer"),
    "tokenizer": Kind(TOKENIZERS, BUNDLES, ("tokenizer.json",), 4, "tokenizer"),
    "manifest": Kind(MANIFESTS, BUNDLES, ("bundle.json",), 3, "verify"),
    "graph": Kind(GRAPHS, BUNDLES, ("onnx/*",), 6, "pipeline"),
}


@dataclass(frozen=True)
class Attack:
    """One attack: which damage, to which file of which model, and how the damaged copy is then loaded."""

    seed: int
    victim: str
    kind: str
    way: str
    door: str
    signed: bool  # whether bundle.json vouches for the damage

    @classmethod
    def of(cls, seed: int) -> Attack:
        """The attack that a seed stands for."""
        rng = random.Random(seed)
        kind = rng.choices(list(KINDS), [kind.weight for kind in KINDS.values()])[0]
        victim = rng.choice(KINDS[kind].victims)
        doors = DOORS[victim]
        door = KINDS[kind].door if KINDS[kind].door in doors and rng.random() < 0.7 else rng.choice(doors)
        signed = victim in BUNDLES and rng.random() < 0.75
        return cls(seed, victim, kind, rng.choice(list(KINDS[kind].table)), door, signed)

    @property
    def must_fail(self) -> bool:
        """Whether no answer can be right: each such way's name says that something leads out, or never ends."""
        return self.way.endswith("!")

    def commit(self, victims: Mapping[str, Path], folder: Path) -> Path:
        """Copy the victim to `folder` and damage it; returns the damaged file."""
        rng = random.Random(self.seed + 1_000_000_007)
        shutil.copytree(victims[self.victim], folder)
        kind = KINDS[self.kind]
        targets = sorted({path for pattern in kind.patterns for path in folder.glob(pattern)})
        target = rng.choice(targets)
        kind.table[self.way](rng, target)
        if self.signed and target.name != "bundle.json":
            sign(folder)
        return target


def sign(folder: Path) -> None:
    """Let bundle.json vouch for the files as they are now, be they links or none at all."""
    path = folder / "bundle.json"
    if path.is_file():
        manifest = json.loads(path.read_bytes())
        names = {*manifest["files"], *(str(file.relative_to(folder)) for file in folder.rglob("*"))}
        manifest["files"] = {
            name: _record(folder / name)
            for name in sorted(names - {"bundle.json"})
            if not (folder / name).is_dir() or name in manifest["files"]
        }
        path.write_text(json.dumps(manifest))


def _record(path: Path) -> dict[str, object]:
    if not path.is_file():
        return {"size": 0, "sha256": _EMPTY}  # what stat says of a pipe or a device
    return {"size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
