"""`pipeline()`: the one door. It alone knows names, bundles, engines and tasks together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from distilbert.engines.onnx_runtime import OnnxRuntimeEngine
from distilbert.errors import OptionError
from distilbert.files.config import DistilBertConfig
from distilbert.runtime import DistilBertForSequenceClassification, find_bundle
from distilbert.tasks.classification import TextClassificationPipeline
from distilbert.text.tokenizer import DistilBertTokenizer

if TYPE_CHECKING:
    from distilbert.engines.base import Engine

TASKS = {"text-classification": TextClassificationPipeline}
ALIASES = {"sentiment-analysis": "text-classification"}
DEFAULT_MODELS = {"text-classification": "distilbert-sst2"}

Name = str | os.PathLike[str]


def pipeline(
    task: str | None = None,
    model: Name | DistilBertForSequenceClassification | None = None,
    tokenizer: Name | DistilBertTokenizer | None = None,
    *,
    revision: str | None = None,
    device: object = None,
    threads: int | None = None,
    **options: Any,
) -> TextClassificationPipeline:
    """Text in, answers out, called as transformers' `pipeline`.

    `task`: "sentiment-analysis" or "text-classification"; may be left out where a model is named. `model`: an
    embedded model's name, a folder (checkpoint or bundle), a model on the hub, or a loaded
    `DistilBertForSequenceClassification`; without one, the model that the package ships. `tokenizer`: by default
    the model's own. `revision`: a branch, tag or commit of a `model` on the hub. `threads`: batches computed at the
    same time, by default as many as there are processors. `options` are the defaults of each call, such as `top_k`.

    >>> pipeline("sentiment-analysis")("I love learning about DistilBERT!")[0]["label"]
    'POSITIVE'

    Raises `OptionError` for an unknown task and whatever loading the model raises.
    """
    if device not in (None, -1, "cpu"):
        raise OptionError(f"device must be 'cpu', not {device!r}.", "distilbert runs on the processor.")
    task = _task(task, model)
    if model is None:
        model = DEFAULT_MODELS[task]
    if isinstance(model, str | os.PathLike):
        bundle = find_bundle(model, revision=revision)
        _check_task(task, bundle.manifest.task, model)
        config, folder = DistilBertConfig.from_folder(bundle.folder), bundle.folder
        engine: Engine = OnnxRuntimeEngine(bundle.graph, threads)
    elif revision is not None:
        raise OptionError(
            f"revision is {revision!r}, but the model is loaded already.", "Give it to from_pretrained."
        )
    elif isinstance(model, DistilBertForSequenceClassification):
        config, folder, engine = model.config, model.folder, model.engine
    else:
        raise OptionError(
            f"model must be a name, a folder or a model that runs, not {type(model).__name__}.",
            "Load it with distilbert.DistilBertForSequenceClassification.from_pretrained.",
        )
    return TASKS[task](_tokenizer(folder if tokenizer is None else tokenizer), engine, config, **options)


def _tokenizer(tokenizer: Name | DistilBertTokenizer) -> DistilBertTokenizer:
    if isinstance(tokenizer, DistilBertTokenizer):
        return tokenizer
    if isinstance(tokenizer, str | os.PathLike):
        return DistilBertTokenizer.from_pretrained(tokenizer)
    raise OptionError(
        f"tokenizer must be a name, a folder or a distilbert.DistilBertTokenizer, not {type(tokenizer).__name__}.",
        "Load it with distilbert.DistilBertTokenizer.from_pretrained.",
    )


def _task(task: str | None, model: object) -> str:
    if task is None and model is not None:
        return "text-classification"
    found = ALIASES.get(str(task), task)
    if found not in TASKS:
        raise OptionError(
            f"task must be one of {', '.join([*TASKS, *ALIASES])}, not {task!r}.",
            'For example pipeline("sentiment-analysis").',
        )
    return str(found)


def _check_task(asked: str, found: str, model: Name) -> None:
    if asked != found:
        raise OptionError(f"{model} is a model for {found}, not for {asked}.", f"Name a model for {asked}.")
