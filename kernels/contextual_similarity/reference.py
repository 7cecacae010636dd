"""Contextual similarity in plain dense PyTorch: the specification, the oracle of the tests and a baseline. Memory of order N x M,
and N x M x C for "l1" and "l2"."""

import torch
from torch import Tensor

from ..common.limited import limited
from ..common.nonfinite import spoil

#: roundings, of the size of the mean, that leave nothing of a difference from it
CANCELLED = 16


def forward(x: Tensor, y: Tensor, bandwidth: float, eps: float, distance: str, center: str, reduce: str) -> Tensor:
    """(..., N, C), (..., M, C) -> (...): Mechrez et al. 2018, Eq. 1-4."""
    d = distances(x, y, distance, center)
    relative = d / (d.min(-1, keepdim=True).values + eps)  # Eq. 2
    affinity = torch.softmax(-relative / bandwidth, -1)  # Eq. 3-4; the factor exp(1 / h) of Eq. 3 cancels
    similarity = affinity.max(-2 if reduce == "target" else -1).values.mean(-1)  # Eq. 1; max takes the first of equals
    # an infinite point has no distance from itself, and would be passed over
    finite = x.isfinite().all((-2, -1)) & y.isfinite().all((-2, -1))
    return spoil(torch.where(finite, similarity, torch.nan), 0, x, y)


def distances(x: Tensor, y: Tensor, distance: str, center: str) -> Tensor:
    """(..., N, C), (..., M, C) -> (..., N, M)."""
    if distance == "cosine":
        x, y = directions(x, y, center)
        return limited((1 - x @ y.mT) / 2, 0)
    difference = x.unsqueeze(-2) - y.unsqueeze(-3)
    return difference.square().sum(-1) if distance == "l2" else difference.abs().sum(-1)


def directions(x: Tensor, y: Tensor, center: str) -> tuple[Tensor, Tensor]:
    """Unit vectors to the points, from y's mean or from the origin. A zero vector gets the direction of (1, ..., 1)."""
    if center != "none":
        mean = mean_of(y, center)
        x, y = from_mean(x, mean), from_mean(y, mean)
    return _unit(x), _unit(y)


def mean_of(y: Tensor, center: str) -> Tensor:
    """Over everything but the channels ("batch"), or over the points of each sample ("sample")."""
    # on the way back a sum and, below, an addition make no tensors of the size of y, which a mean and a subtraction would
    if center == "sample":
        return y.sum(-2, keepdim=True) / y.shape[-2]
    return y.sum(tuple(range(y.dim() - 1)), keepdim=True) / y.shape[:-1].numel()


def from_mean(points: Tensor, mean: Tensor) -> Tensor:
    """Vectors from the mean to the points; zero, with zero gradient, where what is left is the rounding of mean and difference,
    so that equal points do not point wherever errors do."""
    vectors = points + -mean
    length, size = (torch.linalg.vector_norm(z.detach(), dim=-1, keepdim=True) for z in (vectors, mean))
    # a product, as it passes NaN on, forward and backward
    return vectors * (length > size * (CANCELLED * torch.finfo(points.dtype).eps))


def _unit(vectors: Tensor) -> Tensor:
    zero = (vectors == 0).all(-1, keepdim=True)
    vectors = torch.where(zero, 1, vectors)  # replaced before its length is taken, whose derivative at 0 would be NaN
    return vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
