"""Relative squared-loss mutual information of paired samples (rSMI), the structure consistency of SCC (Guo et al. 2022, Eq. 4-7).

    q_2a = K_a^2,  q_{2a+1} = K_a K_{a+1},     K_a(x) = exp(sign (x - mu_a)^2 / (2 sigma^2)),  centres mu_a equidistant
    moments = means of q(x) q(y)', q(x), q(y), K(x), K(y),     rSMI = a small linear system in them, see rulsif.py
    d rSMI / dx_n = 2/N K'(x_n) . (at_x - within_x K - UL (K . UL) + VL (K . VL)),     K = K(x_n),  L = K(y_n)

with m x m matrices U, V, within_x and an m-vector at_x for each image; y as x with U' and V'. One pass over the samples forward,
one backward. Only the samples and these 4 m^2 + 2 m numbers an image are kept for the backward pass.

Everything but the samples and their gradients is float64: the ratio that is fitted, a sum of m^2 terms, is smaller than these by
some 30 (sign=-1) to 1000 times (sign=1), and the ridge than H. An exponential in float64 costs 2 ns on a CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from . import arguments, reference
from .registration import once_differentiable, operator
from .rulsif import Estimator, Moments, Slopes, solve

#: products of kernels made at a time: in the cache, or as many as keep a device busy (128 MB of float64)
BUDGETS = {"cpu": 3 << 14, "cuda": 1 << 24}


def _pieces(x: Tensor, estimator: Estimator) -> Iterator[tuple[slice, slice]]:
    """Cut samples (B, N) into pieces: several small rows or a part of a large one."""
    (batch, samples), most = x.shape, max(BUDGETS[x.device.type] // (2 * estimator.centers), 1)
    rows = max(most // samples, 1)
    for first in range(0, batch, rows):
        for start in range(0, samples, most):
            yield slice(first, first + rows), slice(start, start + most)


def _kernels(x: Tensor, y: Tensor, centers: Tensor, estimator: Estimator) -> tuple[Tensor, Tensor]:
    """Distances from all centres and kernels there, of x and of y: 2 x (B, N) -> (2, B, m, N) float64."""
    pair = torch.stack([x, y]).double().clamp_(*estimator.bounds)
    distance = pair.unsqueeze(2) - centers.unsqueeze(1)
    return distance, distance.square().mul_(estimator.rate).exp_()


def _products(kernels: Tensor) -> Tensor:
    """q and, last, ones, so that a product of two such tables also has the means of one factor: (..., m, N) -> (..., 2m, N)."""
    *lead, m, samples = kernels.shape
    products = kernels.new_empty(*lead, 2 * m, samples)
    torch.mul(kernels, kernels, out=products[..., ::2, :])
    torch.mul(kernels[..., :-1, :], kernels[..., 1:, :], out=products[..., 1:-1:2, :])
    products[..., -1, :] = 1
    return products


def _moments(x: Tensor, y: Tensor, estimator: Estimator) -> Moments:
    (batch, samples), m = x.shape, estimator.centers
    table = x.new_zeros(batch, 2 * m, 2 * m, dtype=torch.float64)
    kernels = x.new_zeros(2, batch, m, dtype=torch.float64)
    centers = estimator.positions(table)
    for piece in _pieces(x, estimator):
        _, here = _kernels(x[piece], y[piece], centers, estimator)
        of_x, of_y = _products(here)
        table[piece[0]] += of_x @ of_y.mT
        kernels[:, piece[0]] += here.sum(3)
    table /= samples
    kernels /= samples
    return Moments(table[:, :-1, :-1], table[:, :-1, -1], table[:, -1, :-1], *kernels)


def _backward(grad: Tensor, x: Tensor, y: Tensor, slopes: Slopes, estimator: Estimator, needs: list[bool]) -> tuple[Tensor, Tensor]:
    """Gradients with respect to x and y, empty where not needed."""
    grad_x, grad_y = (x.new_empty(x.shape if need else 0) for need in needs)
    scale = grad.double().unsqueeze(1) * (4 * estimator.rate / x.shape[1])
    centers = estimator.positions(scale)
    for piece in _pieces(x, estimator):
        (to_x, to_y), (of_x, of_y) = _kernels(x[piece], y[piece], centers, estimator)
        here, factor = Slopes(*(part[piece[0]] for part in slopes)), scale[piece[0]]
        if needs[0]:
            grad_x[piece] = factor * _slope(to_x, of_x, of_y, here.u, here.v, here.within_x, here.at_x)
        if needs[1]:
            grad_y[piece] = factor * _slope(to_y, of_y, of_x, here.u.mT, here.v.mT, here.within_y, here.at_y)
    return grad_x, grad_y


def _slope(distance: Tensor, own: Tensor, other: Tensor, u: Tensor, v: Tensor, within: Tensor, at: Tensor) -> Tensor:
    """The gradient of every sample but for the factor 4 rate / N, (B, N): K'_a is 2 rate times the distance times K_a."""
    inner = torch.baddbmm(at.unsqueeze(2), within, own, alpha=-1)
    for matrix, minus in ((u, -1), (v, 1)):
        along = matrix @ other
        inner.addcmul_(along, torch.linalg.vecdot(own, along, dim=1).unsqueeze(1), value=minus)
    return torch.linalg.vecdot(inner.mul_(own), distance, dim=1)


@operator("squared_mutual_information")
def _op(x: Tensor, y: Tensor, estimator: str, backend: str) -> tuple[Tensor, Tensor]:
    """rSMI (B,) and, for the backward pass, the packed slopes."""
    settings = Estimator.from_spec(estimator)
    moments = _fused().moments if backend == "triton" and x.numel() else _moments
    value, slopes = solve(moments(*arguments.contiguous(x, y), settings), settings)
    return value.to(x.dtype), slopes.packed()


@operator("squared_mutual_information_backward")
def _op_backward(
    grad: Tensor, x: Tensor, y: Tensor, slopes: Tensor, estimator: str, backend: str, needs: list[bool]
) -> tuple[Tensor, Tensor]:
    settings = Estimator.from_spec(estimator)
    backward = _fused().backward if backend == "triton" and x.numel() else _backward
    grads = backward(*arguments.contiguous(grad, x, y), Slopes.unpacked(slopes), settings, needs)
    low, high = settings.bounds
    for slope, samples in zip(grads, (x, y)):
        if slope.numel() and settings.sign == 1:  # the others' kernels are zero there, and so is the gradient
            slope.masked_fill_((samples < low) | (samples > high), 0)
    return grads


def _fused() -> ModuleType:
    """The Triton kernels, imported when first used."""
    from .fused import squared_mutual_information

    return squared_mutual_information


@_op.register_fake
def _(x: Tensor, y: Tensor, estimator: str, backend: str) -> tuple[Tensor, Tensor]:
    m = Estimator.from_spec(estimator).centers
    return x.new_empty(x.shape[0]), x.new_empty(x.shape[0], 4 * m + 2, m, dtype=torch.float64)


@_op_backward.register_fake
def _(grad: Tensor, x: Tensor, y: Tensor, slopes: Tensor, estimator: str, backend: str, needs: list[bool]) -> tuple[Tensor, Tensor]:
    grad_x, grad_y = (x.new_empty(x.shape if need else 0) for need in needs)
    return grad_x, grad_y


def _setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    x, y, *ctx.plain = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(x, y, output[1])


def _differentiate(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    needs = list(ctx.needs_input_grad[:2])
    grads = _op_backward(grad, *ctx.saved_tensors, *ctx.plain, needs)
    return *(g if need else None for g, need in zip(grads, needs)), None, None


_op.register_autograd(_differentiate, setup_context=_setup_context)
once_differentiable(_op_backward)


def squared_mutual_information(
    x: Tensor,
    y: Tensor,
    *,
    centers: int = 9,
    sigma: float = 1.0,
    beta: float = 0.5,
    ridge: float = 0.05,
    sign: int = -1,
    low: float = -1.0,
    high: float = 1.0,
    backend: str | None = None,
) -> Tensor:
    """How much paired samples depend on each other: relative squared-loss mutual information, rSMI (SCC, Guo et al. 2022, Eq. 4-7).

    It is the Pearson divergence of the product of marginals S from the mixture beta S + (1 - beta) Q with the joint density Q,
    E[(ratio - 1)^2], estimated by RuLSIF (Yamada et al. 2013): the ratio is fitted by centers x centers products of kernels.
    About 0 for independent samples (the estimate may be a little negative), the same for x and -x, and never infinite. What
    dependent samples reach depends on their distribution and the settings: a photo against itself gives 0.06 with the defaults,
    0.2 with sign=1 or with ridge=0.001, and 0.4 with sigma=0.25 and ridge=0.01 (means of 20 aerial photos).

    Args:
        x, y: samples, (..., N) with the same N and leading dimensions that broadcast; floating. Half precision is computed and
            returned in float32. A NaN sample makes its pair's result and gradients NaN.
        centers: kernels along either axis, equidistant from low to high, at least 1 (a single one is in the middle). The system
            that is solved for each pair has centers^2 unknowns: it costs centers^6 / 3 multiply-adds and 24 centers^4 bytes.
        sigma: their width, in the samples' units. Well below the distance of centres they do not cover the range, and rSMI
            tends to -1.
        beta: share of S in the mixture, between 0 and 1; what bounds the result.
        ridge: added to the diagonal of the system, positive. ValueError if it is so small, or with sign=1 sigma is, that float64
            cannot solve it: with the other defaults, below 6e-10, or with sign=1 for sigma below 0.6.
        sign: -1, kernels exp(-(x - center)^2 / (2 sigma^2)), or 1, without the minus, as in the published code of SCC, whose
            results it gives but for their rounding. Both span the same functions up to a weight. Kernels that grow make the
            condition of the system up to a hundred times larger, so the Gaussian, which float32 can serve on a GPU, is the default.
            The same ridge smooths it as much more: 0.001 with sign=-1 compares with the published 0.05 with sign=1.
        low, high: range of the centres. With sign=-1 samples outside, infinite ones too, are treated by the same formula; with
            sign=1, whose kernels would grow without bound, they count as the nearer end and have no gradient.
        backend: "torch" (in float64, any device, the default on a CPU), "triton" (fused kernels, at most 21 centers, the default
            on a GPU: tested in Triton's interpreter and compiled for sm_80, sm_90, sm_100 and gfx942, not yet run on a GPU), or
            "reference" (dense PyTorch, memory of centers^2 N; its backward pass autocast may round).

    Returns:
        (...), in [-1, 1/beta - 1].

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came; also where there are no samples.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms, unless backend is "reference".
    """
    estimator = Estimator(centers, sigma, beta, ridge, sign, low, high)
    x, y = arguments.paired(x, y)
    if not x.shape[-1]:
        raise ValueError(f"x must have at least one sample on its last dimension, got {tuple(x.shape)}")
    backend = arguments.choose_backend(backend, x, lambda: _fused().unserved(estimator, x.dtype))
    if backend == "reference":
        with torch.autocast(x.device.type, enabled=False):
            return reference.squared_mutual_information(x, y, estimator)
    arguments.plain_autograd_only(x, y)
    value, _ = _op(arguments.rows(x), arguments.rows(y), estimator.spec, backend)
    return value.view(x.shape[:-1])
