"""rSMI in two passes over the samples, in pieces that stay in the cache.

Everything but the samples and their gradients is float64: the ratio that is fitted, a sum of m^2 terms, is smaller than these by
some 30 (sign=-1) to 1000 times (sign=1), and the ridge than H. An exponential in float64 costs 2 ns on a CPU.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from ..common.devices import budget
from .estimator import Estimator, Grid, Moments, Slopes, solve

#: products of kernels made at a time: in a CPU's cache, or as many as keep another device busy (128 MB of float64)
CPU_PRODUCTS, DEVICE_PRODUCTS = 3 << 14, 1 << 24


def kept(x: Tensor, y: Tensor, estimator: Estimator) -> list[Tensor]:
    """The packed slopes, float64."""
    return [x.new_empty(len(x), 4 * estimator.centers + 2, estimator.centers, dtype=torch.float64)]


def forward(x: Tensor, y: Tensor, estimator: Estimator) -> tuple[Tensor, Tensor]:
    """(B, N), (B, N) -> (B,) and what is kept."""
    value, packed = solve(_moments(x, y, estimator), estimator)
    return value.to(x.dtype), packed


def _pieces(x: Tensor, estimator: Estimator) -> Iterator[tuple[slice, slice]]:
    """Cut samples (B, N) into pieces: several small rows or a part of a large one."""
    (batch, samples), most = x.shape, max(budget(x, CPU_PRODUCTS, DEVICE_PRODUCTS) // (2 * estimator.centers), 1)
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
    centers = Grid.of(estimator, x.device).centers
    for piece in _pieces(x, estimator):
        _, here = _kernels(x[piece], y[piece], centers, estimator)
        of_x, of_y = _products(here)
        table[piece[0]] += of_x @ of_y.mT
        kernels[:, piece[0]] += here.sum(3)
    table /= samples
    kernels /= samples
    return Moments(table[:, :-1, :-1], table[:, :-1, -1], table[:, -1, :-1], *kernels)


def backward(grad: Tensor, x: Tensor, y: Tensor, packed: Tensor, estimator: Estimator, needs: list[bool]) -> tuple[Tensor, Tensor]:
    """Gradients with respect to x and y, empty where not needed."""
    slopes, (grad_x, grad_y) = Slopes.unpacked(packed), (x.new_empty(x.shape if need else 0) for need in needs)
    scale = grad.double().unsqueeze(1) * (4 * estimator.rate / x.shape[1])
    centers = Grid.of(estimator, x.device).centers
    for piece in _pieces(x, estimator):
        (to_x, to_y), (of_x, of_y) = _kernels(x[piece], y[piece], centers, estimator)
        here, factor = Slopes(*(part[piece[0]] for part in slopes)), scale[piece[0]]
        if needs[0]:
            grad_x[piece] = factor * _slope(to_x, of_x, of_y, here.u, here.v, here.within_x, here.at_x)
        if needs[1]:
            grad_y[piece] = factor * _slope(to_y, of_y, of_x, here.u.mT, here.v.mT, here.within_y, here.at_y)
    return without_outside((grad_x, grad_y), (x, y), estimator)


def _slope(distance: Tensor, own: Tensor, other: Tensor, u: Tensor, v: Tensor, within: Tensor, at: Tensor) -> Tensor:
    """The gradient of every sample but for the factor 4 rate / N, (B, N): K'_a is 2 rate times the distance times K_a."""
    inner = torch.baddbmm(at.unsqueeze(2), within, own, alpha=-1)
    for matrix, minus in ((u, -1), (v, 1)):
        along = matrix @ other
        inner.addcmul_(along, torch.linalg.vecdot(own, along, dim=1).unsqueeze(1), value=minus)
    return torch.linalg.vecdot(inner.mul_(own), distance, dim=1)


def without_outside(grads: tuple[Tensor, Tensor], samples: tuple[Tensor, Tensor], estimator: Estimator) -> tuple[Tensor, Tensor]:
    """Gradients, in place, without those of samples that count as the end of the range."""
    low, high = estimator.bounds
    for grad, values in zip(grads, samples):
        if grad.numel() and estimator.sign == 1:  # the other kernels are zero there, and so is the gradient
            grad.masked_fill_((values < low) | (values > high), 0)
    return grads
