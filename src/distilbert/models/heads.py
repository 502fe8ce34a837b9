"""What reads the encoder's rows: one head a task, in both families, as they were published.

Each holds its encoder under the family's name (`model.distilbert`, `model.bert`; `base_model` in both). Shapes as in
`models.encoder`. A loss is a mean over labels, and is given where labels are; -100 is no label.
DistilBERT (Sanh et al., 2019, section 3) fine-tunes as BERT does (Devlin et al., 2018, section 4, figure 4).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar, Unpack, cast

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own idiom
from torch import Tensor, nn

from distilbert.errors import ConfigError
from distilbert.models.encoder import BertModel, DistilBertModel, activation, layer_norm, linear
from distilbert.models.outputs import LogitsOutput, SpanOutput
from distilbert.models.pretrained import PretrainedModel

if TYPE_CHECKING:
    from distilbert.files.checkpoint import Head
    from distilbert.files.config import DistilBertConfig, ModelType, ProblemType
    from distilbert.models.encoder import Encoder, Inputs
    from distilbert.models.outputs import EncoderOutput


class _WithEncoder(PretrainedModel):
    def __init__(self, config: DistilBertConfig, pooled: bool = False) -> None:
        super().__init__(config)
        kind = {"distilbert": DistilBertModel, "bert": BertModel}[config.model_type]
        self.add_module(config.model_type, kind(config, add_pooling_layer=pooled))


class _TextHead(_WithEncoder):
    """From the first token's row to `width` scores `[B, width]`.

    DistilBERT: a linear and ReLU, then dropout and a linear; BERT: its pooler, then the same.
    """

    def __init__(self, config: DistilBertConfig, width: int) -> None:
        super().__init__(config, pooled=True)
        distils = config.model_type == "distilbert"
        self.pre_classifier = linear(config, config.dim, config.dim) if distils else None
        self.dropout = nn.Dropout(_classifier_dropout(config))
        self.classifier = linear(config, config.dim, width)

    def _score(self, encoded: EncoderOutput) -> Tensor:
        vector = encoded.pooler_output
        if self.pre_classifier is not None:
            vector = F.relu(self.pre_classifier(encoded.last_hidden_state[:, 0]))
        scores: Tensor = self.classifier(self.dropout(vector))
        return scores


class _ForSequenceClassification(_TextHead):
    head: ClassVar[Head] = "sequence-classification"

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config, config.num_labels)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        **inputs: Unpack[Inputs],
    ) -> LogitsOutput:
        """`logits` `[B, labels]`. See `classification_loss` for `labels`, whose kind a config without `problem_type`
        takes from the first it sees, as in transformers.
        """
        encoded = self.base_model(input_ids, attention_mask, only_first=True, **inputs)
        logits, loss = self._score(encoded), None
        if labels is not None:
            if self.config.problem_type is None:
                self.config = dataclasses.replace(self.config, problem_type=_problem_type(logits, labels))
            loss = classification_loss(logits, labels, self.config.problem_type)
        return LogitsOutput(loss, logits, encoded.hidden_states, encoded.attentions)


def _problem_type(logits: Tensor, labels: Tensor) -> ProblemType:
    if logits.shape[-1] == 1:
        return "regression"
    return "multi_label_classification" if labels.is_floating_point() else "single_label_classification"


def classification_loss(logits: Tensor, labels: Tensor, problem_type: ProblemType | None) -> Tensor:
    """The mean loss of `logits` `[B, N]`: which one, the kind of problem says.

    Single label: cross entropy with ids `[B]`. Multi-label: binary cross entropy of each label, with 0 and 1 `[B, N]`.
    Regression: squared error of `[B, N]`, or `[B]` where N is 1.
    """
    logits = _at_least_float32(logits)
    if problem_type == "single_label_classification":
        return F.cross_entropy(logits, labels.flatten())
    targets = labels.to(logits.dtype).reshape(logits.shape)
    if problem_type == "regression":
        return F.mse_loss(logits, targets)
    return F.binary_cross_entropy_with_logits(logits, targets)


def _ids_loss(logits: Tensor, labels: Tensor | None) -> Tensor | None:
    """Mean cross entropy of `logits` `[…, N]` with ids `[…]`; None without labels."""
    if labels is None:
        return None
    return F.cross_entropy(_at_least_float32(logits.flatten(0, -2)), labels.flatten())


def _at_least_float32(logits: Tensor) -> Tensor:
    """Autocast leaves logits in bfloat16, whose three digits are too few for a loss."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


class _ForMultipleChoice(_TextHead):
    head: ClassVar[Head] = "multiple-choice"

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config, 1)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        **inputs: Unpack[Inputs],
    ) -> LogitsOutput:
        """`input_ids` and the like are `[B, C, L]`: C choices, each with its prompt, as a pair. `logits` `[B, C]`;
        `labels` `[B]`: which choice is right.
        """
        given = {"input_ids": input_ids, "attention_mask": attention_mask, **inputs}
        flat = {name: _texts_of_choices(value) for name, value in given.items()}
        encoded = self.base_model(only_first=True, **flat)  # type: ignore[arg-type]
        asked = input_ids if input_ids is not None else inputs["inputs_embeds"]
        logits = self._score(encoded).view(-1, cast("Tensor", asked).shape[1])
        return LogitsOutput(_ids_loss(logits, labels), logits, encoded.hidden_states, encoded.attentions)


def _texts_of_choices(value: object) -> object:
    """`[B, C, …]` to `[B · C, …]`."""
    return value.flatten(0, 1) if isinstance(value, Tensor) and value.ndim > 2 else value


class _ForTokenClassification(_WithEncoder):
    head: ClassVar[Head] = "token-classification"

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        distils = config.model_type == "distilbert"
        self.dropout = nn.Dropout(config.dropout if distils else _classifier_dropout(config))
        self.classifier = linear(config, config.dim, config.num_labels)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        **inputs: Unpack[Inputs],
    ) -> LogitsOutput:
        """`logits` `[B, L, labels]`; `labels` are ids `[B, L]`."""
        encoded = self.base_model(input_ids, attention_mask, **inputs)
        logits = self.classifier(self.dropout(encoded.last_hidden_state))
        return LogitsOutput(_ids_loss(logits, labels), logits, encoded.hidden_states, encoded.attentions)


class _ForQuestionAnswering(_WithEncoder):
    head: ClassVar[Head] = "question-answering"

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        if config.num_labels != 2:
            fault = f"An answer has a start and an end, but this config has {config.num_labels} labels."
            raise ConfigError(fault, "Give num_labels=2.")
        self.dropout = nn.Dropout(config.qa_dropout if config.model_type == "distilbert" else 0.0)
        self.qa_outputs = linear(config, config.dim, 2)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        **inputs: Unpack[Inputs],
    ) -> SpanOutput:
        """`start_logits` and `end_logits` `[B, L]`; positions `[B]` are the answer's first and last token.

        One outside the text is no label: its answer was cut off.
        """
        encoded = self.base_model(input_ids, attention_mask, **inputs)
        start, end = self.qa_outputs(self.dropout(encoded.last_hidden_state)).unbind(dim=-1)
        loss = None
        if start_positions is not None and end_positions is not None:
            loss = (_position_loss(start, start_positions) + _position_loss(end, end_positions)) / 2
        return SpanOutput(loss, start, end, encoded.hidden_states, encoded.attentions)


def _position_loss(logits: Tensor, positions: Tensor) -> Tensor:
    outside = logits.shape[1]
    inside = positions.flatten().clamp(0, outside)
    return F.cross_entropy(_at_least_float32(logits), inside, ignore_index=outside)


class _ForMaskedLM(_WithEncoder):
    head: ClassVar[Head] = "masked-lm"

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        self.activation = activation(config)
        self.vocab_transform = linear(config, config.dim, config.dim)
        self.vocab_layer_norm = layer_norm(config)
        self.vocab_projector = linear(config, config.dim, config.vocab_size)
        if config.ties_words:
            self.vocab_projector.weight = self.base_model.embeddings.word_embeddings.weight

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        positions: Tensor | None = None,
        **inputs: Unpack[Inputs],
    ) -> LogitsOutput:
        """`logits` `[B, L, vocabulary]`; `labels` are the masked tokens' ids `[B, L]` (BERT, section 3.1, task 1).

        `positions` `[B, R]`: only these tokens' `logits` `[B, R, vocabulary]` are wanted, and `labels` are theirs.
        """
        encoded = self.base_model(input_ids, attention_mask, **inputs)
        rows = encoded.last_hidden_state
        if positions is not None:
            rows = rows.take_along_dim(positions[:, :, None], dim=1)
        rows = self.vocab_layer_norm(self.activation(self.vocab_transform(rows)))
        logits = self.vocab_projector(rows)
        return LogitsOutput(_ids_loss(logits, labels), logits, encoded.hidden_states, encoded.attentions)


def _classifier_dropout(config: DistilBertConfig) -> float:
    return config.dropout if config.seq_classif_dropout is None else config.seq_classif_dropout


class DistilBertForSequenceClassification(_ForSequenceClassification):
    """Labels texts, or pairs: one of several, any of several, or a number.

    >>> config = DistilBertConfig(vocab_size=100, dim=32, n_layers=2, n_heads=4, hidden_dim=64)
    >>> output = DistilBertForSequenceClassification(config)(torch.tensor([[2, 7, 3]]), labels=torch.tensor([1]))
    >>> output.logits.shape, output.loss.requires_grad
    (torch.Size([1, 2]), True)
    """

    family: ClassVar[ModelType] = "distilbert"


class DistilBertForTokenClassification(_ForTokenClassification):
    """Labels each token."""

    family: ClassVar[ModelType] = "distilbert"


class DistilBertForQuestionAnswering(_ForQuestionAnswering):
    """Finds an answer's first and last token, given question and context as a pair."""

    family: ClassVar[ModelType] = "distilbert"


class DistilBertForMaskedLM(_ForMaskedLM):
    """Guesses masked tokens."""

    family: ClassVar[ModelType] = "distilbert"


class DistilBertForMultipleChoice(_ForMultipleChoice):
    """Chooses the best of several continuations."""

    family: ClassVar[ModelType] = "distilbert"


class BertForSequenceClassification(_ForSequenceClassification):
    """Labels texts, or pairs."""

    family: ClassVar[ModelType] = "bert"


class BertForTokenClassification(_ForTokenClassification):
    """Labels each token."""

    family: ClassVar[ModelType] = "bert"


class BertForQuestionAnswering(_ForQuestionAnswering):
    """Finds an answer's first and last token."""

    family: ClassVar[ModelType] = "bert"


class BertForMaskedLM(_ForMaskedLM):
    """Guesses masked tokens."""

    family: ClassVar[ModelType] = "bert"


class BertForMultipleChoice(_ForMultipleChoice):
    """Chooses the best of several continuations."""

    family: ClassVar[ModelType] = "bert"
