"""Lies in the formats of a model: its config, its weights and their index, its tokenizer, its bundle.json.

A way whose name ends in "!" cannot be answered rightly: it leads out of the folder, or contradicts itself.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from typing import TYPE_CHECKING, Any

from attacks.on_files import DEEP, write_json
from safetensors.numpy import load_file, save_file

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    Edit = Callable[[random.Random, dict[str, Any]], Any]
    Way = Callable[[random.Random, Path], None]


def _json(edit: Edit) -> Way:
    """Change an object in place."""

    def attack(rng: random.Random, path: Path) -> None:
        value = json.loads(path.read_bytes())
        edit(rng, value)
        write_json(path, value)

    return attack


def _set(*keys: str | int, to: Any) -> Way:
    """Put a value somewhere, or one of several at random."""

    def edit(rng: random.Random, value: Any) -> None:
        for key in keys[:-1]:
            value = value[key]
        value[keys[-1]] = rng.choice(to) if isinstance(to, tuple) else to

    return _json(edit)


# ---------------------------------------------------------------- config.json

_SIZES = ("vocab_size", "max_position_embeddings", "dim", "n_layers", "n_heads", "hidden_dim", "num_labels")
_HUGE = (2**31 - 1, 2**31, 2**60, 2**63, 10**9, 10**400, 1e30, 10**6)


def _many_labels(rng: random.Random, config: dict[str, Any]) -> None:
    config["id2label"] = {str(i): f"L{i}" for i in range(50_000)}
    config.pop("label2id", None)


def _sizes(rng: random.Random, config: dict[str, Any]) -> None:
    for name in rng.sample(_SIZES, rng.randint(1, len(_SIZES))):
        config[name] = rng.choice((*_HUGE, 1, 2, 3, 64, 1000))


CONFIGS = {
    "one huge size": _json(lambda rng, config: config.update({rng.choice(_SIZES): rng.choice(_HUGE)})),
    "sizes at random": _json(_sizes),
    "a billion layers!": _set("n_layers", to=10**9),
    "a billion labels!": _json(
        lambda rng, config: config.update(num_labels=10**9, id2label=None, label2id=None)
    ),
    "many labels": _json(_many_labels),
    "labels of a million characters": _set("id2label", to={"0": "x" * 1_000_000, "1": "y" * 1_000_000}),
    "labels nested": _set("id2label", to={"0": [[["a"]]], "1": {"a": "b"}}),
    "sinusoidal positions of huge tables": _json(
        lambda rng, config: config.update(
            sinusoidal_pos_embds=True, max_position_embeddings=rng.choice(_HUGE)
        )
    ),
    "an unknown key with a deep value!": _set("unheard_of", to=DEEP),
    "another family": _set("model_type", to=("bert", "gpt2", "../distilbert", "", None, 7)),
    "another architecture": _set(
        "architectures", to=(["GPT2Model"], "x" * 100_000, [["a"]], [None], ["DistilBertModel"])
    ),
    "code to run": _json(
        lambda rng, config: config.update(
            auto_map={"AutoConfig": "evil.Config"},
            trust_remote_code=True,
            torch_dtype="__import__('os').abort()",
        )
    ),
    "a layer norm's epsilon": _set("layer_norm_eps", to=(0, 1e308, -1, "1e-12", float("nan"), 1e-400)),
    "another activation": _set("activation", to=("quick_gelu", "", ["gelu"], None, "x" * 100_000)),
}

# ---------------------------------------------------------------- model.safetensors


def _parts(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def _write_parts(path: Path, header: str | bytes, body: bytes, claim: int | None = None) -> None:
    data = header.encode("utf-8", "surrogatepass") if isinstance(header, str) else header
    data += b" " * (-len(data) % 8)
    path.write_bytes(struct.pack("<Q", len(data) if claim is None else claim) + data + body)


def _header(edit: Edit) -> Way:
    """Change the header; the body stays."""

    def attack(rng: random.Random, path: Path) -> None:
        header, body = _parts(path)
        edit(rng, header)
        _write_parts(path, json.dumps(header).replace(json.dumps(DEEP), "[" * 50_000 + "]" * 50_000), body)

    return attack


def _tensor(edit: Callable[[random.Random, dict[str, Any]], Any]) -> Way:
    """Change what the header says of one tensor."""

    def pick(rng: random.Random, header: dict[str, Any]) -> None:
        edit(rng, header[rng.choice([name for name in header if name != "__metadata__"])])

    return _header(pick)


def _claim(size: int) -> Way:
    def attack(rng: random.Random, path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(struct.pack("<Q", size) + content[8:])

    return attack


def _raw_header(make: Callable[[str], str | bytes]) -> Way:
    """Put other text where the header is; the body stays."""

    def attack(rng: random.Random, path: Path) -> None:
        header, body = _parts(path)
        _write_parts(path, make(json.dumps(header)), body)

    return attack


def _same_place(rng: random.Random, header: dict[str, Any]) -> None:
    names = [name for name in header if name != "__metadata__"]
    one, other = rng.sample(names, 2)
    header[one]["data_offsets"] = list(header[other]["data_offsets"])


def _rename_tensor(rng: random.Random, header: dict[str, Any]) -> None:
    name = rng.choice([name for name in header if name != "__metadata__"])
    names = ("", "../x", "\ud800", "x" * 100_000, "a\nb\x1b[2J", f"module.{name}", name.upper(), "__proto__")
    header[rng.choice(names)] = header.pop(name)


def _not_finite(rng: random.Random, path: Path) -> None:
    header, body = _parts(path)
    held = bytearray(body)
    name = rng.choice([name for name in header if name != "__metadata__"])
    start, end = header[name]["data_offsets"]
    place = start + 4 * rng.randrange((end - start) // 4)
    held[place : place + 4] = struct.pack("<f", rng.choice([float("nan"), float("inf"), float("-inf")]))
    _write_parts(path, json.dumps(header), bytes(held))


def _many_tensors(rng: random.Random, header: dict[str, Any]) -> None:
    end = max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
    header |= {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [end, end]} for i in range(20_000)}


def _no_positions(rng: random.Random, path: Path) -> None:
    """A table that is made by formula, as large as the config says."""
    arrays = load_file(path)
    save_file({name: array for name, array in arrays.items() if "position_embeddings" not in name}, path)
    config = path.with_name("config.json")
    changes = {"sinusoidal_pos_embds": True, "max_position_embeddings": rng.choice([10**6, 10**9])}
    config.write_text(json.dumps(json.loads(config.read_bytes()) | changes))


_FIRST = '{"embeddings.word_embeddings.weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, '
WEIGHTS = {
    "offsets of another tensor!": _header(_same_place),
    "offsets beyond the file!": _tensor(
        lambda rng, t: t.update(data_offsets=[x + 2**33 for x in t["data_offsets"]])
    ),
    "offsets backwards!": _tensor(lambda rng, t: t["data_offsets"].reverse()),
    "offsets shifted!": _tensor(lambda rng, t: t.update(data_offsets=[x + 4 for x in t["data_offsets"]])),
    "offsets of a strange kind": _tensor(
        lambda rng, t: t.update(
            data_offsets=rng.choice([[], [0], [0, 1, 2], "0", None, [-4, 0], [0.5, 4], [2**64, 2**65]])
        )
    ),
    "a huge shape!": _tensor(
        lambda rng, t: t.update(shape=rng.choice([[2**62, 4], [2**32, 2**32], [2**63], [10**9], [0, 2**63]]))
    ),
    "a shape of a strange kind!": _tensor(
        lambda rng, t: t.update(shape=rng.choice([[-1], None, "2", [[2]], [1.5], {}, [1] * 100_000, [2**70]]))
    ),
    "another type": _tensor(
        lambda rng, t: t.update(
            dtype=rng.choice(["F16", "BF16", "I8", "F8_E4M3", "BOOL", "U64", "object", "", None, 4, "F64"])
        )
    ),
    "another name": _header(_rename_tensor),
    "a tensor less!": _header(
        lambda rng, header: header.pop(rng.choice([n for n in header if n != "__metadata__"]))
    ),
    "many empty tensors!": _header(_many_tensors),
    "metadata of a strange kind": _header(
        lambda rng, header: header.update(
            __metadata__=rng.choice([None, 7, [], {"a": 1}, {"a": None}, "x" * 100_000, DEEP])
        )
    ),
    "a value that is not finite!": _not_finite,
    "a header of 2**63 bytes!": _claim(2**63),
    "a header of 2**64 - 1 bytes!": _claim(2**64 - 1),
    "a header of 4 GB!": _claim(2**32),
    "a header of no bytes!": _claim(0),
    "a header of 90 MB!": _claim(90 << 20),
    "a header that ends early!": _claim(40),
    "a name twice": _raw_header(lambda text: _FIRST + text[1:]),
    "a header of brackets!": _raw_header(lambda text: "[" * 100_000),
    "a header that is a list!": _raw_header(lambda text: f"[{text}]"),
    "a header that is null!": _raw_header(lambda text: "null"),
    "a header that is not UTF-8!": _raw_header(
        lambda text: text.encode().replace(b"dtype", b"\xff\xfe\xfd\xfc\xfb")
    ),
    "a header with a NaN!": _raw_header(lambda text: text.replace('"shape": [', '"shape": [NaN, ', 1)),
    "positions that are made, a million of them!": _no_positions,
    "a header and a pickle": _raw_header(
        lambda text: text[:-1] + ', "__reduce__": "cos\\nsystem\\n(S\'id\'\\ntR."}'
    ),
}

# ---------------------------------------------------------------- model.safetensors.index.json


def _shard_at(name: str) -> Way:
    """Let one tensor's shard be another file; a whole shard lies outside, where such names might lead."""

    def attack(rng: random.Random, path: Path) -> None:
        index = json.loads(path.read_bytes())
        shard = rng.choice(sorted(set(index["weight_map"].values())))
        outside = path.parent.parent / f"{path.parent.name}-outside"
        outside.mkdir(exist_ok=True)
        shutil.copy(path.parent / shard, outside / "shard.safetensors")
        new = name.format(outside=outside, beside=f"../{outside.name}")
        index["weight_map"] = {
            tensor: new if told == shard else told for tensor, told in index["weight_map"].items()
        }
        write_json(path, index)

    return attack


INDEXES = {
    "a shard beside the folder!": _shard_at("{beside}/shard.safetensors"),
    "a shard at an absolute path!": _shard_at("{outside}/shard.safetensors"),
    "a shard in a roundabout way!": _shard_at("./model/../{beside}/shard.safetensors"),
    "a shard with backslashes!": _shard_at("..\\shard.safetensors"),
    "a shard with a null!": _shard_at("model\0.safetensors"),
    "a shard without a name!": _shard_at(""),
    "a shard that is a device!": _shard_at("/dev/zero"),
    "a shard that is the index!": _shard_at("model.safetensors.index.json"),
    "a shard that is the folder!": _shard_at("."),
    "a shard on the web!": _shard_at("https://example.com/model.safetensors"),
    "a shard with a very long name!": _shard_at("x" * 5_000 + ".safetensors"),
    "a shard that is not there!": _shard_at("model-00009-of-00009.safetensors"),
    "another total size": _set("metadata", "total_size", to=(2**63, -1, "7", 1.5, None, [], 10**400)),
    "metadata of a strange kind": _set("metadata", to=(None, 7, [], "x", [[]], DEEP)),
    "a map of a strange kind!": _set(
        "weight_map", to=(None, 7, [], "x", {"a": None}, {"a": ["b"]}, {}, DEEP)
    ),
    "a tensor in no shard!": _json(
        lambda rng, index: index["weight_map"].update({"\ud800": "model-00001-of-00003.safetensors"})
    ),
    "many tensors in a shard!": _json(
        lambda rng, index: index["weight_map"].update(
            {f"t{i}": "model-00001-of-00003.safetensors" for i in range(40_000)}
        )
    ),
}

# ---------------------------------------------------------------- vocab.txt


def _lines(edit: Callable[[random.Random, list[str]], list[str]]) -> Way:
    def attack(rng: random.Random, path: Path) -> None:
        path.write_text("\n".join(edit(rng, path.read_text().split("\n"))), encoding="utf-8")

    return attack


VOCABULARIES = {
    "a line twice!": _lines(lambda rng, lines: [*lines[:-1], rng.choice(lines[:50])]),
    "lines in another order": _lines(lambda rng, lines: rng.sample(lines, len(lines))),
    "lines lost": _lines(lambda rng, lines: [line for line in lines if rng.random() < 0.9]),
    "a line of a million characters": _lines(lambda rng, lines: [*lines, "x" * 1_000_000]),
    "a hundred thousand lines more": _lines(lambda rng, lines: [*lines, *(f"w{i}" for i in range(100_000))]),
    "a million empty lines!": _lines(lambda rng, lines: [*lines, *[""] * 1_000_000, "end"]),
    "other line ends": _lines(lambda rng, lines: [f"{line}\r" for line in lines]),
    "nulls and controls": _lines(lambda rng, lines: [*lines, "\0", "\x1b[2J", "\u2028", "\x85", "\u202e"]),
    "only spaces": _lines(lambda rng, lines: [" " * i for i in range(1, 50)]),
}

# ---------------------------------------------------------------- tokenizer.json


def _regex(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _chain(kind: str, key: str, inner: Any) -> dict[str, Any]:
    """A part of parts of parts, as deep as a reader of JSON goes."""
    for _ in range(50):
        inner = {"type": kind, key: [inner]}
    return dict(inner)


def _vocabulary(edit: Callable[[random.Random, dict[str, Any]], Any]) -> Way:
    return _json(lambda rng, tokenizer: edit(rng, tokenizer["model"]["vocab"]))


def _template(pieces: list[Any]) -> Any:
    return {
        "type": "TemplateProcessing",
        "single": pieces,
        "pair": [*pieces, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [4294967295], "tokens": ["[CLS]"]}},
    }


_A, _CLS = {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[CLS]", "type_id": 4294967295}}
_ADDED = {"special": True, "normalized": False, "lstrip": False, "rstrip": False, "single_word": False}


def _add_tokens(rng: random.Random, tokenizer: dict[str, Any]) -> None:
    chosen = rng.choice([2**32 - 1, 2**31, -1, 10**20, 1, 10**6, None, "1"])
    tokenizer["added_tokens"].append(
        {"id": chosen, "content": rng.choice(["new", "", "x" * 100_000, "\0"]), **_ADDED}
    )


_PATTERNS = (
    r"(a*)*b",
    r"(\w+\s?)+$",
    r"(.+)+\1x",
    r"(?<=a{0,1000})",
    r"((a|aa)+)+$",
    "(" * 500 + ")" * 500,
    "[",
    r"\p{Foo}",
    "a{1000}{1000}",
)
TOKENIZERS = {
    "a pre-tokenizer with a regex": _set("pre_tokenizer", to=tuple(_regex(pattern) for pattern in _PATTERNS)),
    "a normalizer with a regex": _set(
        "normalizer",
        to=tuple({"type": "Replace", "pattern": {"Regex": p}, "content": "x" * 1_000} for p in _PATTERNS),
    ),
    "a decoder with a regex": _set(
        "decoder", to=tuple({"type": "Replace", "pattern": {"Regex": p}, "content": "b"} for p in _PATTERNS)
    ),
    "a normalizer that grows the text": _set(
        "normalizer",
        to={
            "type": "Sequence",
            "normalizers": [{"type": "Replace", "pattern": {"String": "e"}, "content": "ee" * 20}] * 8,
        },
    ),
    "a normalizer that grows the text, deep inside!": _set(
        "normalizer",
        to=_chain(
            "Sequence",
            "normalizers",
            {"type": "Replace", "pattern": {"String": "e"}, "content": "e" * 1_000},
        ),
    ),
    "a hundred thousand normalizers!": _set(
        "normalizer", to={"type": "Sequence", "normalizers": [{"type": "NFKC"}] * 100_000}
    ),
    "a normalizer that puts something before": _set(
        "normalizer", to={"type": "Prepend", "prepend": "x" * 1_000_000}
    ),
    "a precompiled normalizer": _json(
        lambda rng, t: t.update(
            normalizer={"type": "Precompiled", "precompiled_charsmap": rng.choice(["", "AAAA", "////" * 99])}
        )
    ),
    "normalizers nested": _set("normalizer", to=_chain("Sequence", "normalizers", {"type": "NFC"})),
    "pre-tokenizers nested": _set(
        "pre_tokenizer", to=_chain("Sequence", "pretokenizers", {"type": "Whitespace"})
    ),
    "another pre-tokenizer": _set(
        "pre_tokenizer",
        to=(
            None,
            {"type": "ByteLevel"},
            {"type": "FixedLength", "length": 0},
            {"type": "Metaspace", "replacement": ""},
            {"type": "X"},
        ),
    ),
    "another model!": _set(
        "model",
        to=(
            {"type": "BPE", "vocab": {"a": 0}, "merges": []},
            {"type": "Unigram", "unk_id": 9, "vocab": [["a", -1.0]]},
            {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"},
            {},
            None,
        ),
    ),
    "words without end": _set("model", "max_input_chars_per_word", to=(2**63, 2**64, 0, -1, 10**9, None)),
    "another prefix": _set("model", "continuing_subword_prefix", to=("", "x" * 100_000, None, "\0")),
    "an unknown token that is not there": _set("model", "unk_token", to=("nowhere", "", None, 7)),
    "an empty vocabulary!": _set("model", "vocab", to={}),
    "a vocabulary of a strange kind!": _set(
        "model", "vocab", to=([], None, {"a": "b"}, {"a": -1}, {"a": 2**32}, {"a": 1.5}, DEEP)
    ),
    "huge ids": _vocabulary(
        lambda rng, vocab: vocab.update(
            {rng.choice(["the", "[CLS]", "[SEP]", "[PAD]"]): rng.choice([2**32 - 1, 2**31, 10**6])}
        )
    ),
    "one id for two": _vocabulary(
        lambda rng, vocab: vocab.update({"the": vocab["[CLS]"], "film": vocab["movie"]})
    ),
    "ids shifted": _vocabulary(
        lambda rng, vocab: vocab.update({word: place + 10 for word, place in vocab.items()})
    ),
    "many words": _vocabulary(lambda rng, vocab: vocab.update({f"w{i}": i for i in range(100_000)})),
    "a template without a text": _set("post_processor", to=_template([_CLS])),
    "a template of one text many times": _set("post_processor", to=_template([_A] * 1_000)),
    "a template of many tokens": _set("post_processor", to=_template([_CLS] * 50_000 + [_A])),
    "a template with an unknown token": _set(
        "post_processor", to=_template([{"SpecialToken": {"id": "no", "type_id": 0}}, _A])
    ),
    "another post-processor": _set(
        "post_processor",
        to=(
            None,
            {"type": "ByteLevel"},
            {"type": "RobertaProcessing", "sep": ["a", 9], "cls": ["b", 10**9]},
            {"type": "BertProcessing", "sep": ["", 0], "cls": ["", 0]},
        ),
    ),
    "another added token": _json(_add_tokens),
    "many added tokens": _json(
        lambda rng, t: t["added_tokens"].extend(
            {"id": 1000 + i, "content": f"t{i}", **_ADDED} for i in range(5_000)
        )
    ),
    "padding of its own": _set(
        "padding",
        to=tuple(
            {
                "strategy": s,
                "direction": "Left",
                "pad_to_multiple_of": m,
                "pad_id": 4294967295,
                "pad_type_id": 9,
                "pad_token": "x",
            }
            for s in ("BatchLongest", {"Fixed": 10**12}, {"Fixed": -1})
            for m in (None, 0, 2**62)
        ),
    ),
    "truncation of its own": _set(
        "truncation",
        to=tuple(
            {"direction": "Left", "max_length": m, "strategy": "OnlySecond", "stride": s}
            for m in (0, 1, 2**63)
            for s in (0, 5, 2**63)
        ),
    ),
}

# ---------------------------------------------------------------- bundle.json


def _vouch_for(name: str) -> Way:
    """Let it vouch for a file elsewhere, by its true hash; there is such a file."""

    def attack(rng: random.Random, path: Path) -> None:
        outside = path.parent.parent / f"{path.parent.name}-outside"
        outside.mkdir(exist_ok=True)
        (outside / "secret").write_bytes(b"secret")
        manifest = json.loads(path.read_bytes())
        shown = name.format(outside=outside, beside=f"../{outside.name}")
        manifest["files"][shown] = {"size": 6, "sha256": hashlib.sha256(b"secret").hexdigest()}
        write_json(path, manifest)

    return attack


def _record(rng: random.Random, manifest: dict[str, Any]) -> None:
    record = manifest["files"][rng.choice(list(manifest["files"]))]
    key = rng.choice(["size", "sha256"])
    record[key] = rng.choice([2**63, -1, 0, None, "0" * 64, "0" * 63, "g" * 64, [], True, 1.5, 10**400])


def _probe(rng: random.Random, manifest: dict[str, Any]) -> None:
    probe = rng.choice(manifest["probes"])
    probe[rng.choice(["text", "float32", "int8"])] = rng.choice(
        [
            None,
            7,
            "",
            [],
            [[]],
            ["1"],
            [None],
            [1e308] * 2,
            [10**400],
            [float("nan")] * 2,
            {},
            "x" * 1_000_000,
            "\ud800",
            [0.0] * 100_000,
        ]
    )


MANIFESTS = {
    "a file beside the folder!": _vouch_for("{beside}/secret"),
    "a file at an absolute path!": _vouch_for("{outside}/secret"),
    "a file in a roundabout way!": _vouch_for("onnx/../{beside}/secret"),
    "/etc/passwd!": _vouch_for("../../../../../../../../etc/passwd"),
    "a device!": _vouch_for("/dev/zero"),
    "backslashes!": _vouch_for("..\\secret"),
    "a name with a null!": _vouch_for("a\0b"),
    "a name that is empty!": _vouch_for(""),
    "a name of half a pair!": _vouch_for("\ud800"),
    "a name that is very long!": _vouch_for("x" * 100_000),
    "the folder itself!": _vouch_for("."),
    "a folder in it!": _vouch_for("onnx"),
    "a record changed!": _json(_record),
    "a probe changed": _json(_probe),
    "no probes": _json(lambda rng, m: m.update(probes=[])),
    "a hundred thousand probes": _json(
        lambda rng, m: m.update(probes=[{"text": "", "float32": [], "int8": []}] * 50_000)
    ),
    "probes of a strange kind!": _set("probes", to=(None, 7, {"a": 1}, [7], [None], ["x"], [{}], DEEP)),
    "another precision": _set("precision", to=("fp32", "int8", "../int8", None, 7, [], {})),
    "another task": _set(
        "task",
        to=("fill-mask", "feature-extraction", "question-answering", "", None, 7, [], {}, "x" * 100_000),
    ),
    "another format!": _set("format_version", to=(0, 2, 2**60, "1", None, 1.5, [], "x" * 100_000)),
    "a key of its own!": _set("exec", to="__import__('os').abort()"),
    "a file less": _json(lambda rng, m: m["files"].pop(rng.choice(list(m["files"])))),
    "no files!": _set("files", to=({}, None, [], 7, {"a": None}, {"a": []}, DEEP)),
    "a file that no one has!": _json(
        lambda rng, m: m["files"].update({"gone": {"size": 0, "sha256": "0" * 64}})
    ),
    "many files!": _json(
        lambda rng, m: m["files"].update({f"f{i}": {"size": 0, "sha256": "0" * 64} for i in range(50_000)})
    ),
}
