"""What a graph gives for each task: a stranger's may give its output any shape, and tasks trust in the one they know.

A graph's own word on its outputs binds nothing and a shape may follow from the batch, so each answer is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from distilbert.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from distilbert.engines.base import Floats, TokenIds
    from distilbert.files.config import DistilBertConfig

Shapes: TypeAlias = "Mapping[str, tuple[str | int, ...]]"

# A string is a size of the batch, or of the config: see graph.heads, which makes them.
_OUTPUTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "feature-extraction": {"last_hidden_state": ("batch", "length", "dim")},
    "text-classification": {"logits": ("batch", "num_labels")},
    "token-classification": {"logits": ("batch", "length", "num_labels")},
    "question-answering": {"start_logits": ("batch", "length"), "end_logits": ("batch", "length")},
    "fill-mask": {"logits": ("batch", "rows", "vocab_size")},
}


def outputs_of(task: str, config: DistilBertConfig) -> Shapes:
    """The outputs by name, with their shapes of numbers, `batch`, `length` and `rows`. Raises `BundleError`."""
    if (outputs := _OUTPUTS.get(str(task))) is None:
        raise BundleError(
            f"The bundle names the task {task!r:.60}; this release knows {', '.join(_OUTPUTS)}.",
            "Use the release of distilbert that wrote it.",
        )
    return {name: tuple(getattr(config, size, size) for size in shape) for name, shape in outputs.items()}


def shape_fault(
    expected: Shapes, inputs: Mapping[str, TokenIds], outputs: Mapping[str, Floats]
) -> str | None:
    """What is wrong with the shape of an answer to these inputs."""
    batch, length = inputs["input_ids"].shape
    rows = min(length, inputs["positions"].shape[1]) if "positions" in inputs else length
    sizes: dict[str | int, Any] = {"batch": batch, "length": length, "rows": rows}
    for name, shape in expected.items():
        due = tuple(sizes.get(size, size) for size in shape)
        if outputs[name].shape != due:
            return f"gives {name} of shape {list(outputs[name].shape)}; for its task it must be {list(due)}"
    return None
