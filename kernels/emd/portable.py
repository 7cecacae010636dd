"""Squared earth mover's distance in O(K): the best cyclic shift from two cumulative sums. In float64 throughout, as sums cancel."""

import torch
from torch import Tensor


def forward(p: Tensor, q: Tensor, circular: bool) -> Tensor:
    """(B, K), (B, K) -> (B,)."""
    difference = p.double() - q.double()
    rolled = difference.gather(-1, _rolled_index(difference, circular))
    return rolled.cumsum(-1).square().sum(-1).to(p.dtype)


def backward(grad: Tensor, p: Tensor, q: Tensor, circular: bool, needs: list[bool]) -> list[Tensor]:
    """Gradients with respect to p and q, of which one is the other's negative, empty where not needed."""
    difference = p.double() - q.double()
    index = _rolled_index(difference, circular)
    slope = 2 * difference.gather(-1, index).cumsum(-1).flip(-1).cumsum(-1).flip(-1)
    slope = (torch.empty_like(slope).scatter_(-1, index, slope) * grad.unsqueeze(-1)).to(p.dtype)
    return [slope if needs[0] else slope.new_empty(0), -slope if needs[1] else slope.new_empty(0)]


def _best_shift(difference: Tensor) -> Tensor:
    """The cyclic shift l of least squared cost (Eq. 14), (B, K) float64 -> (B,)."""
    count = difference.shape[-1]
    cumulative = difference.cumsum(-1)
    total = cumulative[:, -1:]
    before = torch.nn.functional.pad(cumulative[:, :-1], (1, 0))  # D_{l-1}
    sum_before = torch.nn.functional.pad(cumulative.cumsum(-1)[:, :-1], (1, 0))  # sum_{i<l} D_i
    shift = torch.arange(count, device=difference.device, dtype=difference.dtype)
    grand = cumulative.sum(-1, keepdim=True)
    return (2 * total * sum_before + shift * total**2 - 2 * before * (grand + shift * total) + count * before**2).argmin(-1)


def _rolled_index(difference: Tensor, circular: bool) -> Tensor:
    """Bins in the order in which their differences are accumulated, (B, K)."""
    count = difference.shape[-1]
    index = torch.arange(count, device=difference.device).expand_as(difference)
    return (index + _best_shift(difference).unsqueeze(-1)) % count if circular else index
