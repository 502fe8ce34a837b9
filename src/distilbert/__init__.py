"""DistilBERT for ordinary machines: text in, answers out, without PyTorch.

>>> from distilbert import pipeline
>>> pipeline("sentiment-analysis")("I love learning about DistilBERT!")[0]["label"]
'POSITIVE'

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distilbert.errors import DistilBertError
    from distilbert.files.config import DistilBertConfig
    from distilbert.pipelines import pipeline
    from distilbert.runtime import (
        DistilBertForMaskedLM,
        DistilBertForQuestionAnswering,
        DistilBertForSequenceClassification,
        DistilBertForTokenClassification,
        DistilBertModel,
    )
    from distilbert.text.tokenizer import DistilBertTokenizer, DistilBertTokenizerFast

__version__ = "0.1.0"

_HOME = {
    "DistilBertConfig": "distilbert.files.config",
    "DistilBertError": "distilbert.errors",
    "DistilBertForMaskedLM": "distilbert.runtime",
    "DistilBertForQuestionAnswering": "distilbert.runtime",
    "DistilBertForSequenceClassification": "distilbert.runtime",
    "DistilBertForTokenClassification": "distilbert.runtime",
    "DistilBertModel": "distilbert.runtime",
    "DistilBertTokenizer": "distilbert.text.tokenizer",
    "DistilBertTokenizerFast": "distilbert.text.tokenizer",
    "pipeline": "distilbert.pipelines",
}

__all__ = [
    "DistilBertConfig",
    "DistilBertError",
    "DistilBertForMaskedLM",
    "DistilBertForQuestionAnswering",
    "DistilBertForSequenceClassification",
    "DistilBertForTokenClassification",
    "DistilBertModel",
    "DistilBertTokenizer",
    "DistilBertTokenizerFast",
    "pipeline",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'distilbert' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value
