"""A name -> a local folder: a path, an embedded model, or a model in the local Hugging Face cache."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from distilbert.errors import ModelNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

EMBEDDED = Path(__file__).parent.parent / "embedded"

# A model's name on the hub: "name" or "owner/name".
_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


def resolve(name: str | os.PathLike[str]) -> Path:
    """The folder that `name` means: what is on disk first, then what is embedded, then the Hugging Face cache.

    Raises `ModelNotFoundError`, which lists the embedded models.
    """
    path, text = Path(name), os.fspath(name)
    if text and _is(path, Path.is_dir):
        return path
    if text and _is(path, Path.exists):
        raise ModelNotFoundError(
            f"{text} is a file, and a model is a folder with a config.json.", "Name the folder it lies in."
        )
    if text in embedded_models():
        return EMBEDDED / text
    if _HUB_NAME.fullmatch(text) and (cached := _in_hugging_face_cache(text)):
        return cached
    raise ModelNotFoundError(
        f"{text!r} is no folder here, no embedded model ({', '.join(embedded_models())}) and not in the local "
        "Hugging Face cache.",
        "Check the spelling, or download the model and name its folder; nothing is downloaded by itself.",
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


def _in_hugging_face_cache(name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(name, "config.json")
    except HFValidationError:  # a name that no model on the hub can have
        return None
    return Path(config).parent if isinstance(config, str) else None
