"""`pipeline()`: the one door. It alone knows names, bundles, engines and tasks together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, overload

from distilbert.engines.choice import load_engine
from distilbert.errors import OptionError
from distilbert.files.config import DistilBertConfig
from distilbert.runtime import (
    DistilBertForMaskedLM,
    DistilBertForQuestionAnswering,
    DistilBertForSequenceClassification,
    DistilBertForTokenClassification,
    DistilBertModel,
    find_bundle,
)
from distilbert.tasks.answers import QuestionAnsweringPipeline
from distilbert.tasks.classification import TextClassificationPipeline
from distilbert.tasks.features import FeatureExtractionPipeline
from distilbert.tasks.fill_mask import FillMaskPipeline
from distilbert.tasks.tokens import TokenClassificationPipeline
from distilbert.text.tokenizer import DistilBertTokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from distilbert.engines.base import Engine
    from distilbert.tasks.base import TextPipeline


Name = str | os.PathLike[str]
RunModel = (
    DistilBertForSequenceClassification
    | DistilBertModel
    | DistilBertForMaskedLM
    | DistilBertForQuestionAnswering
    | DistilBertForTokenClassification
)


class Model(Protocol):
    """A loaded model: of `distilbert.runtime`, or of `distilbert.models`, which this room never imports."""

    config: DistilBertConfig

    @property
    def task(self) -> str:
        """What it is for."""

    @property
    def engine(self) -> Engine:
        """What computes."""

    @property
    def folder(self) -> Path | None:
        """Where its tokenizer lies, if it came from somewhere."""


class Task(NamedTuple):
    """What answers, the class of a loaded model, and the model that the package ships for it."""

    pipeline: type[TextPipeline[Any]]
    model: type[RunModel]
    default: str | None = None


TASKS = {
    "text-classification": Task(
        TextClassificationPipeline, DistilBertForSequenceClassification, "distilbert-sst2"
    ),
    "feature-extraction": Task(FeatureExtractionPipeline, DistilBertModel),
    "fill-mask": Task(FillMaskPipeline, DistilBertForMaskedLM),
    "question-answering": Task(QuestionAnsweringPipeline, DistilBertForQuestionAnswering, "distilbert-squad"),
    "token-classification": Task(
        TokenClassificationPipeline, DistilBertForTokenClassification, "distilbert-uner"
    ),
}
ALIASES = {"sentiment-analysis": "text-classification", "ner": "token-classification"}


@overload
def pipeline(
    task: Literal["sentiment-analysis", "text-classification"], model: Name | Model | None = None, **more: Any
) -> TextClassificationPipeline: ...


@overload
def pipeline(
    task: Literal["feature-extraction"], model: Name | Model, **more: Any
) -> FeatureExtractionPipeline: ...


@overload
def pipeline(task: Literal["fill-mask"], model: Name | Model, **more: Any) -> FillMaskPipeline: ...


@overload
def pipeline(
    task: Literal["ner", "token-classification"], model: Name | Model | None = None, **more: Any
) -> TokenClassificationPipeline: ...


@overload
def pipeline(
    task: Literal["question-answering"], model: Name | Model | None = None, **more: Any
) -> QuestionAnsweringPipeline: ...


@overload
def pipeline(
    task: str | None = None, model: Name | Model | None = None, **more: Any
) -> TextPipeline[Any]: ...


def pipeline(
    task: str | None = None,
    model: Name | Model | None = None,
    tokenizer: Name | DistilBertTokenizer | None = None,
    *,
    revision: str | None = None,
    device: object = None,
    threads: int | None = None,
    engine: str | None = None,
    **options: Any,
) -> TextPipeline[Any]:
    """Text in, answers out, called as transformers' `pipeline`.

    `task`: "text-classification" (or "sentiment-analysis"), "token-classification" (or "ner"), "question-answering",
    "feature-extraction" or "fill-mask"; may be left out where a model is named. `model`: an embedded model's name, a
    folder (checkpoint or bundle), a model on the hub, or a loaded model, of `distilbert` or of `distilbert.models`;
    without one, the model that the package ships for the task, if it does. Of a checkpoint with any head, feature
    extraction takes the encoder. `tokenizer`: by default the model's own. `revision`: a branch, tag or commit of a
    `model` on the hub. `threads`: batches computed at the same time, by default as many as there are processors.
    `engine`: "onnxruntime" or "openvino" (extra `openvino`); by default ONNX Runtime, or OpenVINO where it is there,
    the model's int8 passed its gate on it, and it is faster on this machine. `options` are the defaults of each call,
    such as `top_k`.

    >>> pipeline("sentiment-analysis")("I love learning about DistilBERT!")[0]["label"]
    'POSITIVE'

    Raises `OptionError` for an unknown task and whatever loading the model raises.
    """
    if device not in (None, -1, "cpu"):
        raise OptionError(
            f"device must be 'cpu', not {device!r}.",
            "distilbert runs on the processor; a model of distilbert.models runs where it was moved to.",
        )
    task = _task(task, model)
    if model is None:
        model = _default_model(task)
    if isinstance(model, str | os.PathLike):
        loaded: Model = load_model(task, model, revision, threads, engine)
    elif given := _given(revision=revision, threads=threads, engine=engine):
        raise OptionError(f"{given}, but the model is loaded already.", "Give it to from_pretrained.")
    elif getattr(model, "task", None) == task:
        loaded = model
    else:
        raise OptionError(
            f"model must be a name, a folder or a model that runs, not {type(model).__name__}.",
            f"Load it with distilbert.{TASKS[task].model.__name__}.from_pretrained.",
        )
    own = _tokenizer(loaded.folder if tokenizer is None else tokenizer)
    return TASKS[loaded.task].pipeline(own, loaded.engine, loaded.config, **options)


def _given(**options: object) -> str:
    """The first option that is not None, in the words of an error."""
    return next((f"{name} is {value!r}" for name, value in options.items() if value is not None), "")


def load_model(
    task: str,
    name: Name,
    revision: str | None = None,
    threads: int | None = None,
    engine: str | None = None,
) -> RunModel:
    """Load a model for `task`, or for the task that its files name where `task` is "". Raises as `pipeline` does."""
    bundle = find_bundle(name, head=TASKS[task].model.head if task else True, revision=revision)
    found = bundle.manifest.task
    if task and task != found:
        raise OptionError(f"{name} is a model for {found}, not for {task}.", f"Name a model for {task}.")
    if found not in TASKS:
        raise OptionError(
            f"{name} is a model for {found}, for which there is no pipeline.",
            f"There are pipelines for {', '.join(TASKS)}; the classes run every model.",
        )
    config = DistilBertConfig.from_folder(bundle.folder)
    return TASKS[found].model(config, load_engine(bundle, config, threads, engine), bundle.folder)


def _tokenizer(tokenizer: Name | DistilBertTokenizer | None) -> DistilBertTokenizer:
    if isinstance(tokenizer, DistilBertTokenizer):
        return tokenizer
    if isinstance(tokenizer, str | os.PathLike):
        return DistilBertTokenizer.from_pretrained(tokenizer)
    raise OptionError(
        f"tokenizer must be a name, a folder or a distilbert.DistilBertTokenizer, not {type(tokenizer).__name__}.",
        "Load it with distilbert.DistilBertTokenizer.from_pretrained.",
    )


def _task(task: str | None, model: object) -> str:
    """The task's proper name; "" where the files of the model will tell."""
    if task is None and isinstance(model, str | os.PathLike):
        return ""
    if task is None and model is not None:
        own = getattr(model, "task", None)
        return own if own in TASKS else "text-classification"
    found = ALIASES.get(str(task), task)
    if found not in TASKS:
        raise OptionError(
            f"task must be one of {', '.join([*TASKS, *ALIASES])}, not {task!r}.",
            'For example pipeline("sentiment-analysis").',
        )
    return str(found)


def _default_model(task: str) -> str:
    """The model that the package ships for a task."""
    default = TASKS[task].default
    if default is None:
        raise OptionError(
            f"No model for {task} comes with the package.",
            f'Name one: pipeline("{task}", model="folder-or-name"), on the command line --model.',
        )
    return default
