"""The classes people know, over an engine: NumPy in, NumPy out. They run; `distilbert.models` has those that train.

tokenizer = DistilBertTokenizer.from_pretrained("distilbert-sst2")
model = DistilBertForSequenceClassification.from_pretrained("distilbert-sst2")
model(**tokenizer("Charming.", return_tensors="np")).logits    # float32 [1, 2]
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

import numpy as np

from distilbert.engines.choice import load_engine
from distilbert.errors import BundleError, CheckpointError, OptionError
from distilbert.files.bundle import Bundle, is_bundle, open_bundle
from distilbert.files.config import DistilBertConfig
from distilbert.files.hub import resolve

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from numpy.typing import ArrayLike

    from distilbert.engines.base import Engine, Floats


def find_bundle(name: str | os.PathLike[str], *, head: bool = True, revision: str | None = None) -> Bundle:
    """The bundle that `name` means: one there is, or a checkpoint's, compiled to float32 on first use.

    Without `head`, a checkpoint's encoder alone. `revision`: of a model on the hub.
    """
    folder = resolve(name, revision=revision)
    if is_bundle(folder):
        return open_bundle(folder)
    from distilbert.compile import float_bundle

    cached = float_bundle(folder, head=head)
    try:
        return open_bundle(cached)
    except BundleError as error:
        raise BundleError(error.fault, f"Remove {cached}: it will be made again from {name}.") from error


@dataclass(frozen=True, eq=False)
class ModelOutput:
    """Arrays by attribute, by name or by place, as in transformers."""

    def keys(self) -> tuple[str, ...]:
        """The arrays' names, in order."""
        return tuple(field.name for field in dataclasses.fields(self))

    def to_tuple(self) -> tuple[Any, ...]:
        """All arrays, in order."""
        return tuple(getattr(self, name) for name in self.keys())

    def __getitem__(self, key: str | int) -> Any:
        arrays = self.to_tuple()
        return dict(zip(self.keys(), arrays, strict=True))[key] if isinstance(key, str) else arrays[key]

    def __contains__(self, key: object) -> bool:
        return key in self.keys()


@dataclass(frozen=True, eq=False)
class BaseModelOutput(ModelOutput):
    """What an encoder gives: `last_hidden_state`, float32 `[batch, length, dim]`."""

    last_hidden_state: Floats


@dataclass(frozen=True, eq=False)
class SequenceClassifierOutput(ModelOutput):
    """What a classifier gives: `logits`, float32 `[batch, labels]`."""

    logits: Floats


@dataclass(frozen=True, eq=False)
class TokenClassifierOutput(ModelOutput):
    """What a tagger gives: `logits`, float32 `[batch, length, labels]`."""

    logits: Floats


@dataclass(frozen=True, eq=False)
class QuestionAnsweringModelOutput(ModelOutput):
    """What an answerer gives: where the answer begins and ends, each float32 `[batch, length]`."""

    start_logits: Floats
    end_logits: Floats


@dataclass(frozen=True, eq=False)
class MaskedLMOutput(ModelOutput):
    """What a masked language model gives: `logits`, float32 `[batch, length, vocabulary]`."""

    logits: Floats


Output = TypeVar("Output", bound=ModelOutput)


class _RunModel(Generic[Output]):
    """A loaded model: `config`, `engine`, and the `folder` of its bundle, where its tokenizer lies."""

    task: ClassVar[str]
    output: ClassVar[type[ModelOutput]]
    head: ClassVar[bool] = True

    def __init__(self, config: DistilBertConfig, engine: Engine, folder: Path) -> None:
        self.config, self.engine, self.folder = config, engine, folder

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        *,
        revision: str | None = None,
        threads: int | None = None,
        engine: str | None = None,
    ) -> Self:
        """Load an embedded model, a folder (checkpoint or bundle) or a model on the hub.

        A checkpoint is compiled to float32 once, into this machine's cache. `revision`: a branch, tag or commit of a
        model on the hub. `threads`: batches computed at the same time, by default as many as this process has
        processors. `engine`: "onnxruntime" or "openvino", by default the faster one here of those whose gate the model
        passed. Raises `ModelNotFoundError`, `HubError`, `ConfigError`, `CheckpointError`, `BundleError`, `EngineError`
        or, where the engine is not installed, `NotInstalledError`.
        """
        bundle = find_bundle(name, head=cls.head, revision=revision)
        if bundle.manifest.task != cls.task:
            raise CheckpointError(
                f"{name} is a model for {bundle.manifest.task}; {cls.__name__} is for {cls.task}.",
                "Load it with the class of its own task, or name another model.",
            )
        config = DistilBertConfig.from_folder(bundle.folder)
        return cls(config, load_engine(bundle, config, threads, engine), bundle.folder)

    def __call__(
        self,
        input_ids: ArrayLike,
        attention_mask: ArrayLike | None = None,
        token_type_ids: ArrayLike | None = None,
    ) -> Output:
        """Run one padded batch: whole numbers `[batch, length]`; a mask left out means no padding.

        Raises `OptionError` for another shape, or ids that the model does not have.
        """
        ids = _tokens("input_ids", input_ids, self.config.vocab_size)
        if ids.shape[1] > self.config.max_position_embeddings:
            raise OptionError(
                f"input_ids has {ids.shape[1]} tokens a text; this model reads {self.config.max_position_embeddings}.",
                "Tokenize with truncation=True.",
            )
        mask = (
            np.ones_like(ids) if attention_mask is None else _tokens("attention_mask", attention_mask, 2, ids)
        )
        types = np.zeros_like(ids)
        if token_type_ids is not None:
            types = _tokens("token_type_ids", token_type_ids, max(self.config.type_vocab_size, 2), ids)
        arrays = self.engine.run({"input_ids": ids, "attention_mask": mask, "token_type_ids": types})
        return self.output(**arrays)  # type: ignore[return-value]

    def eval(self) -> Self:
        """Nothing to do: this class only runs."""
        return self

    def to(self, device: object) -> Self:
        """Nothing to do for the processor; another device is refused."""
        return self if str(device) == "cpu" else self._refuse(f"device {device!r}")

    def train(self, mode: bool = True) -> Self:
        """Refuse, naming the class that trains."""
        return self.eval() if not mode else self._refuse("train()")

    def parameters(self) -> Any:
        """Refuse, naming the class that trains."""
        return self._refuse("parameters()")

    def _refuse(self, what: str) -> Any:
        name = type(self).__name__
        raise OptionError(
            f"distilbert.{name} runs without PyTorch and has no {what}.",
            f"distilbert.models.{name} trains: pip install 'distilbert[train]'.",
        )


class DistilBertModel(_RunModel[BaseModelOutput]):
    """The encoder without a head: `last_hidden_state`. Of a checkpoint with a head, its encoder."""

    task = "feature-extraction"
    output = BaseModelOutput
    head = False


class DistilBertForSequenceClassification(_RunModel[SequenceClassifierOutput]):
    """A text classifier: `logits`.

    >>> from distilbert import DistilBertTokenizer
    >>> tokenizer = DistilBertTokenizer.from_pretrained("distilbert-sst2")
    >>> model = DistilBertForSequenceClassification.from_pretrained("distilbert-sst2")
    >>> model(**tokenizer("Charming.", return_tensors="np")).logits.shape
    (1, 2)
    """

    task = "text-classification"
    output = SequenceClassifierOutput


class DistilBertForTokenClassification(_RunModel[TokenClassifierOutput]):
    """A tagger of tokens: `logits`, for padding too."""

    task = "token-classification"
    output = TokenClassifierOutput


class DistilBertForQuestionAnswering(_RunModel[QuestionAnsweringModelOutput]):
    """Finds an answer's first and last token, given question and context as a pair: `start_logits`, `end_logits`."""

    task = "question-answering"
    output = QuestionAnsweringModelOutput


class DistilBertForMaskedLM(_RunModel[MaskedLMOutput]):
    """A masked language model: `logits` over the vocabulary for every token, masked or not.

    A text of 512 tokens gets 60 MB of them; `pipeline("fill-mask")` computes those of masked tokens alone.
    """

    task = "fill-mask"
    output = MaskedLMOutput


def _tokens(name: str, values: ArrayLike, limit: int, like: np.ndarray | None = None) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise OptionError(
            f"{name} must be whole numbers [batch, length], not rows of different lengths.",
            "Pad them: tokenizer(texts, padding=True).",
        ) from error
    if array.dtype == bool:
        array = array.astype(np.int64)
    if array.ndim != 2 or 0 in array.shape or not np.issubdtype(array.dtype, np.integer):
        raise OptionError(
            f"{name} must be whole numbers [batch, length], not {array.dtype} of shape {list(array.shape)}.",
            'Make them with tokenizer(text, return_tensors="np").',
        )
    if like is not None and array.shape != like.shape:
        raise OptionError(
            f"{name} has shape {list(array.shape)}, but input_ids {list(like.shape)}.",
            "Make both with one call of the tokenizer.",
        )
    if array.min() < 0 or array.max() >= limit:
        raise OptionError(
            f"{name} must lie between 0 and {limit - 1}, but runs from {array.min()} to {array.max()}.",
            "Use the tokenizer that belongs to this model.",
        )
    return array.astype(np.int64)
