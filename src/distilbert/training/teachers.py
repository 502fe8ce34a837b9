"""Who is asked: a classifier of ours, or any of transformers', with its own tokenizer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from distilbert.errors import ConfigError, NotInstalledError, OptionError
from distilbert.files.hub import resolve
from distilbert.models import model_class
from distilbert.models.pretrained import read_weights
from distilbert.text.tokenizer import DistilBertTokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from distilbert.files.checkpoint import Checkpoint
    from distilbert.training.evaluation import Runner
    from distilbert.training.recipe import ProblemType

Text = str | tuple[str, str]
BATCH = 64  # texts at a time


class Answers(NamedTuple):
    """What a teacher says of rows."""

    logits: NDArray[np.float32]  # [rows, labels]
    states: (
        NDArray[np.float16] | None
    )  # of the first token, after each layer asked for: [rows, layers, width]


@dataclass(frozen=True, eq=False)
class Teacher:
    """A classifier that answers texts."""

    name: str
    model: Any  # called with what `tokenizer` gives; answers with logits and hidden_states
    tokenizer: Callable[..., Mapping[str, Any]]
    labels: tuple[str, ...]
    problem_type: ProblemType
    n_layers: int
    width: int
    checkpoint: Checkpoint | None  # where a student may start; None of another architecture

    def answer(self, texts: Sequence[Text], layers: Sequence[int], runner: Runner) -> Answers:
        """Answer texts or pairs; of the hidden states, those after `layers` (0 is the embeddings)."""
        device = runner.accelerator.device
        self.model.to(device).eval()
        order = sorted(range(len(texts)), key=lambda row: -_characters(texts[row]))
        logits, states = [], []
        with torch.inference_mode(), runner.precision():
            for start in range(0, len(order), BATCH):
                rows = [texts[row] for row in order[start : start + BATCH]]
                inputs = {name: torch.from_numpy(column).to(device) for name, column in self._encoded(rows)}
                output = self.model(**inputs, output_hidden_states=bool(layers))
                kept = [output.hidden_states[layer][:, 0].half().cpu().numpy() for layer in layers]
                logits.append(output.logits.float().cpu().numpy())
                states.append(np.stack(kept, axis=1) if kept else None)
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
    raises, `OptionError` for a model without a head for texts, and `NotInstalledError` where transformers is needed.
    """
    folder = resolve(name, weights=False)
    if _architecture(folder) not in ("bert", "distilbert"):
        return _of_transformers(name, max_length)
    folder = resolve(name)
    checkpoint = read_weights(folder)
    if checkpoint.head != "sequence-classification":
        raise OptionError(
            f"The teacher {name} has no head that labels texts.", "Train one first: distilbert finetune."
        )
    config = checkpoint.config
    model = model_class(config.model_type, "sequence-classification").from_checkpoint(checkpoint)
    length = min(max_length, config.max_position_embeddings)
    return Teacher(
        name,
        model,
        _padding(DistilBertTokenizer.from_folder(folder), length),
        tuple(config.labels),
        _problem_type(config.problem_type, config.num_labels),
        config.n_layers,
        config.dim,
        checkpoint,
    )


def _architecture(folder: Path) -> str:
    try:
        return str(json.loads((folder / "config.json").read_bytes())["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{folder / 'config.json'} does not say what model the teacher is.", "Name a model's folder."
        ) from error


def _of_transformers(name: str, max_length: int) -> Teacher:
    if find_spec("transformers") is None:
        raise NotInstalledError(
            f"The teacher {name} is neither BERT nor DistilBERT, and only transformers can run it.",
            "Install it with: pip install transformers",
        )
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        model = AutoModelForSequenceClassification.from_pretrained(name, dtype=torch.float32)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        fault = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"transformers cannot open the teacher {name}: {fault}", "Check its files."
        ) from error
    config = model.config
    return Teacher(
        name,
        model,
        _padding(tokenizer, min(max_length, tokenizer.model_max_length)),
        tuple(config.id2label[place] for place in range(config.num_labels)),
        _problem_type(config.problem_type, config.num_labels),
        config.num_hidden_layers,
        config.hidden_size,
        None,
    )


def _padding(tokenizer: Callable[..., Any], max_length: int) -> Callable[..., Mapping[str, Any]]:
    return partial(tokenizer, padding=True, truncation=True, max_length=max_length, return_tensors="np")


def _problem_type(said: ProblemType | None, labels: int) -> ProblemType:
    return said or ("regression" if labels == 1 else "single_label_classification")
