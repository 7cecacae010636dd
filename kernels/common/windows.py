"""Windows: how a sample is shared among bins. Each is one entry of WINDOWS, and nothing else knows any of them by name.

The response of a sample in bin k is window(u), u the signed distance in bins from the bin's centre. Every window is even and falls
to zero, which all algorithms rely on: a mirrored sample responds as the mirrored bin does, and only few bins matter to a sample.

A window has two forms of its response and of its derivative to u: on tensors, and for kernels. The latter are plain functions that
`jit/axis.py` compiles, so that this file needs no Triton: in them `tl` is triton.language, W the bandwidth, PER_W 1 / W and
CONSTANT what `constant` gives, known at compile time at the natural bandwidth only; they call nothing but `tl` and jit/special.py.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    import triton.language as tl

    from .jit.special import scaled_erfc


@dataclass(frozen=True, eq=False)  # by identity, as caches look it up often
class Window:
    """One window; every function's last argument is the bandwidth in bins."""

    response: Callable[[Tensor, float], Tensor]
    derivative: Callable[[Tensor, float], Tensor]
    #: the same for kernels: (u, W, 1 / W, CONSTANT) -> value
    kernel_response: Callable[[Any, Any, Any], Any]
    kernel_derivative: Callable[[Any, Any, Any], Any]
    natural_bandwidth: float
    #: distance |u| in bins beyond which the response is at most eps of its mass, from (bandwidth, eps)
    reach: Callable[[float, float], float]
    #: where a derivative jumps, in bandwidths from the centre; elsewhere the window is analytic
    knots: tuple[float, ...] = ()
    #: a number that kernels would otherwise compute again and again
    constant: Callable[[float], float] = lambda bandwidth: 1.0
    #: whether a sample's responses in all bins sum to the same wherever it lies
    even_sum: Callable[[float], bool] = lambda bandwidth: True
    #: whether its form for kernels takes so many registers that programs want twice the warps
    heavy: bool = False
    #: whether it is sinh(a/2) / (cosh(a/2) + cosh(a u)), a = 1 / bandwidth, which splits into factors of sample and bin
    separable: bool = False


def logistic(u: Tensor, bandwidth: float) -> Tensor:
    """Pi_k of the Hue-Net paper, Eq. 6: sigmoid((u + 1/2) / W) - sigmoid((u - 1/2) / W), written without cancellation."""
    half, x = 0.5 / bandwidth, u / bandwidth
    return -math.expm1(-1 / bandwidth) * torch.sigmoid(half + x) * torch.sigmoid(half - x)


def logistic_derivative(u: Tensor, bandwidth: float) -> Tensor:
    half, x = 0.5 / bandwidth, u / bandwidth
    return logistic(u, bandwidth) * (torch.sigmoid(half - x) - torch.sigmoid(half + x)) / bandwidth


def _kernel_logistic(u, W, PER_W, CONSTANT):
    half = 0.5 * PER_W
    x = u * PER_W
    # an exponential may overflow to inf, whose reciprocal is the right 0
    return CONSTANT * (1 / (1 + tl.exp(-half - x))) * (1 / (1 + tl.exp(x - half)))


def _kernel_logistic_derivative(u, W, PER_W, CONSTANT):
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


def _kernel_gaussian(u, W, PER_W, CONSTANT):
    low, high = CONSTANT * (tl.abs(u) - 0.5), CONSTANT * (tl.abs(u) + 0.5)
    near, far = tl.exp(-low * low), tl.exp(-high * high)
    inner, outer = near * scaled_erfc(tl.abs(low)), far * scaled_erfc(high)
    # erfc on the far side of zero: a difference of two values near 1 would lose the tail
    return tl.where(low < 0, 1 - 0.5 * (inner + outer), 0.5 * (inner - outer))


def _kernel_gaussian_derivative(u, W, PER_W, CONSTANT):
    high, low = CONSTANT * (u + 0.5), CONSTANT * (u - 0.5)
    return (tl.exp(-high * high) - tl.exp(-low * low)) * (CONSTANT * 0.5641895835477563)


def triangular(u: Tensor, bandwidth: float) -> Tensor:
    """max(0, 1 - |u| / bandwidth): HarmonicGAN's bins; they sum to one at bandwidth 1."""
    return torch.relu(1 - u.abs() / bandwidth)


def triangular_derivative(u: Tensor, bandwidth: float) -> Tensor:
    return torch.where(u.abs() < bandwidth, -torch.sign(u) / bandwidth, torch.zeros_like(u))


def _kernel_triangular(u, W, PER_W, CONSTANT):
    return tl.maximum(1 - tl.abs(u) * PER_W, 0)


def _kernel_triangular_derivative(u, W, PER_W, CONSTANT):
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


def _kernel_bspline(u, W, PER_W, CONSTANT):
    v = tl.abs(u) * PER_W
    rest = tl.maximum(2 - v, 0)
    return tl.where(v < 1, 0.6666666666666666 - v * v * (1 - v * 0.5), rest * rest * rest * 0.16666666666666666)


def _kernel_bspline_derivative(u, W, PER_W, CONSTANT):
    v = tl.abs(u) * PER_W
    rest = tl.maximum(2 - v, 0)
    sign = tl.where(u > 0, 1.0, tl.where(u < 0, -1.0, 0.0)).to(u.dtype)
    return tl.where(v < 1, v * (1.5 * v - 2), -0.5 * rest * rest) * sign * PER_W


WINDOWS = {
    "logistic": Window(
        *(logistic, logistic_derivative, _kernel_logistic, _kernel_logistic_derivative),
        natural_bandwidth=0.4,
        reach=lambda w, eps: 0.5 + w * math.log(1 / eps),
        constant=lambda w: -math.expm1(-1 / w),
        separable=True,
    ),
    "gaussian": Window(
        *(gaussian, gaussian_derivative, _kernel_gaussian, _kernel_gaussian_derivative),
        natural_bandwidth=0.4,
        reach=lambda w, eps: 0.5 + w * math.sqrt(2 * math.log(1 / eps)),
        constant=lambda w: math.sqrt(0.5) / w,
        heavy=True,
    ),
    "triangular": Window(
        *(triangular, triangular_derivative, _kernel_triangular, _kernel_triangular_derivative),
        natural_bandwidth=1.0,
        reach=lambda w, eps: w,
        knots=(-1, 0, 1),
        even_sum=lambda w: w == 1,
    ),
    "bspline": Window(
        *(bspline, bspline_derivative, _kernel_bspline, _kernel_bspline_derivative),
        natural_bandwidth=1.0,
        reach=lambda w, eps: 2 * w,
        knots=(-2, -1, 0, 1, 2),
        even_sum=lambda w: w == 1,
    ),
}


def is_separable(window: Window, bandwidth: float, farthest: float, dtype: torch.dtype) -> bool:
    """Whether the separable form may be used for samples and bins whose distances from a common point add up to `farthest` bins at
    most: its exponentials must not overflow, nor, by the same margin, their reciprocals vanish."""
    return window.separable and farthest / bandwidth < 0.95 * math.log(torch.finfo(dtype).max)
