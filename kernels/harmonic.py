"""Harmonic energy: how much outputs differ where features are alike (HarmonicGAN's smoothness term).

    L = sum_ij W_ij D_ij,      W_ij = exp(-|f_i - f_j|_1 / sigma^2),      D_ij = |a_i - a_j|_1  or  |a_i - a_j|_2

over all ordered pairs of N points, i = j among them (D = 0). With g the upstream gradient, and since both are symmetric,

    dL/da_i = 2 g sum_j W_ij sign(a_i - a_j)              (l1)
    dL/da_i = 2 g sum_j W_ij (a_i - a_j) / D_ij           (l2; 0 where D_ij = 0)
    dL/df_i = -2 g / sigma^2 sum_j W_ij D_ij sign(f_i - f_j)

with sign(0) = 0. Pairs are handled in square tiles, which are made again for the backward pass: nothing of size N x N is stored,
and nothing but the points is kept. A tile off the diagonal serves both orders of its pairs.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from . import arguments, reference_harmonic
from .registration import once_differentiable, operator

DISTANCES = {"l1": 1.0, "l2": 2.0}
REDUCTIONS = ("mean", "sum")
#: points on a tile's side: on a CPU the two or three tiles in use stay in the cache; a device gets enough work at a time, and there
#: the backward pass of a tile takes memory in proportion to its dimension, see `_side`
SIDES = {"cpu": 256, "cuda": 1024}
DEVICE_BUDGET = 1 << 27


def _side(features: Tensor, outputs: Tensor) -> int:
    """Points on a tile's side. On a GPU, torch's derivative of a distance holds one value a pair and component."""
    if not features.is_cuda:
        return SIDES["cpu"]
    widest = max(features.shape[-1], outputs.shape[-1])
    return max(32, min(SIDES["cuda"], math.isqrt(DEVICE_BUDGET // widest)))


def _tiles(batch: int, points: int, side: int) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Images and points of the rows and of the columns of each tile on or above the diagonal; small images several at a time."""
    together = max(side * side // max(points * points, 1), 1)
    for image in range(0, batch, together):
        images = slice(image, image + together)
        for row in range(0, points, side):
            for column in range(row, points, side):
                yield (images, slice(row, row + side)), (images, slice(column, column + side))


def _weights(features: Tensor, rows: tuple, columns: tuple, sigma: float) -> Tensor:
    """W of a tile."""
    return _distances(features, rows, columns, 1.0).mul_(-1 / sigma**2).exp_()


def _distances(points: Tensor, rows: tuple, columns: tuple, order: float) -> Tensor:
    """|x_i - x_j| of a tile. Never by a matrix product, in which the distance of near points cancels."""
    return torch.cdist(points[rows], points[columns], p=order, compute_mode="donot_use_mm_for_euclid_dist")


def _add_slopes(sums: Tensor, factor: Tensor, points: Tensor, rows: tuple, columns: tuple, order: float, distances: Tensor) -> None:
    """Add sum_j factor_ij d|x_i - x_j|/dx_i to the tile's rows of `sums`, and the same to its columns unless they are its rows."""

    def add(rows: tuple, columns: tuple, factor: Tensor, distances: Tensor) -> None:
        sums[rows] += torch.ops.aten._cdist_backward(
            factor.contiguous(), points[rows].contiguous(), points[columns].contiguous(), order, distances.contiguous()
        )

    add(rows, columns, factor, distances)
    if rows != columns:
        add(columns, rows, factor.mT, distances.mT)


def _forward(features: Tensor, outputs: Tensor, sigma: float, distance: str) -> Tensor:
    """(B, N, D), (B, N, E) -> (B,)."""
    energy = features.new_zeros(len(features), dtype=torch.float64)
    for rows, columns in _tiles(*features.shape[:2], _side(features, outputs)):
        pairs = _weights(features, rows, columns, sigma).mul_(_distances(outputs, rows, columns, DISTANCES[distance]))
        # torch sums a tile pairwise, so that float32 loses nothing; tiles are added in float64
        energy[rows[0]] += pairs.sum((1, 2)).double() * (1 if rows == columns else 2)
    return energy.to(features.dtype)


def _backward(
    grad: Tensor, features: Tensor, outputs: Tensor, sigma: float, distance: str, needs: list[bool]
) -> tuple[Tensor, Tensor]:
    """Gradients with respect to features and outputs, empty where not needed."""
    order = DISTANCES[distance]
    # float64, as signs cancel over many tiles
    sums = [points.new_zeros(points.shape if need else 0, dtype=torch.float64) for points, need in zip((features, outputs), needs)]
    for rows, columns in _tiles(*features.shape[:2], _side(features, outputs)):
        near = _distances(features, rows, columns, 1.0)
        weights = torch.exp(near * (-1 / sigma**2))
        # slopes of |.|_1 are signs, which need no distances
        apart = _distances(outputs, rows, columns, order) if needs[0] or distance == "l2" else near
        if needs[1]:
            _add_slopes(sums[1], weights, outputs, rows, columns, order, apart)
        if needs[0]:
            _add_slopes(sums[0], weights.mul_(apart), features, rows, columns, 1.0, near)
    scale = 2 * grad.double().view(-1, 1, 1)
    grad_features, grad_outputs = sums
    if needs[0]:
        grad_features *= -scale / sigma**2
    if needs[1]:
        grad_outputs *= scale
    return grad_features.to(features.dtype), grad_outputs.to(outputs.dtype)


@operator("harmonic_energy")
def _op(features: Tensor, outputs: Tensor, sigma: float, distance: str, backend: str) -> Tensor:
    forward = _fused().forward if backend == "triton" and features.numel() else _forward
    return forward(features.contiguous(), outputs.contiguous(), sigma, distance)


@operator("harmonic_energy_backward")
def _op_backward(
    grad: Tensor, features: Tensor, outputs: Tensor, sigma: float, distance: str, backend: str, needs: list[bool]
) -> tuple[Tensor, Tensor]:
    backward = _fused().backward if backend == "triton" and features.numel() else _backward
    return backward(grad.contiguous(), features.contiguous(), outputs.contiguous(), sigma, distance, needs)


def _fused() -> ModuleType:
    """The Triton kernels, imported when first used."""
    from .fused import harmonic

    return harmonic


@_op.register_fake
def _(features: Tensor, outputs: Tensor, sigma: float, distance: str, backend: str) -> Tensor:
    return features.new_empty(features.shape[0])


@_op_backward.register_fake
def _(
    grad: Tensor, features: Tensor, outputs: Tensor, sigma: float, distance: str, backend: str, needs: list[bool]
) -> tuple[Tensor, Tensor]:
    grad_features, grad_outputs = (x.new_empty(x.shape if need else 0) for x, need in zip((features, outputs), needs))
    return grad_features, grad_outputs


def _setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
    features, outputs, *ctx.plain = inputs
    ctx.save_for_backward(features, outputs)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    needs = list(ctx.needs_input_grad[:2])
    grads = _op_backward(grad, *ctx.saved_tensors, *ctx.plain, needs)
    return *(g if need else None for g, need in zip(grads, needs)), None, None, None


_op.register_autograd(_differentiate, setup_context=_setup_context)
once_differentiable(_op_backward)


def harmonic_energy(
    features: Tensor, outputs: Tensor, *, sigma: float, distance: str = "l1", reduction: str = "mean", backend: str | None = None
) -> Tensor:
    """How much outputs differ where features are alike, over all ordered pairs of points (HarmonicGAN, Zhang et al. 2019,
    a term of L_Smooth):

        mean_ij exp(-|f_i - f_j|_1 / sigma^2) |a_i - a_j|

    Args:
        features: (..., N, D), what similarity is judged by, floating; half precision is computed and returned in float32.
        outputs: (..., N, E), what should then be alike; leading dimensions broadcast against those of features.
        sigma: how far features may differ to count as alike, positive; sigma^2 has the units of the features.
        distance: of outputs, "l1" (the paper's) or "l2" (Euclidean, with gradient 0 where outputs are equal). The features' is
            always the former.
        reduction: "mean" over the N^2 ordered pairs, a point with itself among them, or "sum" (the paper's).
        backend: None, "torch", "triton" or "reference", as for `soft_histogram`.

    Returns:
        (...), non-negative, in the units of outputs; 0 where all outputs are equal, and for N = 0. Differentiable in features
        and outputs. A NaN component makes the energy NaN.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms, unless backend is "reference".
    """
    features, outputs = _points(features, outputs)
    sigma = _positive("sigma", sigma)
    for name, value, allowed in (("distance", distance, tuple(DISTANCES)), ("reduction", reduction, REDUCTIONS)):
        if value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    backend = arguments.choose_backend(backend, features)
    pairs = max(features.shape[-2], 1) ** 2 if reduction == "mean" else 1
    if backend == "reference":
        with torch.autocast(features.device.type, enabled=False):
            return reference_harmonic.harmonic_energy(features, outputs, sigma, distance) / pairs
    arguments.plain_autograd_only(features, outputs)
    flat = (x.reshape(x.shape[:-2].numel(), *x.shape[-2:]) for x in (features, outputs))
    return _op(*flat, sigma, distance, backend).view(features.shape[:-2]) / pairs


def _points(features: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Features and outputs over the same points, broadcast over the leading dimensions, in their common dtype."""
    features, outputs = arguments.samples("features", features), arguments.samples("outputs", outputs)
    for name, x, letter in (("features", features, "D"), ("outputs", outputs, "E")):
        if x.dim() < 2 or not x.shape[-1]:
            raise ValueError(f"{name} must be (..., N, {letter}) with at least one component, got {tuple(x.shape)}")
    if features.shape[-2] != outputs.shape[-2]:
        raise ValueError(f"outputs must have the points of features, expected {features.shape[-2]}, got {tuple(outputs.shape)}")
    return arguments.one_batch(features, outputs, ("features", "outputs"), 2)


def _positive(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be positive and finite, got {value}")
    return float(value)
