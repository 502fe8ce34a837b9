"""A tokenizer's files: a folder becomes a `tokenizers.Tokenizer` and its settings, and these become a folder again.

`tokenizer.json` is read where there is one; otherwise BERT's tokenizer is built from `vocab.txt`. Whatever the files
name must be there. Nothing is made up in silence: an id that the model never saw is a wrong answer, not an error.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from distilbert.errors import OptionError, StorageError, TokenizerError
from distilbert.files.atomic import atomic_file
from distilbert.files.reading import next_step, read_small
from distilbert.text.tokenizer_json import parse_tokenizer

if TYPE_CHECKING:
    import os

TOKENIZER_FILE = "tokenizer.json"
VOCABULARY_FILE = "vocab.txt"
CONFIG_FILE = "tokenizer_config.json"

# The names under which Hugging Face's versions have saved BERT's WordPiece tokenizer; None: not said.
WORDPIECE_CLASSES = (
    "DistilBertTokenizer",
    "DistilBertTokenizerFast",
    "BertTokenizer",
    "BertTokenizerFast",
    "TokenizersBackend",
    "PreTrainedTokenizerFast",
    None,
)
# In the order in which Hugging Face lists them, and adds them to a vocabulary.
SPECIAL_ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
DISTILBERT_INPUTS = ("input_ids", "attention_mask")
BERT_INPUTS = ("input_ids", "token_type_ids", "attention_mask")
MAX_BYTES = 8 * 2**20  # a tokenizer.json of half a million entries takes 140 MB of memory
MAX_ENTRIES = 600_000
NO_LIMIT = int(1e30)  # Hugging Face's number for "no greatest length"
LARGEST_LIMIT = int(1e20)  # what is above it means NO_LIMIT

_LARGEST_ID = 1 << 20  # writing a vocabulary takes memory for every id, used or not

# A setting -> the attribute of `BertNormalizer` that it sets.
_NORMALIZER = {
    "do_lower_case": "lowercase",
    "tokenize_chinese_chars": "handle_chinese_chars",
    "strip_accents": "strip_accents",
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a tokenizer can be told, under the names of `tokenizer_config.json`. A bad value raises `OptionError`.

    `do_lower_case`, `tokenize_chinese_chars` and `strip_accents` set BERT's normalizer. None: nobody said, so
    `tokenizer.json` decides, and beside a bare vocabulary BERT's defaults do (lower case, Chinese characters apart,
    accents stripped where lower-cased). A special token that is None does not exist.
    """

    do_lower_case: bool | None = None
    tokenize_chinese_chars: bool | None = None
    strip_accents: bool | None = None
    bos_token: str | None = None
    eos_token: str | None = None
    unk_token: str = "[UNK]"
    sep_token: str | None = "[SEP]"
    pad_token: str | None = "[PAD]"
    cls_token: str | None = "[CLS]"
    mask_token: str | None = "[MASK]"
    extra_special_tokens: tuple[str, ...] = ()
    model_max_length: int = NO_LIMIT  # tokens, special ones included
    model_input_names: tuple[str, ...] = DISTILBERT_INPUTS
    padding_side: str = "right"
    truncation_side: str = "right"
    clean_up_tokenization_spaces: bool = False

    def __post_init__(self) -> None:
        for setting in dataclasses.fields(self):
            value = getattr(self, setting.name)
            wanted, fits = _SIDE if setting.name.endswith("_side") else _KINDS[str(setting.type)]
            if not fits(value):
                raise OptionError(
                    f"{setting.name} must be {wanted}, not {value!r}.", "Leave it out for the default."
                )

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Settings:
        """Settings from JSON's values or a caller's keywords; an unknown name raises `OptionError`."""
        known = {setting.name for setting in dataclasses.fields(cls)}
        if unknown := sorted(options.keys() - known):
            raise OptionError(
                f"A tokenizer has no setting {unknown[0]!r}.", f"It has {', '.join(sorted(known))}."
            )
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in options.items()
        }
        limit = values.get("model_max_length")
        if limit is None or (isinstance(limit, int | float) and limit > LARGEST_LIMIT):
            values["model_max_length"] = NO_LIMIT
        return cls(**values)

    @property
    def special_tokens(self) -> dict[str, str]:
        """Role -> token, of the roles that this tokenizer has."""
        roles = {role: getattr(self, role) for role in SPECIAL_ROLES}
        return {role: token for role, token in roles.items() if token is not None}


def _is_names(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(name, str) and _is_unicode(name) for name in value)


def _is_token(value: object) -> bool:
    return isinstance(value, str) and value != "" and _is_unicode(value)


def _is_unicode(value: str) -> bool:
    """Whether it has no half of a surrogate pair, which JSON can write and UTF-8 cannot."""
    return not any("\ud800" <= char <= "\udfff" for char in value)


# A field's annotation -> what to call it, and whether a value is one.
_KINDS: Mapping[str, tuple[str, Any]] = {
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "bool | None": ("true, false or nothing", lambda value: value is None or isinstance(value, bool)),
    "str | None": ("a token or nothing", lambda value: value is None or _is_token(value)),
    "str": ("a token", _is_token),
    "int": ("a whole number above 0", lambda value: type(value) is int and value > 0),
    "tuple[str, ...]": ("a list of strings", _is_names),
}
_SIDE = ("'left' or 'right'", lambda value: value in ("left", "right"))


def read_folder(folder: Path, options: Mapping[str, Any]) -> tuple[Tokenizer, Settings]:
    """Read a checkpoint's tokenizer; `options` win over its files. Raises `TokenizerError` or `OptionError`.

    The tokenizer neither cuts nor pads by itself, whatever `tokenizer.json` says: the settings' limit holds.
    """
    config_path = folder / CONFIG_FILE
    config = _read_json(config_path)
    _refuse_other_family(config.get("tokenizer_class"), config_path)
    if "added_tokens_decoder" not in config:  # as Hugging Face has it: the older files count only without it
        config |= _read_json(folder / "special_tokens_map.json")
    written = _known_options(config)
    written.setdefault("model_input_names", _input_names(folder))
    try:
        Settings.of(written)
    except OptionError as error:
        raise TokenizerError(
            f"{config_path}: {error.fault}", "Correct it, or take the original file."
        ) from error
    settings = Settings.of(written | dict(options))

    if (folder / TOKENIZER_FILE).is_file():
        source = folder / TOKENIZER_FILE
        backend = parse_tokenizer(_read_text(source), source)
        backend.no_truncation()
        backend.no_padding()
    elif (folder / VOCABULARY_FILE).is_file():
        source = folder / VOCABULARY_FILE
        backend = _bert(_read_vocabulary(source))
    else:
        raise TokenizerError(
            f"{folder} has no tokenizer: neither {TOKENIZER_FILE} nor {VOCABULARY_FILE}.",
            "Copy one of them from the model that the checkpoint was made from.",
        )
    _complete(backend, settings, _added_tokens(config, settings, folder), source)
    return backend, settings


def from_vocabulary(
    vocabulary: str | os.PathLike[str] | Mapping[str, int], options: Mapping[str, Any]
) -> tuple[Tokenizer, Settings]:
    """Build BERT's tokenizer from a `vocab.txt` or from token -> id. Raises as `read_folder` does."""
    settings = Settings.of(options)
    if isinstance(vocabulary, Mapping):
        backend, source = _bert(vocabulary), "the vocabulary"
    else:
        backend, source = _bert(_read_vocabulary(Path(vocabulary))), str(vocabulary)
    _complete(backend, settings, [], source)
    return backend, settings


def write_folder(folder: Path, backend: Tokenizer, settings: Settings) -> tuple[Path, ...]:
    """Write `tokenizer.json`, `tokenizer_config.json` and, where its ids have no gap, `vocab.txt`; return their paths.

    Raises `StorageError` where the disk refuses.
    """
    vocabulary = _by_id(backend)
    said = {name: value for name, value in dataclasses.asdict(settings).items() if value not in (None, ())}
    config = dict.fromkeys(SPECIAL_ROLES) | said | {"tokenizer_class": _class_name(backend, settings)}
    if isinstance(backend.normalizer, normalizers.BertNormalizer):
        config |= {
            setting: getattr(backend.normalizer, attribute) for setting, attribute in _NORMALIZER.items()
        }
    texts = {
        TOKENIZER_FILE: backend.to_str(pretty=True),
        CONFIG_FILE: json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False) + "\n",
    }
    if [token_id for token_id, _ in vocabulary] == list(range(len(vocabulary))):
        texts[VOCABULARY_FILE] = "".join(f"{token}\n" for _, token in vocabulary)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be made: {error.strerror}.", "Choose another folder.") from error
    for name, text in texts.items():
        with atomic_file(folder / name) as path:
            path.write_text(text, encoding="utf-8")
    return tuple(folder / name for name in texts)


def _by_id(backend: Tokenizer) -> list[tuple[int, str]]:
    vocabulary = sorted(
        (token_id, token) for token, token_id in backend.get_vocab(with_added_tokens=False).items()
    )
    if vocabulary[-1][0] > _LARGEST_ID:
        token_id, token = vocabulary[-1]
        raise TokenizerError(
            f"{token!r:.60} has the id {token_id:,}, and the largest that can be written is {_LARGEST_ID:,}.",
            "Take the original vocabulary.",
        )
    return vocabulary


def _read_text(path: Path) -> str:
    try:
        return read_small(path, MAX_BYTES).decode("utf-8-sig")
    except OSError as error:
        fault = f"{path} cannot be read: {error.strerror}."
        raise TokenizerError(fault, next_step(error, "Check the path.")) from error
    except UnicodeDecodeError as error:
        fault = f"{path} is not UTF-8: byte {error.object[error.start]:#04x} at {error.start}."
        raise TokenizerError(fault, "Take the original file, or convert it to UTF-8.") from error


def _read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`; an empty one where there is no such file."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(_read_text(path))
    except (ValueError, RecursionError) as error:
        raise TokenizerError(f"{path} is not JSON: {error}.", "Take the original file.") from error
    if not isinstance(content, dict):
        raise TokenizerError(
            f"{path} must hold a JSON object, not {type(content).__name__}.", "Take the original file."
        )
    return content


def _refuse_other_family(tokenizer_class: object, path: Path) -> None:
    if tokenizer_class not in WORDPIECE_CLASSES:
        raise TokenizerError(
            f"{path} asks for a {tokenizer_class!r:.60}; only BERT's WordPiece tokenizers are read here.",
            f"Take a checkpoint of the family of {WORDPIECE_CLASSES[0]}.",
        )


def _known_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """What `Settings` knows of a `tokenizer_config.json`, with older names and tokens written as objects undone."""
    older = {"model_max_length": "max_len", "extra_special_tokens": "additional_special_tokens"}
    options: dict[str, Any] = {}
    for setting in dataclasses.fields(Settings):
        value = _content(config.get(setting.name, config.get(older.get(setting.name, ""))))
        if value is not None or (setting.name in SPECIAL_ROLES and setting.name in config):
            options[setting.name] = value
    return options


def _content(value: Any) -> Any:
    """A token that is written as an object; the tokens of a list, or of Hugging Face's name -> token."""
    if isinstance(value, dict) and "content" not in value:
        value = list(value.values())
    if isinstance(value, list):
        return [_content(token) for token in value]
    return value["content"] if isinstance(value, dict) else value


def _input_names(folder: Path) -> tuple[str, ...]:
    """Which arrays the model beside the tokenizer takes: BERT's has token types, DistilBERT's has not."""
    return (
        BERT_INPUTS if _read_json(folder / "config.json").get("model_type") == "bert" else DISTILBERT_INPUTS
    )


def _read_vocabulary(path: Path) -> dict[str, int]:
    """One token a line, whose id is the number of lines above it."""
    text = _read_text(path).rstrip("\r\n")
    if text.count("\n") >= MAX_ENTRIES:
        fault = f"{path} has {text.count(chr(10)) + 1:,} lines, and {MAX_ENTRIES:,} are the most."
        raise TokenizerError(fault, "Take the original file.")
    lines = [line.rstrip() or line for line in text.split("\n")]
    token, times = Counter(lines).most_common(1)[0]
    if times > 1:
        fault = f"{path} has {token!r} {times} times; each entry must be there once."
        raise TokenizerError(fault, "Take the original file.")
    return {token: token_id for token_id, token in enumerate(lines) if lines != [""]}


def _bert(vocabulary: Mapping[str, int]) -> Tokenizer:
    """BERT's tokenizer over token -> id, but for the special tokens and what `Settings` changes."""
    backend = Tokenizer(WordPiece(dict(vocabulary)))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return backend


def _added_tokens(
    config: Mapping[str, Any], settings: Settings, folder: Path
) -> list[tuple[int | None, AddedToken]]:
    """The tokens that the older files add to the vocabulary or describe, each with the id they promise, if any."""
    specials = [config[role] for role in SPECIAL_ROLES if isinstance(config.get(role), dict)]
    try:
        if "added_tokens_decoder" in config:
            promised = [(int(token_id), token) for token_id, token in config["added_tokens_decoder"].items()]
        else:
            special = (*settings.special_tokens.values(), *settings.extra_special_tokens)
            older = _read_json(folder / "added_tokens.json").items()
            promised = [
                (token_id, {"content": token, "special": token in special}) for token, token_id in older
            ]
        promised.sort(key=lambda entry: entry[0])
        return [
            *((token_id, _added_token(token)) for token_id, token in promised),
            *((None, _added_token(token | {"special": True})) for token in specials),
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        fault = (
            f"{folder / CONFIG_FILE} has added tokens that make no sense ({type(error).__name__}: {error})."
        )
        raise TokenizerError(fault, "Take the original file.") from error


def _added_token(token: Mapping[str, Any]) -> AddedToken:
    flags = ("special", "normalized", "lstrip", "rstrip", "single_word")
    return AddedToken(token["content"], **{flag: token[flag] for flag in flags if flag in token})


def _complete(
    backend: Tokenizer, settings: Settings, added: list[tuple[int | None, AddedToken]], source: object
) -> None:
    """What every way of reading ends with: normalizer, added and special tokens, template and decoder."""
    if not backend.get_vocab_size(with_added_tokens=False):
        raise TokenizerError(f"{source} holds no vocabulary: it is empty.", "Take the original file.")
    if isinstance(backend.normalizer, normalizers.BertNormalizer):
        for setting, attribute in _NORMALIZER.items():
            if getattr(settings, setting) is not None:
                setattr(backend.normalizer, attribute, getattr(settings, setting))
    backend.model.unk_token = settings.unk_token

    _add(backend, [token for token_id, token in added if token_id is not None])
    for token_id, token in added:
        if token_id not in (None, backend.token_to_id(token.content)):
            fault = f"{source} gives {token.content!r} the id {backend.token_to_id(token.content)}, not {token_id}"
            raise TokenizerError(f"{fault} as {CONFIG_FILE} says.", "Take both files from one model.")
    for role, special in settings.special_tokens.items():
        if backend.token_to_id(special) is None:
            raise TokenizerError(
                f"{source} has no entry {special!r}, the {role}.",
                f"Take the vocabulary that the model was trained with, or give its {role} by name.",
            )
    _add(backend, [token for token_id, token in added if token_id is None])
    specials = (*settings.special_tokens.values(), *settings.extra_special_tokens)
    _add(backend, [AddedToken(special, special=True) for special in specials])

    backend.post_processor = backend.post_processor or _template(backend, settings)
    backend.decoder = backend.decoder or decoders.WordPiece(prefix="##")


def _add(backend: Tokenizer, tokens: list[AddedToken]) -> None:
    present = {token.content for token in backend.get_added_tokens_decoder().values()}
    backend.add_tokens([token for token in tokens if token.content not in present])


def _template(backend: Tokenizer, settings: Settings) -> processors.TemplateProcessing:
    """[CLS] first [SEP] second [SEP], with token types 0 0 0 1 1."""
    first, last = settings.cls_token, settings.sep_token
    if first is None or last is None:
        raise TokenizerError(
            "BERT's template needs a cls_token and a sep_token; one is missing.", "Name both."
        )
    return processors.TemplateProcessing(
        single=f"{first}:0 $A:0 {last}:0",
        pair=f"{first}:0 $A:0 {last}:0 $B:1 {last}:1",
        special_tokens=[(token, backend.token_to_id(token)) for token in (first, last)],
    )


def _class_name(backend: Tokenizer, settings: Settings) -> str:
    """The class under which Hugging Face reads this tokenizer back equal: BERT's own are rebuilt from the settings,
    so any other normalizer needs the generic class, which takes `tokenizer.json` at its word.
    """
    parts = (backend.normalizer, backend.pre_tokenizer, backend.decoder)
    own = (normalizers.BertNormalizer, pre_tokenizers.BertPreTokenizer, decoders.WordPiece)
    if not all(isinstance(part, kind) for part, kind in zip(parts, own, strict=True)):
        return "PreTrainedTokenizerFast"
    return "BertTokenizer" if "token_type_ids" in settings.model_input_names else "DistilBertTokenizer"
