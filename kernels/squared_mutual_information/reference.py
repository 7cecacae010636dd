"""rSMI in plain dense PyTorch: the specification, the oracle of the tests and a baseline. Memory of order centers^2 x N."""

import torch
from torch import Tensor

from ..common.limited import limited
from ..common.nonfinite import spoil
from .estimator import Estimator


def forward(x: Tensor, y: Tensor, estimator: Estimator) -> Tensor:
    """(..., N), (..., N) -> (...): relative squared-loss mutual information by RuLSIF (Guo et al. 2022, Eq. 5-7), with a solve."""
    m, samples = estimator.centers, x.shape[-1]
    centers = estimator.positions(x)
    kernel_x, kernel_y = (
        torch.exp(estimator.rate * (limited(z, *estimator.bounds).unsqueeze(-2) - centers.unsqueeze(-1)).square()) for z in (x, y)
    )
    k, l = kernel_x.repeat_interleave(m, -2), torch.cat([kernel_y] * m, -2)  # (..., m * m, N)  # noqa: E741
    both = k * l
    gram = estimator.beta * (k @ k.mT) * (l @ l.mT) / samples**2 + (1 - estimator.beta) * (both @ both.mT) / samples
    h = (k.mean(-1) * l.mean(-1)).unsqueeze(-1)
    ridge = estimator.ridge * torch.eye(m * m, dtype=x.dtype, device=x.device)
    alpha = torch.linalg.solve(gram + ridge, h)
    return spoil((2 * alpha.mT @ h - alpha.mT @ gram @ alpha - 1).squeeze((-2, -1)), 0, x, y)


def published(x: Tensor, y: Tensor) -> Tensor:
    """(B, N) in [-1, 1] each -> (B,): SCC's rSMI as its published code computes it, written anew from its formulas: a baseline.

    9 x 9 kernels of width 1, beta 0.5 and ridge 0.05; repeated centres and samples, 81 x N each; kernels without the Gaussian's
    minus; an explicit inverse.
    """
    (batch, samples), m, sigma, beta, ridge = x.shape, 9, 1.0, 0.5, 0.05
    centers = torch.linspace(-1, 1, m, dtype=x.dtype, device=x.device)
    centers_x = centers.repeat(m).view(1, m * m, 1)
    centers_y = centers.view(m, 1).repeat(1, m).view(1, m * m, 1)
    x, y = (z.unsqueeze(1).repeat(1, m * m, 1) for z in (x, y))
    kernel_x = torch.exp((centers_x - x).pow(2) / (2 * sigma**2))
    kernel_y = torch.exp((centers_y - y).pow(2) / (2 * sigma**2))
    product_of_grams = torch.matmul(kernel_x, kernel_x.mT) * torch.matmul(kernel_y, kernel_y.mT) / samples**2
    both = kernel_x * kernel_y
    gram_of_products = torch.matmul(both, both.mT) / samples
    h = kernel_x.sum(2, keepdim=True) * kernel_y.sum(2, keepdim=True) / samples**2
    gram = beta * product_of_grams + (1 - beta) * gram_of_products
    alpha = torch.matmul((gram + ridge * torch.eye(m * m, dtype=x.dtype, device=x.device)).inverse(), h)
    return (2 * torch.matmul(alpha.mT, h) - torch.matmul(torch.matmul(alpha.mT, gram), alpha) - 1).view(batch)
