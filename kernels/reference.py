"""Every operator in plain dense PyTorch: the specification, the oracle of the tests and the naive baseline of the benchmarks.

One short function each, differentiable by autograd alone, float32 or float64, memory of order N x K. Arguments are those the
public functions hand on after checking: samples on the last dimension, `Bins`, weights already normalised to sum one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .bins import Bins
from .rulsif import Estimator


def responses(x: Tensor, bins: Bins) -> Tensor:
    """Response of every sample in every bin, (..., N) -> (..., N, K). Eq. 6 with the boundary's images added."""
    t = bins.coordinate(x)
    period = bins.count
    if bins.boundary == "reflect":
        images = [t, -t, 2 * period - t]
    elif bins.boundary == "circular":
        laps = -(-bins.radius(x.dtype) // period)
        images = [t + period * lap for lap in range(-laps, laps + 1)]
    else:
        images = [t]
    centers = torch.arange(period, dtype=x.dtype, device=x.device) + 0.5
    return sum(bins.response(_subtract(image, centers)) for image in images)


def _subtract(t: Tensor, centers: Tensor) -> Tensor:
    """t - center in the dtype of `centers`, rounded once: the leading part of t minus a nearby centre is exact."""
    leading = t.to(centers.dtype)
    trailing = torch.where(leading.isfinite(), t - leading, 0).to(centers.dtype).detach()
    return (leading.unsqueeze(-1) - centers) + trailing.unsqueeze(-1)


def soft_histogram(x: Tensor, bins: Bins, weights: Tensor | None) -> Tensor:
    """(..., N) -> (..., K), Eq. 5."""
    response = responses(x, bins)
    return response.sum(-2) / max(x.shape[-1], 1) if weights is None else (response * weights.unsqueeze(-1)).sum(-2)


def joint_histogram(x: Tensor, y: Tensor, bins_x: Bins, bins_y: Bins, weights: Tensor | None) -> Tensor:
    """(..., N), (..., N) -> (..., Kx, Ky), Eq. 23-24."""
    response_x, response_y = responses(x, bins_x), responses(y, bins_y)
    if weights is None:
        return response_x.mT @ response_y / max(x.shape[-1], 1)
    return (response_x * weights.unsqueeze(-1)).mT @ response_y


def information_terms(joint: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """Mutual information (Eq. 16), joint entropy (Eq. 18), entropies of p and q, in nats: (..., 4)."""
    rows, columns = joint.sum(-1), joint.sum(-2)
    joint_entropy = -(joint * _log(joint)).sum((-2, -1))
    cross_x = -(rows * _log(p)).sum(-1)
    cross_y = -(columns * _log(q)).sum(-1)
    entropy_x, entropy_y = -(p * _log(p)).sum(-1), -(q * _log(q)).sum(-1)
    return torch.stack([cross_x + cross_y - joint_entropy, joint_entropy, entropy_x, entropy_y], -1)


def _log(p: Tensor) -> Tensor:
    """log p where p > 0, else 0 with zero gradient: 0 log 0 := 0 and its derivative := 0."""
    return torch.where(p > 0, p, 1).log()


def squared_emd(p: Tensor, q: Tensor, circular: bool) -> Tensor:
    """Sum of squared differences of the cumulative histograms (Eq. 13); circular: least over cyclic shifts (Eq. 14)."""
    return _shifted_cdf_differences(p, q, circular).square().sum(-1).amin(-1)


def absolute_emd(p: Tensor, q: Tensor, circular: bool) -> Tensor:
    """Sum of absolute differences of the cumulative histograms; circular: least over cyclic shifts."""
    return _shifted_cdf_differences(p, q, circular).abs().sum(-1).amin(-1)


def _shifted_cdf_differences(p: Tensor, q: Tensor, circular: bool) -> Tensor:
    """Cumulative sums of T(p, l) - T(q, l) for every shift l (Eq. 15), (..., shifts, K): the circulant matrix spelt out."""
    count = p.shape[-1]
    shifts = torch.arange(count if circular else 1, device=p.device)
    index = (shifts.unsqueeze(-1) + torch.arange(count, device=p.device)) % count
    return (p - q)[..., index].cumsum(-1)


def squared_mutual_information(x: Tensor, y: Tensor, estimator: Estimator) -> Tensor:
    """(..., N), (..., N) -> (...): relative squared-loss mutual information by RuLSIF (Guo et al. 2022, Eq. 5-7), with a solve."""
    m, samples = estimator.centers, x.shape[-1]
    centers = estimator.positions(x)
    kernel_x, kernel_y = (
        torch.exp(estimator.rate * (z.clamp(*estimator.bounds).unsqueeze(-2) - centers.unsqueeze(-1)).square()) for z in (x, y)
    )
    k, l = kernel_x.repeat_interleave(m, -2), torch.cat([kernel_y] * m, -2)  # (..., m * m, N)  # noqa: E741
    both = k * l
    gram = estimator.beta * (k @ k.mT) * (l @ l.mT) / samples**2 + (1 - estimator.beta) * (both @ both.mT) / samples
    h = (k.mean(-1) * l.mean(-1)).unsqueeze(-1)
    ridge = estimator.ridge * torch.eye(m * m, dtype=x.dtype, device=x.device)
    alpha = torch.linalg.solve(gram + ridge, h)
    return (2 * alpha.mT @ h - alpha.mT @ gram @ alpha - 1).squeeze((-2, -1))
