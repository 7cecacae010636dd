"""The windows' formulas, each in two forms: response and derivative on tensors, and for kernels. windows.py says what is what.

The latter are plain functions that `jit/axis.py` compiles, so that this file needs no Triton: in them `tl` is triton.language, W
the bandwidth, PER_W 1 / W and CONSTANT what the window's `constant` gives, known at compile time at the natural bandwidth only;
they call nothing but `tl` and jit/special.py.
"""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    import triton.language as tl

    from .jit.special import scaled_erfc


def logistic(u: Tensor, bandwidth: float) -> Tensor:
    """Pi_k of the Hue-Net paper, Eq. 6: sigmoid((u + 1/2) / W) - sigmoid((u - 1/2) / W), written without cancellation."""
    half, x = 0.5 / bandwidth, u / bandwidth
    return -math.expm1(-1 / bandwidth) * torch.sigmoid(half + x) * torch.sigmoid(half - x)


def logistic_derivative(u: Tensor, bandwidth: float) -> Tensor:
    half, x = 0.5 / bandwidth, u / bandwidth
    return logistic(u, bandwidth) * (torch.sigmoid(half - x) - torch.sigmoid(half + x)) / bandwidth


def kernel_logistic(u, W, PER_W, CONSTANT):
    half = 0.5 * PER_W
    x = u * PER_W
    # an exponential may overflow to inf, whose reciprocal is the right 0
    return CONSTANT * (1 / (1 + tl.exp(-half - x))) * (1 / (1 + tl.exp(x - half)))


def kernel_logistic_derivative(u, W, PER_W, CONSTANT):
    half = 0.5 * PER_W
    x = u * PER_W
    above, below = 1 / (1 + tl.exp(-half - x)), 1 / (1 + tl.exp(x - half))
    return CONSTANT * above * below * (below - above) * PER_W


def gaussian(u: Tensor, bandwidth: float) -> Tensor:
    """A normal density of standard deviation `bandwidth` integrated over the bin (Eq. 3 with a Gaussian kernel)."""
    # erfc on the far side of zero: a difference of two values near 1 would lose the tail
    scale, distance = math.sqrt(0.5) / bandwidth, u.abs()
    return 0.5 * (torch.erfc(scale * (distance - 0.5)) - torch.erfc(scale * (distance + 0.5)))


def gaussian_derivative(u: Tensor, bandwidth: float) -> Tensor:
    scale = math.sqrt(0.5) / bandwidth
    density = torch.exp(-(scale * (u + 0.5)).square()) - torch.exp(-(scale * (u - 0.5)).square())
    return density * (scale / math.sqrt(math.pi))


def kernel_gaussian(u, W, PER_W, CONSTANT):
    low, high = CONSTANT * (tl.abs(u) - 0.5), CONSTANT * (tl.abs(u) + 0.5)
    near, far = tl.exp(-low * low), tl.exp(-high * high)
    inner, outer = near * scaled_erfc(tl.abs(low)), far * scaled_erfc(high)
    # erfc on the far side of zero: a difference of two values near 1 would lose the tail
    return tl.where(low < 0, 1 - 0.5 * (inner + outer), 0.5 * (inner - outer))


def kernel_gaussian_derivative(u, W, PER_W, CONSTANT):
    high, low = CONSTANT * (u + 0.5), CONSTANT * (u - 0.5)
    return (tl.exp(-high * high) - tl.exp(-low * low)) * (CONSTANT * 0.5641895835477563)


def triangular(u: Tensor, bandwidth: float) -> Tensor:
    """max(0, 1 - |u| / bandwidth): HarmonicGAN's bins; they sum to one at bandwidth 1."""
    return torch.relu(1 - u.abs() / bandwidth)


def triangular_derivative(u: Tensor, bandwidth: float) -> Tensor:
    return torch.where(u.abs() < bandwidth, -torch.sign(u) / bandwidth, torch.zeros_like(u))


def kernel_triangular(u, W, PER_W, CONSTANT):
    return tl.maximum(1 - tl.abs(u) * PER_W, 0)


def kernel_triangular_derivative(u, W, PER_W, CONSTANT):
    sign = tl.where(u > 0, 1.0, tl.where(u < 0, -1.0, 0.0)).to(u.dtype)
    return tl.where(tl.abs(u) < W, sign * -PER_W, 0)


def bspline(u: Tensor, bandwidth: float) -> Tensor:
    """The cubic B-spline of ITK's and MONAI's mutual information; its bins sum to one at bandwidth 1."""
    v = (u.abs() / bandwidth).clamp_max(2)  # beyond, powers would overflow, and autograd make NaN of them
    return torch.where(v < 1, 2 / 3 - v * v * (1 - v / 2), (2 - v).clamp_min(0) ** 3 / 6)


def bspline_derivative(u: Tensor, bandwidth: float) -> Tensor:
    v = u.abs() / bandwidth
    slope = torch.where(v < 1, v * (1.5 * v - 2), -((2 - v).clamp_min(0) ** 2) / 2)
    return slope * torch.sign(u) / bandwidth


def kernel_bspline(u, W, PER_W, CONSTANT):
    v = tl.abs(u) * PER_W
    rest = tl.maximum(2 - v, 0)
    return tl.where(v < 1, 0.6666666666666666 - v * v * (1 - v * 0.5), rest * rest * rest * 0.16666666666666666)


def kernel_bspline_derivative(u, W, PER_W, CONSTANT):
    v = tl.abs(u) * PER_W
    rest = tl.maximum(2 - v, 0)
    sign = tl.where(u > 0, 1.0, tl.where(u < 0, -1.0, 0.0)).to(u.dtype)
    return tl.where(v < 1, v * (1.5 * v - 2), -0.5 * rest * rest) * sign * PER_W


def rbf(u: Tensor, bandwidth: float) -> Tensor:
    """exp(-u^2 / (2 bandwidth^2)), a Gaussian taken at the bin's centre, of peak 1: kornia's, MONAI's, VoxelMorph's."""
    return torch.exp(-0.5 * _in_bandwidths(u, bandwidth, 40).square())


def rbf_derivative(u: Tensor, bandwidth: float) -> Tensor:
    return rbf(u, bandwidth) * _in_bandwidths(u, bandwidth, 40) / -bandwidth


def _in_bandwidths(u: Tensor, bandwidth: float, most: float) -> Tensor:
    """u / bandwidth, at most so much, where nothing is left: autograd would make NaN of zero times infinity."""
    return (u / bandwidth).clamp(-most, most)


def kernel_rbf(u, W, PER_W, CONSTANT):
    x = u * PER_W
    return tl.exp(-0.5 * x * x)


def kernel_rbf_derivative(u, W, PER_W, CONSTANT):
    x = u * PER_W
    return tl.exp(-0.5 * x * x) * x * -PER_W


def inverse_quadratic(u: Tensor, bandwidth: float) -> Tensor:
    """1 / (1 + (u / bandwidth)^2): HistoGAN's default."""
    return 1 / (1 + _in_bandwidths(u, bandwidth, 1e18).square())


def inverse_quadratic_derivative(u: Tensor, bandwidth: float) -> Tensor:
    return inverse_quadratic(u, bandwidth).square() * _in_bandwidths(u, bandwidth, 1e18) * (-2 / bandwidth)


def kernel_inverse_quadratic(u, W, PER_W, CONSTANT):
    x = u * PER_W
    return 1 / (1 + x * x)


def kernel_inverse_quadratic_derivative(u, W, PER_W, CONSTANT):
    x = u * PER_W
    response = 1 / (1 + x * x)
    return response * response * x * (-2 * PER_W)


def box(u: Tensor, bandwidth: float) -> Tensor:
    """1 within the bandwidth on either side, 1/2 at its ends, 0 beyond: hard bins at bandwidth 1/2. It has no slope anywhere."""
    distance = u.abs()
    beyond = torch.where(distance > bandwidth, 0.0, distance)  # a NaN is not, and stays
    return torch.where(distance < bandwidth, 1.0, torch.where(distance == bandwidth, 0.5, beyond))


def box_derivative(u: Tensor, bandwidth: float) -> Tensor:
    return torch.zeros_like(u)


def kernel_box(u, W, PER_W, CONSTANT):
    distance = tl.abs(u)
    return tl.where(distance < W, 1.0, tl.where(distance == W, 0.5, 0.0)).to(u.dtype)


def kernel_box_derivative(u, W, PER_W, CONSTANT):
    return u * 0


def epanechnikov(u: Tensor, bandwidth: float) -> Tensor:
    """max(0, 1 - (u / bandwidth)^2)."""
    return torch.relu(1 - _in_bandwidths(u, bandwidth, 2).square())


def epanechnikov_derivative(u: Tensor, bandwidth: float) -> Tensor:
    return torch.where(u.abs() < bandwidth, u * (-2 / bandwidth**2), torch.zeros_like(u))


def kernel_epanechnikov(u, W, PER_W, CONSTANT):
    x = u * PER_W
    return tl.maximum(1 - x * x, 0)


def kernel_epanechnikov_derivative(u, W, PER_W, CONSTANT):
    return tl.where(tl.abs(u) < W, u * (-2 * PER_W * PER_W), 0)


def xu(u: Tensor, bandwidth: float) -> Tensor:
    """Two parabolas of v = |u| / bandwidth, 1 - 0.1 v - 1.8 v^2 below 1/2 and 1.9 - 3.7 v + 1.8 v^2 from there to 1: the window of
    kornia's mutual information (Xu et al. 2008); its bins sum to one at bandwidth 1."""
    v = u.abs() / bandwidth
    v = torch.where(v >= 1, 1, v)  # whose slope at 1 is 0, which that of a clamp is in some versions of torch
    return torch.relu(torch.where(v < 0.5, 1 - v * (0.1 + 1.8 * v), 1.9 - v * (3.7 - 1.8 * v)))


def xu_derivative(u: Tensor, bandwidth: float) -> Tensor:
    v = u.abs() / bandwidth
    slope = torch.where(v < 0.5, -0.1 - 3.6 * v, 3.6 * v - 3.7)
    return torch.where(v < 1, slope * torch.sign(u) / bandwidth, torch.zeros_like(u))


def kernel_xu(u, W, PER_W, CONSTANT):
    v = tl.minimum(tl.abs(u) * PER_W, 1)
    return tl.maximum(tl.where(v < 0.5, 1 - v * (0.1 + 1.8 * v), 1.9 - v * (3.7 - 1.8 * v)), 0)


def kernel_xu_derivative(u, W, PER_W, CONSTANT):
    v = tl.abs(u) * PER_W
    sign = tl.where(u > 0, 1.0, tl.where(u < 0, -1.0, 0.0)).to(u.dtype)
    return tl.where(v < 1, tl.where(v < 0.5, -0.1 - 3.6 * v, 3.6 * v - 3.7) * sign * PER_W, 0)


def truncated_gaussian(u: Tensor, bandwidth: float) -> Tensor:
    """`rbf` within the bandwidth on either side, half of it at the ends, 0 beyond: kornia's mutual information has it."""
    return rbf(u, bandwidth) * box(u, bandwidth)


def truncated_gaussian_derivative(u: Tensor, bandwidth: float) -> Tensor:
    return rbf_derivative(u, bandwidth) * box(u, bandwidth)


def kernel_truncated_gaussian(u, W, PER_W, CONSTANT):
    x, distance = u * PER_W, tl.abs(u)
    return tl.exp(-0.5 * x * x) * tl.where(distance < W, 1.0, tl.where(distance == W, 0.5, 0.0)).to(u.dtype)


def kernel_truncated_gaussian_derivative(u, W, PER_W, CONSTANT):
    x, distance = u * PER_W, tl.abs(u)
    within = tl.where(distance < W, 1.0, tl.where(distance == W, 0.5, 0.0)).to(u.dtype)
    return tl.exp(-0.5 * x * x) * x * -PER_W * within
