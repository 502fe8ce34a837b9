"""`distilbert info`: what a model is, from its small files: no engine is started and no weight is read."""

from __future__ import annotations

import json
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from distilbert.cli import options
from distilbert.cli.terminal import printable
from distilbert.errors import BundleError, EngineError, OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from distilbert.files.bundle import Bundle, Manifest
    from distilbert.files.checkpoint import Head
    from distilbert.files.config import DistilBertConfig

_DTYPES = {"F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16"}
_LISTED_LABELS = 10
_LONGEST_LABEL = 40  # characters


@click.command(
    epilog="""\b
Examples:
  distilbert info distilbert-sst2
  distilbert info my-bundle/ --json"""
)
@click.argument("model")
@options.revision
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; sizes are in bytes.")
def command(model: str, revision: str | None, as_json: bool) -> None:
    """Say what MODEL is: a bundle's or a checkpoint's folder, an embedded model or one on the hub.

    Nothing is run, and of a model on the hub no weights are downloaded.
    """
    from distilbert.files.hub import resolve

    described = _described(model, resolve(model, revision=revision, weights=False))
    click.echo(json.dumps(described) if as_json else "\n".join(_lines(described)))


def _described(model: str, folder: Path) -> dict[str, Any]:
    from distilbert.files.bundle import is_bundle
    from distilbert.files.checkpoint import TASKS, count_parameters
    from distilbert.files.config import DistilBertConfig
    from distilbert.text.tokenizer import DistilBertTokenizer

    config = DistilBertConfig.from_folder(folder)
    limit = DistilBertTokenizer.from_folder(folder).model_max_length
    head, more = _bundle(folder) if is_bundle(folder) else _checkpoint(folder, config)
    has_labels = head in ("sequence-classification", "token-classification")
    return {
        "model": model,
        "folder": str(folder),
        "task": TASKS[head] if head else None,
        "labels": list(config.labels) if has_labels else None,
        "model_type": config.model_type,
        "n_layers": config.n_layers,
        "dim": config.dim,
        "n_heads": config.n_heads,
        "hidden_dim": config.hidden_dim,
        "vocab_size": config.vocab_size,
        "max_length": min(config.max_position_embeddings, limit),
        "parameters": count_parameters(config, head) if head else None,
        **more,
        "card": _card(folder),
    }


def _bundle(folder: Path) -> tuple[Head, dict[str, Any]]:
    """A bundle's head, and what its manifest says; of one on the hub the graph need not be here."""
    from distilbert.files.bundle import GRAPHS, MANIFEST, Bundle, measure_bundle, read_manifest
    from distilbert.files.checkpoint import TASKS

    here = not _in_hub_cache(folder) or any((folder / graph).is_file() for graph in GRAPHS.values())
    manifest = measure_bundle(folder).manifest if here else read_manifest(folder / MANIFEST)
    head = next((head for head, task in TASKS.items() if task == manifest.task), None)
    if head is None:
        raise BundleError(
            f"{folder / MANIFEST} names the task {manifest.task!r:.60}; there are {', '.join(TASKS.values())}.",
            "Use the release of distilbert that wrote it.",
        )
    files = {name: record.size for name, record in manifest.files.items()}
    return head, {
        "kind": "bundle",
        "precision": manifest.precision,
        "weights": {precision: files[graph] for precision, graph in GRAPHS.items() if graph in files},
        "files": files,
        "here": here,
        "gate": _gate(folder, manifest),
        "engine": _foreseen(Bundle(folder, manifest)),
        "made_by": manifest.made_by,
    }


def _foreseen(bundle: Bundle) -> str | None:
    """What would run it here; None where that is to be measured, or DISTILBERT_ENGINE names one that may not."""
    from distilbert.engines.choice import foreseen_engine

    with suppress(EngineError, OptionError):
        return foreseen_engine(bundle)
    return None


def _in_hub_cache(folder: Path) -> bool:
    """Whether the folder is one that the hub's files are downloaded into, a few at first and then the others."""
    return folder.resolve().parent.name == "snapshots"


def _gate(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """The figures by engine, each with `said`: the same in a sentence."""
    from distilbert.files.bundle import MANIFEST

    try:
        return {
            engine: {**figures, "said": str(figures["said"])} for engine, figures in manifest.gate.items()
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise BundleError(
            f"{folder / MANIFEST} has a gate without figures: {error!r:.60}.", "Compile the bundle again."
        ) from error


def _checkpoint(folder: Path, config: DistilBertConfig) -> tuple[Head | None, dict[str, Any]]:
    """A checkpoint's head, and its sizes; of one on the hub the weights need not be here."""
    from distilbert.files.checkpoint import read_outline, told_head
    from distilbert.files.weights import INDEX, SINGLE, shards_of

    in_shards = (folder / INDEX).is_file() and not (folder / SINGLE).is_file()
    stored = shards_of(folder / INDEX) if in_shards else [SINGLE]
    here = not _in_hub_cache(folder) or all((folder / name).is_file() for name in stored)
    weights: dict[str, int] = {}
    head = told_head(config)
    if here:
        head, tensors = read_outline(folder, config)
        for _, tensor in tensors.values():
            precision = _DTYPES[tensor.dtype]
            weights[precision] = weights.get(precision, 0) + tensor.size
    files = dict(_sizes(folder, stored))
    return head, {"kind": "checkpoint", "precision": None, "weights": weights, "files": files, "here": here}


def _sizes(folder: Path, stored: list[str]) -> Iterator[tuple[str, int]]:
    """The sizes of the files that a checkpoint is read from, and of its card; links that lead nowhere are none."""
    from distilbert.files.reading import checked_size

    for path in sorted(folder.iterdir()):
        if path.suffix in (".json", ".txt", ".md") or path.name in stored:
            with suppress(OSError):
                yield path.name, checked_size(path)


def _card(folder: Path) -> dict[str, Any] | None:
    from distilbert.files.card import read_card

    card = read_card(folder)
    if card is None:
        return None
    keys = ("license", "license_name", "language", "base_model", "datasets")
    return {**{key: card.front.get(key, []) for key in keys}, "at_home": card.at_home}


def _lines(described: dict[str, Any]) -> Iterator[str]:
    """The description for people: a headline, a line for each thing, then where it is at home."""
    kind = f"a bundle in {described['precision']}" if described["kind"] == "bundle" else "a checkpoint"
    yield printable(
        f"{described['model']}: {kind} for {described['task'] or 'a task that only its weights tell'}"
    )
    for name, value in _rows(described).items():
        if value:
            yield f"  {name:<11}{printable(value)}"
    if described["card"] and described["card"]["at_home"]:
        yield "\nWhere it is at home:\n"
        yield from (printable(line) for line in described["card"]["at_home"].splitlines())


def _rows(described: dict[str, Any]) -> dict[str, str]:
    card = described["card"] or {}
    gate = described.get("gate", {})
    return {
        "labels": _some(described["labels"] or []),
        "shape": f"{described['model_type']}, {described['n_layers']} layers of {described['dim']:,}, "
        f"{described['n_heads']} heads, feed-forward {described['hidden_dim']:,}",
        "parameters": f"{described['parameters'] / 1e6:.1f} million" if described["parameters"] else "",
        "reads": f"at most {described['max_length']:,} tokens of a vocabulary of {described['vocab_size']:,}",
        "size": _size(described),
        "gate": "; ".join(f"{engine}: {figures['said']}" for engine, figures in gate.items()),
        "engine": _engine(described),
        "runs": "in float32, compiled on first use; for int8: distilbert compile "
        f"{shlex.quote(described['model'])} --out my-bundle/ --calibrate texts.txt"
        if described["kind"] == "checkpoint"
        else "",
        "licence": ", ".join([*card.get("license", []), *card.get("license_name", [])]) or _unsaid(described),
        "language": ", ".join(card.get("language", [])),
        "made from": ", ".join(card.get("base_model", [])),
        "data": ", ".join(card.get("datasets", [])),
        "at home": "" if card.get("at_home") else _unsaid(described),
        "lies in": described["folder"],
    }


def _engine(described: dict[str, Any]) -> str:
    """What would run a bundle here, where its gate leaves a choice."""
    if len(described.get("gate", {})) < 2:
        return ""
    return described["engine"] or f"the faster of {', '.join(described['gate'])}, to be measured on first use"


def _some(labels: list[str]) -> str:
    more = f", … ({len(labels):,} in all)" if len(labels) > _LISTED_LABELS else ""
    shown = (
        label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"
        for label in labels[:_LISTED_LABELS]
    )
    return ", ".join(shown) + more


def _size(described: dict[str, Any]) -> str:
    weights = ", ".join(f"{size / 1e6:.1f} MB in {form}" for form, size in described["weights"].items())
    in_all = f"{sum(described['files'].values()) / 1e6:.1f} MB in {len(described['files'])} files"
    if not described["weights"]:
        return "not known before its weights are downloaded"
    return f"{in_all}, weights {weights}" + ("" if described["here"] else "; the weights are not here yet")


def _unsaid(described: dict[str, Any]) -> str:
    """Why a card does not tell."""
    return "its card (README.md) does not say" if described["card"] else "there is no card (README.md) here"
