"""A model of this wing behind the `Engine` protocol, so that the same pipelines run it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distilbert.engines.base import Floats, TokenIds
    from distilbert.models.pretrained import PretrainedModel

_OUTPUTS = {"none": ("last_hidden_state",), "question-answering": ("start_logits", "end_logits")}


class TorchEngine:
    """Runs a model where it is: on the processor as it is, on CUDA a copy in half precision.

    On the processor it is the model itself: `run` puts it into `eval()` mode, and what it learns later counts. One
    worker, since PyTorch spreads a batch over the processors by itself.
    """

    workers = 1
    library = "torch"

    def __init__(self, model: PretrainedModel) -> None:
        on_processor = model.device.type == "cpu"
        self._model = model if on_processor else copy.deepcopy(model).half()
        names = ["input_ids", "attention_mask"]
        names += ["token_type_ids"] if model.config.type_vocab_size else []
        names += ["positions"] if model.head == "masked-lm" else []
        self.input_names = tuple(names)
        self.output_names = _OUTPUTS.get(model.head, ("logits",))

    def run(self, inputs: Mapping[str, TokenIds]) -> dict[str, Floats]:
        """See `Engine.run`."""
        model = self._model.eval()
        arrays = {
            name: torch.tensor(inputs[name], device=model.device)
            for name in self.input_names
            if name in inputs
        }
        with torch.inference_mode():
            output = model(**arrays)
        return {name: output[name].float().cpu().numpy() for name in self.output_names}
