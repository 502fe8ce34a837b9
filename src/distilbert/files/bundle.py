"""A bundle is what we run: a folder with a graph, a tokenizer, a card, and `bundle.json`, which vouches for them.

Its layout is also transformers.js's: `config.json`, `tokenizer.json`, `onnx/model.onnx` (float32) or
`onnx/model_quantized.onnx` (int8). Nothing in it is code. `bundle.json` holds each file's size and SHA-256, the
gate's figures per engine, and probes: texts with the answers they must get.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from distilbert.errors import BundleError
from distilbert.files.cache import known_sha256, sha256
from distilbert.files.reading import checked_size, next_step, read_small

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MANIFEST = "bundle.json"
FORMAT_VERSION = 1
Precision = Literal["fp32", "int8"]
GRAPHS: dict[str, str] = {"fp32": "onnx/model.onnx", "int8": "onnx/model_quantized.onnx"}

_MAX_MANIFEST_BYTES = 4 * 2**20  # of a language model, whose probes are the longest, 0.4
_LONGEST_NAME = 255
_INSTALL_AGAIN = "Compile, install or download the bundle again."


@dataclass(frozen=True)
class FileRecord:
    """What a file of the bundle must be: its size in bytes and its SHA-256 in hexadecimal."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Probe:
    """A text, its answer in float32 and, in an int8 bundle, in int8: `compile.probes.answer_one`.

    `elsewhere` are the int8 answers of other engines than ONNX Runtime on which it was let through, by their names.
    """

    text: str
    float32: list[float]
    int8: list[float] | None = None
    elsewhere: Mapping[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """`bundle.json`. `gate` has a row of figures for each engine on which int8 was let through."""

    task: str
    precision: Precision
    made_by: Mapping[str, str]
    probes: list[Probe]
    gate: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    int8: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk whose manifest was read."""

    folder: Path
    manifest: Manifest

    @property
    def graph(self) -> Path:
        """The ONNX file to run."""
        return self.folder / GRAPHS[self.manifest.precision]


def is_bundle(folder: Path) -> bool:
    """Whether the folder has a `bundle.json`."""
    return (folder / MANIFEST).is_file()


def manifest_sha256(folder: Path) -> str:
    """What tells a bundle from all others: the SHA-256 of its `bundle.json`, which holds those of its files."""
    return sha256(folder / MANIFEST)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Take stock of the files in `folder` and write its `bundle.json`: the last step of making a bundle."""
    files = {
        path.relative_to(folder).as_posix(): asdict(FileRecord(path.stat().st_size, sha256(path)))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
    text = json.dumps({**asdict(manifest), "files": files}, indent=1, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def open_bundle(folder: Path) -> Bundle:
    """Read a bundle and check its files: all of them when first seen on this machine, then those that changed.

    Raises `BundleError`, which names the file or key at fault.
    """
    return _checked(folder, known_sha256)


def verify_files(folder: Path) -> Bundle:
    """As `open_bundle`, but every byte is read again."""
    return _checked(folder, sha256)


def measure_bundle(folder: Path) -> Bundle:
    """As `open_bundle`, but files are measured and not read: to say what a bundle is, not to run it."""
    return _checked(folder, None)


def _checked(folder: Path, digest: Callable[[Path], str] | None) -> Bundle:
    manifest = read_manifest(folder / MANIFEST)
    for name, record in manifest.files.items():
        _check_file(folder, name, record, digest)
    needed = ("config.json", "tokenizer.json", GRAPHS[manifest.precision])
    if missing := [name for name in needed if name not in manifest.files]:
        raise BundleError(f"{folder / MANIFEST} does not vouch for {', '.join(missing)}.", _INSTALL_AGAIN)
    if strangers := sorted(_read_by_name(folder) - manifest.files.keys() - {MANIFEST}):
        raise BundleError(
            f"{folder} has a file that {MANIFEST} does not vouch for: {strangers[0]}.",
            "Remove it, or do not use it.",
        )
    return Bundle(folder, manifest)


def _read_by_name(folder: Path) -> set[str]:
    """Files that loading would pick up by their names, such as a stray added_tokens.json."""
    return {path.name for path in folder.iterdir() if path.suffix in {".json", ".txt"}}


def _check_file(folder: Path, name: str, record: FileRecord, digest: Callable[[Path], str] | None) -> None:
    path = folder / name
    try:
        size = checked_size(path, folder)
        found = digest(path) if digest and size == record.size else record.sha256
    except OSError as error:
        fault = f"{path} cannot be read: {error.strerror}."
        raise BundleError(fault, next_step(error, _INSTALL_AGAIN)) from error
    if size != record.size:
        raise BundleError(f"{path} has {size} bytes; {MANIFEST} says {record.size}.", _INSTALL_AGAIN)
    if found != record.sha256:
        raise BundleError(
            f"{path} was changed: its SHA-256 is {found[:12]}…, {MANIFEST} says {record.sha256[:12]}….",
            _INSTALL_AGAIN,
        )


def read_manifest(path: Path) -> Manifest:
    """Read a `bundle.json`, which names only files of its own folder, or raise `BundleError`."""
    try:
        values = json.loads(read_small(path, _MAX_MANIFEST_BYTES))
    except OSError as error:
        fault = f"{path} cannot be read: {error.strerror}."
        raise BundleError(fault, next_step(error, "Name a bundle's folder.")) from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is not valid JSON: {error}.", _INSTALL_AGAIN) from error
    version = values.get("format_version") if isinstance(values, dict) else None
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{path} has format_version {version!r:.60}; this release reads {FORMAT_VERSION}.",
            "Compile the bundle again, or use the release of distilbert that wrote it.",
        )
    try:
        manifest = _parse(values)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BundleError(f"{path} is not a bundle's manifest: {error!r}.", _INSTALL_AGAIN) from error
    for name in manifest.files:
        parts = PurePosixPath(name)
        if (
            parts.is_absolute()
            or ".." in parts.parts
            or not name.isprintable()
            or "\\" in name
            or len(name) > _LONGEST_NAME
        ):
            raise BundleError(
                f"{path} names a file that cannot lie in its folder: {name!r:.100}.",
                "Do not use this bundle.",
            )
    return manifest


def _parse(values: dict[str, Any]) -> Manifest:
    files = {name: _record(row) for name, row in values["files"].items()}
    probes = [
        Probe(
            str(row["text"]),
            _floats(row["float32"]),
            None if row["int8"] is None else _floats(row["int8"]),
            {engine: _floats(answer) for engine, answer in row.get("elsewhere", {}).items()},
        )
        for row in values["probes"]
    ]
    if values["precision"] not in GRAPHS:
        raise ValueError(f"precision {values['precision']!r} is none of {', '.join(GRAPHS)}")
    if not isinstance(values.get("gate", {}), dict):
        raise TypeError(f"figures by engine are not {values['gate']!r:.60}")
    return Manifest(**{**values, "files": files, "probes": probes})


def _record(row: Any) -> FileRecord:
    if type(row["size"]) is not int or not re.fullmatch("[0-9a-f]{64}", row["sha256"]):
        raise ValueError(f"a size and a SHA-256 are not {row['size']!r:.60} and {row['sha256']!r:.60}")
    return FileRecord(row["size"], row["sha256"])


def _floats(values: Any) -> list[float]:
    if not isinstance(values, list):
        raise TypeError(f"a list of numbers is not {values!r:.60}")
    return [float(value) for value in values]
