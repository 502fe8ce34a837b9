"""Who is asked: a classifier of ours, or any of transformers', with its own tokenizer."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from distilbert.errors import ConfigError, NotInstalledError, OptionError
from distilbert.files.config import DistilBertConfig
from distilbert.files.hub import resolve
from distilbert.models import model_class
from distilbert.models.pretrained import read_weights
from distilbert.text.tokenizer import DistilBertTokenizer
from distilbert.training.evaluation import BATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from distilbert.files.checkpoint import Checkpoint
    from distilbert.models.pretrained import PretrainedModel
    from distilbert.training.evaluation import Runner
    from distilbert.training.recipe import ProblemType

Text = str | tuple[str, str]


class Answers(NamedTuple):
    """What a teacher says of rows."""

    logits: NDArray[np.float32]  # [rows, labels]
    states: NDArray[np.float16] | None  # first token's, after each layer asked for: [rows, layers, width]


@dataclass(frozen=True, eq=False)
class Teacher:
    """A classifier that answers texts. Its weights are read when somebody calls for them, and once."""

    name: str
    labels: tuple[str, ...]
    problem_type: ProblemType
    n_layers: int
    width: int
    tokenizer: Callable[..., Mapping[str, Any]]
    model: Callable[[], Any]  # it takes what `tokenizer` gives, and answers with logits and hidden_states
    checkpoint: Callable[[], Checkpoint] | None  # where a student may start; None of another architecture

    def answer(self, texts: Sequence[Text], layers: Sequence[int], runner: Runner) -> Answers:
        """Answer texts or pairs; of the hidden states, those after `layers` (0 is the embeddings)."""
        device = runner.accelerator.device
        model = self.model().to(device).eval()
        order = sorted(range(len(texts)), key=lambda row: -_characters(texts[row]))
        logits, states = [], []
        with torch.inference_mode(), runner.precision():
            for start in range(0, len(order), BATCH):
                rows = [texts[row] for row in order[start : start + BATCH]]
                inputs = {name: torch.from_numpy(column).to(device) for name, column in self._encoded(rows)}
                output = model(**inputs, output_hidden_states=bool(layers))
                logits.append(output.logits.float().cpu().numpy())
                kept = [output.hidden_states[layer][:, 0].half().cpu().numpy() for layer in layers]
                states += [np.stack(kept, axis=1)] if layers else []
        back = np.argsort(order)
        return Answers(np.concatenate(logits)[back], np.concatenate(states)[back] if layers else None)

    def _encoded(self, texts: Sequence[Text]) -> list[tuple[str, NDArray[np.int64]]]:
        columns = zip(*texts, strict=True) if isinstance(texts[0], tuple) else [texts]
        encoded = self.tokenizer(*map(list, columns))
        return [(name, np.asarray(encoded[name], np.int64)) for name in encoded]


def _characters(text: Text) -> int:
    return len(text) if isinstance(text, str) else len(text[0]) + len(text[1])


def open_teacher(name: str, max_length: int) -> Teacher:
    """A classifier by its folder or its name on the hub; longer texts it reads as far as `max_length` tokens.

    BERT's and DistilBERT's are ours; others' are run by transformers, with their own tokenizer. Raises what reading
    raises, and `NotInstalledError` where transformers is needed; `OptionError` comes from who reads the weights of a
    model without a head for texts.
    """
    folder = resolve(name, weights=False)
    if _architecture(folder) not in ("bert", "distilbert"):
        return _of_transformers(name, max_length)
    folder = resolve(name)
    config = DistilBertConfig.from_folder(folder)
    checkpoint = cache(partial(_read, name, folder))
    return Teacher(
        name,
        tuple(config.labels),
        _problem_type(config.problem_type, config.num_labels),
        config.n_layers,
        config.dim,
        _padding(DistilBertTokenizer.from_folder(folder), min(max_length, config.max_position_embeddings)),
        cache(lambda: _model(checkpoint())),
        checkpoint,
    )


def _architecture(folder: Path) -> str:
    try:
        return str(json.loads((folder / "config.json").read_bytes())["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{folder / 'config.json'} does not say what model the teacher is.", "Name a model's folder."
        ) from error


def _read(name: str, folder: Path) -> Checkpoint:
    checkpoint = read_weights(folder)
    if checkpoint.head != "sequence-classification":
        raise _headless(name)
    return checkpoint


def _model(checkpoint: Checkpoint) -> PretrainedModel:
    return model_class(checkpoint.config.model_type, checkpoint.head).from_checkpoint(checkpoint)


def _headless(name: str) -> OptionError:
    return OptionError(
        f"The teacher {name} has no head that labels texts.", "Train one first: distilbert finetune."
    )


def _of_transformers(name: str, max_length: int) -> Teacher:
    if find_spec("transformers") is None:
        raise NotInstalledError(
            f"The teacher {name} is neither BERT nor DistilBERT, and only transformers can run it.",
            "Install it with: pip install transformers",
        )
    from transformers import AutoConfig, AutoTokenizer

    with _faults_named(name):
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    return Teacher(
        name,
        tuple(config.id2label[place] for place in range(config.num_labels)),
        _problem_type(config.problem_type, config.num_labels),
        config.num_hidden_layers,
        config.hidden_size,
        _padding(tokenizer, min(max_length, tokenizer.model_max_length)),
        cache(partial(_their_model, name)),
        None,
    )


def _their_model(name: str) -> Any:
    from transformers import AutoModelForSequenceClassification

    with _faults_named(name):
        model, found = AutoModelForSequenceClassification.from_pretrained(
            name, dtype=torch.float32, trust_remote_code=False, output_loading_info=True
        )
    if found["missing_keys"]:  # transformers fills them with random numbers
        raise _headless(name)
    return model


@contextmanager
def _faults_named(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever transformers, tokenizers and safetensors raise
        fault = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"transformers cannot open the teacher {name}: {fault}", "Check its files."
        ) from error


def _padding(tokenizer: Callable[..., Any], max_length: int) -> Callable[..., Mapping[str, Any]]:
    return partial(tokenizer, padding=True, truncation=True, max_length=max_length, return_tensors="np")


def _problem_type(said: ProblemType | None, labels: int) -> ProblemType:
    return said or ("regression" if labels == 1 else "single_label_classification")
