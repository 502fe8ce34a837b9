"""From a checkpoint folder to a bundle folder, on request or, in float32, on first use."""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import replace
from typing import TYPE_CHECKING

from distilbert import __version__
from distilbert.compile.probes import make_probes
from distilbert.compile.quantise import Int8, quantise
from distilbert.engines.choice import ENGINES, ONNX_RUNTIME, installed, open_graph
from distilbert.errors import CheckpointError, StorageError, TokenizerError
from distilbert.files.atomic import atomic_folder
from distilbert.files.bundle import GRAPHS, Manifest, is_bundle, write_manifest
from distilbert.files.cache import cache_folder, known_sha256
from distilbert.files.card import write_card
from distilbert.files.checkpoint import TASKS, read_checkpoint
from distilbert.files.config import DistilBertConfig
from distilbert.files.reading import checked_size, next_step
from distilbert.text.tokenizer import DistilBertTokenizer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from distilbert.engines.base import Engine


def compile_checkpoint(
    source: Path,
    out: Path,
    *,
    int8: Int8 | None = None,
    head: bool = True,
    about: str = "",
    say: Callable[[str], None] = lambda _: None,
) -> Manifest:
    """Compile the checkpoint in `source` into the bundle `out`: int8 where `int8` is given, else float32.

    Without `head`, the encoder alone. `about` is Markdown, with front matter if it has any, that opens the
    bundle's card; `say` hears of progress. Raises `ConfigError`, `CheckpointError`, `TokenizerError`, `GateError`
    (int8 strays too far) or `StorageError` (`out` is there already or cannot be written), and leaves nothing behind.
    """
    from distilbert.graph.encoder import build_graph
    from distilbert.graph.heads import HEADS
    from distilbert.graph.weights import FloatWeights

    with atomic_folder(out) as folder:
        config = DistilBertConfig.from_folder(source)
        checkpoint = read_checkpoint(source, config)
        if not head:
            checkpoint = replace(checkpoint, head="none")
        if checkpoint.head not in HEADS:
            raise CheckpointError(
                f"{source} is a model for {TASKS[checkpoint.head]}, for which there is no graph.",
                "Run it with its class in distilbert.models, or compile a model with another head.",
            )
        tokenizer = DistilBertTokenizer.from_folder(source)
        _check_vocabulary(source, tokenizer, config)
        say(f"{config.n_layers} layers of {config.dim}: building the float32 graph")
        graph = build_graph(checkpoint, FloatWeights(checkpoint.arrays)).SerializeToString()
        engines: dict[str, Engine] = {"fp32": open_graph(ONNX_RUNTIME, graph)}
        manifest = Manifest(task=TASKS[checkpoint.head], precision="fp32", made_by=_versions(), probes=[])
        if int8:
            chosen = quantise(checkpoint, tokenizer, engines["fp32"], int8, say)
            graph = chosen.graph
            engines["int8"] = open_graph(ONNX_RUNTIME, graph)
            engines |= {name: open_graph(name, graph) for name in chosen.elsewhere}
            manifest = replace(manifest, precision="int8", gate=chosen.gate_figures(), int8=chosen.settings())
        manifest = replace(manifest, probes=make_probes(tokenizer, config, engines))
        path = folder / GRAPHS[manifest.precision]
        path.parent.mkdir()
        path.write_bytes(graph)
        config.save(folder)
        tokenizer.save_pretrained(folder)
        write_card(folder, out.name, config, manifest, about)
        write_manifest(folder, manifest)
    return manifest


def _check_vocabulary(source: Path, tokenizer: DistilBertTokenizer, config: DistilBertConfig) -> None:
    token, largest = max(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    if largest >= config.vocab_size:
        raise TokenizerError(
            f"{source}: the tokenizer gives {token!r} the id {largest}, but config.json's vocab_size is "
            f"{config.vocab_size}.",
            "Take tokenizer and weights from one model.",
        )


def float_bundle(source: Path, *, head: bool = True) -> Path:
    """The float32 bundle of a checkpoint, compiled on first use into this machine's cache.

    It is found again by the contents of the checkpoint's files, so a changed checkpoint is compiled anew.
    """
    bundle = cache_folder() / "bundles" / _digest(source, head)
    if not is_bundle(bundle):
        try:
            compile_checkpoint(source, bundle, head=head)
        except StorageError as error:
            if not is_bundle(bundle):  # else another process was quicker
                raise StorageError(error.fault, "Set DISTILBERT_CACHE to a folder with space.") from error
    return bundle


def _digest(source: Path, head: bool) -> str:
    digest = hashlib.sha256(f"{__version__} head={head}\n".encode())
    path = source
    try:
        for path in sorted(source.iterdir()):
            if path.suffix in {".json", ".txt", ".safetensors"} and path.is_file():
                checked_size(path)
                digest.update(os.fsencode(f"{path.name}:{known_sha256(path)}\n"))
    except OSError as error:
        fault = f"{path} cannot be read: {error.strerror}."
        raise CheckpointError(fault, next_step(error, "Check who may read it.")) from error
    return digest.hexdigest()[:32]


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    made_by = {"distilbert": __version__, "python": platform.python_version()}
    engines = {name: found for name in ENGINES if (found := installed(name))}
    return {**made_by, **{package: version(package) for package in ("onnx", "tokenizers")}, **engines}
