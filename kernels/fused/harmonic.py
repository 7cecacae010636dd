"""Harmonic energy over pairs of points in tiles, on plain cores: |.|_1 is no matrix product.

Points are laid out component by component, (B, D, N), padded to whole tiles. A program owns ROWS points of an image and walks over
its share of the others, COLUMNS at a time; a tile's distances are built up component by component, two instructions a pair and
component. Each thread has whole columns of the tile [COLUMNS x ROWS], so that sums over the other points stay inside it.

Forward: the tiles on and above the diagonal, whose pairs count twice; one partial sum a program, added in float64.

Backward: all tiles, as every program adds up its own rows only. Per tile, first the factor of each pair, then, component by
component, the sum of factor times sign (or difference) over the tile's columns, which is added to what the program has written so
far. No other program touches that, so there are no atomics and the order is fixed; the barrier makes a tile's sums visible to
the program's next one. Programs that share rows write apart, and are added at the end.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from .axis import accumulator

#: points that a program owns, one a thread, and those it meets at a time
ROWS, COLUMNS = 128, 32
#: programs wanted in all, some for each multiprocessor of the largest GPUs, and the most that share rows (each writes its own sums)
PROGRAMS, MOST_SPLITS = 512, 16


@triton.jit
def _distances(x_ptr, i, j, dim, padded, ROOT: tl.constexpr, ACC: tl.constexpr):
    """|x_i - x_j|_1, with ROOT |x_i - x_j|_2, of a tile: [COLUMNS, ROWS] for j [COLUMNS, 1] and i [1, ROWS]."""
    total = tl.zeros([j.shape[0], i.shape[1]], ACC)
    for _ in range(dim):
        difference = tl.load(x_ptr + i) - tl.load(x_ptr + j)
        total += difference * difference if ROOT else tl.abs(difference)
        x_ptr += padded
    return tl.sqrt(total) if ROOT else total


@triton.jit
def _add_slopes(sums_ptr, x_ptr, i, j, factor, dim, padded, SIGNS: tl.constexpr):
    """Add to each component of row i the sum over j of factor times sign(x_i - x_j), without SIGNS times x_i - x_j."""
    for _ in range(dim):
        here, there = tl.load(x_ptr + i), tl.load(x_ptr + j)
        term = tl.where(here > there, factor, tl.where(here < there, -factor, 0.0)) if SIGNS else factor * (here - there)
        tl.store(sums_ptr + i, tl.load(sums_ptr + i) + tl.sum(term, axis=0, keep_dims=True))
        x_ptr += padded
        sums_ptr += padded


@triton.jit
def _forward_kernel(
    features_ptr,  # (B, D, padded)
    outputs_ptr,  # (B, E, padded)
    partial_ptr,  # (B, blocks, SPLITS)
    points,
    padded,
    dim_features,
    dim_outputs,
    RATE: tl.constexpr,
    ROOT: tl.constexpr,
    SPLITS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    ACC: tl.constexpr,
):
    program = tl.program_id(0).to(tl.int64)
    split, block = (program % SPLITS).to(tl.int32), program // SPLITS
    image, first = block // (padded // ROWS), (block % (padded // ROWS) * ROWS).to(tl.int32)
    features_ptr += image * dim_features * padded
    outputs_ptr += image * dim_outputs * padded
    i = first + tl.arange(0, ROWS)[None, :]
    total = tl.zeros([1, ROWS], ACC)
    for start in range(first + split * COLUMNS, padded, SPLITS * COLUMNS):
        j = start + tl.arange(0, COLUMNS)[:, None]
        near = _distances(features_ptr, i, j, dim_features, padded, False, ACC)
        apart = _distances(outputs_ptr, i, j, dim_outputs, padded, ROOT, ACC)
        counted = tl.where(j < points, j, -1) >= i
        total += tl.sum(tl.where(counted, tl.exp2(near * -RATE) * apart, 0.0), axis=0, keep_dims=True)
    tl.store(partial_ptr + program, 2 * tl.sum(total))  # both orders of a pair; a point and itself are at distance 0


@triton.jit
def _backward_kernel(
    features_ptr,  # (B, D, padded)
    outputs_ptr,  # (B, E, padded)
    grad_features_ptr,  # (B, SPLITS, D, padded), zeros, if NEEDS_FEATURES
    grad_outputs_ptr,  # (B, SPLITS, E, padded), zeros, if NEEDS_OUTPUTS
    points,
    padded,
    dim_features,
    dim_outputs,
    RATE: tl.constexpr,
    ROOT: tl.constexpr,
    SPLITS: tl.constexpr,
    NEEDS_FEATURES: tl.constexpr,
    NEEDS_OUTPUTS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    ACC: tl.constexpr,
):
    program = tl.program_id(0).to(tl.int64)
    split, block = (program % SPLITS).to(tl.int32), program // SPLITS
    image, first = block // (padded // ROWS), (block % (padded // ROWS) * ROWS).to(tl.int32)
    features_ptr += image * dim_features * padded
    outputs_ptr += image * dim_outputs * padded
    grad_features_ptr += (image * SPLITS + split) * dim_features * padded
    grad_outputs_ptr += (image * SPLITS + split) * dim_outputs * padded
    i = first + tl.arange(0, ROWS)[None, :]
    for start in range(split * COLUMNS, padded, SPLITS * COLUMNS):
        j = start + tl.arange(0, COLUMNS)[:, None]
        weight = tl.exp2(_distances(features_ptr, i, j, dim_features, padded, False, ACC) * -RATE)
        weight = tl.where(j < points, weight, 0.0)
        if NEEDS_FEATURES or ROOT:
            apart = _distances(outputs_ptr, i, j, dim_outputs, padded, ROOT, ACC)
        if NEEDS_OUTPUTS:
            factor = weight / tl.where(apart > 0, apart, 1.0) if ROOT else weight  # equal points: times a difference of 0
            _add_slopes(grad_outputs_ptr, outputs_ptr, i, j, factor, dim_outputs, padded, not ROOT)
        if NEEDS_FEATURES:
            _add_slopes(grad_features_ptr, features_ptr, i, j, weight * apart, dim_features, padded, True)
        tl.debug_barrier()


def forward(features: Tensor, outputs: Tensor, sigma: float, distance: str) -> Tensor:
    """(B, N, D), (B, N, E), not empty -> (B,), the sum over pairs."""
    (batch, points, _), (f, a) = features.shape, _by_component(features, outputs)
    blocks = f.shape[-1] // ROWS
    splits = _splits(batch, f.shape[-1])
    partial = f.new_empty(batch, blocks * splits)
    _forward_kernel[batch * blocks * splits,](
        f, a, partial, points, f.shape[-1], f.shape[1], a.shape[1],
        RATE=_rate(sigma), ROOT=distance == "l2", SPLITS=splits, ROWS=ROWS, COLUMNS=COLUMNS, ACC=accumulator(f), num_warps=_warps(),
    )  # fmt: skip
    return partial.sum(1, dtype=torch.float64).to(features.dtype)


def backward(
    grad: Tensor, features: Tensor, outputs: Tensor, sigma: float, distance: str, needs: list[bool]
) -> tuple[Tensor, Tensor]:
    """Gradients with respect to features and outputs, empty where not needed."""
    (batch, points, _), (f, a) = features.shape, _by_component(features, outputs)
    blocks = f.shape[-1] // ROWS
    splits = _splits(batch, f.shape[-1])
    sums = [x.new_zeros(batch, splits, *x.shape[1:]) if need else x.new_empty(0) for x, need in zip((f, a), needs)]
    _backward_kernel[batch * blocks * splits,](
        f, a, *sums, points, f.shape[-1], f.shape[1], a.shape[1],
        RATE=_rate(sigma), ROOT=distance == "l2", SPLITS=splits, NEEDS_FEATURES=needs[0], NEEDS_OUTPUTS=needs[1],
        ROWS=ROWS, COLUMNS=COLUMNS, ACC=accumulator(f), num_warps=_warps(),
    )  # fmt: skip
    scale = 2 * grad.view(-1, 1, 1)
    grad_features, grad_outputs = (
        (total.sum(1)[..., :points].mT * factor).contiguous() if need else total
        for total, factor, need in zip(sums, (scale * (-1 / sigma**2), scale), needs)
    )
    return grad_features, grad_outputs


def _by_component(*points: Tensor) -> list[Tensor]:
    """(B, N, D) as (B, D, N), contiguous, with zeros up to whole blocks."""
    padding = -points[0].shape[1] % ROWS
    return [torch.nn.functional.pad(x.mT, (0, padding)).contiguous() for x in points]


def _rate(sigma: float) -> float:
    """exp(-x / sigma^2) is exp2(-x * rate)."""
    return math.log2(math.e) / sigma**2


def _splits(batch: int, padded: int) -> int:
    """How many programs share a block of rows."""
    wanted = triton.cdiv(PROGRAMS, batch * (padded // ROWS))
    return min(wanted, MOST_SPLITS, padded // COLUMNS)


def _warps() -> int:
    """As many as give each thread one row; AMD's are twice as wide."""
    return ROWS // (64 if torch.version.hip else 32)
