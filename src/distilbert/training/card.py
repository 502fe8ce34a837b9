"""The card of a trained checkpoint: what it was made from and how good it was on the rows held back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distilbert.files.config import DistilBertConfig

_CLASSES = {
    "text-classification": "ForSequenceClassification",
    "token-classification": "ForTokenClassification",
    "question-answering": "ForQuestionAnswering",
    "fill-mask": "ForMaskedLM",
}


def training_card(name: str, config: DistilBertConfig, result: Mapping[str, Any]) -> str:
    """Markdown with the hub's front matter; `result` as `training.json` has it."""
    family = {"distilbert": "DistilBert", "bert": "Bert"}[config.model_type]
    labels = f"\n- labels: {', '.join(config.labels)}" if result["task"] == "text-classification" else ""
    figures = ", ".join(f"{key} {value:.4f}" for key, value in result["held_back"].items())
    by = " with the teacher" if "agreement" in figures else ""
    judged = (
        f"{figures}{by}, on {result['held_back_rows']:,} rows held back from training, which also chose the step: "
        "expect a little less on others."
        if figures
        else "Not measured: no rows were held back."
    )
    return f"""---
library_name: transformers
pipeline_tag: {result["task"]}
---

# {name}

{_origin(result)} Nobody has said yet under which licence it is.

- architecture: {config.model_type}, {config.n_layers} layers of {config.dim}, {config.n_heads} heads, \
feed-forward {config.hidden_dim}{labels}
- trained on {result["rows"]:,} rows: {result["steps"]:,} steps in {result["minutes"]} minutes \
({result["device"]}, {result["precision"]}); these are the weights of step {result["kept_step"]:,}
- held-back rows: {judged}

All knobs are in `recipe.toml`, losses and scores in `log.jsonl`, the result in `training.json`.

## Load it

```python
from distilbert import DistilBertTokenizer
from distilbert.models import {family}{_CLASSES[result["task"]]}

tokenizer = DistilBertTokenizer.from_pretrained("{name}")
model = {family}{_CLASSES[result["task"]]}.from_pretrained("{name}")
```

transformers' class of that name loads it too; `distilbert compile {name}` makes a bundle that runs without PyTorch.
"""


def _origin(result: Mapping[str, Any]) -> str:
    if "model" in result:
        return f"Fine-tuned with `distilbert finetune` from {result['model']}."
    teacher = result.get("teacher", "probabilities in a table")
    start = f", its start {result['student']}" if "student" in result else ""
    return f"Distilled with `distilbert distil`: its teacher was {teacher}{start}."
