"""Squared earth mover's distance in O(K): the best cyclic shift from two cumulative sums. In float64 throughout, as sums cancel."""

import functools

import torch
from torch import Tensor


def forward(p: Tensor, q: Tensor, circular: bool) -> Tensor:
    """(B, K), (B, K) -> (B,)."""
    _, rolled = _cumulative(p, q, circular)
    return rolled.square().sum(-1).to(p.dtype)


def forward_and_slope(p: Tensor, q: Tensor, circular: bool) -> tuple[Tensor, Tensor]:
    """The distances (B,), and their gradients with respect to p, (B, K) float64; those with respect to q are the negative."""
    shift, rolled = _cumulative(p, q, circular)
    sums = rolled.cumsum(-1)
    before, total = sums - rolled, sums[:, -1:]
    if circular:
        # in the rolled order the sum from bin k on goes round to the bin before the best shift's
        slope = before.gather(-1, shift).sub(before).add_(total * (_bins(p.shape[-1], p.device) >= shift))
    else:
        slope = total - before
    return rolled.square().sum(-1).to(p.dtype), slope.mul_(2)


def backward(grad: Tensor, p: Tensor, q: Tensor, circular: bool, needs: list[bool]) -> list[Tensor]:
    """Gradients with respect to p and q, of which one is the other's negative, empty where not needed."""
    slope = forward_and_slope(p, q, circular)[1].mul_(grad.unsqueeze(-1)).to(p.dtype)
    return [slope if needs[0] else slope.new_empty(0), -slope if needs[1] else slope.new_empty(0)]


def _cumulative(p: Tensor, q: Tensor, circular: bool) -> tuple[Tensor | None, Tensor]:
    """On a circle the best shift l, (B, 1); and the cumulative differences C_i in its order, at the bins' own places, (B, K)."""
    difference = p.double() - q.double()
    cumulative = difference.cumsum(-1)
    if not circular:
        return None, cumulative
    count = difference.shape[-1]
    bins = _bins(count, difference.device)
    total, before = cumulative[:, -1:], cumulative - difference  # T, D_{l-1}
    turned = bins * total
    sum_before = before.cumsum(-1)  # sum_{i<l} D_i
    grand = cumulative.sum(-1, keepdim=True)
    # Eq. 14 for every shift l, but for what they all share: T (2 sum_before + l T) + D_{l-1} (K D_{l-1} - 2 (grand + l T))
    slopes = torch.sub(before * count, grand + turned, alpha=2)
    cost = torch.addcmul(turned.add(sum_before, alpha=2).mul_(total), before, slopes)
    shift = cost.argmin(-1, keepdim=True)
    return shift, (cumulative - before.gather(-1, shift)).add_((bins < shift) * total)


@functools.lru_cache(maxsize=64)
def _bins(count: int, device: torch.device) -> Tensor:
    return torch.arange(count, dtype=torch.float64, device=device)
