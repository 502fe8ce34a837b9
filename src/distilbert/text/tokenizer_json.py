"""`tokenizer.json` -> a `tokenizers.Tokenizer`, if it is one of BERT's family: only parts that cannot turn on a reader.

The format knows more than that: regexes that take for ever, replacements that make gigabytes of a word, templates
and character maps on which the library panics or aborts.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer
from tokenizers.models import WordPiece

from distilbert.errors import TokenizerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# The parts of a tokenizer.json -> the kinds that are read.
_PARTS: Mapping[str, tuple[str, ...]] = {
    "normalizer": (
        *("BertNormalizer", "Sequence", "NFC", "NFD", "NFKC", "NFKD"),
        *("Lowercase", "StripAccents", "Strip"),
    ),
    "pre_tokenizer": (
        "BertPreTokenizer",
        "Sequence",
        "Whitespace",
        "WhitespaceSplit",
        "Punctuation",
        "Digits",
    ),
    "post_processor": ("TemplateProcessing", "BertProcessing"),
    "decoder": ("WordPiece",),
}
_MOST_STEPS = 20  # of a sequence of such parts
_MOST_SPECIALS = 100  # tokens around a text
_LONGEST_WORD = 1000  # characters; the work to split a word grows with its square
_LONGEST_PREFIX = 100
# The library may abort on a damaged one. JSON can write any letter of its name as \u00XX.
_PRECOMPILED = re.compile(r"recompiled|\\u00[4-7]")
_ORIGINAL = "Take the original file, of a tokenizer of BERT's family."


def parse_tokenizer(text: str, path: Path) -> Tokenizer:
    """Make a tokenizer of the file's text. Raises `TokenizerError`, which names `path`."""
    try:
        if _PRECOMPILED.search(text) and "recompiled" in str(json.loads(text).get("normalizer")):
            raise ValueError("it has a precompiled normalizer")
        backend = Tokenizer.from_str(text)
    except BaseException as error:  # the library raises nothing narrower, and its panics are no Exceptions
        if isinstance(error, KeyboardInterrupt | MemoryError):
            raise
        raise TokenizerError(f"{path} is not a tokenizer: {error}.", _ORIGINAL) from error
    if not isinstance(backend.model, WordPiece):
        raise TokenizerError(
            f"{path} is a {type(backend.model).__name__} tokenizer; only WordPiece, BERT's, is read here.",
            "Take a checkpoint of BERT's family.",
        )
    for fault in _faults(backend):
        raise TokenizerError(f"{path}: {fault}.", _ORIGINAL)
    return backend


def _faults(backend: Tokenizer) -> Iterator[str]:
    for name, known in _PARTS.items():
        part = getattr(backend, name)
        if part is None:
            continue
        stored = json.loads(part.__getstate__())
        kinds = list(_kinds(stored))
        if strange := [kind for kind in kinds if kind not in known]:
            yield f"its {name} is {strange[0]}; read are {', '.join(known)}"
        if len(kinds) > _MOST_STEPS:
            yield f"its {name} has {len(kinds):,} steps, and {_MOST_STEPS} are the most"
        if stored["type"] == "TemplateProcessing":
            yield from _template_faults(stored)
    if (longest := backend.model.max_input_chars_per_word) > _LONGEST_WORD:
        yield f"max_input_chars_per_word is {longest:,}, and {_LONGEST_WORD:,} is the most"
    if (length := len(backend.model.continuing_subword_prefix)) > _LONGEST_PREFIX:
        yield f"continuing_subword_prefix has {length:,} characters, and {_LONGEST_PREFIX} are the most"


def _kinds(part: Mapping[str, Any]) -> Iterator[str]:
    """What a part is, and all parts inside it."""
    yield part["type"]
    for steps in part.values():
        for step in steps if isinstance(steps, list) else ():
            if isinstance(step, dict) and "type" in step:
                yield from _kinds(step)


def _template_faults(template: Mapping[str, Any]) -> Iterator[str]:
    """One text, or two, must be there each once, among a few special tokens, all of which it describes."""
    for form, name, texts in (("single", "one text", ["A"]), ("pair", "a pair", ["A", "B"])):
        found = sorted(piece["Sequence"]["id"] for piece in template[form] if "Sequence" in piece)
        specials = [piece["SpecialToken"]["id"] for piece in template[form] if "SpecialToken" in piece]
        if found != texts:
            holds = ", ".join(found) or "none"
            yield f"its template for {name} must hold {' and '.join(texts)} once, not {holds:.60}"
        if len(specials) > _MOST_SPECIALS:
            yield f"its template has {len(specials):,} special tokens, and {_MOST_SPECIALS} are the most"
        for token in specials:
            if len(template["special_tokens"].get(token, {}).get("ids", ())) != 1:
                yield f"its template does not say which one id {token!r:.60} has"
