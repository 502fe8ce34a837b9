"""The encoder of DistilBERT (Sanh et al., 2019) and BERT (Devlin et al., 2018), which are one but for three things.

|                                      | DistilBERT | BERT                           |
| ------------------------------------ | ---------- | ------------------------------ |
| a vector for the text a token is of  | no         | `token_type_ids`               |
| dropout after attention's projection | no         | `config.dropout`               |
| a pooler of the first token          | no         | a linear and tanh, on request  |

Shapes: B texts of L tokens; rows of width D = `config.dim`; H heads of width d = D / H; F = `config.hidden_dim`.
Modules bear DistilBERT's names, so that its `state_dict` is Hugging Face's; BERT's files are renamed on the way in
and out (`files.checkpoint`).
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, ClassVar, TypedDict, Unpack

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own idiom
from torch import Tensor, nn

from distilbert.errors import OptionError
from distilbert.files.checkpoint import sinusoidal_positions
from distilbert.files.config import ACTIVATIONS
from distilbert.models.outputs import EncoderOutput
from distilbert.models.pretrained import PretrainedModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from distilbert.files.checkpoint import Head
    from distilbert.files.config import DistilBertConfig, ModelType

_FORMULAS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": functools.partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
}


def activation(config: DistilBertConfig) -> Callable[[Tensor], Tensor]:
    """What `config.activation` does to each value."""
    return _FORMULAS[ACTIVATIONS[config.activation]]


def linear(config: DistilBertConfig, columns: int, rows: int) -> nn.Linear:
    """`[..., columns]` to `[..., rows]`, its weights normal with `initializer_range`, its bias 0 (BERT, A.2)."""
    layer = nn.Linear(columns, rows)
    nn.init.normal_(layer.weight, std=config.initializer_range)
    nn.init.zeros_(layer.bias)
    return layer


def embedding(config: DistilBertConfig, rows: int, padding: int | None = None) -> nn.Embedding:
    """A table `[rows, D]`, normal with `initializer_range`; the row of padding is 0 and is not trained."""
    table = nn.Embedding(rows, config.dim, padding_idx=padding)
    nn.init.normal_(table.weight, std=config.initializer_range)
    if padding is not None:
        nn.init.zeros_(table.weight[padding].detach())
    return table


def layer_norm(config: DistilBertConfig) -> nn.LayerNorm:
    """Layer normalisation of rows (Ba et al., 2016)."""
    return nn.LayerNorm(config.dim, eps=config.layer_norm_eps)


class Embeddings(nn.Module):
    """Token ids `[B, L]` to rows `[B, L, D]`: word, position and token-type vectors, added and normalised.

    BERT, section 3, figure 2. Positions are learned, or, with `sinusoidal_pos_embds`, the fixed waves of
    Vaswani et al., 2017, section 3.5.
    """

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__()
        self.word_embeddings = embedding(config, config.vocab_size, config.pad_token_id)
        self.position_embeddings = embedding(config, config.max_position_embeddings)
        if config.sinusoidal_pos_embds:
            waves = torch.from_numpy(sinusoidal_positions(config.max_position_embeddings, config.dim))
            self.position_embeddings.weight = nn.Parameter(waves, requires_grad=False)
        self.token_type_embeddings = (
            embedding(config, config.type_vocab_size) if config.type_vocab_size else None
        )
        self.LayerNorm = layer_norm(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, words: Tensor, token_type_ids: Tensor | None, position_ids: Tensor | None) -> Tensor:
        """`words` are the vectors `[B, L, D]`; types and positions are `[B, L]`, by default 0 and 0, 1, 2, …"""
        length = words.shape[1]
        if position_ids is None:
            position_ids = torch.arange(length, device=words.device)
        rows = words
        if self.token_type_embeddings is not None:
            if token_type_ids is None:
                token_type_ids = torch.zeros(length, dtype=torch.long, device=words.device)
            rows = rows + self.token_type_embeddings(token_type_ids)
        dropped: Tensor = self.dropout(self.LayerNorm(rows + self.position_embeddings(position_ids)))
        return dropped


class SelfAttention(nn.Module):
    """Multi-head attention (Vaswani et al., 2017, section 3.2): softmax(Q Kᵀ / √d) V, heads side by side, projected."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__()
        self.n_heads, self.dropout = config.n_heads, config.attention_dropout
        self.q_lin = linear(config, config.dim, config.dim)
        self.k_lin = linear(config, config.dim, config.dim)
        self.v_lin = linear(config, config.dim, config.dim)
        self.out_lin = linear(config, config.dim, config.dim)

    def forward(
        self, rows: Tensor, context: Tensor, mask: Tensor | None, want_shares: bool
    ) -> tuple[Tensor, Tensor | None]:
        """`rows` `[B, R, D]` look at `context` `[B, L, D]` where `mask` `[B, 1, 1, L]` is true.

        Gives what they found, `[B, R, D]`, and, where wanted, the shares `[B, H, R, L]` that they took.
        """
        query, key, value = (
            self._heads(self.q_lin(rows)),
            self._heads(self.k_lin(context)),
            self._heads(self.v_lin(context)),
        )
        dropout = self.dropout if self.training else 0.0
        if want_shares or _is_slow_fused(query):
            found, shares = _attend(query, key, value, mask, dropout)
        else:
            found = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
            shares = None
        return self.out_lin(found.transpose(1, 2).flatten(2)), shares if want_shares else None

    def _heads(self, rows: Tensor) -> Tensor:
        """`[B, R, D]` to `[B, H, R, d]`."""
        return rows.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)


def _is_slow_fused(query: Tensor) -> bool:
    """Whether PyTorch's fused kernel is the slower way: it is in bfloat16 on the processor (docs/lab.md)."""
    return query.device.type == "cpu" and query.dtype is torch.bfloat16


def _attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float
) -> tuple[Tensor, Tensor]:
    """`F.scaled_dot_product_attention` step by step, which also shows the shares `[B, H, R, L]`."""
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    shares = scores.softmax(dim=-1)
    return F.dropout(shares, dropout) @ value, shares


class FeedForward(nn.Module):
    """Each row by itself, `[…, D]` to `[…, F]` and back (Vaswani et al., 2017, section 3.3, with GELU)."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__()
        self.lin1 = linear(config, config.dim, config.hidden_dim)
        self.lin2 = linear(config, config.hidden_dim, config.dim)
        self.activation, self.dropout = activation(config), nn.Dropout(config.dropout)

    def forward(self, rows: Tensor) -> Tensor:
        """`[…, D]` to `[…, D]`."""
        dropped: Tensor = self.dropout(self.lin2(self.activation(self.lin1(rows))))
        return dropped


class Layer(nn.Module):
    """Attention, then feed-forward, each added to what entered it and normalised (Vaswani et al., 2017, section 3.1)."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__()
        self.attention = SelfAttention(config)
        self.dropout = nn.Dropout(config.dropout if config.model_type == "bert" else 0.0)
        self.sa_layer_norm = layer_norm(config)
        self.ffn = FeedForward(config)
        self.output_layer_norm = layer_norm(config)

    def forward(
        self, rows: Tensor, context: Tensor, mask: Tensor | None, want_shares: bool
    ) -> tuple[Tensor, Tensor | None]:
        """As `SelfAttention.forward`."""
        found, shares = self.attention(rows, context, mask, want_shares)
        rows = self.sa_layer_norm(self.dropout(found) + rows)
        return self.output_layer_norm(self.ffn(rows) + rows), shares


class Transformer(nn.Module):
    """`n_layers` layers, each on the rows of the one before."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(config) for _ in range(config.n_layers))

    def forward(
        self, rows: Tensor, mask: Tensor | None, want_shares: bool, only_first: bool
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The rows that enter and leave each layer, `n_layers + 1` of `[B, L, D]`; and the shares, where wanted.

        With `only_first`, the last layer computes the first token's row alone, `[B, 1, D]`: all that a classifier
        reads. Exact, and 14 % less linear work in six layers.
        """
        hidden, attentions = [rows], []
        for number, layer in enumerate(self.layer, start=1):
            last = only_first and number == len(self.layer)
            rows, shares = layer(rows[:, :1] if last else rows, rows, mask, want_shares)
            hidden.append(rows)
            attentions += [shares] if want_shares else []
        return hidden, attentions


class Inputs(TypedDict, total=False):
    """What every model's `forward` takes by name, beside `input_ids` and `attention_mask`, int64 `[B, L]`."""

    token_type_ids: Tensor | None  # [B, L]; ignored where there are none
    position_ids: Tensor | None  # [B, L] or [L]
    inputs_embeds: Tensor | None  # [B, L, D], in place of input_ids
    output_attentions: bool
    output_hidden_states: bool


class Encoder(PretrainedModel):
    """What `DistilBertModel` and `BertModel` share."""

    head: ClassVar[Head] = "none"

    def __init__(self, config: DistilBertConfig, add_pooling_layer: bool = True) -> None:
        super().__init__(config)
        self.embeddings = Embeddings(config)
        self.transformer = Transformer(config)
        pools = add_pooling_layer and config.model_type == "bert"
        self.pooler = linear(config, config.dim, config.dim) if pools else None

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        only_first: bool = False,
        **inputs: Unpack[Inputs],
    ) -> EncoderOutput:
        """Encode a padded batch; a mask left out means no padding, types left out one text.

        `only_first`: of the last layer the first token's row alone, `[B, 1, D]`, unless all were asked for.
        Raises `OptionError` for more tokens a text than there are positions.
        """
        show_hidden = inputs.pop("output_hidden_states", False)
        show_shares = inputs.pop("output_attentions", False)
        only_first = only_first and not show_hidden and not show_shares
        rows = self._embed(input_ids, **inputs)
        mask = None if attention_mask is None else attention_mask.bool()[:, None, None, :]
        hidden, attentions = self.transformer(rows, mask, show_shares, only_first)
        return EncoderOutput(
            hidden[-1],
            None if self.pooler is None else torch.tanh(self.pooler(hidden[-1][:, 0])),
            tuple(hidden) if show_hidden else None,
            tuple(attentions) if show_shares else None,
        )

    def _embed(
        self,
        input_ids: Tensor | None,
        inputs_embeds: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> Tensor:
        if (input_ids is None) == (inputs_embeds is None):
            raise OptionError(
                "Of input_ids and inputs_embeds one must be given, and not both.", "Leave one out."
            )
        words = self.embeddings.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        length, most = words.shape[1], self.config.max_position_embeddings
        if length > most:
            fault = f"input_ids has {length} tokens a text; this model reads {most}."
            raise OptionError(fault, "Tokenize with truncation=True.")
        rows: Tensor = self.embeddings(words, token_type_ids, position_ids)
        return rows


class DistilBertModel(Encoder):
    """DistilBERT without a head: `last_hidden_state` `[B, L, D]`.

    >>> config = DistilBertConfig(vocab_size=100, dim=32, n_layers=2, n_heads=4, hidden_dim=64)
    >>> DistilBertModel(config)(torch.tensor([[2, 7, 3]])).last_hidden_state.shape
    torch.Size([1, 3, 32])
    """

    family: ClassVar[ModelType] = "distilbert"


class BertModel(Encoder):
    """BERT without a head: `last_hidden_state` `[B, L, D]` and `pooler_output` `[B, D]`, section 3.1's C after tanh."""

    family: ClassVar[ModelType] = "bert"
