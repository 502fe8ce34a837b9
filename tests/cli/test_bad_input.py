"""Whatever a user gets wrong: which thing, which rule, what was seen, what to do next, and nothing left behind.

Each row of the tables makes a situation in an empty folder and calls the command there. One test below sees to
all of them. Disks, streams and signals are in test_disks_and_signals.py.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from situations import Command, Place, complaint, contents, cut, flipped, needs, words_of
from tiny import tiny_checkpoint, write_safetensors

from distilbert.cli import _show_warning
from distilbert.errors import TruncationWarning
from distilbert.files.bundle import write_manifest
from distilbert.files.hub import embedded_models

if TYPE_CHECKING:
    from pathlib import Path

ANSWER = ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "README.md")

Make = Callable[[Place], object]


@dataclass(frozen=True)
class Case:
    """A situation, the command line, the exit code, and what the message must say."""

    name: str
    make: Make
    line: str
    code: int
    says: tuple[str, ...]


def case(name: str, make: Make, line: str, code: int, *says: str) -> Case:
    return Case(name, make, line, code, says)


def nothing(_: Place) -> None:
    pass


def named(**files: dict[str, Any]) -> Make:
    """A bundle whose manifest names one more file."""

    def make(place: Place) -> None:
        manifest = json.loads((place.whole_bundle / "bundle.json").read_text())
        place.bundle(files={**manifest["files"], **files["files"]})

    return make


def answers(number: float, probes: int) -> Make:
    """A bundle whose manifest has another answer to its first probes."""

    def make(place: Place) -> None:
        manifest = json.loads((place.whole_bundle / "bundle.json").read_text())
        for probe in manifest["probes"][:probes]:
            probe["int8"] = [number, number]
        place.bundle(probes=manifest["probes"])

    return make


RECORD = {"size": 1, "sha256": "0" * 64}
MODEL = "classify --model model hello"

NAMES = [
    case(
        "no such model",
        nothing,
        "classify --model no-such-model hello",
        1,
        "'no-such-model' is no folder here, no embedded model (",
        *embedded_models(),
        "Hugging Face cache",
        "Check the spelling",
    ),
    case(
        "a file as model",
        lambda p: p.file("model.onnx", "x"),
        "classify --model model.onnx hello",
        1,
        "model.onnx is a file, and a model is a folder",
        "Name the folder",
    ),
    case("an empty name", nothing, "classify --model '' hello", 1, "'' is no folder"),
    case("a name too long", nothing, f"classify --model {'a' * 300} hello", 1, "is no folder", "spelling"),
    case("a name no hub has", nothing, "classify --model a--b hello", 1, "'a--b' is no folder", "spelling"),
]

CHECKPOINTS = [
    case(
        "no config", lambda p: (p.folder / "model").mkdir(), MODEL, 1, "model has no config.json", "Name one"
    ),
    case(
        "config is a folder",
        lambda p: ((p.checkpoint() / "config.json").unlink(), (p.folder / "model/config.json").mkdir()),
        MODEL,
        1,
        "model/config.json cannot be read: it is not a regular file",
    ),
    case(
        "config is no JSON",
        lambda p: (p.checkpoint() / "config.json").write_text('{"dim": 32'),
        MODEL,
        1,
        "model/config.json is not valid JSON",
        "Correct the file",
    ),
    case(
        "another architecture",
        lambda p: p.checkpoint(model_type="roberta"),
        MODEL,
        1,
        "model/config.json: model_type is 'roberta'",
        "only 'distilbert' and 'bert'",
        "Name a DistilBERT or BERT checkpoint",
    ),
    case(
        "several faults of a config",
        lambda p: p.checkpoint(n_heads="four", activation="mish", dropout=2, id2label={"0": "A", "2": "B"}),
        MODEL,
        1,
        "n_heads must be a whole number from 1 to",
        "not 'four'",
        "activation must be one of",
        "not 'mish'",
        "dropout must be a number from 0 to 1, not 2",
        "id2label must have the ids 0 to 1",
        "Correct the file",
    ),
    case(
        "weights cut short",
        lambda p: cut(p.checkpoint() / "model.safetensors", 100),
        MODEL,
        1,
        "model/model.safetensors (",
        "bytes) is cut short",
        "Download the file",
    ),
    case(
        "weights cut in the header",
        lambda p: (p.checkpoint() / "model.safetensors").write_bytes(b"\x10\0\0"),
        MODEL,
        1,
        "model/model.safetensors (3 bytes)",
        "Download the file",
    ),
    case(
        "a header that claims more than the file holds",
        lambda p: (p.checkpoint() / "model.safetensors").write_bytes((2**40).to_bytes(8, "little") + b"{}"),
        MODEL,
        1,
        "model/model.safetensors (10 bytes) claims a header of 1099511627776 bytes",
        "Download the file",
    ),
    case(
        "a header that claims more bytes of tensors than there are",
        lambda p: write_safetensors(
            p.checkpoint() / "model.safetensors",
            {"classifier.bias": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}},
            b"abcd",
        ),
        MODEL,
        1,
        "model/model.safetensors (",
        "is cut short",
        "Download the file",
    ),
    case(
        "no weights",
        lambda p: (p.checkpoint() / "model.safetensors").unlink(),
        MODEL,
        1,
        "model has no model.safetensors",
        "Name the folder",
    ),
    case(
        "a link to weights that are gone",
        lambda p: (
            (p.checkpoint() / "model.safetensors").unlink(),
            (p.folder / "model/model.safetensors").symlink_to("gone"),
        ),
        MODEL,
        1,
        "model has no model.safetensors",
    ),
    case(
        "weights in a pickle",
        lambda p: (p.checkpoint() / "model.safetensors").rename(p.folder / "model/pytorch_model.bin"),
        MODEL,
        1,
        "pytorch_model.bin but no model.safetensors",
        "distilbert convert pytorch_model.bin --out FOLDER",
    ),
    case(
        "a missing tensor",
        lambda p: p.tensors(lambda arrays: arrays.pop("classifier.bias")),
        MODEL,
        1,
        "classifier.bias is missing",
        "belong together",
    ),
    case(
        "a left-over tensor",
        lambda p: p.tensors(lambda arrays: arrays.update({"adapter.weight": np.zeros(2, np.float32)})),
        MODEL,
        1,
        "adapter.weight is left over",
        "belong together",
    ),
    case(
        "a tensor of another shape",
        lambda p: p.tensors(lambda arrays: arrays.update({"classifier.bias": np.zeros(5, np.float32)})),
        MODEL,
        1,
        "classifier.bias has shape [5], but config.json says [2] (num_labels 2)",
    ),
    case(
        "a tensor that is not finite",
        lambda p: p.tensors(lambda arrays: arrays["classifier.weight"].__setitem__((1, 3), np.nan)),
        MODEL,
        1,
        "classifier.weight is not finite: element [1, 3] is nan",
        "take an earlier checkpoint",
    ),
    case(
        "no tokenizer",
        lambda p: (p.checkpoint() / "vocab.txt").unlink(),
        MODEL,
        1,
        "model has no tokenizer: neither tokenizer.json nor vocab.txt",
        "Copy one",
    ),
    case(
        "a tokenizer of another model",
        lambda p: (p.checkpoint() / "vocab.txt").open("a").write("zebra\n"),
        MODEL,
        1,
        "the tokenizer gives 'zebra' the id",
        "vocab_size is",
        "from one model",
    ),
    case(
        "an encoder asked for labels",
        lambda p: tiny_checkpoint(p.folder / "model", head="none"),
        MODEL,
        2,
        "model is a model for feature-extraction, not for text-classification",
        "Name a model for",
    ),
    case(
        "a file that cannot be read",
        lambda p: (needs("/proc/self/mem"), (p.checkpoint() / "extra.json").symlink_to("/proc/self/mem")),
        MODEL,
        1,
        "model/extra.json cannot be read",
    ),
]

BUNDLES = [
    *(
        case(
            f"a flipped bit in {name}",
            lambda p, name=name: flipped(p.bundle() / name),
            MODEL,
            1,
            f"model/{name} was changed: its SHA-256 is ",
            "bundle.json says",
            "again",
        )
        for name in (*ANSWER, "onnx/model_quantized.onnx")
    ),
    case(
        "a file of a bundle cut short",
        lambda p: cut(p.bundle() / "onnx/model_quantized.onnx", 1),
        MODEL,
        1,
        "model/onnx/model_quantized.onnx has ",
        " bytes; bundle.json says ",
        "again",
    ),
    case(
        "a file of a bundle gone",
        lambda p: (p.bundle() / "tokenizer.json").unlink(),
        MODEL,
        1,
        "model/tokenizer.json cannot be read: No such file",
        "again",
    ),
    case(
        "bundle.json is no JSON",
        lambda p: (p.bundle() / "bundle.json").write_text("{"),
        MODEL,
        1,
        "model/bundle.json is not valid JSON",
        "again",
    ),
    case(
        "bundle.json lacks a key",
        lambda p: p.bundle(probes=[{"text": "hello"}]),
        MODEL,
        1,
        "model/bundle.json is not a bundle's manifest: KeyError('float32')",
        "again",
    ),
    case(
        "bundle.json of another format",
        lambda p: p.bundle(format_version=2),
        MODEL,
        1,
        "format_version 2; this release reads 1",
        "the release of distilbert that wrote it",
    ),
    case(
        "bundle.json names a file outside",
        named(files={"../../outside": RECORD}),
        MODEL,
        1,
        "model/bundle.json names a file that cannot lie in its folder: '../../outside'",
        "Do not use",
    ),
    case(
        "bundle.json names a file by its full path",
        named(files={"/etc/hostname": RECORD}),
        MODEL,
        1,
        "cannot lie in its folder: '/etc/hostname'",
        "Do not use",
    ),
    case(
        "bundle.json names a file that is missing",
        named(files={"extra.bin": RECORD}),
        MODEL,
        1,
        "model/extra.bin cannot be read: No such file",
        "again",
    ),
    case(
        "bundle.json does not vouch for the tokenizer",
        lambda p: p.bundle(files={}),
        MODEL,
        1,
        "does not vouch for config.json, tokenizer.json, onnx/model_quantized.onnx",
    ),
    case(
        "a bundle that answers otherwise",
        answers(9, probes=1),
        "verify model",
        1,
        "model answers the probe 'I love learning about DistilBERT!' with [",
        "not [9. 9.]",
        "Do not use it on this machine",
    ),
    case(
        "a bundle whose answers are no numbers",
        answers(math.nan, probes=99),
        "verify model",
        1,
        "model answers the probe ",
        "not [nan nan]",
    ),
    case(
        "verify of a checkpoint",
        lambda p: p.checkpoint(),
        "verify model",
        1,
        "model/bundle.json cannot be read: No such file",
        "Name a bundle",
    ),
]


def data(
    name: str, content: str | bytes, code: int, *says: str, options: str = "", file: str = "a.csv"
) -> Case:
    """A file that `classify` is given."""
    return case(name, lambda p: p.file(file, content), f"classify --file {file} {options}", code, *says)


DATA = [
    data(
        "a missing column",
        "id,body\n1,great\n",
        1,
        "a.csv, line 2: no column 'text'; its columns: 'id', 'body'",
        "--column",
    ),
    data(
        "a column that is named wrongly", "text\na\n", 1, "no column 'txt'", "'text'", options="--column txt"
    ),
    data("a missing pair column", "text\na\n", 1, "no column 'b'", options="--pair-column b"),
    data("an empty file", "", 1, "a.csv has no rows; csv needs at least one", "Give a file with rows"),
    data("an empty .txt", "", 1, "a.txt has no rows; txt needs at least one", file="a.txt"),
    data("a header only", "text,label\n", 1, "a.csv has no rows", "below a line of column names"),
    data(
        "invalid UTF-8", b"text\nhello\nf\xfcr\n", 1, "a.csv, line 3: not UTF-8 at byte 2 (0xfc)", "Save it"
    ),
    data("UTF-16", "text\nhello\n".encode("utf-16"), 1, "a.csv, line 1", "It looks like UTF-16"),
    data("a NUL", b"text\na\0b\n", 1, "a.csv, line 2: a NUL byte"),
    data("an unknown ending", "hello\n", 1, "a.doc: a table ends in .txt, .csv", "Rename it", file="a.doc"),
    data("not gzip", "text\nhello\n", 1, "a.csv.gz is not a whole gzip file", file="a.csv.gz"),
    data(
        "gzip cut short", gzip.compress(b"text\nhello\n")[:-9], 1, "a.csv.gz is not a whole", file="a.csv.gz"
    ),
    data(
        "a ragged row", "id,text\n1,a,b\n", 1, "a.csv, line 2: 3 cells, where the header has 2", "delimiters"
    ),
    data("a quote that never ends", 'text\n"a\nb\n', 1, "a.csv, line 2: not CSV, a quote opened here"),
    data("no JSON", "hello\n", 1, "a.jsonl, line 1: not JSON", "one JSON object", file="a.jsonl"),
    data("a text that is null", '{"text": null}\n', 1, "line 1: column 'text' is null", file="a.jsonl"),
    data("a text that is a number", '{"text": 5}\n', 1, "should be text, but is 5", file="a.jsonl"),
    case("no such file", nothing, "classify --file gone.csv", 1, "gone.csv cannot be read: No such file"),
    case(
        "a folder as file",
        lambda p: (p.folder / "a.csv").mkdir(),
        "classify --file a.csv",
        1,
        "a.csv is a folder",
        "Name a file in it",
    ),
    case("nothing on standard input", nothing, "classify --file -", 1, "standard input has no rows"),
]

SCORES = [
    case(
        "a label that the model does not know",
        lambda p: p.file("a.csv", "text,label\ngood,POSITIVE\nbad,AWFUL\n"),
        "score --file a.csv",
        1,
        "a.csv, line 3: the model has no label 'AWFUL'; it knows NEGATIVE, POSITIVE or 0 to 1",
        "--label-column",
    ),
    case(
        "no column of labels",
        lambda p: p.file("a.csv", "text,stars\ngood,1\n"),
        "score --file a.csv",
        1,
        "no column 'label'",
        "'stars'",
    ),
    case(
        "score of a regression without a number",
        lambda p: (
            tiny_checkpoint(p.folder / "model", labels=("STARS",), problem_type="regression"),
            p.file("a.csv", "text,label\ngood,nan\n"),
        ),
        "score --file a.csv --model model",
        1,
        "a.csv, line 2: column 'label' should hold a finite number, but is 'nan'",
    ),
    case(
        "score of several labels with another one",
        lambda p: (
            tiny_checkpoint(p.folder / "model", problem_type="multi_label_classification"),
            p.file("a.csv", 'text,label\ngood,"POSITIVE,JOY"\n'),
        ),
        "score --file a.csv --model model",
        1,
        "a.csv, line 2: the model has no label 'JOY'; it knows NEGATIVE, POSITIVE",
    ),
    case(
        "--against where labels are numbers",
        lambda p: (
            tiny_checkpoint(p.folder / "model", labels=("STARS",), problem_type="regression"),
            p.file("a.csv", "text,label\ngood,0.5\n"),
        ),
        "score --file a.csv --model model --against model",
        2,
        "--against counts labels that change, one a text; model is for regression",
    ),
    case(
        "--against a model of other labels",
        lambda p: (
            tiny_checkpoint(p.folder / "model", labels=("A", "B")),
            p.file("a.csv", "text,label\ngood,POSITIVE\n"),
        ),
        "score --file a.csv --against model",
        2,
        "--against has the labels A, B, but --model NEGATIVE, POSITIVE",
        "same labels",
    ),
    case("score without a file", nothing, "score", 2, "Missing option '--file'", "distilbert score --help"),
]

COMPILES = [
    case(
        "int8 without --calibrate",
        lambda p: p.checkpoint(),
        "compile model --out out",
        2,
        "int8 needs --calibrate FILE",
        "--precision fp32",
    ),
    case(
        "too few texts to calibrate",
        lambda p: (p.checkpoint(), p.file("few.txt", "".join(f"text {i % 999}\n" for i in range(3000)))),
        "compile model --out out --calibrate few.txt",
        1,
        "few.txt has 999 different texts; int8 needs 2,512: 512 to calibrate on and 2,000 others",
        "Give more texts",
    ),
    case(
        "a column of a file that has none",
        lambda p: (p.checkpoint(), p.file("tags.iob2", "Ada\tB-PER\n\n")),
        "compile model --out out --calibrate tags.iob2 --column word",
        2,
        "--column names a column, and tags.iob2 has none",
        "Leave it out",
    ),
    case(
        "a gate that fails",  # three labels at random: their scores lie close to each other
        lambda p: tiny_checkpoint(p.folder / "model", labels=("A", "B", "C")),
        "compile model --out out --calibrate {reviews}",
        1,
        "No int8 form of this model passes its gate. The closest: ",
        "of 2,088 labels flipped (",
        "at most 0.50 %",
        "--keep-float",
        "use fp32",
    ),
    case(
        "labels of the gate that the model does not know",
        lambda p: tiny_checkpoint(p.folder / "model", labels=("A", "B", "C")),
        "compile model --out new/out --calibrate {reviews} --label-column text",
        1,
        "the model has no label",
        "it knows A, B, C or 0 to 2",
        "--label-column",
    ),
    case(
        "labels for an encoder",
        lambda p: tiny_checkpoint(p.folder / "model", head="none"),
        "compile model --out out --calibrate {reviews} --label-column label",
        2,
        "without head gives no labels",
        "Leave out --label-column",
    ),
    case(
        "--keep-float of a layer that is not there",
        lambda p: p.checkpoint(),
        "compile model --out out --calibrate {reviews} --keep-float layer.9.*",
        2,
        "keep-float 'layer.9.*' names no linear of this model",
        "layer.0.attention.q_lin to layer.1.ffn.lin2",
    ),
    case(
        "--out is a bundle already",
        lambda p: p.bundle(),
        "compile {checkpoint} --out model --precision fp32",
        1,
        "model is already there and is never overwritten",
        "Choose another folder",
    ),
    case(
        "--out is a file",
        lambda p: p.file("out", "mine"),
        "compile {checkpoint} --out out --precision fp32",
        1,
        "out is already there",
    ),
    case(
        "--out lies under a file",
        lambda p: p.file("out", "mine"),
        "compile {checkpoint} --out out/bundle --precision fp32",
        1,
        "out/bundle cannot be written: Not a directory",
        "choose another place",
    ),
    case(
        "--out has too long a name",
        nothing,
        f"compile {{checkpoint}} --out {'a' * 300} --precision fp32",
        1,
        "cannot be written: File name too long",
    ),
    case(
        "--out where nothing can be made",
        lambda _: needs("/proc/self"),
        "compile {checkpoint} --out /proc/self/bundle --precision fp32",
        1,
        "/proc/self/bundle cannot be written: ",
        "choose another place",
    ),
    case(
        "a checkpoint that is a bundle",
        lambda p: p.bundle(),
        "compile model --out out --precision fp32",
        1,
        "model has no model.safetensors",
    ),
    case(
        "--about that is not UTF-8",
        lambda p: p.file("about.md", b"caf\xe9"),
        "compile {checkpoint} --out out --precision fp32 --about about.md",
        1,
        "about.md is not UTF-8 at byte 4",
        "Save it as UTF-8",
    ),
    case(
        "--about that is not there",
        nothing,
        "compile {checkpoint} --out out --precision fp32 --about gone.md",
        2,
        "'gone.md' does not exist",
    ),
    case(
        "a seed below 0",
        nothing,
        "compile {checkpoint} --out out --precision fp32 --seed -1",
        2,
        "Invalid value for '--seed': -1",
    ),
    case(
        "a precision that there is not",
        nothing,
        "compile {checkpoint} --out out --precision int4",
        2,
        "'int4' is not one of 'int8', 'fp32'",
    ),
    case(
        "no --out", nothing, "compile {checkpoint}", 2, "Missing option '--out'", "distilbert compile --help"
    ),
]

USES = [
    case("no texts", nothing, "classify", 2, "Give texts or --file", "For example"),
    case(
        "texts and a file",
        nothing,
        "classify hello --file a.csv",
        2,
        "Give texts or --file",
        "one of the two",
    ),
    case(
        "an unknown option", nothing, "classify --modle x hello", 2, "--modle", "distilbert classify --help"
    ),
    case("an unknown command", nothing, "clasify hello", 2, "No such command 'clasify'", "distilbert --help"),
    case("--top-k 0", nothing, "classify hello --top-k 0", 2, "Invalid value for '--top-k': 0", "--help"),
    case(
        "--top-k many", nothing, "classify hello --top-k many", 2, "'--top-k': 'many' is not a valid integer"
    ),
    case("--threads 0", nothing, "classify hello --threads 0", 2, "Invalid value for '--threads': 0"),
    case(
        "--out of no known format", nothing, "classify hello --out a.xlsx", 1, "a.xlsx: a table ends in .txt"
    ),
    case("--out .txt", nothing, "classify hello --out a.txt", 2, "txt holds one column, not 3", "Write csv"),
    case("--out in no folder", nothing, "classify hello --out gone/a.csv", 1, "gone/a.csv cannot be written"),
    case(
        "--out under a file",
        lambda p: p.file("a", "mine"),
        "classify hello --out a/a.csv",
        1,
        "a/a.csv cannot be written: Not a directory",
    ),
    case(
        "--out is a folder",
        lambda p: (p.folder / "a.csv").mkdir(),
        "classify hello --out a.csv",
        1,
        "a.csv cannot be written: Is a directory",
    ),
]

CASES = [*NAMES, *CHECKPOINTS, *BUNDLES, *DATA, *SCORES, *COMPILES, *USES]


@pytest.mark.parametrize("case", [pytest.param(row, id=row.name) for row in CASES])
def test_a_message_says_what_is_wrong_and_what_to_do_and_nothing_is_left_behind(
    case: Case, place: Place, distilbert: Command, tiny_fp32: Path
) -> None:
    case.make(place)
    before = contents(place.folder)
    outcome = distilbert(*words_of(place, case.line, tiny_fp32))
    message = complaint(outcome.err)
    assert [part for part in case.says if part not in message] == []
    assert outcome.code == case.code
    assert outcome.out == ""
    assert contents(place.folder) == before


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(row, id=row.name)
        for row in CASES
        if row.name in {"no such model", "a missing column", "invalid UTF-8", "a flipped bit in config.json"}
    ],
)
def test_debug_shows_where_it_happened_before_the_message(
    case: Case, place: Place, distilbert: Command, tiny_fp32: Path
) -> None:
    case.make(place)
    outcome = distilbert("--debug", *words_of(place, case.line, tiny_fp32))
    assert outcome.code == case.code
    assert "Traceback (most recent call last)" in outcome.err
    assert outcome.err.count("\nerror: ") == 1


@pytest.mark.parametrize("number", ["many", "0", "-1", "1.5"])
def test_a_wrong_number_of_threads_in_the_environment_is_named(
    number: str, distilbert: Command, tiny_fp32: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILBERT_THREADS", number)
    outcome = distilbert("classify", "hello", "--model", tiny_fp32)
    assert outcome.code == 2
    assert f"DISTILBERT_THREADS must be a whole number of at least 1, not '{number}'" in complaint(
        outcome.err
    )


# A bundle that changes while it is in use


@pytest.mark.parametrize("name", [*ANSWER, "onnx/model_quantized.onnx"])
def test_a_bit_that_flips_after_a_first_use_is_seen_by_the_time_of_the_file(
    name: str, place: Place, distilbert: Command
) -> None:
    path = place.bundle() / name
    assert distilbert("classify", "--model", "model", "hello").code == 0
    before = path.stat()
    flipped(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert f"model/{name} was changed" in complaint(distilbert("classify", "--model", "model", "hello").err)


def test_verify_finds_a_flipped_bit_though_size_and_time_are_as_before(
    place: Place, distilbert: Command
) -> None:
    path = place.bundle() / "onnx/model_quantized.onnx"
    assert distilbert("verify", "model").code == 0
    before = path.stat()
    flipped(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    outcome = distilbert("verify", "model")
    assert outcome.code == 1
    assert "model/onnx/model_quantized.onnx was changed" in complaint(outcome.err)


def test_a_graph_that_is_vouched_for_and_still_cannot_be_loaded_is_named(
    place: Place, distilbert: Command
) -> None:
    from distilbert.files.bundle import open_bundle

    folder = place.bundle()
    manifest = open_bundle(folder).manifest
    (folder / "onnx/model_quantized.onnx").write_bytes(b"no graph")
    write_manifest(folder, manifest)
    message = complaint(distilbert("classify", "--model", "model", "hello").err)
    assert "model/onnx/model_quantized.onnx is cut short or was damaged" in message


def test_a_damaged_copy_in_the_machine_s_cache_is_named_and_can_be_removed(
    place: Place, distilbert: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.checkpoint()
    monkeypatch.setenv("DISTILBERT_CACHE", "cache")
    good = distilbert("classify", "--model", "model", "hello")
    [graph] = place.folder.glob("cache/v1/bundles/*/onnx/model.onnx")
    cut(graph, 1)
    message = complaint(distilbert("classify", "--model", "model", "hello").err)
    cached = graph.relative_to(place.folder).parent.parent
    assert f"{cached}/onnx/model.onnx has " in message
    assert f"Remove {cached}: it will be made again from model." in message
    shutil.rmtree(cached)
    assert distilbert("classify", "--model", "model", "hello") == good


@pytest.mark.parametrize("at", ["cache", "cache/v1", "cache/v1/bundles"])
def test_a_checkpoint_needs_a_cache_that_can_be_written_and_says_so(
    at: str, place: Place, distilbert: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.checkpoint()
    (place.folder / at).parent.mkdir(parents=True, exist_ok=True)
    place.file(at, "")
    monkeypatch.setenv("DISTILBERT_CACHE", "cache")
    message = complaint(distilbert("classify", "--model", "model", "hello").err)
    assert message.startswith("cache/v1/bundles/")
    assert "cannot be written: Not a directory" in message
    assert "Set DISTILBERT_CACHE" in message


@pytest.mark.parametrize("debug", [False, True])
def test_a_stranger_s_name_in_an_error_moves_no_cursor(
    debug: bool, place: Place, distilbert: Command
) -> None:
    place.tensors(lambda arrays: arrays.update({"red\x1b[31m\x9b2J\u202e": np.zeros(3, np.float32)}))
    outcome = distilbert(*["--debug"] * debug, "classify", "--model", "model", "hello")
    assert outcome.code == 1
    assert "red [31m 2J " in outcome.err
    assert all(line.isprintable() for line in outcome.err.splitlines())
    assert len(outcome.err.rpartition("error: ")[2].splitlines()) == 2


def test_a_stranger_s_name_in_a_note_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    _show_warning("a\x1b[31m\r\x9b", TruncationWarning)
    assert capsys.readouterr().err == "note: a [31m  \n"
