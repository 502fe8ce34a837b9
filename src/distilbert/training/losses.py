"""What a model's answer costs: labels, masked words, a teacher's answers and a teacher's states.

Pure functions of tensors. Each gives a *sum*, over rows or tokens, as a scalar: the loop divides by the counts of the
whole batch (`training.objectives`). They compute in float32 whatever autocast leaves in bfloat16, whose three digits
are too few for a loss; float64 stays.

A teacher's tensors come without a gradient: who calls has computed them under `torch.no_grad`, or read them from disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own idiom
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.linalg import vector_norm

from distilbert.models.heads import at_least_float32

if TYPE_CHECKING:
    from distilbert.training.recipe import ProblemType

IGNORED = -100  # the label of what is no label, as PyTorch has it
SHORTEST = 1e-8  # a state of this norm or less has no direction
CACHED = 1 << 19  # logits that are computed on at once: 2 MB


def label_loss(logits: Tensor, labels: Tensor, problem_type: ProblemType) -> Tensor:
    """The loss of a classifier's logits `[rows, n]`, summed over rows.

    Cross entropy with ids `[rows]`; for several labels a row the mean over labels of the binary cross entropy with
    0/1 `[rows, n]`; squared error with numbers `[rows]`. In nats, or the labels' unit squared.
    """
    logits = at_least_float32(logits)
    if problem_type == "single_label_classification":
        return F.cross_entropy(logits, labels, reduction="sum")
    if problem_type == "multi_label_classification":
        return F.binary_cross_entropy_with_logits(logits, labels, reduction="sum") / logits.shape[1]
    return F.mse_loss(logits[:, 0], labels, reduction="sum")


def token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of what is said of tokens, `[rows, places, n]`, summed over places.

    Of masked words guessed (BERT, section 3.1, task 1), and of labels. `labels` `[rows, places]` are ids, or `IGNORED`.
    In nats.
    """
    flat = at_least_float32(logits).flatten(0, 1)
    return F.cross_entropy(flat, labels.flatten(), ignore_index=IGNORED, reduction="sum")


def span_loss(logits: Tensor, spans: Tensor, among: Tensor) -> Tensor:
    """Cross entropy of where an answer starts and ends (BERT, section 4.2), their mean, summed over rows. In nats.

    Logits `[rows, tokens, 2]`, `spans` `[rows, 2]`: the right tokens; only those count that a boolean `among`
    `[rows, tokens]` names.
    """
    lowest = torch.finfo(torch.float32).min
    possible = at_least_float32(logits).masked_fill(~among[:, :, None], lowest)
    return F.cross_entropy(possible, spans, reduction="sum") / 2


def soft_target_loss(
    student: Tensor, teacher: Tensor, temperature: float, where: Tensor | None = None
) -> Tensor:
    """T² · KL(p ‖ q), p and q the softmax of teacher / T and student / T, over the last axis; summed. In nats.

    Logits are `[rows, n]`, or `[rows, tokens, n]`, of which a boolean `where` `[rows, tokens]` chooses tokens: those
    masked, those not padding. Hinton et al. (2015), section 2, whose cross entropy differs by the teacher's entropy, a
    constant; T² keeps the gradient's size while T changes. In Sanh et al. (2019), section 2, it is L_ce.
    """
    q, p = (logits if where is None else logits[where] for logits in (student, teacher))
    loss: Tensor = _SoftTargets.apply(q.flatten(0, -2), p.flatten(0, -2), temperature)  # type: ignore[no-untyped-call]
    return loss


class _SoftTargets(torch.autograd.Function):
    """`soft_target_loss` of `[rows, n]` and its gradient, T · (q - p), of as many rows at once as a cache holds.

    PyTorch's own functions pass over all logits some twenty times, and a vocabulary's fit no cache (docs/lab.md).
    """

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        rows = max(1, CACHED // student.shape[-1])
        total, gradient = at_least_float32(student.new_zeros(())), torch.empty_like(student)
        for own, *both in zip(
            *(torch.split(logits, rows) for logits in (gradient, student, teacher)), strict=True
        ):
            log_q, log_p = (F.log_softmax(at_least_float32(logits) / temperature, dim=-1) for logits in both)
            p = log_p.exp()
            total += (p * (log_p - log_q)).sum()
            own.copy_((log_q.exp() - p) * temperature)
        ctx.save_for_backward(gradient)
        return total * temperature**2

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_loss: Tensor) -> tuple[Tensor, None, None]:
        [gradient] = ctx.saved_tensors
        return gradient * of_loss, None, None


def soft_span_loss(student: Tensor, teacher: Tensor, temperature: float, among: Tensor) -> Tensor:
    """`soft_target_loss` of where an answer starts, or ends: over the tokens of a row, `[rows, tokens]`.

    Only those count that a boolean `among` `[rows, tokens]` names: padding is no place for an answer. In nats.
    """
    # Not -inf, of which the difference is no number. Divided first: the lowest number over T < 1 would be -inf.
    lowest = torch.finfo(torch.float32).min
    p, q = (
        (at_least_float32(logits) / temperature).masked_fill(~among, lowest) for logits in (teacher, student)
    )
    return soft_target_loss(q, p, 1.0) * temperature**2


def soft_label_set_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """`soft_target_loss` where any of n labels may hold: their mean over labels, summed over rows `[rows, n]`. In nats.

    A label holds with probability σ(logit / T): the softmax of two logits, of which one is 0.
    """
    q, p = (torch.stack((logits, torch.zeros_like(logits)), dim=-1) for logits in (student, teacher))
    return soft_target_loss(q, p, temperature) / student.shape[-1]


def cosine_loss(student: Tensor, teacher: Tensor, where: Tensor | None = None) -> Tensor:
    """1 - cos of the angle between states `[rows, width]`, or `[rows, tokens, width]`, summed. From 0 to 2, no unit.

    `where` as in `soft_target_loss`. L_cos of Sanh et al. (2019), section 2; half of PKD's squared distance of states
    of length 1 (Sun et al., 2019, section 3.2). Computed as the latter, which loses no digits at small angles.
    A state too short to have a direction (`SHORTEST`) counts as at right angles, and has no gradient.
    """
    a, b = _chosen(student, where), _chosen(teacher, where)
    directed = (vector_norm(a, dim=-1) > SHORTEST) & (vector_norm(b, dim=-1) > SHORTEST)
    distances = F.normalize(a[directed], dim=-1) - F.normalize(b[directed], dim=-1)
    loss: Tensor = distances.square().sum() / 2 + directed.logical_not().sum()
    return loss


def squared_loss(student: Tensor, teacher: Tensor, where: Tensor | None = None) -> Tensor:
    """Squared error, its mean over the last axis, summed over the others. In the square of what it compares.

    Of logits `[rows, n]` (Ba and Caruana, 2014, section 2.2, times 2 / n) or of states `[rows, tokens, width]`
    (TinyBERT, Jiao et al., 2020, equation 8: where the student is narrower, the caller has projected its states).
    `where` as in `soft_target_loss`.
    """
    return (_chosen(student, where) - _chosen(teacher, where)).square().mean(dim=-1).sum()


def _chosen(values: Tensor, where: Tensor | None) -> Tensor:
    """Vectors `[chosen, n]`, or all: left out before they are used, what is not chosen cannot have a gradient."""
    return at_least_float32(values if where is None else values[where])
