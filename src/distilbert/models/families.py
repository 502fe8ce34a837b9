"""The heads under the names that people know, one class a family, and which class is for which checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from distilbert.models.encoder import BertModel, DistilBertModel
from distilbert.models.heads import (
    ForMaskedLM,
    ForMultipleChoice,
    ForQuestionAnswering,
    ForSequenceClassification,
    ForTokenClassification,
)

if TYPE_CHECKING:
    from distilbert.files.checkpoint import Head
    from distilbert.files.config import ModelType
    from distilbert.models.pretrained import PretrainedModel


class DistilBertForSequenceClassification(ForSequenceClassification):
    """Labels texts, or pairs: one of several labels, any of several, or a number.

    >>> import torch
    >>> model = DistilBertForSequenceClassification.from_pretrained("distilbert-sst2")
    >>> output = model(torch.tensor([[101, 11951, 102]]), labels=torch.tensor([1]))
    >>> output.logits.shape, output.loss.requires_grad
    (torch.Size([1, 2]), True)
    """

    family: ClassVar[ModelType] = "distilbert"


class DistilBertForTokenClassification(ForTokenClassification):
    """Labels each token."""

    family: ClassVar[ModelType] = "distilbert"


class DistilBertForQuestionAnswering(ForQuestionAnswering):
    """Finds an answer's first and last token, given question and context as a pair."""

    family: ClassVar[ModelType] = "distilbert"


class DistilBertForMaskedLM(ForMaskedLM):
    """Guesses masked tokens."""

    family: ClassVar[ModelType] = "distilbert"


class DistilBertForMultipleChoice(ForMultipleChoice):
    """Chooses the best of several continuations."""

    family: ClassVar[ModelType] = "distilbert"


class BertForSequenceClassification(ForSequenceClassification):
    """Labels texts, or pairs."""

    family: ClassVar[ModelType] = "bert"


class BertForTokenClassification(ForTokenClassification):
    """Labels each token."""

    family: ClassVar[ModelType] = "bert"


class BertForQuestionAnswering(ForQuestionAnswering):
    """Finds an answer's first and last token, given question and context as a pair."""

    family: ClassVar[ModelType] = "bert"


class BertForMaskedLM(ForMaskedLM):
    """Guesses masked tokens."""

    family: ClassVar[ModelType] = "bert"


class BertForMultipleChoice(ForMultipleChoice):
    """Chooses the best of several continuations."""

    family: ClassVar[ModelType] = "bert"


_CLASSES: dict[tuple[ModelType, Head], type[PretrainedModel]] = {
    (kind.family, kind.head): kind
    for kind in (
        DistilBertModel,
        DistilBertForSequenceClassification,
        DistilBertForTokenClassification,
        DistilBertForQuestionAnswering,
        DistilBertForMaskedLM,
        DistilBertForMultipleChoice,
        BertModel,
        BertForSequenceClassification,
        BertForTokenClassification,
        BertForQuestionAnswering,
        BertForMaskedLM,
        BertForMultipleChoice,
    )
}


def model_class(family: ModelType, head: Head) -> type[PretrainedModel]:
    """The class of a family's models with this head.

    >>> model_class("bert", "masked-lm").__name__
    'BertForMaskedLM'
    """
    return _CLASSES[family, head]
