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
        p, q = joint.sum(-1), joint.sum(-2)
    else:
        p, q = histograms.soft(x, shares, bins_x), histograms.soft(y, shares, bins_y)
    return information_terms(joint, p, q), joint, torch.cat([p, q], -1), order


def backward(
    grad: Tensor, x: Tensor, y: Tensor, shares: Tensor | None, joint: Tensor, sums: Tensor, order: Tensor, bins_x: Bins,
    bins_y: Bins, marginals: str, needs: list[bool], histograms: Histograms = PORTABLE,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients with respect to x, y and shares, empty where not needed."""
    grad_joint, grad_p, grad_q = terms_backward(grad, joint, *sums.split([bins_x.count, bins_y.count], -1))
    if marginals == "joint":
        grad_joint += grad_p.unsqueeze(-1)
        grad_joint += grad_q.unsqueeze(-2)
    kept_order = [] if histograms.joint_kept is None else [order]
    grad_x, grad_y, grad_shares = histograms.joint_backward(grad_joint, x, y, shares, *kept_order, bins_x, bins_y, needs)
    if marginals == "joint":
        return grad_x, grad_y, grad_shares
    needs_x, needs_y, needs_shares = needs
    more_x, shares_x = histograms.soft_backward(grad_p, x, shares, bins_x, [needs_x, needs_shares])
    more_y, shares_y = histograms.soft_backward(grad_q, y, shares, bins_y, [needs_y, needs_shares])
    return grad_x + more_x, grad_y + more_y, grad_shares + shares_x + shares_y


def terms_backward(grad: Tensor, joint: Tensor, p: Tensor, q: Tensor) -> list[Tensor]:
    """Gradients of the terms (B, 4) with respect to the joint histogram and its marginals, taken for independent."""
    log_joint, log_p, log_q = map(_log, (joint, p, q))
    information, joint_entropy, entropy_x, entropy_y = grad[..., None, None].unbind(1)
    slope = (information - joint_entropy) * (log_joint + 1) - information * (log_p.unsqueeze(-1) + log_q.unsqueeze(-2))
    grad_p = -information.squeeze(-1) * joint.sum(-1) / p - entropy_x.squeeze(-1) * (log_p + 1)
    grad_q = -information.squeeze(-1) * joint.sum(-2) / q - entropy_y.squeeze(-1) * (log_q + 1)
    return [torch.where(histogram <= 0, 0, g) for histogram, g in ((joint, slope), (p, grad_p), (q, grad_q))]


def _log(p: Tensor) -> Tensor:
    return torch.where(p <= 0, 1, p).log_()
