"""Mutual information from histograms of whatever backend: the terms, and what they pass back to the histograms."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..common.bins import Bins
from ..joint_histogram import portable as joint_histogram
from ..soft_histogram import portable as soft_histogram
from .reference import information_terms


class Histograms(NamedTuple):
    """Forward and backward pass of both histograms, as their backends have them."""

    joint: Callable[..., Tensor | tuple[Tensor, Tensor]]
    joint_backward: Callable[..., tuple[Tensor, Tensor, Tensor]]
    soft: Callable[..., Tensor]
    soft_backward: Callable[..., tuple[Tensor, Tensor]]
    #: what the joint histogram keeps: an order of samples, which its two passes then give and take; None where there is none
    joint_kept: Callable[..., list[Tensor]] | None = None


PORTABLE = Histograms(
    joint_histogram.forward, joint_histogram.backward, soft_histogram.forward, soft_histogram.backward, joint_histogram.kept
)


def kept(
    x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins, marginals: str, histograms: Histograms = PORTABLE
) -> list[Tensor]:
    """The joint histogram, both marginals (B, Kx + Ky), and the samples' order, (B, 0) where there is none."""
    joint, sums = x.new_empty(len(x), bins_x.count, bins_y.count), x.new_empty(len(x), bins_x.count + bins_y.count)
    order = [_no_order(x)] if histograms.joint_kept is None else histograms.joint_kept(x, y, shares, bins_x, bins_y)
    return [joint, sums, *order]


def _no_order(x: Tensor) -> Tensor:
    return x.new_empty(len(x), 0, dtype=torch.int32)


def forward(
    x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins, marginals: str, histograms: Histograms = PORTABLE
) -> tuple[Tensor, ...]:
    """(B, N), (B, N) -> (B, 4) and what is kept."""
    joint = histograms.joint(x, y, shares, bins_x, bins_y)
    joint, order = (joint, _no_order(x)) if isinstance(joint, Tensor) else joint
    if marginals == "joint":
        sums = torch.cat([joint.sum(-1), joint.sum(-2)], -1)
        return _joint_terms(joint, sums, [bins_x.count, bins_y.count]), joint, sums, order
    p, q = histograms.soft(x, shares, bins_x), histograms.soft(y, shares, bins_y)
    return information_terms(joint, p, q), joint, torch.cat([p, q], -1), order


def _joint_terms(joint: Tensor, sums: Tensor, counts: list[int]) -> Tensor:
    """The terms where the marginals are sums of the joint histogram: the cross entropies are then the marginals' own."""
    joint_entropy = -(joint * _log(joint)).sum((-2, -1))
    entropy_x, entropy_y = (-part.sum(-1) for part in (sums * _log(sums)).split(counts, -1))
    return torch.stack([entropy_x + entropy_y - joint_entropy, joint_entropy, entropy_x, entropy_y], -1)


def backward(
    grad: Tensor, x: Tensor, y: Tensor, shares: Tensor | None, joint: Tensor, sums: Tensor, order: Tensor, bins_x: Bins,
    bins_y: Bins, marginals: str, needs: list[bool], histograms: Histograms = PORTABLE,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients with respect to x, y and shares, empty where not needed."""
    of_joint = marginals == "joint"
    p, q = sums.split([bins_x.count, bins_y.count], -1)
    grad_joint, grad_p, grad_q = _terms_backward(grad, joint, p, q, of_joint)
    if of_joint:
        grad_joint.add_(grad_p.unsqueeze(-1)).add_(grad_q.unsqueeze(-2))
    kept_order = [] if histograms.joint_kept is None else [order]
    grad_x, grad_y, grad_shares = histograms.joint_backward(grad_joint, x, y, shares, *kept_order, bins_x, bins_y, needs)
    if of_joint:
        return grad_x, grad_y, grad_shares
    needs_x, needs_y, needs_shares = needs
    more_x, shares_x = histograms.soft_backward(grad_p, x, shares, bins_x, [needs_x, needs_shares])
    more_y, shares_y = histograms.soft_backward(grad_q, y, shares, bins_y, [needs_y, needs_shares])
    return grad_x + more_x, grad_y + more_y, grad_shares + shares_x + shares_y


def _terms_backward(grad: Tensor, joint: Tensor, p: Tensor, q: Tensor, of_joint: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the terms (B, 4) with respect to the joint histogram and its marginals, taken for independent; `of_joint`:
    whether they are its sums."""
    information, joint_entropy, entropy_x, entropy_y = grad[..., None, None].unbind(1)
    log_p, log_q = _log(p), _log(q)
    slope = _log(joint).add_(1).mul_(information - joint_entropy)
    slope.sub_((information.squeeze(-1) * log_p).unsqueeze(-1)).sub_((information.squeeze(-1) * log_q).unsqueeze(-2))
    grads = [slope]
    for marginal, log, entropy, other in ((p, log_p, entropy_x, -1), (q, log_q, entropy_y, -2)):
        crossed = information.squeeze(-1) if of_joint else information.squeeze(-1) * joint.sum(other) / marginal
        grads.append(-crossed - entropy.squeeze(-1) * (log + 1))
    return tuple(g.masked_fill_(histogram <= 0, 0) for histogram, g in zip((joint, p, q), grads))


def _log(p: Tensor) -> Tensor:
    return torch.where(p <= 0, 1, p).log_()
