"""A name -> a local folder: a path, an embedded model, or a model on the hub, downloaded where it must be."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from distilbert.errors import ModelNotFoundError, OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

EMBEDDED = Path(__file__).parent.parent / "embedded"

# The files that a tokenizer may be in.
TOKENIZER = (
    "tokenizer_config.json",
    "tokenizer.json",
    "vocab.txt",
    "special_tokens_map.json",
    "added_tokens.json",
)

# A model's name on the hub: "name" or "owner/name".
_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", re.ASCII)


def resolve(name: str | os.PathLike[str], *, revision: str | None = None, weights: bool = True) -> Path:
    """The folder that `name` means: what is on disk first, then what is embedded, then what is on the hub.

    Of a hub's model the files that are needed are downloaded into the Hugging Face cache: the tokenizer's and, with
    `weights`, those that run it. `revision`: a branch, tag or commit of it, by default its main branch.
    Raises `ModelNotFoundError`, which lists the embedded models, `HubError`, `StorageError` for a cache that cannot
    be written, and `OptionError` for a `revision` of something that has none.
    """
    path, text = Path(name), os.fspath(name)
    if text and _is(path, Path.is_dir):
        return _without_revision(path, revision)
    if text and _is(path, Path.exists):
        raise ModelNotFoundError(
            f"{text} is a file, and a model is a folder with a config.json.", "Name the folder it lies in."
        )
    if text in embedded_models():
        return _without_revision(EMBEDDED / text, revision)
    if _HUB_NAME.fullmatch(text):
        from distilbert.files.download import download

        return download(text, revision or "main", weights=weights)
    raise ModelNotFoundError(
        f"{text!r} is no folder here, no embedded model ({', '.join(embedded_models())}) and no name that a model "
        "on the hub can have.",
        "Check the spelling.",
    )


def embedded_models() -> list[str]:
    """The names of the models that the package ships."""
    return sorted(manifest.parent.name for manifest in EMBEDDED.glob("*/bundle.json"))


def _is(path: Path, kind: Callable[[Path], bool]) -> bool:
    """Whether it is there and of that kind; a name that no file can have, or may not be looked at, is not."""
    try:
        return kind(path)
    except OSError:
        return False


def _without_revision(folder: Path, revision: str | None) -> Path:
    if revision is not None:
        raise OptionError(
            f"revision is {revision!r}, but {folder.name} is a folder or an embedded model, which has none.",
            "Leave revision out, or name a model on the hub as owner/name.",
        )
    return folder
