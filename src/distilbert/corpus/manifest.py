"""`manifest.json`: what a prepared corpus is made from, in which vocabulary, and its shards with their SHA-256."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from distilbert.errors import DataError
from distilbert.files.reading import read_small

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from distilbert.text.tokenizer import DistilBertTokenizer

MANIFEST = "manifest.json"
TOKENIZER = "tokenizer"  # the folder with the tokenizer's files
FORMAT_VERSION = 1

_MAX_BYTES = 64 * 2**20  # a shard takes 300 bytes of it
_AGAIN = "Prepare the corpus again."


@dataclass(frozen=True)
class Source:
    """A file of the corpus; what counts is its content, not its name."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Vocabulary:
    """What ids mean. `sha256` is that of token -> id: equal vocabularies have equal ones, whoever saved them."""

    size: int  # the largest id, and one
    sha256: str
    special_ids: Mapping[str, int]  # by role: cls_token, mask_token, ...

    @classmethod
    def of(cls, tokenizer: DistilBertTokenizer) -> Vocabulary:
        """The vocabulary of a tokenizer, added tokens included."""
        ids = tokenizer.get_vocab()
        listed = json.dumps(sorted((token_id, token) for token, token_id in ids.items()))
        special = {role: ids[token] for role, token in tokenizer.special_tokens_map.items()}
        return cls(max(ids.values()) + 1, hashlib.sha256(listed.encode()).hexdigest(), special)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest type of shards' tokens that holds every id."""
        return np.dtype("<u2" if self.size <= 1 << 16 else "<u4")


@dataclass(frozen=True)
class Shard:
    """A part of the corpus: `rows` of its files, of which `texts` have tokens. SHA-256 by file name, tokens' first."""

    rows: int
    texts: int
    tokens: int
    files: Mapping[str, str]


@dataclass(frozen=True)
class Manifest:
    """A corpus on disk, whole or under way: then its shards are those that are safe."""

    corpus: tuple[Source, ...]
    column: str
    vocabulary: Vocabulary
    tokenizer: Mapping[str, str]  # SHA-256 by file name, in the folder `TOKENIZER`
    made_by: Mapping[str, str]  # versions
    shards: tuple[Shard, ...] = ()
    format_version: int = FORMAT_VERSION

    @property
    def texts(self) -> int:
        """Texts of all shards; each has a token at least."""
        return sum(shard.texts for shard in self.shards)

    @property
    def tokens(self) -> int:
        """Tokens of all shards, without special ones around the texts."""
        return sum(shard.tokens for shard in self.shards)

    @property
    def rows(self) -> int:
        """Rows of the corpus's files that the shards cover."""
        return sum(shard.rows for shard in self.shards)

    def difference(self, other: Manifest, *, versions: bool = True) -> str | None:
        """What the two are not both made from, in an error's words; None where all is the same."""
        same = {
            "corpus": [source.sha256 for source in self.corpus] == [source.sha256 for source in other.corpus],
            "tokenizer": self.tokenizer == other.tokenizer,
            "--column": self.column == other.column,
            "release": not versions or self.made_by == other.made_by,
        }
        return next((name for name, is_same in same.items() if not is_same), None)


def shard_files(number: int) -> tuple[str, str]:
    """The names of a shard's files: ids of all its texts, one after the other, and where each text ends."""
    return f"{number:05}.tokens.npy", f"{number:05}.ends.npy"


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the folder's manifest, whole or not at all. Raises `OSError`."""
    path = folder / f"{MANIFEST}.new"
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(asdict(manifest), indent=1, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    path.replace(folder / MANIFEST)


def read_manifest(folder: Path) -> Manifest:
    """Read a folder's manifest, which names only files of that folder, or raise `DataError`."""
    path = folder / MANIFEST
    try:
        values = json.loads(read_small(path, _MAX_BYTES))
    except OSError as error:
        fault = f"{path} cannot be read: {error.strerror}."
        raise DataError(fault, "Name a folder that `distilbert prepare` made.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON: {error}.", _AGAIN) from error
    version = values.get("format_version") if isinstance(values, dict) else None
    if version != FORMAT_VERSION:
        fault = f"{path} has format_version {version!r:.60}; this release reads {FORMAT_VERSION}."
        raise DataError(fault, _AGAIN)
    try:
        return _parse(values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} is not a corpus's manifest: {error!r:.200}.", _AGAIN) from error


def _parse(values: dict[str, Any]) -> Manifest:
    shards = tuple(Shard(**shard) for shard in values["shards"])
    for number, shard in enumerate(shards):
        if tuple(shard.files) != shard_files(number):
            raise ValueError(f"shard {number} has the files {', '.join(shard.files)}")
        if min(shard.rows, shard.texts, shard.tokens) < 0:
            raise ValueError(f"shard {number} has fewer than no texts or tokens")
    if strangers := [name for name in values["tokenizer"] if "/" in name or "\\" in name or name == ".."]:
        raise ValueError(f"{strangers[0]!r:.60} cannot lie in the tokenizer's folder")
    sources = tuple(Source(**source) for source in values["corpus"])
    vocabulary = Vocabulary(**values["vocabulary"])
    return Manifest(**{**values, "corpus": sources, "vocabulary": vocabulary, "shards": shards})
