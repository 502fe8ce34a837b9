"""Which class is for which checkpoint: by family and head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distilbert.models import encoder, heads

if TYPE_CHECKING:
    from distilbert.files.checkpoint import Head
    from distilbert.files.config import ModelType
    from distilbert.models.pretrained import PretrainedModel

_CLASSES: dict[tuple[ModelType, Head], type[PretrainedModel]] = {
    (kind.family, kind.head): kind
    for kind in (
        encoder.DistilBertModel,
        heads.DistilBertForSequenceClassification,
        heads.DistilBertForTokenClassification,
        heads.DistilBertForQuestionAnswering,
        heads.DistilBertForMaskedLM,
        heads.DistilBertForMultipleChoice,
        encoder.BertModel,
        heads.BertForSequenceClassification,
        heads.BertForTokenClassification,
        heads.BertForQuestionAnswering,
        heads.BertForMaskedLM,
        heads.BertForMultipleChoice,
    )
}


def model_class(family: ModelType, head: Head) -> type[PretrainedModel]:
    """The class of a family's model with this head.

    >>> model_class("bert", "masked-lm").__name__
    'BertForMaskedLM'
    """
    return _CLASSES[family, head]
