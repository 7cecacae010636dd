"""The losses as one writes them down from the paper: dense, in plain PyTorch, autograd does the rest. The baseline of the ratios.

Not `huenet.kernels.reference`, which takes care of rounding, boundaries and weights and is slower for it: a baseline should not be.
"""

from __future__ import annotations

import torch
from torch import Tensor

TINY = 1e-20


def responses(x: Tensor, bins: int, bandwidth: float, circular: bool) -> Tensor:
    """(..., N) -> (..., N, K): Eq. 6, on a circle with the distance taken the shorter way round."""
    u = (x * bins).unsqueeze(-1) - (torch.arange(bins, dtype=x.dtype, device=x.device) + 0.5)
    if circular:
        u = torch.remainder(u + bins / 2, bins) - bins / 2
    return torch.sigmoid((u + 0.5) / bandwidth) - torch.sigmoid((u - 0.5) / bandwidth)


def histogram(response: Tensor, weights: Tensor | None = None) -> Tensor:
    """(..., N, K) -> (..., K), Eq. 5; with votes, their weighted mean."""
    if weights is None:
        return response.mean(-2)
    return (response * (weights / weights.sum(-1, keepdim=True)).unsqueeze(-1)).sum(-2)


def joint_histogram(response_x: Tensor, response_y: Tensor, weights: Tensor | None = None) -> Tensor:
    """(..., N, K), (..., N, K) -> (..., K, K), Eq. 23-24."""
    if weights is not None:
        response_x = response_x * (weights / weights.sum(-1, keepdim=True) * weights.shape[-1]).unsqueeze(-1)
    return response_x.mT @ response_y / response_x.shape[-2]


def entropy(p: Tensor, *dims: int) -> Tensor:
    return -(p * torch.log(p + TINY)).sum(dims)


def relative_information(joint: Tensor) -> Tensor:
    """I / H of a joint histogram (Eq. 16-18)."""
    joint_entropy = entropy(joint, -2, -1)
    return (entropy(joint.sum(-1), -1) + entropy(joint.sum(-2), -1) - joint_entropy) / joint_entropy


def circular_squared_emd(p: Tensor, q: Tensor) -> Tensor:
    """(..., K), (..., K) -> (...), Eq. 13-15: the differences in all K cyclic orders, their cumulative sums, the least square."""
    order = torch.arange(p.shape[-1], device=p.device)
    shifted = (p - q)[..., (order.unsqueeze(-1) + order) % p.shape[-1]]
    return shifted.cumsum(-1).square().sum(-1).amin(-1)


def hue_net_loss(
    output: Tensor, source: Tensor, target: Tensor, weights: Tensor, target_weights: Tensor, bins: int, bandwidth: float
) -> Tensor:
    """100 EMD + 25 (1 - I/H), the mean over the batch, of hues and votes (B, N); EMD in the form of Eq. 12."""
    response = responses(output, bins, bandwidth, circular=True)
    wanted = histogram(responses(target, bins, bandwidth, circular=True), target_weights)
    distance = (circular_squared_emd(histogram(response, weights), wanted) / bins).sqrt()
    joint = joint_histogram(response, responses(source, bins, bandwidth, circular=True), weights)
    return (100 * distance + 25 * (1 - relative_information(joint))).mean()
