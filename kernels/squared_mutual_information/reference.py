"""rSMI in plain dense PyTorch: the specification, the oracle of the tests and a baseline. Memory of order centers^2 x N."""

from __future__ import annotations

import torch
from torch import Tensor

from .estimator import Estimator


def forward(x: Tensor, y: Tensor, estimator: Estimator) -> Tensor:
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
