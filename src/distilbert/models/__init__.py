"""The PyTorch wing: the classes that train, under the names that people know (extra `train`).

>>> from distilbert.models import DistilBertForSequenceClassification  # doctest: +SKIP
>>> model = DistilBertForSequenceClassification.from_pretrained("distilbert-sst2")  # doctest: +SKIP

Names are loaded on first use, and with them PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from distilbert.errors import NotInstalledError

if TYPE_CHECKING:
    from distilbert.models.encoder import BertModel, DistilBertModel
    from distilbert.models.engine import TorchEngine
    from distilbert.models.families import (
        BertForMaskedLM,
        BertForMultipleChoice,
        BertForQuestionAnswering,
        BertForSequenceClassification,
        BertForTokenClassification,
        DistilBertForMaskedLM,
        DistilBertForMultipleChoice,
        DistilBertForQuestionAnswering,
        DistilBertForSequenceClassification,
        DistilBertForTokenClassification,
        model_class,
    )
    from distilbert.models.pickles import convert
    from distilbert.models.pretrained import NewHeadWarning

__all__ = [
    "BertForMaskedLM",
    "BertForMultipleChoice",
    "BertForQuestionAnswering",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertModel",
    "DistilBertForMaskedLM",
    "DistilBertForMultipleChoice",
    "DistilBertForQuestionAnswering",
    "DistilBertForSequenceClassification",
    "DistilBertForTokenClassification",
    "DistilBertModel",
    "NewHeadWarning",
    "TorchEngine",
    "convert",
    "model_class",
]

_HOME = {  # the others: families
    "BertModel": "encoder",
    "DistilBertModel": "encoder",
    "NewHeadWarning": "pretrained",
    "TorchEngine": "engine",
    "convert": "pickles",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'distilbert.models' has no attribute {name!r}")
    if find_spec("torch") is None:
        raise NotInstalledError(
            f"distilbert.models.{name} needs PyTorch, which is not installed.",
            "Install it with: pip install 'distilbert[train]'",
        )
    value = getattr(import_module(f"distilbert.models.{_HOME.get(name, 'families')}"), name)
    globals()[name] = value
    return value
