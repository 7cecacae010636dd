"""Mutual information of paired samples from their joint soft histogram (Hue-Net, Eq. 16-18), in nats.

    I = sum J log(J / (p q)),     H = -sum J log J,     with 0 log 0 := 0
    dI/dJ = log J - log p - log q + 1,   dI/dp = -rows(J) / p,   dI/dq = -columns(J) / q
    dH/dJ = -log J - 1,   dH(p)/dp = -log p - 1        each := 0 where the histogram itself is 0

p and q are the marginals of J, or the histograms of Eq. 5, which differ where an open boundary loses mass.

Backend "triton" does all of it in one forward and one backward pass over the samples, where their bins are cut into tiles, and
never stores dL/dJ; otherwise the joint histogram and the terms are an operator each.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from . import arguments, reference
from .bins import Bins, as_bins_pair
from .histogram import soft_histogram
from .joint_histogram import joint_histogram
from .registration import once_differentiable, operator


class MutualInformation(NamedTuple):
    """Information and entropies in nats, each of the samples' leading shape."""

    information: Tensor
    joint_entropy: Tensor
    entropy_x: Tensor
    entropy_y: Tensor

    @property
    def relative(self) -> Tensor:
        """I / H, one minus the paper's D_MI (Eq. 17); 0 where H is 0. For identical images about 0.5, as soft bins overlap."""
        return _ratio(self.information, self.joint_entropy)

    @property
    def normalized(self) -> Tensor:
        """2 I / (H(x) + H(y)), in [0, 1] for marginals of J; 0 where both entropies are 0."""
        return _ratio(2 * self.information, self.entropy_x + self.entropy_y)

    @property
    def conditional_x(self) -> Tensor:
        """H(x | y) = H - H(y)."""
        return self.joint_entropy - self.entropy_y

    @property
    def conditional_y(self) -> Tensor:
        """H(y | x) = H - H(x)."""
        return self.joint_entropy - self.entropy_x


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    empty = denominator <= 0  # a NaN is not, and stays
    return torch.where(empty, 0, numerator / torch.where(empty, 1, denominator))


@operator("information_terms")
def _op(joint: Tensor, p: Tensor, q: Tensor) -> Tensor:
    return reference.information_terms(joint, p, q)


@operator("information_terms_backward")
def _op_backward(grad: Tensor, joint: Tensor, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    log_joint, log_p, log_q = map(_log, (joint, p, q))
    information, joint_entropy, entropy_x, entropy_y = grad[..., None, None].unbind(1)
    slope = (information - joint_entropy) * (log_joint + 1) - information * (log_p.unsqueeze(-1) + log_q.unsqueeze(-2))
    grad_p = -information.squeeze(-1) * joint.sum(-1) / p - entropy_x.squeeze(-1) * (log_p + 1)
    grad_q = -information.squeeze(-1) * joint.sum(-2) / q - entropy_y.squeeze(-1) * (log_q + 1)
    grads = [torch.where(histogram > 0, g, 0) for histogram, g in ((joint, slope), (p, grad_p), (q, grad_q))]
    return grads[0], grads[1], grads[2]


def _log(p: Tensor) -> Tensor:
    return torch.where(p > 0, p, 1).log_()


@_op.register_fake
def _(joint: Tensor, p: Tensor, q: Tensor) -> Tensor:
    return joint.new_empty(joint.shape[0], 4)


@_op_backward.register_fake
def _(grad: Tensor, joint: Tensor, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return joint.new_empty(joint.shape), p.new_empty(p.shape), q.new_empty(q.shape)


def _setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
    return _op_backward(grad, *ctx.saved_tensors)


_op.register_autograd(_differentiate, setup_context=_setup_context)
once_differentiable(_op_backward)


@operator("fused_mutual_information")
def _fused_op(
    x: Tensor, y: Tensor, shares: Tensor | None, bins_x: str, bins_y: str, edges: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The terms, and what the backward pass needs: joint histogram, its sums, order of the samples."""
    bins = Bins.from_spec(bins_x), Bins.from_spec(bins_y)
    return _fused().forward(*arguments.contiguous(x, y, shares), *bins, edges)


@operator("fused_mutual_information_backward")
def _fused_op_backward(
    grad: Tensor,
    x: Tensor,
    y: Tensor,
    shares: Tensor | None,
    joint: Tensor,
    sums: Tensor,
    order: Tensor,
    bins_x: str,
    bins_y: str,
    edges: bool,
    needs: list[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    grad, x, y, shares = arguments.contiguous(grad, x, y, shares)
    bins = Bins.from_spec(bins_x), Bins.from_spec(bins_y)
    return _fused().backward(grad, x, y, shares, order, *bins, needs, (joint, sums), edges)


def _fused() -> ModuleType:
    """The Triton kernels, imported when first used."""
    from .fused import mutual_information

    return mutual_information


@_fused_op.register_fake
def _(x: Tensor, y: Tensor, shares: Tensor | None, bins_x: str, bins_y: str, edges: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    (batch, samples), (first, second) = x.shape, (Bins.from_spec(bins_x), Bins.from_spec(bins_y))
    width = _fused().order_width(samples, first, second, x.dtype)
    joint, sums = x.new_empty(batch, first.count, second.count), x.new_empty(batch, 2 * (first.count + second.count))
    return x.new_empty(batch, 4), joint, sums, x.new_empty(batch, width, dtype=torch.int32)


@_fused_op_backward.register_fake
def _(
    grad: Tensor,
    x: Tensor,
    y: Tensor,
    shares: Tensor | None,
    joint: Tensor,
    sums: Tensor,
    order: Tensor,
    bins_x: str,
    bins_y: str,
    edges: bool,
    needs: list[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    grad_x, grad_y, grad_shares = (x.new_empty(x.shape if need else 0) for need in needs)
    return grad_x, grad_y, grad_shares


def _setup_fused_context(ctx: Any, inputs: tuple, output: tuple[Tensor, ...]) -> None:
    x, y, shares, *ctx.plain = inputs
    ctx.mark_non_differentiable(*output[1:])
    ctx.save_for_backward(x, y, shares, *output[1:])


def _differentiate_fused(ctx: Any, grad: Tensor, *_others: None) -> tuple[Tensor | None, ...]:
    needs = list(ctx.needs_input_grad[:3])
    grads = _fused_op_backward(grad, *ctx.saved_tensors, *ctx.plain, needs)
    return *(g if need else None for g, need in zip(grads, needs)), None, None, None


_fused_op.register_autograd(_differentiate_fused, setup_context=_setup_fused_context)
once_differentiable(_fused_op_backward)


def mutual_information(
    x: Tensor,
    y: Tensor,
    bins: int | Bins = 256,
    bins_y: int | Bins | None = None,
    *,
    weights: Tensor | None = None,
    marginals: str = "joint",
    backend: str | None = None,
) -> MutualInformation:
    """Mutual information and entropies of paired samples on the last dimension, in nats (Hue-Net, Eq. 16-18).

    Args:
        x, y, bins, bins_y, weights, backend: as for `joint_histogram`.
        marginals: "joint" takes p and q as row and column sums of the joint histogram; "histogram" takes the soft histograms of
            x and y (Eq. 5, the paper). They differ only where an `open` boundary loses mass.

    Returns:
        MutualInformation(information, joint_entropy, entropy_x, entropy_y), each (...), with properties relative (I/H),
        normalized, conditional_x and conditional_y. Empty bins contribute nothing, neither value nor gradient.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms, unless backend is "reference".
    """
    if marginals not in ("joint", "histogram"):
        raise ValueError(f"marginals must be 'joint' or 'histogram', got {marginals!r}")
    bins_x, bins_y = as_bins_pair(bins, bins_y)
    x, y = arguments.paired(x, y)
    backend = arguments.choose_backend(backend, x, lambda: _fused().unserved(bins_x, bins_y, x.dtype))
    if backend == "triton" and x.numel() and _fused().are_tiled(bins_x, bins_y, x.dtype):
        shares = arguments.shares(x, weights)
        arguments.plain_autograd_only(x, y, *([] if shares is None else [shares]))
        edges = marginals == "histogram"
        terms = _fused_op(*map(arguments.rows, (x, y, shares)), bins_x.spec, bins_y.spec, edges)[0]
        return MutualInformation(*terms.view(*x.shape[:-1], 4).unbind(-1))
    joint = joint_histogram(x, y, bins_x, bins_y, weights=weights, backend=backend)
    if marginals == "joint":
        p, q = joint.sum(-1), joint.sum(-2)
    else:
        p = soft_histogram(x, bins_x, weights=weights, backend=backend)
        q = soft_histogram(y, bins_y, weights=weights, backend=backend)
    if backend == "reference":
        terms = reference.information_terms(joint, p, q)
    else:
        terms = _op(joint.reshape(-1, *joint.shape[-2:]), p.reshape(-1, p.shape[-1]), q.reshape(-1, q.shape[-1]))
    return MutualInformation(*terms.view(*joint.shape[:-2], 4).unbind(-1))
