"""What reads the encoder's rows: one head a task, alike in both families (whose classes: `models.families`).

Each holds its encoder under the family's name, `model.distilbert` or `model.bert` (`base_model` in both). Shapes as
in `models.encoder`, N labels. A loss is a mean over labels; -100 is no label. DistilBERT (Sanh et al., 2019, section
4.1) is fine-tuned as BERT is (Devlin et al., 2018, section 4 and figure 4).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own idiom
from torch import Tensor, nn

from distilbert.errors import ConfigError
from distilbert.models.dropout import Dropout
from distilbert.models.encoder import BertModel, DistilBertModel, activation, linear
from distilbert.models.outputs import LogitsOutput, SpanOutput
from distilbert.models.pretrained import PretrainedModel

if TYPE_CHECKING:
    from distilbert.files.checkpoint import Head
    from distilbert.files.config import DistilBertConfig, ProblemType
    from distilbert.models.encoder import Inputs
    from distilbert.models.outputs import EncoderOutput


class WithHead(PretrainedModel):
    """An encoder, and what a head makes of its rows: `score`, and `loss` where labels are given."""

    first_token_only: ClassVar[bool] = False  # all that the head reads of a text

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        kind = {"distilbert": DistilBertModel, "bert": BertModel}[config.model_type]
        self.add_module(config.model_type, kind(config, add_pooling_layer=self.first_token_only))

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        positions: Tensor | None = None,
        **inputs: Unpack[Inputs],
    ) -> LogitsOutput:
        """Read a padded batch as `Encoder.forward` does; the class says what `logits` are, `loss` what `labels` may be.

        `positions` `[B, R]`, for heads that read every token: only these are wanted, and `labels` are theirs.
        """
        encoded = self.base_model(input_ids, attention_mask, only_first=self.first_token_only, **inputs)
        if positions is not None:
            encoded.last_hidden_state = encoded.last_hidden_state.take_along_dim(positions[:, :, None], dim=1)
        logits = self.score(encoded)
        loss = None if labels is None else self.loss(logits, labels)
        return LogitsOutput(loss, logits, encoded.hidden_states, encoded.attentions)

    def score(self, encoded: EncoderOutput) -> Tensor:
        """The head's logits of the encoder's rows."""
        raise NotImplementedError

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean cross entropy of `[…, N]` with ids `[…]`."""
        return F.cross_entropy(at_least_float32(logits.flatten(0, -2)), labels.flatten())


def at_least_float32(logits: Tensor) -> Tensor:
    """Autocast leaves logits in bfloat16, whose three digits are too few for a loss."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def _classifier_dropout(config: DistilBertConfig) -> float:
    return config.dropout if config.seq_classif_dropout is None else config.seq_classif_dropout


class FirstTokenHead(WithHead):
    """From the first token's row to scores. DistilBERT: a linear and ReLU, BERT: its pooler; dropout and a linear."""

    first_token_only = True

    def __init__(self, config: DistilBertConfig, width: int) -> None:
        super().__init__(config)
        distils = config.model_type == "distilbert"
        self.pre_classifier = linear(config, config.dim, config.dim) if distils else None
        self.dropout = Dropout(_classifier_dropout(config))
        self.classifier = linear(config, config.dim, width)

    def score(self, encoded: EncoderOutput) -> Tensor:
        """See `WithHead`."""
        vector = encoded.pooler_output
        if self.pre_classifier is not None:
            vector = F.relu(self.pre_classifier(encoded.last_hidden_state[:, 0]))
        scores: Tensor = self.classifier(self.dropout(vector))
        return scores


class ForSequenceClassification(FirstTokenHead):
    """Labels texts, or pairs: one of N, any of N, or N numbers. `logits` `[B, N]`."""

    head: ClassVar[Head] = "sequence-classification"

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config, config.num_labels)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Which one, `config.problem_type` says, or else, as in transformers, the first labels that are seen.

        One of N: cross entropy with ids `[B]`. Any of N: binary cross entropy with 0 and 1 `[B, N]`, as floats.
        Regression: squared error from `[B, N]`, or `[B]` where N is 1.
        """
        if self.config.problem_type is None:
            self.config = dataclasses.replace(self.config, problem_type=_problem_type(logits, labels))
        if self.config.problem_type == "single_label_classification":
            return super().loss(logits, labels)
        logits = at_least_float32(logits)
        targets = labels.to(logits.dtype).reshape(logits.shape)
        if self.config.problem_type == "regression":
            return F.mse_loss(logits, targets)
        return F.binary_cross_entropy_with_logits(logits, targets)


def _problem_type(logits: Tensor, labels: Tensor) -> ProblemType:
    if logits.shape[-1] == 1:
        return "regression"
    return "multi_label_classification" if labels.is_floating_point() else "single_label_classification"


class ForMultipleChoice(FirstTokenHead):
    """Chooses the best of C continuations: ids, mask and types are `[B, C, L]`, `logits` `[B, C]`, labels `[B]`."""

    head: ClassVar[Head] = "multiple-choice"

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config, 1)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        **inputs: Any,
    ) -> LogitsOutput:
        """See `WithHead.forward`."""
        given = {"input_ids": input_ids, "attention_mask": attention_mask, **inputs}
        deep = {key: value for key, value in given.items() if isinstance(value, Tensor) and value.ndim > 2}
        output = super().forward(**given | {key: value.flatten(0, 1) for key, value in deep.items()})
        output.logits = output.logits.view(-1, next(iter(deep.values())).shape[1])
        output.loss = None if labels is None else self.loss(output.logits, labels)
        return output


class ForTokenClassification(WithHead):
    """Labels each token: `logits` `[B, L, N]`, `labels` `[B, L]`."""

    head: ClassVar[Head] = "token-classification"

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        distils = config.model_type == "distilbert"
        self.dropout = Dropout(config.dropout if distils else _classifier_dropout(config))
        self.classifier = linear(config, config.dim, config.num_labels)

    def score(self, encoded: EncoderOutput) -> Tensor:
        """See `WithHead`."""
        scores: Tensor = self.classifier(self.dropout(encoded.last_hidden_state))
        return scores


class ForQuestionAnswering(WithHead):
    """Finds an answer's first and last token, given question and context as a pair."""

    head: ClassVar[Head] = "question-answering"

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        if config.num_labels != 2:
            fault = f"An answer has a start and an end, but this config has {config.num_labels} labels."
            raise ConfigError(fault, "Give num_labels=2.")
        self.dropout = Dropout(config.qa_dropout if config.model_type == "distilbert" else 0.0)
        self.qa_outputs = linear(config, config.dim, 2)

    def forward(  # type: ignore[override]  # its labels have other names, as in transformers
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        **inputs: Unpack[Inputs],
    ) -> SpanOutput:
        """`start_logits` and `end_logits` `[B, L]`; positions `[B]`, of which one outside the text is no label."""
        encoded = self.base_model(input_ids, attention_mask, **inputs)
        start, end = self.score(encoded).unbind(dim=-1)
        loss = None
        if start_positions is not None and end_positions is not None:
            loss = (self.loss(start, start_positions) + self.loss(end, end_positions)) / 2
        return SpanOutput(loss, start, end, encoded.hidden_states, encoded.attentions)

    def score(self, encoded: EncoderOutput) -> Tensor:
        """See `WithHead`."""
        scores: Tensor = self.qa_outputs(self.dropout(encoded.last_hidden_state))
        return scores

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean cross entropy of `[B, L]` with places `[B]`."""
        places = labels.flatten().clamp(0, logits.shape[1])
        return F.cross_entropy(at_least_float32(logits), places, ignore_index=logits.shape[1])


class ForMaskedLM(WithHead):
    """Guesses masked tokens (BERT, section 3.1, task 1): `logits` `[B, L, vocabulary]`, `labels` are ids `[B, L]`.

    A linear, the activation and a norm, then the word embeddings again, as rows to compare with, unless the config
    unties them.
    """

    head: ClassVar[Head] = "masked-lm"

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        self.activation = activation(config)
        self.vocab_transform = linear(config, config.dim, config.dim)
        self.vocab_layer_norm = nn.LayerNorm(config.dim, config.layer_norm_eps)
        self.vocab_projector = linear(config, config.dim, config.vocab_size)
        if config.ties_words:
            self.vocab_projector.weight = self.base_model.embeddings.word_embeddings.weight

    def score(self, encoded: EncoderOutput) -> Tensor:
        """See `WithHead`."""
        rows = self.vocab_layer_norm(self.activation(self.vocab_transform(encoded.last_hidden_state)))
        scores: Tensor = self.vocab_projector(rows)
        return scores
