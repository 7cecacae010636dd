"""Harmonic energy in square tiles of pairs, which are made again for the backward pass: nothing but the points is kept, unless all
pairs are one tile, whose distances are. A tile off the diagonal serves both orders of its pairs."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ..common.devices import budget

#: orders of the outputs' distance
DISTANCES = {"l1": 1.0, "l2": 2.0}
#: points on a tile's side: on a CPU the two or three tiles in use stay in the cache; other devices get enough work at a time, and
#: there the backward pass of a tile takes memory in proportion to its dimension, see `_side`
CPU_SIDE, DEVICE_SIDE, DEVICE_VALUES = 256, 1024, 1 << 27
#: pairs up to which one tile is all on a CPU: its distances are kept, 8 MB, which saves more than a cache does
CPU_KEPT = 1 << 20


def _side(features: Tensor, outputs: Tensor) -> int:
    """Points on a tile's side. Off the CPU, torch's derivative of a distance holds one value a pair and component."""
    widest = max(features.shape[-1], outputs.shape[-1])
    return budget(features, CPU_SIDE, max(32, min(DEVICE_SIDE, math.isqrt(DEVICE_VALUES // widest))))


def _is_one_tile(features: Tensor, outputs: Tensor) -> bool:
    """Whether all pairs of all images are one tile."""
    batch, points = features.shape[:2]
    return batch * points**2 <= budget(features, CPU_KEPT, _side(features, outputs) ** 2)


def _tiles(features: Tensor, outputs: Tensor) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Images and points of the rows and of the columns of each tile on or above the diagonal; small images several at a time."""
    batch, points = features.shape[:2]
    if _is_one_tile(features, outputs):
        side, together = max(points, 1), max(batch, 1)
    else:
        side = _side(features, outputs)
        together = max(side * side // points**2, 1)
    for image in range(0, batch, together):
        images = slice(image, image + together)
        for row in range(0, points, side):
            for column in range(row, points, side):
                yield (images, slice(row, row + side)), (images, slice(column, column + side))


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


def kept(features: Tensor, outputs: Tensor, sigma: float, distance: str) -> list[Tensor]:
    """Distances of features and of outputs, (B, N, N) each, where one tile is all; else (0,)."""
    batch, points = features.shape[:2]
    shape = (batch, points, points) if _is_one_tile(features, outputs) else (0,)
    return [features.new_empty(shape), features.new_empty(shape)]


def forward(features: Tensor, outputs: Tensor, sigma: float, distance: str) -> tuple[Tensor, Tensor, Tensor]:
    """(B, N, D), (B, N, E) -> (B,) and what is kept."""
    energy = features.new_zeros(len(features), dtype=torch.float64)
    held = kept(features, outputs, sigma, distance)
    for rows, columns in _tiles(features, outputs):
        near, apart = _distances(features, rows, columns, 1.0), _distances(outputs, rows, columns, DISTANCES[distance])
        if held[0].numel():
            held = [near, apart]
        # torch sums a tile pairwise, so that float32 loses nothing; tiles are added in float64
        pairs = torch.mul(near, -1 / sigma**2).exp_().mul_(apart)
        energy[rows[0]] += pairs.sum((1, 2)).double() * (1 if rows == columns else 2)
    return energy.to(features.dtype), *held


def backward(
    grad: Tensor, features: Tensor, outputs: Tensor, features_apart: Tensor, outputs_apart: Tensor,
    sigma: float, distance: str, needs: list[bool],
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Gradients with respect to features and outputs, empty where not needed."""
    order, whole = DISTANCES[distance], features_apart.numel() > 0
    # float64, as signs cancel over many tiles
    sums = [points.new_zeros(points.shape if need else 0, dtype=torch.float64) for points, need in zip((features, outputs), needs)]
    for rows, columns in _tiles(features, outputs):
        near = features_apart if whole else _distances(features, rows, columns, 1.0)
        weights = torch.exp(near * (-1 / sigma**2))
        # slopes of |.|_1 are signs, which need no distances
        apart = near
        if needs[0] or distance == "l2":
            apart = outputs_apart if whole else _distances(outputs, rows, columns, order)
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
