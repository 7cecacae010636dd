"""Mutual information from histograms of whatever backend: the terms, and what they pass back to the histograms."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..common.bins import Bins
from ..common.kept import kept_tensors
from ..common.operator import as_tuple
from ..joint_histogram import portable as joint_histogram
from ..soft_histogram import portable as soft_histogram
from .reference import information_terms


class Histograms(NamedTuple):
    """Forward and backward pass of both histograms, as their backends have them."""

    joint: Callable[..., Tensor | tuple[Tensor, Tensor]]
    joint_backward: Callable[..., tuple[Tensor, Tensor, Tensor]]
    soft: Callable[..., Tensor | tuple[Tensor, ...]]
    soft_backward: Callable[..., tuple[Tensor, Tensor]]
    #: what the histograms keep, which their two passes give and take
    joint_kept: Callable[..., list[Tensor]] = lambda *_: []
    soft_kept: Callable[..., list[Tensor]] = lambda *_: []


PORTABLE = Histograms(
    joint_histogram.forward, joint_histogram.backward, soft_histogram.forward, soft_histogram.backward, joint_histogram.kept,
    soft_histogram.kept,
)  # fmt: skip
#: the same where nothing of a sample's responses is held from one pass to the other
UNHELD = PORTABLE._replace(joint=functools.partial(joint_histogram.forward, hold=False))


#: the terms (information, joint entropy, entropies of x and y) from sums of p log p over the joint histogram and its marginals
_TERMS = ((1.0, -1.0, 0.0, 0.0), (-1.0, 0.0, -1.0, 0.0), (-1.0, 0.0, 0.0, -1.0))


def kept(
    x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins, marginals: str, histograms: Histograms = PORTABLE
) -> list[Tensor]:
    """The joint histogram and both marginals, (B, Kx Ky + Kx + Ky), or with marginals="joint" d(p log p)/dp of them; and what the
    histograms keep."""
    numbers = x.new_empty(len(x), bins_x.count * bins_y.count + bins_x.count + bins_y.count)
    kept = [numbers, *histograms.joint_kept(x, y, shares, bins_x, bins_y)]
    if marginals == "joint":
        return kept
    return [*kept, *histograms.soft_kept(x, shares, bins_x), *histograms.soft_kept(y, shares, bins_y)]


def forward(
    x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins, marginals: str, histograms: Histograms = PORTABLE
) -> tuple[Tensor, ...]:
    """(B, N), (B, N) -> (B, 4) and what is kept."""
    joint, *kept = as_tuple(histograms.joint(x, y, shares, bins_x, bins_y))
    if marginals == "joint":
        numbers = torch.cat([joint.flatten(1), joint.sum(-1), joint.sum(-2)], 1)
        return *_joint_terms(numbers, bins_x, bins_y), *kept
    (p, *kept_x), (q, *kept_y) = (as_tuple(histograms.soft(z, shares, bins)) for z, bins in ((x, bins_x), (y, bins_y)))
    return information_terms(joint, p, q), torch.cat([joint.flatten(1), p, q], 1), *kept, *kept_x, *kept_y


def _split(numbers: Tensor, bins_x: Bins, bins_y: Bins) -> tuple[Tensor, Tensor, Tensor]:
    """What is of the joint histogram, and of its marginals."""
    return numbers.split_with_sizes([bins_x.count * bins_y.count, bins_x.count, bins_y.count], 1)


def _joint_terms(numbers: Tensor, bins_x: Bins, bins_y: Bins) -> tuple[Tensor, Tensor]:
    """The terms where the marginals are sums of the joint histogram: the cross entropies are then the marginals' own. And
    d(p log p)/dp."""
    empty = numbers <= 0
    log = torch.where(empty, 1, numbers).log_()
    sums = torch.stack([part.sum(-1) for part in _split(numbers * log, bins_x, bins_y)], 1)
    # no matrix product, which a process may have rounded to tf32
    return (sums.unsqueeze(-1) * _terms(numbers.dtype, numbers.device)).sum(-2), torch.where(empty, 0, log.add_(1))


@kept_tensors(maxsize=64)
def _terms(dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(_TERMS, dtype=dtype, device=device)


def backward(
    grad: Tensor, x: Tensor, y: Tensor, shares: Tensor | None, numbers: Tensor,
    *kept_and_settings: Any, histograms: Histograms = PORTABLE,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients with respect to x, y and shares, empty where not needed."""
    *kept, bins_x, bins_y, marginals, needs = kept_and_settings
    cells, p, q = _split(numbers, bins_x, bins_y)
    cells = cells.view(-1, bins_x.count, bins_y.count)
    if marginals == "joint":
        slopes = (grad.unsqueeze(-2) * _terms(grad.dtype, grad.device)).sum(-1)[..., None, None].unbind(1)
        grad_joint = (cells * slopes[0]).addcmul_(p.unsqueeze(-1), slopes[1]).addcmul_(q.unsqueeze(-2), slopes[2])
        return histograms.joint_backward(grad_joint, x, y, shares, *kept, bins_x, bins_y, needs)
    grad_joint, grad_p, grad_q = _terms_backward(grad, cells, p, q)
    of_axis = len(histograms.soft_kept(x, shares, bins_x))
    joint_kept, soft_kept = kept[: len(kept) - 2 * of_axis], kept[len(kept) - 2 * of_axis :]
    kept_x, kept_y = soft_kept[:of_axis], soft_kept[of_axis:]
    grad_x, grad_y, grad_shares = histograms.joint_backward(grad_joint, x, y, shares, *joint_kept, bins_x, bins_y, needs)
    needs_x, needs_y, needs_shares = needs
    more_x, shares_x = histograms.soft_backward(grad_p, x, shares, *kept_x, bins_x, [needs_x, needs_shares])
    more_y, shares_y = histograms.soft_backward(grad_q, y, shares, *kept_y, bins_y, [needs_y, needs_shares])
    return grad_x + more_x, grad_y + more_y, grad_shares + shares_x + shares_y


def _terms_backward(grad: Tensor, joint: Tensor, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the terms (B, 4) with respect to the joint histogram and histograms of Eq. 5."""
    information, joint_entropy, entropy_x, entropy_y = grad[..., None, None].unbind(1)
    log_p, log_q = _log(p), _log(q)
    slope = _log(joint).add_(1).mul_(information - joint_entropy)
    slope.sub_((information.squeeze(-1) * log_p).unsqueeze(-1)).sub_((information.squeeze(-1) * log_q).unsqueeze(-2))
    grads = [slope]
    for marginal, log, entropy, other in ((p, log_p, entropy_x, -1), (q, log_q, entropy_y, -2)):
        crossed = information.squeeze(-1) * joint.sum(other) / marginal
        grads.append(-crossed - entropy.squeeze(-1) * (log + 1))
    return tuple(g.masked_fill_(histogram <= 0, 0) for histogram, g in zip((joint, p, q), grads))


def _log(p: Tensor) -> Tensor:
    return torch.where(p <= 0, 1, p).log_()
