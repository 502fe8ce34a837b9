"""A checkpoint's weights -> {canonical name: float32 array}; refuses what is missing or left over.

One table says, for each tensor, its name in either family and its shape in the config's own words. Canonical
names are DistilBERT's, without prefix. The headers are judged whole, by `files.weights` and then by the table,
before an array is allocated; tensors are read one by one, so that memory stays near the result's.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from distilbert.errors import CheckpointError
from distilbert.files.config import DistilBertConfig
from distilbert.files.weights import DTYPES, Stored, listed, read_headers, read_tensor, weights_file

Float32 = npt.NDArray[np.float32]
Head = Literal[
    "none",
    "sequence-classification",
    "token-classification",
    "question-answering",
    "masked-lm",
    "multiple-choice",
]
TASKS: Mapping[Head, str] = {
    "none": "feature-extraction",
    "sequence-classification": "text-classification",
    "token-classification": "token-classification",
    "question-answering": "question-answering",
    "masked-lm": "fill-mask",
    "multiple-choice": "multiple-choice",
}

_MOST_MADE = 8192  # sinusoidal positions: config.json alone says how many, so a made table is kept small
_POSITIONS = "embeddings.position_embeddings.weight"
_TOKEN_TYPES = "embeddings.token_type_embeddings.weight"
_VOCABULARY = "embeddings.word_embeddings.weight"
_PROJECTOR = "vocab_projector.weight"
_PROJECTOR_BIAS = "vocab_projector.bias"
_DECODER_BIAS = "cls.predictions.decoder.bias"  # BERT's name of the projector's bias
_OLD_DECODER_BIAS = "cls.predictions.bias"  # its other name


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a checkpoint folder holds: its config, which head the tensors make, and the tensors.

    `arrays` are float32 and C-contiguous, linear weights as PyTorch keeps them: `[out, in]`. A language model
    whose `vocab_projector.weight` is the word embeddings, as is usual, has them once: under the latter's name.
    An encoder's and a language model's BERT may have a pooler, which their graphs leave out: who trains a
    classifier starts from it.
    """

    config: DistilBertConfig
    head: Head
    arrays: dict[str, Float32]


class Outline(NamedTuple):
    """What a checkpoint's headers say: its head, and by canonical name each tensor's name in the file and place."""

    head: Head
    tensors: dict[str, tuple[str, Stored]]


def read_checkpoint(folder: Path, config: DistilBertConfig) -> Checkpoint:
    """Read `folder/model.safetensors`, or the shards of its index, as `config` describes it.

    Raises `CheckpointError`, naming the tensor, for one that is missing, left over, there under two names, of
    another shape, not finite, or of a type other than float32, float16, bfloat16 and float64; and for a file
    that is not whole, or not as the index says.

    >>> config = DistilBertConfig.from_folder(folder)  # doctest: +SKIP
    >>> read_checkpoint(folder, config).arrays["classifier.weight"].shape  # doctest: +SKIP
    (2, 768)
    """
    head, tensors = read_outline(folder, config)
    arrays = {canonical: read_tensor(*named) for canonical, named in tensors.items()}
    if _POSITIONS not in arrays:
        arrays[_POSITIONS] = sinusoidal_positions(config.max_position_embeddings, config.dim)
    if _PROJECTOR in arrays and np.array_equal(arrays[_PROJECTOR], arrays[_VOCABULARY]):
        del arrays[_PROJECTOR]
    return Checkpoint(config, head, arrays)


def read_outline(folder: Path, config: DistilBertConfig) -> Outline:
    """Judge the headers of a checkpoint's weights as `read_checkpoint` does, and read no weights."""
    path = weights_file(Path(folder))
    tensors = read_headers(path)
    stored = {_bare_name(name, config.model_type): name for name in tensors}
    _name_decoder_bias(stored)
    head = _find_head(path, config, stored)
    expected = _expected(config, head)
    if head in _WITH_SPARE_POOLER and stored.keys() & (pooler := _pooler(config)).keys():
        expected |= pooler
    faults = [
        *_twins(tensors, config.model_type),
        *_missing_and_left_over(stored, expected, config, head),
        *_misshapen(tensors, stored, expected),
    ]
    if faults:
        raise CheckpointError(
            f"{path}: {listed(faults)}.", "Check that config.json and weights belong together."
        )
    found = {
        spec.canonical: (stored[name], tensors[stored[name]])
        for name, spec in expected.items()
        if name in stored
    }
    return Outline(head, found)


def told_head(config: DistilBertConfig) -> Head | None:
    """The head that `architectures` names, where weights are not at hand; None where it names none that we know."""
    kind = _kind(config)
    return next((head for head, spec in _HEADS.items() if kind in spec.architectures), None)


def count_parameters(config: DistilBertConfig, head: Head) -> int:
    """How many numbers such a model has; a projection that is tied to the word embeddings counts once.

    >>> count_parameters(DistilBertConfig(), "none")
    66362880
    """
    return sum(
        math.prod(tensor.shape)
        for tensor in _expected(config, head).values()
        if tensor.canonical != _PROJECTOR or not config.ties_words
    )


def tensor_shapes(config: DistilBertConfig, head: Head) -> dict[str, tuple[int, ...]]:
    """What `Checkpoint.arrays` must hold, with the shapes: {canonical name: shape}."""
    return {spec.canonical: spec.shape for spec in _expected(config, head).values()}


def stored_names(config: DistilBertConfig, head: Head) -> dict[str, str]:
    """{canonical name: the name in a file}, as transformers saves a model with this head."""
    expected = _expected(config, head) | (_pooler(config) if head in _WITH_SPARE_POOLER else {})
    prefix = "" if head == "none" else f"{config.model_type}."
    names = {
        spec.canonical: f"{prefix if bare.startswith(_ENCODER) else ''}{bare}"
        for bare, spec in expected.items()
    }
    if names.get(_PROJECTOR_BIAS) == _DECODER_BIAS and config.ties_words:
        names[_PROJECTOR_BIAS] = _OLD_DECODER_BIAS
    return names


def fold_token_types(arrays: Mapping[str, Float32]) -> dict[str, Float32]:
    """Add BERT's token-type row 0 to every row of its position table, and drop the token-type table.

    So a BERT runs as a DistilBERT graph, without `token_type_ids`. Exact for single texts only, where all
    token types are 0 (but for the order in which three numbers are added); a pair's second text has type 1.
    """
    folded = dict(arrays)
    token_types = folded.pop(_TOKEN_TYPES, None)
    if token_types is not None:
        folded[_POSITIONS] = folded[_POSITIONS] + token_types[0]
    return folded


def sinusoidal_positions(n_positions: int, dim: int) -> Float32:
    """Return the fixed `[n_positions, dim]` table of "Attention is all you need", as transformers makes it.

    >>> sinusoidal_positions(2, 4).round(2).tolist()[1]
    [0.8399999737739563, 0.5400000214576721, 0.009999999776482582, 1.0]
    """
    angles = np.arange(n_positions)[:, None] / np.power(10000, 2 * (np.arange(dim) // 2) / dim)
    angles[:, 0::2] = np.sin(angles[:, 0::2])
    angles[:, 1::2] = np.cos(angles[:, 1::2])
    return angles.astype(np.float32)


class _Part(NamedTuple):
    """A weight, with or without a bias: its name in either family, its shape as attributes of the config.

    An axis that the config does not decide is one of `_FIXED_AXES`.
    """

    distilbert: str  # the canonical name
    bert: str
    shape: tuple[str, ...]
    bias: bool = True  # as long as the weight's first axis


class _Tensor(NamedTuple):
    canonical: str
    shape: tuple[int, ...]
    axes: tuple[str, ...]


_FIXED_AXES = {"start_and_end": 2, "choice": 1}
_ENCODER = ("embeddings.", "transformer.", "encoder.", "pooler.")  # how bare names outside the heads begin
_LAYER = "transformer.layer.{}."
_BERT_LAYER = "encoder.layer.{}."
_WORDS = "embeddings.word_embeddings"
_EMBEDDINGS = (
    _Part(_WORDS, _WORDS, ("vocab_size", "dim"), bias=False),
    _Part(_POSITIONS[:-7], _POSITIONS[:-7], ("max_position_embeddings", "dim"), bias=False),
    _Part("embeddings.LayerNorm", "embeddings.LayerNorm", ("dim",)),
)
_TOKEN_TYPE = _Part(_TOKEN_TYPES[:-7], _TOKEN_TYPES[:-7], ("type_vocab_size", "dim"), bias=False)
_LAYER_PARTS = (
    _Part(_LAYER + "attention.q_lin", _BERT_LAYER + "attention.self.query", ("dim", "dim")),
    _Part(_LAYER + "attention.k_lin", _BERT_LAYER + "attention.self.key", ("dim", "dim")),
    _Part(_LAYER + "attention.v_lin", _BERT_LAYER + "attention.self.value", ("dim", "dim")),
    _Part(_LAYER + "attention.out_lin", _BERT_LAYER + "attention.output.dense", ("dim", "dim")),
    _Part(_LAYER + "sa_layer_norm", _BERT_LAYER + "attention.output.LayerNorm", ("dim",)),
    _Part(_LAYER + "ffn.lin1", _BERT_LAYER + "intermediate.dense", ("hidden_dim", "dim")),
    _Part(_LAYER + "ffn.lin2", _BERT_LAYER + "output.dense", ("dim", "hidden_dim")),
    _Part(_LAYER + "output_layer_norm", _BERT_LAYER + "output.LayerNorm", ("dim",)),
)
_PRE_CLASSIFIER = _Part("pre_classifier", "", ("dim", "dim"))
_POOLER = _Part("pooler", "pooler.dense", ("dim", "dim"))
_CLASSIFIER = _Part("classifier", "classifier", ("num_labels", "dim"))
_CHOICE = _Part("classifier", "classifier", ("choice", "dim"))
_SPAN = _Part("qa_outputs", "qa_outputs", ("start_and_end", "dim"))
_LANGUAGE_MODEL = (
    _Part("vocab_transform", "cls.predictions.transform.dense", ("dim", "dim")),
    _Part("vocab_layer_norm", "cls.predictions.transform.LayerNorm", ("dim",)),
    _Part("vocab_projector", "cls.predictions.decoder", ("vocab_size", "dim")),
)


class _HeadSpec(NamedTuple):
    parts: Mapping[str, tuple[_Part, ...]]  # by family
    signs: Mapping[str, tuple[str, ...]]  # by family: tensors that, all there, show that a file has this head
    architectures: tuple[str, ...]  # what follows the family's name in config.json's architectures
    harmless: str  # pattern of tensors that may be left over


_BUFFERS = r"embeddings\.(position_ids|token_type_ids)"
_NO_POOLER = rf"{_BUFFERS}|pooler\.dense\.(weight|bias)"  # older BERTs have one that nothing reads
_FAMILIES = ("distilbert", "bert")
_HEADS: Mapping[Head, _HeadSpec] = {  # one with more signs comes before one with fewer
    "sequence-classification": _HeadSpec(
        {"distilbert": (_PRE_CLASSIFIER, _CLASSIFIER), "bert": (_POOLER, _CLASSIFIER)},
        {
            "distilbert": ("classifier.weight", "pre_classifier.weight"),
            "bert": ("classifier.weight", "pooler.dense.weight"),
        },
        ("ForSequenceClassification",),
        _BUFFERS,
    ),
    "token-classification": _HeadSpec(
        dict.fromkeys(_FAMILIES, (_CLASSIFIER,)),
        dict.fromkeys(_FAMILIES, ("classifier.weight",)),
        ("ForTokenClassification",),
        _NO_POOLER,
    ),
    "question-answering": _HeadSpec(
        dict.fromkeys(_FAMILIES, (_SPAN,)),
        dict.fromkeys(_FAMILIES, ("qa_outputs.weight",)),
        ("ForQuestionAnswering",),
        _NO_POOLER,
    ),
    "masked-lm": _HeadSpec(
        dict.fromkeys(_FAMILIES, _LANGUAGE_MODEL),
        {"distilbert": ("vocab_transform.weight",), "bert": ("cls.predictions.transform.dense.weight",)},
        ("ForMaskedLM", "ForPreTraining"),
        rf"{_NO_POOLER}|cls\.predictions\.bias|cls\.seq_relationship\.(weight|bias)",
    ),
    "multiple-choice": _HeadSpec(  # only its config tells it from a classifier of texts
        {"distilbert": (_PRE_CLASSIFIER, _CHOICE), "bert": (_POOLER, _CHOICE)},
        {
            "distilbert": ("classifier.weight", "pre_classifier.weight"),
            "bert": ("classifier.weight", "pooler.dense.weight"),
        },
        ("ForMultipleChoice",),
        _BUFFERS,
    ),
    "none": _HeadSpec(
        dict.fromkeys(_FAMILIES, ()),
        dict.fromkeys(_FAMILIES, ()),
        ("Model", "ForMaskedLM", "ForPreTraining"),
        rf"{_NO_POOLER}|vocab_(transform|layer_norm|projector)\..+|cls\..+",
    ),
}
_WITH_SPARE_POOLER = ("none", "masked-lm")
_NOT_YET = {"ForNextSentencePrediction": "next-sentence prediction"}  # by architecture


def _expected(config: DistilBertConfig, head: Head) -> dict[str, _Tensor]:
    """Return {the family's bare name: what it must be} for every tensor that the config asks for."""
    parts = [(part, 0) for part in _EMBEDDINGS]
    parts += [(_TOKEN_TYPE, 0)] if config.type_vocab_size else []
    parts += [(part, layer) for layer in range(config.n_layers) for part in _LAYER_PARTS]
    parts += [(part, 0) for part in _HEADS[head].parts[config.model_type]]
    return _tensors(config, parts)


def _pooler(config: DistilBertConfig) -> dict[str, _Tensor]:
    return _tensors(config, [(_POOLER, 0)]) if config.model_type == "bert" else {}


def _tensors(config: DistilBertConfig, parts: list[tuple[_Part, int]]) -> dict[str, _Tensor]:
    """The weights and biases of parts, each with the number of its layer: {the family's bare name: tensor}."""
    expected = {}
    for part, layer in parts:
        family_name = part.bert if config.model_type == "bert" else part.distilbert
        shape = tuple(_FIXED_AXES.get(axis) or int(getattr(config, axis)) for axis in part.shape)
        for kind, ndim in (("weight", len(shape)), ("bias", 1))[: 1 + part.bias]:
            canonical = f"{part.distilbert.format(layer)}.{kind}"
            expected[f"{family_name.format(layer)}.{kind}"] = _Tensor(
                canonical, shape[:ndim], part.shape[:ndim]
            )
    return expected


def _bare_name(name: str, model_type: str) -> str:
    """Strip what savers add: DataParallel's `module.`, the family's prefix, the old names of layer norms."""
    bare = name.removeprefix("module.").removeprefix(f"{model_type}.")
    return re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", bare))


def _name_decoder_bias(stored: dict[str, str]) -> None:
    """Let a BERT language model's bias go by one name; where it has both, transformers adds the decoder's."""
    if _OLD_DECODER_BIAS in stored and _DECODER_BIAS not in stored:
        stored[_DECODER_BIAS] = stored.pop(_OLD_DECODER_BIAS)


def _kind(config: DistilBertConfig) -> str:
    """What `architectures` says without the family's name; "" where it says nothing."""
    return re.sub("^(DistilBert|Bert)", "", config.architectures[0] if config.architectures else "")


def _find_head(path: Path, config: DistilBertConfig, stored: Mapping[str, str]) -> Head:
    """Which head the tensors make; raises when `architectures` says another, or one that we cannot run."""
    kind = _kind(config)
    if kind in _NOT_YET:
        raise CheckpointError(
            f"{path} is a model for {_NOT_YET[kind]}, which is not supported yet.",
            "Name a model with another head, or an encoder without one.",
        )
    signs = {head: spec.signs[config.model_type] for head, spec in _HEADS.items()}
    found = next(head for head in _HEADS if stored.keys() >= set(signs[head]))
    told = [head for head, spec in _HEADS.items() if kind in spec.architectures] or [found]
    for head in told:
        unread = [sign for sign in signs[found] if sign not in signs[head]]
        begun = stored.keys() >= set(signs[head][:1])  # what it lacks beyond that will be named
        if begun and all(re.fullmatch(_HEADS[head].harmless, sign) for sign in unread):
            return head
    surplus = [sign for sign in signs[found] if sign not in signs[told[0]]]
    lacking = [f"no {sign}" for sign in signs[told[0]] if sign not in stored]
    raise CheckpointError(
        f"{path} holds {(surplus + lacking)[0]}, but config.json's architectures says {config.architectures[0]}.",
        "Check that config.json and weights belong together.",
    )


def _twins(tensors: Mapping[str, Any], model_type: str) -> Iterator[str]:
    seen: dict[str, str] = {}
    for name in tensors:
        first = seen.setdefault(_bare_name(name, model_type), name)
        if first != name:
            yield f"{first} and {name} are two names of one tensor"


def _missing_and_left_over(
    stored: Mapping[str, str], expected: Mapping[str, _Tensor], config: DistilBertConfig, head: Head
) -> Iterator[str]:
    needless = {
        _POSITIONS: config.sinusoidal_pos_embds and config.max_position_embeddings <= _MOST_MADE,
        _PROJECTOR: config.ties_words,
    }
    for bare, spec in expected.items():
        if bare not in stored and not needless.get(spec.canonical):
            yield f"{bare} is missing"
    for bare, name in stored.items():
        if bare not in expected and not re.fullmatch(_HEADS[head].harmless, bare):
            yield f"{name} is left over: the config asks for no such tensor"


def _misshapen(
    tensors: Mapping[str, Stored], stored: Mapping[str, str], expected: Mapping[str, _Tensor]
) -> Iterator[str]:
    for bare, spec in expected.items():
        if bare not in stored:
            continue
        name = stored[bare]
        dtype, shape = tensors[name].dtype, tensors[name].shape
        if dtype not in DTYPES:
            yield f"{name} is stored as {dtype}, and only {', '.join(DTYPES)} can be read"
        if shape != spec.shape:
            asked = ", ".join(f"{axis} {size}" for axis, size in zip(spec.axes, spec.shape, strict=True))
            yield f"{name} has shape {list(shape)}, but config.json says {list(spec.shape)} ({asked})"
