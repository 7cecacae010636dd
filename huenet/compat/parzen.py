"""Joint sums of Gaussian Parzen windows about any centres, uneven ones or those of a range with a gradient, which `Bins` cannot
express, and of windows much narrower than a bin. By blocks of samples, in plain PyTorch; a backward pass makes them anew, one at a
time.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..kernels.common.devices import budget

#: bandwidth in bins below which this serves normalized bins too: halfway between bins, the operators' shares, one over the sums of
#: the responses on both axes, exp(1 / (4 bandwidth^2)), near the end of float32 there
NARROWEST = 0.06
#: responses of one image that are made at a time
CPU_RESPONSES, DEVICE_RESPONSES = 1 << 18, 1 << 24


class ParzenSums(NamedTuple):
    """Sums over samples of responses p and q, float64."""

    #: of p_k q_l, (R, Kx, Ky)
    joint: Tensor
    #: of p_k, (R, Kx), and of q_l, (R, Ky)
    x: Tensor
    y: Tensor


def parzen_sums(
    x: Tensor,
    y: Tensor,
    centers_x: Tensor,
    centers_y: Tensor,
    alpha: float,
    *,
    normalized: bool,
    weights: Tensor | None = None,
) -> ParzenSums:
    """Sums over samples x and y (R, N) of w_n exp(-alpha (x_n - c_k)^2) for centres (Kx,) and (Ky,), each sample's responses
    divided by their sum if `normalized`; w are weights (R, N), 1 if None. Differentiable any number of times.
    """
    dtype = torch.promote_types(x.dtype, y.dtype)
    x, y, centers_x, centers_y = (z.to(dtype) for z in (x, y, centers_x, centers_y))
    bins = max(len(centers_x), len(centers_y))
    step = max(1, budget(x, CPU_RESPONSES, DEVICE_RESPONSES) // (len(x) * bins))
    total = None
    parts = -(-x.shape[1] // step)
    for x_n, y_n, w_n in zip(x.split(step, 1), y.split(step, 1), (None,) * parts if weights is None else weights.split(step, 1)):
        block = checkpoint(
            _block, x_n, y_n, w_n, centers_x, centers_y, alpha, normalized, use_reentrant=False, preserve_rng_state=False
        )
        total = block if total is None else tuple(a + b for a, b in zip(total, block))
    return ParzenSums(*total)


def _block(
    x: Tensor, y: Tensor, weights: Tensor | None, centers_x: Tensor, centers_y: Tensor, alpha: float, normalized: bool
) -> tuple[Tensor, Tensor, Tensor]:
    p, q = (_responses(z, centers, alpha, normalized) for z, centers in ((x, centers_x), (y, centers_y)))
    weighted = p if weights is None else p * weights.unsqueeze(-1)
    y_sum = q.sum(1) if weights is None else (q * weights.unsqueeze(-1)).sum(1)
    return (weighted.mT @ q).double(), weighted.sum(1).double(), y_sum.double()


def _responses(x: Tensor, centers: Tensor, alpha: float, normalized: bool) -> Tensor:
    """(R, n) -> (R, n, K)."""
    exponents = (x.unsqueeze(-1) - centers).square() * -alpha
    # a softmax, as far from all centres every response is 0 in floating point, though their shares are not
    return exponents.softmax(-1) if normalized else exponents.exp()
