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
from distilbert.models.dropout import Dropout, dropout
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
    """`[..., columns]` to `[..., rows]`, its weights normal with `initializer_range`, its bias 0."""
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
        self.LayerNorm = nn.LayerNorm(config.dim, config.layer_norm_eps)
        self.dropout = Dropout(config.dropout)

    def forward(
        self,
        input_ids: Tensor | None,
        inputs_embeds: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> Tensor:
        """Types and positions left out are 0 and 0, 1, 2, …; `inputs_embeds` `[B, L, D]` are the words' vectors."""
        if (input_ids is None) == (inputs_embeds is None):
            raise OptionError("Give either input_ids or inputs_embeds, and not both.", "Leave one out.")
        rows: Tensor = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        length, most = rows.shape[1], self.position_embeddings.num_embeddings
        if length > most:
            fault = f"input_ids has {length} tokens a text; this model reads {most}."
            raise OptionError(fault, "Tokenize with truncation=True.")
        if self.token_type_embeddings is not None:
            types = rows.new_zeros(length, dtype=torch.long) if token_type_ids is None else token_type_ids
            rows = rows + self.token_type_embeddings(types)
        places = torch.arange(length, device=rows.device) if position_ids is None else position_ids
        rows = self.LayerNorm(rows + self.position_embeddings(places))
        return self.dropout(rows)  # type: ignore[no-any-return]


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
        """`rows` `[B, R, D]` look at `context` `[B, L, D]` where `mask` `[B, 1, 1 or R, L]` is true.

        Gives what they found, `[B, R, D]`, and, where wanted, the shares `[B, H, R, L]` that they took.
        """
        query = self._heads(self.q_lin(rows))
        key, value = self._heads(self.k_lin(context)), self._heads(self.v_lin(context))
        rate = self.dropout if self.training else 0.0
        # On a processor PyTorch's fused way is slow to train in bfloat16 (docs/lab.md).
        if want_shares or (query.dtype is torch.bfloat16 and query.device.type == "cpu"):
            found, shares = attend(query, key, value, mask, rate)
        else:
            found = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=rate)
            shares = None
        return self.out_lin(found.transpose(1, 2).flatten(2)), shares if want_shares else None

    def _heads(self, rows: Tensor) -> Tensor:
        """`[B, R, D]` to `[B, H, R, d]`."""
        return rows.view(*rows.shape[:-1], self.n_heads, -1).transpose(1, 2)


def attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, rate: float
) -> tuple[Tensor, Tensor]:
    """`F.scaled_dot_product_attention` step by step, which also shows the shares `[B, H, R, L]`."""
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    shares = scores.softmax(dim=-1)
    return dropout(shares, rate) @ value, shares


class FeedForward(nn.Module):
    """Each row by itself, `[…, D]` to `[…, F]` and back (Vaswani et al., 2017, section 3.3, with GELU)."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__()
        self.lin1 = linear(config, config.dim, config.hidden_dim)
        self.lin2 = linear(config, config.hidden_dim, config.dim)
        self.activation, self.dropout = activation(config), Dropout(config.dropout)

    def forward(self, rows: Tensor) -> Tensor:
        """`[…, D]` to `[…, D]`."""
        dropped: Tensor = self.dropout(self.lin2(self.activation(self.lin1(rows))))
        return dropped


class Layer(nn.Module):
    """Attention, then feed-forward, each added to what entered it and normed (Vaswani et al., 2017, section 3.1)."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__()
        self.attention = SelfAttention(config)
        self.dropout = Dropout(config.dropout if config.model_type == "bert" else 0.0)
        self.sa_layer_norm = nn.LayerNorm(config.dim, config.layer_norm_eps)
        self.ffn = FeedForward(config)
        self.output_layer_norm = nn.LayerNorm(config.dim, config.layer_norm_eps)

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
        self, rows: Tensor, mask: Tensor | None, only_first: bool, want_hidden: bool, want_shares: bool
    ) -> EncoderOutput:
        """Encode `[B, L, D]`, keeping the rows and the shares of each layer where wanted.

        With `only_first`, the last layer computes the first token's row alone, `[B, 1, D]`: all that a classifier
        reads. Exact, and 14 % less linear work in six layers.
        """
        hidden, attentions = [rows], []
        for number, layer in enumerate(self.layer, start=1):
            last = only_first and number == len(self.layer)
            seen = mask[:, :, :1] if last and mask is not None else mask
            rows, shares = layer(rows[:, :1] if last else rows, rows, seen, want_shares)
            hidden += [rows] if want_hidden else []
            attentions += [shares] if want_shares else []
        kept = tuple(hidden) if want_hidden else None, tuple(attentions) if want_shares else None
        return EncoderOutput(rows, None, *kept)


class Inputs(TypedDict, total=False):
    """What every model's `forward` takes by name, beside `input_ids` `[B, L]` and `attention_mask`, int64."""

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

        A mask `[B, L, L]` says of each token whom it sees: where texts share a row, those of its own.
        `only_first`: of the last layer the first token's row alone, `[B, 1, D]`, unless all were asked for.
        Raises `OptionError` for more tokens a text than there are positions.
        """
        wanted = inputs.pop("output_hidden_states", False), inputs.pop("output_attentions", False)
        rows = self.embeddings(input_ids, **inputs)
        mask = None if attention_mask is None else attention_mask.bool().view(len(rows), 1, -1, rows.shape[1])
        output: EncoderOutput = self.transformer(rows, mask, only_first and not any(wanted), *wanted)
        if self.pooler is not None:
            output.pooler_output = torch.tanh(self.pooler(output.last_hidden_state[:, 0]))
        return output


class DistilBertModel(Encoder):
    """DistilBERT without a head: `last_hidden_state` `[B, L, D]`.

    >>> from distilbert import DistilBertConfig
    >>> config = DistilBertConfig(vocab_size=100, dim=32, n_layers=2, n_heads=4, hidden_dim=64)
    >>> DistilBertModel(config)(torch.tensor([[2, 7, 3]])).last_hidden_state.shape
    torch.Size([1, 3, 32])
    """

    family: ClassVar[ModelType] = "distilbert"


class BertModel(Encoder):
    """BERT without a head: `last_hidden_state` `[B, L, D]` and `pooler_output` `[B, D]`, section 3's C, projected."""

    family: ClassVar[ModelType] = "bert"
