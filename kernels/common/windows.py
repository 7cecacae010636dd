"""Windows: how a sample is shared among bins. Each is one entry of WINDOWS, and nothing else knows any of them by name.

The response of a sample in bin k is window(u), u the signed distance in bins from the bin's centre. Every window is even and falls
to zero, which all algorithms rely on: a mirrored sample responds as the mirrored bin does, and only few bins matter to a sample.

A window has two forms of its response and of its derivative to u, on tensors and for kernels; those of this package are in
window_forms.py.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from . import window_forms


@dataclass(frozen=True, eq=False)  # by identity, as caches look it up often
class Window:
    """One window; every function's last argument is the bandwidth in bins."""

    response: Callable[[Tensor, float], Tensor]
    derivative: Callable[[Tensor, float], Tensor]
    #: the same for kernels: (u, W, 1 / W, CONSTANT) -> value
    kernel_response: Callable[[Any, Any, Any, Any], Any]
    kernel_derivative: Callable[[Any, Any, Any, Any], Any]
    natural_bandwidth: float
    #: distance |u| in bins beyond which the response is at most eps of its mass, from (bandwidth, eps)
    reach: Callable[[float, float], float]
    #: where it or a derivative of it jumps, in bandwidths from the centre; elsewhere the window is analytic
    knots: tuple[float, ...] = ()
    #: a number that kernels would otherwise compute again and again
    constant: Callable[[float], float] = lambda bandwidth: 1.0
    #: whether a sample's responses in all bins sum to the same wherever it lies
    even_sum: Callable[[float], bool] = lambda bandwidth: True
    #: whether its form for kernels takes so many registers that programs want twice the warps
    heavy: bool = False
    #: whether it is sinh(a/2) / (cosh(a/2) + cosh(a u)), a = 1 / bandwidth, which splits into factors of sample and bin
    separable: bool = False
    #: whether its tails fall so slowly that beyond the range there would be no end of bins to fold: with an open boundary only
    endless: bool = False


_Form = Callable[..., Any]


def _forms(name: str) -> tuple[_Form, _Form, _Form, _Form]:
    response, derivative = (getattr(window_forms, f"{name}{which}") for which in ("", "_derivative"))
    kernel_response, kernel_derivative = (getattr(window_forms, f"kernel_{name}{which}") for which in ("", "_derivative"))
    return response, derivative, kernel_response, kernel_derivative


WINDOWS = {
    "logistic": Window(
        *_forms("logistic"),
        natural_bandwidth=0.4,
        reach=lambda w, eps: 0.5 + w * math.log(1 / eps),
        constant=lambda w: -math.expm1(-1 / w),
        separable=True,
    ),
    "gaussian": Window(
        *_forms("gaussian"),
        natural_bandwidth=0.4,
        reach=lambda w, eps: 0.5 + w * math.sqrt(2 * math.log(1 / eps)),
        constant=lambda w: math.sqrt(0.5) / w,
        heavy=True,
    ),
    "triangular": Window(
        *_forms("triangular"),
        natural_bandwidth=1.0,
        reach=lambda w, eps: w,
        knots=(-1, 0, 1),
        even_sum=lambda w: w == 1,
    ),
    "bspline": Window(
        *_forms("bspline"),
        natural_bandwidth=1.0,
        reach=lambda w, eps: 2 * w,
        knots=(-2, -1, 0, 1, 2),
        even_sum=lambda w: w == 1,
    ),
    "rbf": Window(
        *_forms("rbf"),
        natural_bandwidth=1.0,
        reach=lambda w, eps: w * math.sqrt(2 * math.log(1 / eps)),
        even_sum=lambda w: False,
    ),
    "inverse_quadratic": Window(
        *_forms("inverse_quadratic"),
        natural_bandwidth=1.0,
        reach=lambda w, eps: w / eps,  # what lies beyond adds up to so much
        even_sum=lambda w: False,
        endless=True,
    ),
    "box": Window(
        *_forms("box"),
        natural_bandwidth=0.5,
        reach=lambda w, eps: w,
        knots=(-1, 1),
        even_sum=lambda w: (2 * w).is_integer(),
    ),
    "epanechnikov": Window(
        *_forms("epanechnikov"),
        natural_bandwidth=1.0,
        reach=lambda w, eps: w,
        knots=(-1, 1),
        even_sum=lambda w: False,
    ),
    "xu": Window(
        *_forms("xu"),
        natural_bandwidth=1.0,
        reach=lambda w, eps: w,
        knots=(-1, -0.5, 0, 0.5, 1),
        even_sum=lambda w: w == 1,
    ),
    "truncated_gaussian": Window(
        *_forms("truncated_gaussian"),
        natural_bandwidth=1.0,
        reach=lambda w, eps: w,
        knots=(-1, 1),
        even_sum=lambda w: False,
    ),
}


def is_separable(window: Window, bandwidth: float, farthest: float, dtype: torch.dtype) -> bool:
    """Whether the separable form may be used for samples and bins whose distances from a common point add up to `farthest` bins at
    most: its exponentials must not overflow, nor, by the same margin, their reciprocals vanish."""
    return window.separable and farthest / bandwidth < 0.95 * math.log(torch.finfo(dtype).max)
