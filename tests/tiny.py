"""Tiny random checkpoints in Hugging Face's layout, made without PyTorch in milliseconds.

>>> folder = tiny_checkpoint(tmp_path, labels=("NEGATIVE", "POSITIVE"))  # doctest: +SKIP
"""

import json
import string
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from distilbert.files.config import DistilBertConfig

WORDS = """
the an you it is was not no never and but or of to in on with this that movie film story acting good bad great
terrible love hate learning about really very funny boring more less than play read think
""".split()  # noqa: SIM905 - a text of words reads better than a list of strings
SUFFIXES = ("##ing", "##ed", "##ly", "##er", "##est")
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_CHARACTERS = string.ascii_lowercase + string.digits
VOCABULARY = (
    *SPECIAL_TOKENS,
    *_CHARACTERS,
    *(f"##{char}" for char in _CHARACTERS),
    *string.punctuation,
    *WORDS,
    *SUFFIXES,
)

TOKENIZER_CONFIG = {
    "tokenizer_class": "DistilBertTokenizer",
    "do_lower_case": True,
    "strip_accents": None,
    "tokenize_chinese_chars": True,
    "model_max_length": 64,
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}

Head = Literal[
    "none",
    "sequence-classification",
    "token-classification",
    "question-answering",
    "masked-lm",
    "multiple-choice",
]
Dtype = Literal["F64", "F32", "F16", "BF16"]
_ARCHITECTURES = {
    "none": "Model",
    "sequence-classification": "ForSequenceClassification",
    "token-classification": "ForTokenClassification",
    "question-answering": "ForQuestionAnswering",
    "masked-lm": "ForMaskedLM",
    "multiple-choice": "ForMultipleChoice",
}


def tiny_config(**overrides: Any) -> DistilBertConfig:
    """2 layers of 4 heads, 32 wide, 64 positions, the vocabulary above; `overrides` are its fields."""
    sizes = {
        "vocab_size": len(VOCABULARY),
        "max_position_embeddings": 64,
        "dim": 32,
        "n_layers": 2,
        "n_heads": 4,
        "hidden_dim": 64,
    }
    if overrides.get("model_type") == "bert":
        sizes["type_vocab_size"] = 2
    return DistilBertConfig(**{**sizes, **overrides})


def tiny_arrays(
    config: DistilBertConfig, head: Head = "sequence-classification", seed: int = 0
) -> dict[str, np.ndarray]:
    """Random weights under Hugging Face's bare names, so large that different texts score differently."""
    rng = np.random.default_rng(seed)
    names = _bert_shapes(config, head) if config.model_type == "bert" else _distilbert_shapes(config, head)
    arrays = {}
    for name, shape in names.items():
        norm = "LayerNorm.weight" in name or "layer_norm.weight" in name
        arrays[name] = rng.normal(1.0 if norm else 0.0, 0.1 if norm else 0.25, shape).astype(np.float32)
    return arrays


def _linear(name: str, rows: int, columns: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def _norm(name: str, dim: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (dim,), f"{name}.bias": (dim,)}


def _distilbert_shapes(config: DistilBertConfig, head: Head) -> dict[str, tuple[int, ...]]:
    dim, hidden = config.dim, config.hidden_dim
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config.vocab_size, dim),
        "embeddings.position_embeddings.weight": (config.max_position_embeddings, dim),
        **_norm("embeddings.LayerNorm", dim),
    }
    for i in range(config.n_layers):
        layer = f"transformer.layer.{i}"
        for name in ("q_lin", "k_lin", "v_lin", "out_lin"):
            shapes |= _linear(f"{layer}.attention.{name}", dim, dim)
        shapes |= _norm(f"{layer}.sa_layer_norm", dim)
        shapes |= _linear(f"{layer}.ffn.lin1", hidden, dim) | _linear(f"{layer}.ffn.lin2", dim, hidden)
        shapes |= _norm(f"{layer}.output_layer_norm", dim)
    if head in ("sequence-classification", "multiple-choice"):
        shapes |= _linear("pre_classifier", dim, dim)
    shapes |= _token_shapes(config, head)
    if head == "masked-lm":
        shapes |= _linear("vocab_transform", dim, dim) | _norm("vocab_layer_norm", dim)
        shapes |= {"vocab_projector.bias": (config.vocab_size,)}
    return shapes


def _token_shapes(config: DistilBertConfig, head: Head) -> dict[str, tuple[int, ...]]:
    """What both families call by one name: a classifier of texts or tokens, or a span's start and end."""
    if head in ("sequence-classification", "token-classification"):
        return _linear("classifier", config.num_labels, config.dim)
    if head == "multiple-choice":
        return _linear("classifier", 1, config.dim)
    return _linear("qa_outputs", 2, config.dim) if head == "question-answering" else {}


def _bert_shapes(config: DistilBertConfig, head: Head) -> dict[str, tuple[int, ...]]:
    dim, hidden = config.dim, config.hidden_dim
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config.vocab_size, dim),
        "embeddings.position_embeddings.weight": (config.max_position_embeddings, dim),
        "embeddings.token_type_embeddings.weight": (config.type_vocab_size, dim),
        **_norm("embeddings.LayerNorm", dim),
    }
    for i in range(config.n_layers):
        layer = f"encoder.layer.{i}"
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            shapes |= _linear(f"{layer}.attention.{name}", dim, dim)
        shapes |= _norm(f"{layer}.attention.output.LayerNorm", dim)
        shapes |= _linear(f"{layer}.intermediate.dense", hidden, dim)
        shapes |= _linear(f"{layer}.output.dense", dim, hidden) | _norm(f"{layer}.output.LayerNorm", dim)
    if head in ("none", "sequence-classification", "multiple-choice"):
        shapes |= _linear("pooler.dense", dim, dim)
    shapes |= _token_shapes(config, head)
    if head == "masked-lm":
        shapes |= _linear("cls.predictions.transform.dense", dim, dim)
        shapes |= _norm("cls.predictions.transform.LayerNorm", dim)
        shapes |= {"cls.predictions.bias": (config.vocab_size,)}
    return shapes


_HEAD_TENSORS = ("pre_classifier.", "classifier.", "vocab_", "cls.", "qa_outputs.")


def save_checkpoint(
    folder: Path,
    config: DistilBertConfig,
    arrays: Mapping[str, np.ndarray],
    dtype: Dtype = "F32",
    prefix: str = "distilbert.",
) -> Path:
    """Write config.json and model.safetensors; `prefix` goes before all names but the heads'."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config.to_dict(), indent=2), encoding="utf-8")
    named = {
        name if name.startswith(_HEAD_TENSORS) else prefix + name: array for name, array in arrays.items()
    }
    save_tensors(folder / "model.safetensors", named, dtype)
    return folder


def save_tensors(path: Path, arrays: Mapping[str, np.ndarray], dtype: Dtype = "F32") -> None:
    """Write float32 arrays as `dtype` into a safetensors file, under their names as they are."""
    header: dict[str, Any] = {}
    body = b""
    for name, array in arrays.items():
        data = _as_bytes(array, dtype)
        offsets = [len(body), len(body) + len(data)]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": offsets}
        body += data
    write_safetensors(path, {"__metadata__": {"format": "pt"}, **header}, body)


def write_safetensors(path: Path, header: Mapping[str, Any], body: bytes) -> None:
    """Write a header and a body, whether or not they fit each other."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def _as_bytes(array: np.ndarray, dtype: Dtype) -> bytes:
    if dtype == "BF16":  # rounded to the nearest, ties to even, as PyTorch does
        bits = np.ascontiguousarray(array, "<f4").view("<u4")
        return (((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")).tobytes()
    return array.astype({"F64": "<f8", "F32": "<f4", "F16": "<f2"}[dtype]).tobytes()


def tiny_checkpoint(
    folder: Path,
    *,
    model_type: str = "distilbert",
    head: Head = "sequence-classification",
    labels: tuple[str, ...] = ("NEGATIVE", "POSITIVE"),
    seed: int = 0,
    dtype: Dtype = "F32",
    **overrides: Any,
) -> Path:
    """Write a whole folder: config.json, model.safetensors, vocab.txt, tokenizer_config.json. Returns it."""
    family = {"distilbert": "DistilBert", "bert": "Bert"}[model_type]
    architectures = (family + _ARCHITECTURES[head],)
    settings = {"model_type": model_type, "labels": labels, "architectures": architectures, **overrides}
    config = tiny_config(**settings)
    save_checkpoint(
        folder, config, tiny_arrays(config, head, seed), dtype, "" if head == "none" else f"{model_type}."
    )
    save_vocabulary(folder, config.vocab_size)
    tokenizer = {**TOKENIZER_CONFIG, "tokenizer_class": f"{family}Tokenizer"}
    tokenizer["model_max_length"] = config.max_position_embeddings
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=2), encoding="utf-8")
    return folder


def word_tagger(folder: Path, labels: Mapping[str, str]) -> Path:
    """Write a tagger that knows these words' labels by heart, whatever is beside them; all else is O."""
    names = ("O", *dict.fromkeys(labels.values()))
    words = (*VOCABULARY, *(word for word in labels if word not in VOCABULARY))
    tiny_checkpoint(folder, head="token-classification", labels=names, vocab_size=len(words))
    config = DistilBertConfig.from_folder(folder)
    arrays = {name: 0 * array for name, array in tiny_arrays(config, "token-classification").items()}
    for name, array in arrays.items():
        array += name.lower().endswith("norm.weight")
    rows = [names.index(labels.get(word, "O")) for word in words]
    arrays["embeddings.word_embeddings.weight"][range(len(words)), rows] = 1
    arrays["classifier.weight"][range(len(names)), range(len(names))] = 2
    save_checkpoint(folder, config, arrays)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    return folder


def word_answerer(folder: Path, words: Sequence[str]) -> Path:
    """Write an answerer that takes each of these words for a likely answer, whatever the question."""
    every = (*VOCABULARY, *(word for word in words if word not in VOCABULARY))
    tiny_checkpoint(folder, head="question-answering", vocab_size=len(every))
    config = DistilBertConfig.from_folder(folder)
    arrays = {name: 0 * array for name, array in tiny_arrays(config, "question-answering").items()}
    for name, array in arrays.items():
        array += name.lower().endswith("norm.weight")
    arrays["embeddings.word_embeddings.weight"][[every.index(word) for word in words], 0] = 1
    arrays["qa_outputs.weight"][:, 0] = 2
    save_checkpoint(folder, config, arrays)
    (folder / "vocab.txt").write_text("\n".join(every) + "\n", encoding="utf-8")
    return folder


def save_vocabulary(folder: Path, size: int = len(VOCABULARY)) -> None:
    """Write vocab.txt: the vocabulary above, cut or filled up with [unusedN] to `size` lines."""
    tokens = [*VOCABULARY, *(f"[unused{i}]" for i in range(size - len(VOCABULARY)))][:size]
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
