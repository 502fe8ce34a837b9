"""A checkpoint's weights -> {canonical name: float32 array}; refuses what is missing or left over.

One table says, for each tensor, its name in either family and its shape in the config's own words. Canonical
names are DistilBERT's, without prefix. The headers are judged whole, by `files.weights` and then by the table,
before an array is allocated; tensors are read one by one, so that memory stays near the result's.
"""

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
Head = Literal["none", "sequence-classification"]

_POSITIONS = "embeddings.position_embeddings.weight"
_TOKEN_TYPES = "embeddings.token_type_embeddings.weight"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a checkpoint folder holds: its config, which head the tensors make, and the tensors.

    `arrays` are float32 and C-contiguous, linear weights as PyTorch keeps them: `[out, in]`.
    """

    config: DistilBertConfig
    head: Head
    arrays: dict[str, Float32]


def read_checkpoint(folder: Path, config: DistilBertConfig) -> Checkpoint:
    """Read `folder/model.safetensors`, or the shards of its index, as `config` describes it.

    Raises `CheckpointError`, naming the tensor, for one that is missing, left over, there under two names, of
    another shape, not finite, or of a type other than float32, float16, bfloat16 and float64; and for a file
    that is not whole, or not as the index says.

    >>> config = DistilBertConfig.from_folder(folder)  # doctest: +SKIP
    >>> read_checkpoint(folder, config).arrays["classifier.weight"].shape  # doctest: +SKIP
    (2, 768)
    """
    path = weights_file(Path(folder))
    tensors = read_headers(path)
    stored = {_bare_name(name, config.model_type): name for name in tensors}
    head = _find_head(path, config, stored)
    expected = _expected(config, head)
    faults = [
        *_twins(tensors, config.model_type),
        *_missing_and_left_over(stored, expected, config, head),
        *_misshapen(tensors, stored, expected),
    ]
    if faults:
        raise CheckpointError(
            f"{path}: {listed(faults)}.", "Check that config.json and weights belong together."
        )
    arrays = {
        spec.canonical: read_tensor(stored[name], tensors[stored[name]])
        for name, spec in expected.items()
        if name in stored
    }
    if _POSITIONS not in arrays:
        arrays[_POSITIONS] = sinusoidal_positions(config.max_position_embeddings, config.dim)
    return Checkpoint(config, head, arrays)


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
    """A weight, with or without a bias: its name in either family, its shape as attributes of the config."""

    distilbert: str  # the canonical name
    bert: str
    shape: tuple[str, ...]
    bias: bool = True  # as long as the weight's first axis


class _Tensor(NamedTuple):
    canonical: str
    shape: tuple[int, ...]
    axes: tuple[str, ...]


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


class _HeadSpec(NamedTuple):
    sign: str  # the tensor that shows which head a file has
    architectures: tuple[str, ...]  # what follows the family's name in config.json's architectures
    parts: Mapping[str, tuple[_Part, ...]]  # by family
    harmless: str  # pattern of tensors that may be left over


_BUFFERS = r"embeddings\.(position_ids|token_type_ids)"
_LANGUAGE_MODEL = r"vocab_(transform|layer_norm|projector)\..+|cls\..+"
_HEADS: Mapping[Head, _HeadSpec] = {
    "sequence-classification": _HeadSpec(
        "classifier.weight",
        ("ForSequenceClassification",),
        {"distilbert": (_PRE_CLASSIFIER, _CLASSIFIER), "bert": (_POOLER, _CLASSIFIER)},
        _BUFFERS,
    ),
    "none": _HeadSpec(
        "",
        ("Model", "ForMaskedLM", "ForPreTraining"),
        {"distilbert": (), "bert": ()},
        rf"{_BUFFERS}|{_LANGUAGE_MODEL}|pooler\.dense\.(weight|bias)",
    ),
}
_NOT_YET = {  # by the tensor that shows it, and by architecture
    "qa_outputs.weight": "question answering",
    "ForQuestionAnswering": "question answering",
    "ForTokenClassification": "token classification",
    "ForMultipleChoice": "multiple choice",
    "ForNextSentencePrediction": "next-sentence prediction",
}


def _expected(config: DistilBertConfig, head: Head) -> dict[str, _Tensor]:
    """Return {the family's bare name: what it must be} for every tensor that the config asks for."""
    parts = [(part, 0) for part in _EMBEDDINGS]
    parts += [(_TOKEN_TYPE, 0)] if config.type_vocab_size else []
    parts += [(part, layer) for layer in range(config.n_layers) for part in _LAYER_PARTS]
    parts += [(part, 0) for part in _HEADS[head].parts[config.model_type]]
    expected = {}
    for part, layer in parts:
        family_name = part.bert if config.model_type == "bert" else part.distilbert
        shape = tuple(int(getattr(config, axis)) for axis in part.shape)
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


def _find_head(path: Path, config: DistilBertConfig, stored: Mapping[str, str]) -> Head:
    """Which head the tensors make; raises when `architectures` says another, or one that we cannot run."""
    architecture = config.architectures[0] if config.architectures else ""
    kind = re.sub("^(DistilBert|Bert)", "", architecture)
    unsupported = [_NOT_YET[sign] for sign in _NOT_YET if sign in stored or sign == kind]
    if unsupported:
        raise CheckpointError(
            f"{path} is a model for {unsupported[0]}, which is not supported yet.",
            "Name a sequence classifier or an encoder without head.",
        )
    found = next(head for head, spec in _HEADS.items() if spec.sign in stored or not spec.sign)
    told = next((head for head, spec in _HEADS.items() if kind in spec.architectures), found)
    if found != told:
        holds = "no classifier.weight" if found == "none" else _HEADS[found].sign
        raise CheckpointError(
            f"{path} holds {holds}, but config.json's architectures says {architecture}.",
            "Check that config.json and weights belong together.",
        )
    return found


def _twins(tensors: Mapping[str, Any], model_type: str) -> Iterator[str]:
    seen: dict[str, str] = {}
    for name in tensors:
        first = seen.setdefault(_bare_name(name, model_type), name)
        if first != name:
            yield f"{first} and {name} are two names of one tensor"


def _missing_and_left_over(
    stored: Mapping[str, str], expected: Mapping[str, _Tensor], config: DistilBertConfig, head: Head
) -> Iterator[str]:
    for bare, spec in expected.items():
        computed = spec.canonical == _POSITIONS and config.sinusoidal_pos_embds
        if bare not in stored and not computed:
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
