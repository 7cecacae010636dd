"""kornia's histograms of samples; see kornia.py."""

from __future__ import annotations

import torch
from torch import Tensor

from ..kernels.common.arguments import number
from ..kernels.common.devices import full_precision
from .kornia_centers import Centers, at_least_float32, check_tensor, joint_sums, sums

#: what kornia adds to the joint sum, whatever its `epsilon`
_FIXED_EPSILON = 1e-10


def histogram(x: Tensor, bins: Tensor, bandwidth: Tensor, epsilon: float = 1e-10, *, backend: str | None = None) -> Tensor:
    """Density of samples at centres by Gaussians: m_k / (sum_k m_k + epsilon), m_k = mean_n exp(-((x_n - c_k) / bandwidth)^2 / 2).

    Centres that are even, to their dtype's rounding, are `Bins` of `soft_histogram`, as long as the rounding cannot be seen (it
    moves no response by more than 1e-5 of its peak). Others go a dense way in pieces, of order N K time; so do rows of which
    nearly all samples are far from all centres, and all where centres or bandwidth require a gradient. To find out, the host reads
    centres, bandwidth, and whether there are such rows.

    Args:
        x: samples, (B, N).
        bins: centres, (K,), in any order.
        bandwidth: standard deviation in the samples' units, a scalar tensor, finite and positive.
        epsilon: added to the sum.
        backend: as for `huenet.kernels.soft_histogram`; not used in the dense way.

    Returns:
        (B, K), in the common dtype of x and bins; half precision is computed in float32. Differentiable in x, bins and bandwidth.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms.

    Source: kornia 0.9.0, `kornia/enhance/histogram.py`.
    """
    _check_rows(x=x)
    dtype = _check_axis(x, bins, bandwidth)
    epsilon = number("epsilon", epsilon)
    with full_precision(x):
        x = x.to(at_least_float32(dtype))
        means = sums(x, Centers.of(bins, bandwidth), "rbf", backend) / max(x.shape[1], 1)
        return (means / (means.sum(-1, keepdim=True) + epsilon)).to(dtype)


def histogram2d(
    x1: Tensor,
    x2: Tensor,
    bins: Tensor,
    bandwidth: Tensor,
    epsilon: float = 1e-10,
    *,
    strict: bool = False,
    backend: str | None = None,
) -> Tensor:
    """Joint density of pairs of samples: J_kl / (sum J + epsilon), J_kl the sum of products of the Gaussians of `histogram`.

    Args:
        x1, x2: samples, (B, N) both.
        bins, bandwidth, backend: as for `histogram`, of both axes; the operator is `joint_histogram`.
        epsilon: added to the sum.
        strict: whether `epsilon` is ignored, and is 1e-10, and integers are returned for integers, as the original does.

    Returns:
        (B, K, K), x1's centres first, in the common dtype of x1 and bins. Differentiable in x1, x2, bins and bandwidth.

    Raises:
        as `histogram`.

    Source: kornia 0.9.0, `kornia/enhance/histogram.py`.
    """
    _check_rows(x1=x1, x2=x2)
    if x1.shape != x2.shape:
        raise ValueError(f"x2 must have the shape of x1, expected {tuple(x1.shape)}, got {tuple(x2.shape)}")
    dtype = _check_axis(x1, bins, bandwidth)
    epsilon = _FIXED_EPSILON if strict else number("epsilon", epsilon)
    with full_precision(x1):
        common = at_least_float32(torch.promote_types(dtype, x2.dtype))
        found = joint_sums(x1.to(common), x2.to(common), Centers.of(bins, bandwidth), backend)
        density = found / (found.sum((1, 2), keepdim=True) + epsilon)
        return density.to(torch.promote_types(x1.dtype, bins.dtype) if strict else dtype)


def _check_rows(**samples: Tensor) -> None:
    for name, value in samples.items():
        check_tensor(name, value)
        if value.dim() != 2:
            raise ValueError(f"{name} must have the shape (B, N), got {tuple(value.shape)}")


def _check_axis(x: Tensor, bins: Tensor, bandwidth: Tensor) -> torch.dtype:
    """The common dtype of samples and centres; the bandwidth's, or float32, where both are integers."""
    check_tensor("bins", bins)
    check_tensor("bandwidth", bandwidth)
    if bins.dim() != 1 or not bins.numel():
        raise ValueError(f"bins must be centres of the shape (K,), at least one, got {tuple(bins.shape)}")
    if bandwidth.dim():
        raise ValueError(f"bandwidth must be a scalar tensor, got {tuple(bandwidth.shape)}")
    dtype = torch.promote_types(x.dtype, bins.dtype)
    return dtype if dtype.is_floating_point else at_least_float32(bandwidth.dtype)
