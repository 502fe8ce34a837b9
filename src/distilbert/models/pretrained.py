"""From files to a model and back: what every class here can do beside computing.

Inside, tensors have canonical names (`files.checkpoint`); the one table there knows how files call them.
"""

from __future__ import annotations

import dataclasses
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from safetensors.torch import save_file
from torch import nn

from distilbert.errors import CheckpointError, ConfigError, OptionError
from distilbert.files.atomic import atomic_file, atomic_folder
from distilbert.files.bundle import is_bundle, open_bundle
from distilbert.files.card import write_checkpoint_card
from distilbert.files.checkpoint import TASKS, read_checkpoint, stored_names
from distilbert.files.config import DistilBertConfig
from distilbert.files.hub import resolve
from distilbert.files.weights import SINGLE

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from distilbert.engines.base import Engine
    from distilbert.files.checkpoint import Checkpoint, Float32, Head
    from distilbert.files.config import ModelType
    from distilbert.text.tokenizer import DistilBertTokenizer

_FAMILIES = {"distilbert": "DistilBert", "bert": "Bert"}
_LABELS = ("num_labels", "id2label", "label2id")
# What may be told otherwise than the config.json says: nothing that decides a shape of the encoder.
OVERRIDES = (
    *_LABELS,
    "problem_type",
    *("dropout", "attention_dropout", "seq_classif_dropout", "qa_dropout"),
    *("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"),
)
_SHARED = ("embeddings.", "transformer.", "pooler.")  # what means the same under any head
_WORDS, _PROJECTOR = "embeddings.word_embeddings.weight", "vocab_projector.weight"


def read_weights(folder: Path) -> Checkpoint:
    """The config and weights in a folder: a checkpoint's, or a bundle's, which are de-quantised.

    Raises `ConfigError`, `CheckpointError` or `BundleError`.
    """
    config = DistilBertConfig.from_folder(folder)
    if not is_bundle(folder):
        return read_checkpoint(folder, config)
    from distilbert.graph.reading import read_graph

    return read_graph(open_bundle(folder).graph, config)


class NewHeadWarning(UserWarning):
    """A model was loaded with a head that its checkpoint does not have: it is random, and has yet to be trained."""


class PretrainedModel(nn.Module):
    """The base of all models: `config`, and the `folder` it was loaded from, where its tokenizer lies."""

    family: ClassVar[ModelType]
    head: ClassVar[Head]

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__()
        if config.model_type != self.family:
            theirs = type(self).__name__.replace(_FAMILIES[self.family], _FAMILIES[config.model_type])
            raise ConfigError(
                f"{type(self).__name__} is for {self.family} models; this config's model_type is {config.model_type}.",
                f"Use distilbert.models.{theirs}.",
            )
        self.config = dataclasses.replace(config, architectures=(type(self).__name__,))
        self.folder: Path | None = None

    @classmethod
    def from_pretrained(
        cls, name: str | os.PathLike[str], *, revision: str | None = None, **overrides: Any
    ) -> Self:
        """Load a folder (checkpoint or bundle), an embedded model or a model on the hub, ready to predict.

        `overrides` are keys of `config.json`: `num_labels`, `id2label`, `label2id`, `problem_type` and the rates of
        dropout. A head that the checkpoint lacks, or has with other labels, is new: one `NewHeadWarning` names its
        tensors. Raises `ModelNotFoundError`, `HubError`, what `read_weights` raises, and `OptionError` for another
        override.
        """
        folder = resolve(name, revision=revision)
        model = cls.from_checkpoint(read_weights(folder), **overrides)
        model.folder = folder
        return model.eval()

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, **overrides: Any) -> Self:
        """As `from_pretrained`, of weights that are in memory."""
        config, arrays = _overridden(checkpoint.config, overrides), dict(checkpoint.arrays)
        if cls.head != checkpoint.head:
            arrays = {name: array for name, array in arrays.items() if name.startswith(_SHARED)}
        elif _PROJECTOR in arrays:  # a projection in the file wins, as in transformers
            config = dataclasses.replace(config, extra={**config.extra, "tie_word_embeddings": False})
        elif cls.head == "masked-lm" and not config.ties_words:
            arrays[_PROJECTOR] = arrays[_WORDS]  # equal in the file, and still two
        model = cls(config)
        model._load(arrays)
        return model

    def save_pretrained(
        self, folder: str | os.PathLike[str], tokenizer: DistilBertTokenizer | None = None
    ) -> None:
        """Write `model.safetensors`, `config.json`, the tokenizer if given, and a card where there is none.

        transformers 4 and 5 read them too. A new folder appears whole or not at all; in one that is there each
        file is replaced whole. Raises `StorageError` where the disk refuses.
        """
        folder = Path(folder)
        if folder.exists():
            self._save(folder, folder.name, tokenizer)
        else:
            with atomic_folder(folder) as new:
                self._save(new, folder.name, tokenizer)

    def push_to_hub(
        self,
        repo_id: str,
        tokenizer: DistilBertTokenizer | None = None,
        *,
        private: bool | None = None,
        commit_message: str = "Upload model",
    ) -> str:
        """Save and commit to the hub as `repo_id`, which is made where it is not there; return the commit's address.

        The token is huggingface_hub's own (`hf auth login`, HF_TOKEN). Raises `HubError` for what the hub refuses.
        """
        from distilbert.files.upload import upload

        with tempfile.TemporaryDirectory() as folder:
            self._save(Path(folder), repo_id.split("/")[-1], tokenizer)
            return upload(Path(folder), repo_id, private, commit_message)

    @property
    def base_model(self) -> Any:
        """The encoder; of an encoder, itself."""
        return self._modules.get(self.family, self)

    @property
    def task(self) -> str:
        """What a pipeline calls that which it does."""
        return TASKS[self.head]

    @property
    def engine(self) -> Engine:
        """What pipelines run: see `models.engine`."""
        from distilbert.models.engine import TorchEngine

        return TorchEngine(self)

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""
        return next(self.parameters()).device

    def canonical_parameters(self) -> dict[str, nn.Parameter]:
        """{canonical name: parameter}; what is tied is there once."""
        prefix = f"{self.family}."
        return {name.removeprefix(prefix): parameter for name, parameter in self.named_parameters()}

    def _load(self, arrays: Mapping[str, Float32]) -> None:
        """Copy the arrays; of the head, those that are lacking or of another shape stay new, and are told."""
        new = []
        for name, parameter in self.canonical_parameters().items():
            array = arrays.get(name)
            if array is not None and array.shape == parameter.shape:
                parameter.data.copy_(torch.from_numpy(array))
            elif name.startswith(_SHARED[:2]):
                found = "missing" if array is None else f"of shape {list(array.shape)}"
                raise CheckpointError(
                    f"{name} is {found}, but the config asks for {list(parameter.shape)}.",
                    "Check that config and weights belong together.",
                )
            else:
                new.append(name)
        if new:
            warnings.warn(
                f"{type(self).__name__}: {', '.join(new)} are new and random: the checkpoint has no head for "
                f"{self.task}, or one of another size. Train them before you use them.",
                NewHeadWarning,
                stacklevel=4,
            )

    def _save(self, folder: Path, name: str, tokenizer: DistilBertTokenizer | None) -> None:
        names = stored_names(self.config, self.head)
        parameters = self.canonical_parameters().items()
        tensors = {names[canonical]: parameter.detach().contiguous() for canonical, parameter in parameters}
        with atomic_file(folder / SINGLE) as path:
            save_file(tensors, path, {"format": "pt"})  # without which transformers reads nothing
        self.config.saved_as(str(next(self.parameters()).dtype).removeprefix("torch.")).save(folder)
        if tokenizer is not None:
            tokenizer.save_pretrained(folder)
        if not (folder / "README.md").exists():
            write_checkpoint_card(folder, name, self.config, self.task)


def _overridden(config: DistilBertConfig, overrides: Mapping[str, Any]) -> DistilBertConfig:
    """The config with keys of `config.json` replaced."""
    values = config.to_dict()
    known = [key for key in OVERRIDES if key in values or key in _LABELS]
    if unknown := [key for key in overrides if key not in known]:
        raise OptionError(
            f"{unknown[0]} is no setting of a {config.model_type} that can be changed when loading.",
            f"These can: {', '.join(known)}.",
        )
    labels = {key: overrides[key] for key in _LABELS if overrides.get(key) is not None}
    if labels and labels != {"num_labels": config.num_labels}:
        values = {key: value for key, value in values.items() if key not in _LABELS}
        if "label2id" in labels and "id2label" not in labels:
            labels["id2label"] = {place: label for label, place in labels["label2id"].items()}
    others = {key: value for key, value in overrides.items() if key not in _LABELS}
    return DistilBertConfig.from_dict({**values, **others, **labels}, source="from_pretrained")
