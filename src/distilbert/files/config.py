"""`config.json`: Hugging Face's spelling outside, one frozen dataclass inside, for DistilBERT and BERT.

A table says what each family calls a field, so both spellings are read and the family's own is written.
Nothing is guessed: every fault of a file is named, all in one error, and unknown keys survive a round trip.
"""

import copy
import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn, Self

from distilbert.errors import ConfigError
from distilbert.files.reading import next_step, read_small

ModelType = Literal["distilbert", "bert"]
ProblemType = Literal["regression", "single_label_classification", "multi_label_classification"]

PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")

# Hugging Face's names of activations (transformers.activations.ACT2CLS) -> the formula they stand for.
ACTIVATIONS: Mapping[str, Literal["gelu", "gelu_tanh", "relu", "silu"]] = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}

MAX_CONFIG_BYTES = 4 * 2**20  # tens of thousands of labels; JSON takes thirty times as much in memory


@dataclass(frozen=True, kw_only=True)
class DistilBertConfig:
    """The sizes and habits of one DistilBERT or BERT. Raises `ConfigError` when they cannot be true together.

    >>> config = DistilBertConfig(dim=384, n_heads=12, hidden_dim=1536, labels=("NEGATIVE", "POSITIVE"))
    >>> config.head_dim, config.id2label
    (32, {0: 'NEGATIVE', 1: 'POSITIVE'})
    >>> DistilBertConfig.from_dict({"model_type": "bert", "hidden_size": 384}).dim
    384
    """

    model_type: ModelType = "distilbert"
    vocab_size: int = 30522
    max_position_embeddings: int = 512
    type_vocab_size: int = 0  # rows of BERT's token-type table; 0: there is none (DistilBERT)
    dim: int = 768
    n_layers: int = 6
    n_heads: int = 12
    hidden_dim: int = 3072
    activation: str = "gelu"  # a key of ACTIVATIONS
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    sinusoidal_pos_embds: bool = False
    dropout: float = 0.1
    attention_dropout: float = 0.1
    seq_classif_dropout: float | None = 0.2  # BERT's classifier_dropout, where None means `dropout`
    qa_dropout: float = 0.1
    initializer_range: float = 0.02
    architectures: tuple[str, ...] = ()
    problem_type: ProblemType | None = None
    labels: tuple[str, ...] = ("LABEL_0", "LABEL_1")  # in the order of the logits
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)  # keys we do not know, kept

    def __post_init__(self) -> None:
        _check_model_type(self.model_type, "DistilBertConfig")
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        _raise_faults("DistilBertConfig", _field_faults(values, {}), "Correct these arguments.")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = "config.json") -> Self:
        """Read Hugging Face's keys, in either family's spelling. Raises one `ConfigError` with all faults."""
        if not isinstance(values, Mapping):
            raise ConfigError(f"{source} holds {_shown(values)}, not a JSON object.", _NEXT_STEP)
        model_type = values.get("model_type", "")
        _check_model_type(model_type, source)
        extra = {str(key): value for key, value in values.items() if key not in _READ_KEYS}
        fields, spelling, faults = _read_fields(values, model_type, extra)
        faults += _forbidden_faults(extra)
        labels, label_faults = _read_labels(values)
        fields |= {"labels": labels, "extra": extra, "model_type": model_type}
        _raise_faults(source, faults + label_faults + _field_faults(fields, spelling), _NEXT_STEP)
        return cls(**fields)

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """Read `folder/config.json`; one `ConfigError` when it is missing, unreadable or wrong."""
        path = Path(folder) / "config.json"
        return cls.from_dict(_read_json(path), source=str(path))

    def to_dict(self) -> dict[str, Any]:
        """Return the keys of `config.json` in the family's own spelling, with those we do not know."""
        column = _COLUMN[self.model_type]
        known = {row[column]: getattr(self, row.field) for row in _ROWS if row[column]}
        known["architectures"] = list(self.architectures) or None
        known["id2label"] = {str(i): label for i, label in enumerate(self.labels)}
        known["label2id"] = self.label2id
        return {**copy.deepcopy(dict(self.extra)), **known, "model_type": self.model_type}

    def save(self, folder: Path) -> None:
        """Write `folder/config.json`, whole or not at all. Raises `StorageError` when it cannot."""
        from distilbert.files.atomic import atomic_file

        with atomic_file(Path(folder) / "config.json") as path:
            path.write_text(json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n", encoding="utf-8")

    def saved_as(self, dtype: str) -> Self:
        """Return the config to save beside weights of this type, such as "float32": transformers loads them as such."""
        extra = {key: value for key, value in self.extra.items() if key != "torch_dtype"}  # its old name
        return dataclasses.replace(self, extra={**extra, "dtype": dtype})

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.n_heads

    @property
    def ties_words(self) -> bool:
        """Whether a language model's projection is the word embeddings again, as it is unless the config denies it."""
        return bool(self.extra.get("tie_word_embeddings", True))

    @property
    def num_labels(self) -> int:
        """How many logits a classifier has."""
        return len(self.labels)

    @property
    def id2label(self) -> dict[int, str]:
        """The logit's index -> its label."""
        return dict(enumerate(self.labels))

    @property
    def label2id(self) -> dict[str, int]:
        """The label -> its logit's index."""
        return {label: i for i, label in enumerate(self.labels)}


class _Row(NamedTuple):
    """One field: each family's key for it in `config.json` ("" where it has no such thing), its rule."""

    field: str
    distilbert: str
    bert: str
    rule: str


_ROWS = (
    _Row("vocab_size", "vocab_size", "vocab_size", "size"),
    _Row("max_position_embeddings", "max_position_embeddings", "max_position_embeddings", "size"),
    _Row("type_vocab_size", "", "type_vocab_size", "size or 0"),
    _Row("dim", "dim", "hidden_size", "size"),
    _Row("n_layers", "n_layers", "num_hidden_layers", "layers"),
    _Row("n_heads", "n_heads", "num_attention_heads", "size"),
    _Row("hidden_dim", "hidden_dim", "intermediate_size", "size"),
    _Row("activation", "activation", "hidden_act", "activation"),
    _Row("layer_norm_eps", "", "layer_norm_eps", "rate"),
    _Row("pad_token_id", "pad_token_id", "pad_token_id", "token id"),
    _Row("sinusoidal_pos_embds", "sinusoidal_pos_embds", "", "flag"),
    _Row("dropout", "dropout", "hidden_dropout_prob", "rate"),
    _Row("attention_dropout", "attention_dropout", "attention_probs_dropout_prob", "rate"),
    _Row("seq_classif_dropout", "seq_classif_dropout", "classifier_dropout", "rate or null"),
    _Row("qa_dropout", "qa_dropout", "", "rate"),
    _Row("initializer_range", "initializer_range", "initializer_range", "number"),
    _Row("architectures", "architectures", "architectures", "names"),
    _Row("problem_type", "problem_type", "problem_type", "problem type"),
)
_COLUMN = {"distilbert": 1, "bert": 2}

# Where a key is absent, transformers' own defaults count; these differ from the dataclass's.
_FAMILY_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "distilbert": {},
    "bert": {"n_layers": 12, "type_vocab_size": 2, "seq_classif_dropout": None},
}
_LABEL_KEYS = ("id2label", "label2id", "num_labels")
_READ_KEYS = {"model_type", *_LABEL_KEYS, *(name for row in _ROWS for name in row[1:3] if name)}

# Keys that would change what the model computes, and the one value under which they do not.
_HARMLESS_VALUES: Mapping[str, Any] = {
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "is_encoder_decoder": False,
    "add_cross_attention": False,
    "pruned_heads": {},
    "quantization_config": None,
}

_NEXT_STEP = "Correct the file, or take the config.json that was saved with the weights."


def _read_fields(
    values: Mapping[str, Any], model_type: str, extra: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """-> (field: value), (field: its key in the file), faults. The other family's own goes to `extra`."""
    fields: dict[str, Any] = dict(_FAMILY_DEFAULTS[model_type])
    spelling: dict[str, str] = {}
    faults = []
    column = _COLUMN[model_type]
    for row in _ROWS:
        names = [name for name in dict.fromkeys((row[column], row[3 - column])) if name in values]
        if not row[column]:  # transformers ignores it too, whatever it says
            extra |= {name: values[name] for name in names}
        elif names:
            spelling[row.field], fields[row.field] = names[0], values[names[0]]
            if len(names) == 1 or values[names[0]] == values[names[1]]:
                continue
            if row.rule.startswith("rate"):  # of training only: transformers ignores the second name too
                extra[names[1]] = values[names[1]]
            else:
                seen = " but ".join(f"{name} is {_shown(values[name])}" for name in names)
                faults.append(f"{seen}: two names of one thing")
    if isinstance(fields.get("architectures", []), list | tuple | None):
        fields["architectures"] = tuple(fields.get("architectures") or ())
    return fields, spelling, faults


def _forbidden_faults(extra: Mapping[str, Any]) -> list[str]:
    return [
        f"{key} is {_shown(extra[key])}: only {_shown(harmless)} is supported"
        for key, harmless in _HARMLESS_VALUES.items()
        if key in extra and extra[key] is not None and extra[key] != harmless
    ]


def _read_labels(values: Mapping[str, Any]) -> tuple[tuple[str, ...], list[str]]:
    """-> labels in the order of the logits, from id2label or, without it, from num_labels; and faults."""
    default = DistilBertConfig.labels
    id2label, num_labels = values.get("id2label"), values.get("num_labels")
    rule = _RULES["labels"]
    if not rule.holds(num_labels):
        return default, [f"num_labels must be {rule.wording}, not {_shown(num_labels)}"]
    if id2label is None:
        labels = default if num_labels is None else tuple(f"LABEL_{i}" for i in range(num_labels))
        return labels, _label2id_faults(values.get("label2id"), labels)
    if not isinstance(id2label, Mapping) or not id2label:
        return default, [f"id2label must map ids to labels, not be {_shown(id2label)}"]
    by_id = {str(key): label for key, label in id2label.items()}
    if set(by_id) != {str(i) for i in range(len(id2label))}:
        return default, [f"id2label must have the ids 0 to {len(id2label) - 1}, not {_shown(list(by_id))}"]
    labels = tuple(by_id[str(i)] for i in range(len(by_id)))
    if num_labels not in (None, len(labels)):
        return default, [f"num_labels is {num_labels}, but id2label has {len(labels)} labels"]
    return labels, _label2id_faults(values.get("label2id"), labels)


def _label2id_faults(label2id: object, labels: tuple[str, ...]) -> list[str]:
    """Check that label2id is id2label backwards, or the LABEL_0, LABEL_1 that transformers leaves behind."""
    if label2id is None:
        return []
    if not isinstance(label2id, Mapping):
        return [f"label2id must map labels to ids, not be {_shown(label2id)}"]
    seen = {str(label): str(i) for label, i in label2id.items()}
    asked = {str(label): str(i) for i, label in enumerate(labels)}
    if seen == asked or all(label == f"LABEL_{i}" for label, i in seen.items()):
        return []
    return [f"label2id is {_shown(label2id)}, but id2label makes it {_shown(asked)}"]


def _field_faults(values: Mapping[str, Any], spelling: Mapping[str, str]) -> list[str]:
    """Say what is wrong with the fields, each named as it is spelled in the file."""
    defaults = {f.name: f.default for f in dataclasses.fields(DistilBertConfig)}
    known = {**defaults, **values}
    column = _COLUMN[known["model_type"]]
    faults = []
    for row in _ROWS:
        name, value = spelling.get(row.field, row.field), known[row.field]
        rule = _RULES[row.rule]
        if not rule.holds(value):
            faults.append(f"{name} must be {rule.wording}, not {_shown(value)}")
        elif not row[column] and value != defaults[row.field]:
            faults.append(f"{name} is {_shown(value)}, but a {known['model_type']} model has no such setting")
    return faults + _label_faults(known["labels"]) + ([] if faults else _pair_faults(known, spelling))


def _label_faults(labels: object) -> list[str]:
    if not isinstance(labels, tuple) or not labels:
        return [f"labels must be a tuple of at least one label, not {_shown(labels)}"]
    wrong = next((label for label in labels if not _is_text(label)), None)
    if wrong is not None:
        return [f"labels must be text, not {_shown(wrong)}"]
    if len(set(labels)) < len(labels):
        return [f"labels must differ, but {_shown(Counter(labels).most_common(1)[0][0])} is there twice"]
    return []


def _pair_faults(values: Mapping[str, Any], spelling: Mapping[str, str]) -> list[str]:
    """Fields that are well made alone and cannot be true together."""

    def named(field_name: str) -> str:
        return f"{spelling.get(field_name, field_name)} {values[field_name]}"

    faults = []
    if values["dim"] % values["n_heads"]:
        faults.append(f"{named('dim')} cannot be divided into {named('n_heads')}")
    if values["pad_token_id"] is not None and values["pad_token_id"] >= values["vocab_size"]:
        faults.append(f"{named('pad_token_id')} lies outside {named('vocab_size')}")
    if values["problem_type"] == "single_label_classification" and len(values["labels"]) == 1:
        faults.append("problem_type 'single_label_classification' needs two labels or more, not 1")
    return faults


class _Rule(NamedTuple):
    wording: str
    kind: Literal["int", "float", "flag", "choice", "names"]
    low: float = 0
    high: float = 0
    choices: tuple[str, ...] = ()
    null: bool = False

    def holds(self, value: object) -> bool:
        if value is None:
            return self.null
        if self.kind == "names":
            return isinstance(value, tuple) and all(isinstance(name, str) for name in value)
        if self.kind == "choice":
            return isinstance(value, str) and value in self.choices
        if self.kind == "flag":
            return isinstance(value, bool)
        if isinstance(value, bool) or not isinstance(value, int if self.kind == "int" else (int, float)):
            return False
        return self.low <= value <= self.high


_MAX_SIZE = 2**31 - 1
_LISTED = ", ".join(PROBLEM_TYPES)
_RULES = {
    "size": _Rule(f"a whole number from 1 to {_MAX_SIZE}", "int", 1, _MAX_SIZE),
    "size or 0": _Rule(f"a whole number from 0 to {_MAX_SIZE}", "int", 0, _MAX_SIZE),
    "token id": _Rule("null or a whole number from 0", "int", 0, _MAX_SIZE, null=True),
    # num_labels alone makes that many names, so it is bounded before they are made
    "labels": _Rule("a whole number from 1 to 1000000", "int", 1, 10**6, null=True),
    "layers": _Rule("a whole number from 1 to 1000", "int", 1, 1000),
    "rate": _Rule("a number from 0 to 1", "float", 0, 1),
    "rate or null": _Rule("null or a number from 0 to 1", "float", 0, 1, null=True),
    "number": _Rule("a finite number from 0", "float", 0, sys.float_info.max),
    "flag": _Rule("true or false", "flag"),
    "activation": _Rule(f"one of {', '.join(ACTIVATIONS)}", "choice", choices=tuple(ACTIVATIONS)),
    "problem type": _Rule(f"null or one of {_LISTED}", "choice", choices=PROBLEM_TYPES, null=True),
    "names": _Rule("a list of class names", "names"),
}


def _is_text(value: object) -> bool:
    """Whether it is a string that can be printed and written: half a surrogate pair cannot."""
    return isinstance(value, str) and not any("\ud800" <= char <= "\udfff" for char in value)


def _shown(value: object) -> str:
    """Show a value inside a message: as Python writes it, cut at 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _raise_faults(source: str, faults: list[str], next_step: str) -> None:
    if faults:
        raise ConfigError(f"{source}: {'; '.join(faults)}.", next_step)


def _check_model_type(model_type: object, source: str) -> None:
    if not isinstance(model_type, str) or model_type not in _FAMILY_DEFAULTS:
        raise ConfigError(
            f"{source}: model_type is {_shown(model_type)}, and only 'distilbert' and 'bert' are supported.",
            "Name a DistilBERT or BERT checkpoint.",
        )


def _read_json(path: Path) -> Any:
    """Read strict JSON: no NaN, no number that overflows."""
    try:
        data = read_small(path, MAX_CONFIG_BYTES)
    except FileNotFoundError:
        raise ConfigError(
            f"{path.parent} has no config.json.", "Name one that save_pretrained wrote."
        ) from None
    except OSError as error:
        fault = f"{path} cannot be read: {error.strerror}."
        raise ConfigError(fault, next_step(error, _NEXT_STEP)) from None
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse_number, parse_float=_finite)
    except UnicodeDecodeError as error:
        fault = f"{path} is not UTF-8: byte {error.start} is {data[error.start]:#04x}."
    except RecursionError:
        fault = f"{path} is nested too deeply."
    except ValueError as error:
        fault = f"{path} is not valid JSON: {error}."
    raise ConfigError(fault, _NEXT_STEP)


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"{text[:40]} is not a finite number")


def _finite(text: str) -> float:
    number = float(text)
    return number if abs(number) <= sys.float_info.max else _refuse_number(text)
