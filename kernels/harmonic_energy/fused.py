"""Harmonic energy over pairs of points in tiles, on plain cores: |.|_1 is no matrix product. Derivation: README.md beside this
file.

Points are laid out component by component, (B, D, N), padded to NB whole blocks of BN. A program owns BN points of an image and
walks over its share of the others, BM at a time; each thread has whole columns of the tile [BM x BN].
"""

import math
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..common.jit.launch import Work, accumulator, kernel, launch, warps_of
from ..common.jit.numbers import number, packed
from ..common.jit.programs import image_and_part
from ..common.jit.sizes import cdiv

#: points that a program owns, one a thread, and those it meets at a time
BN, BM = 128, 32
#: programs wanted in all, some for each multiprocessor of the largest GPUs, and the most that share rows (each writes its own sums)
PROGRAMS, MOST_SPLITS = 512, 16


class Numbers(NamedTuple):
    """What kernels are given when they run, see common/jit/numbers.py."""

    #: exp(-x / sigma^2) is exp2(x * RATE)
    RATE: Any


@triton.jit
def _distances(x_ptr, o_n, o_m, D, PADDED, ROOT: tl.constexpr, ACC: tl.constexpr):
    """|x_n - x_m|_1, with ROOT |x_n - x_m|_2, of a tile: [BM, BN] for o_m [BM, 1] and o_n [1, BN]."""
    total = tl.zeros([o_m.shape[0], o_n.shape[1]], ACC)
    for _ in range(D):
        difference = tl.load(x_ptr + o_n) - tl.load(x_ptr + o_m)
        total += difference * difference if ROOT else tl.abs(difference)
        x_ptr += PADDED
    return tl.sqrt(total) if ROOT else total


@triton.jit
def _add_slopes(sums_ptr, x_ptr, o_n, o_m, factor, D, PADDED, SIGNS: tl.constexpr):
    """Add to each component of point n the sum over m of factor times sign(x_n - x_m), without SIGNS times x_n - x_m."""
    for _ in range(D):
        here, there = tl.load(x_ptr + o_n), tl.load(x_ptr + o_m)
        term = tl.where(here > there, factor, tl.where(here < there, -factor, 0.0)) if SIGNS else factor * (here - there)
        tl.store(sums_ptr + o_n, tl.load(sums_ptr + o_n) + tl.sum(term, axis=0, keep_dims=True))
        x_ptr += PADDED
        sums_ptr += PADDED


@kernel
def _forward_kernel(
    features_ptr,  # (B, D, NB * BN)
    outputs_ptr,  # (B, E, NB * BN)
    partial_ptr,  # (B, NB, SPLITS)
    N, NB, D, E, SPLITS, g, ROOT: tl.constexpr, BN: tl.constexpr, BM: tl.constexpr,
    ACC: tl.constexpr,
):  # fmt: skip
    i_b, i_n = image_and_part(NB * SPLITS)
    split, first, padded = i_n % SPLITS, i_n // SPLITS * BN, NB * BN
    features_ptr += i_b * D * padded
    outputs_ptr += i_b * E * padded
    o_n = first + tl.arange(0, BN)[None, :]
    total = tl.zeros([1, BN], ACC)
    for start in range(first + split * BM, padded, SPLITS * BM):
        o_m = start + tl.arange(0, BM)[:, None]
        near = _distances(features_ptr, o_n, o_m, D, padded, False, ACC)
        apart = _distances(outputs_ptr, o_n, o_m, E, padded, ROOT, ACC)
        counted = tl.where(o_m < N, o_m, -1) >= o_n
        total += tl.sum(tl.where(counted, tl.exp2(near * number(g.RATE)) * apart, 0.0), axis=0, keep_dims=True)
    # both orders of a pair; a point and itself are at distance 0. The place is that of i_b and i_n, which the loop need not keep
    tl.store(partial_ptr + tl.program_id(0), 2 * tl.sum(total))


@kernel
def _backward_kernel(
    features_ptr,  # (B, D, NB * BN)
    outputs_ptr,  # (B, E, NB * BN)
    grad_features_ptr,  # (B, SPLITS, D, NB * BN), zeros, if NEEDS_FEATURES
    grad_outputs_ptr,  # (B, SPLITS, E, NB * BN), zeros, if NEEDS_OUTPUTS
    N, NB, D, E, SPLITS, g, ROOT: tl.constexpr, NEEDS_FEATURES: tl.constexpr,
    NEEDS_OUTPUTS: tl.constexpr, BN: tl.constexpr, BM: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    i_b, i_n = image_and_part(NB * SPLITS)
    split, first, padded = i_n % SPLITS, i_n // SPLITS * BN, NB * BN
    features_ptr += i_b * D * padded
    outputs_ptr += i_b * E * padded
    grad_features_ptr += (i_b * SPLITS + split) * D * padded
    grad_outputs_ptr += (i_b * SPLITS + split) * E * padded
    o_n = first + tl.arange(0, BN)[None, :]
    for start in range(split * BM, padded, SPLITS * BM):
        o_m = start + tl.arange(0, BM)[:, None]
        near = _distances(features_ptr, o_n, o_m, D, padded, False, ACC)
        weight = tl.exp2(near * number(g.RATE) + tl.where(o_m < N, 0.0, float("-inf")))
        if NEEDS_FEATURES or ROOT:
            apart = _distances(outputs_ptr, o_n, o_m, E, padded, ROOT, ACC)
        if NEEDS_OUTPUTS:
            factor = weight / tl.where(apart > 0, apart, 1.0) if ROOT else weight  # equal points: times a difference of 0
            _add_slopes(grad_outputs_ptr, outputs_ptr, o_n, o_m, factor, E, padded, not ROOT)
        if NEEDS_FEATURES:
            _add_slopes(grad_features_ptr, features_ptr, o_n, o_m, weight * apart, D, padded, True)
        tl.debug_barrier()


def unserved(*_: object) -> None:
    """The kernels serve all points."""


def forward(features: Tensor, outputs: Tensor, sigma: float, distance: str) -> Tensor:
    """(B, N, D), (B, N, E), not empty -> (B,), the sum over pairs."""
    f, a, blocks, splits, numbers, constants = _laid_out(features, outputs, sigma, distance)
    partial = f.new_empty(len(f), blocks * splits)
    launch(
        _forward_kernel, partial.numel(), f, a, partial, features.shape[1], blocks, f.shape[1], a.shape[1], splits, numbers,
        **constants, work=Work("pair", BN, len(f) * features.shape[1] * (features.shape[1] + 1) // 2 * (f.shape[1] + a.shape[1])),
    )  # fmt: skip
    return partial.sum(1, dtype=torch.float64).to(features.dtype)


def backward(
    grad: Tensor, features: Tensor, outputs: Tensor, sigma: float, distance: str, needs: list[bool]
) -> tuple[Tensor, Tensor]:
    """Gradients with respect to features and outputs, empty where not needed."""
    f, a, blocks, splits, numbers, constants = _laid_out(features, outputs, sigma, distance)
    points = features.shape[1]
    sums = [x.new_zeros(len(x), splits, *x.shape[1:]) if need else x.new_empty(0) for x, need in zip((f, a), needs)]
    launch(
        _backward_kernel, len(f) * blocks * splits, f, a, *sums, points, blocks, f.shape[1], a.shape[1], splits, numbers,
        **constants, NEEDS_FEATURES=needs[0], NEEDS_OUTPUTS=needs[1],
        work=Work("pair", BN, len(f) * points**2 * (f.shape[1] + a.shape[1])),
    )  # fmt: skip
    scale = 2 * grad.view(-1, 1, 1)
    grad_features, grad_outputs = (
        (total.sum(1)[..., :points].mT * factor).contiguous() if need else total
        for total, factor, need in zip(sums, (scale * (-1 / sigma**2), scale), needs)
    )
    return grad_features, grad_outputs


def _laid_out(
    features: Tensor, outputs: Tensor, sigma: float, distance: str
) -> tuple[Tensor, Tensor, int, int, Numbers, dict[str, object]]:
    """Points by component, (B, D, NB * BN) with zeros up to whole blocks; the blocks, how many programs share one, and the
    numbers and constants of both passes."""
    padding = -features.shape[1] % BN
    f, a = (torch.nn.functional.pad(x.mT, (0, padding)).contiguous() for x in (features, outputs))
    blocks = f.shape[-1] // BN
    splits = min(cdiv(PROGRAMS, len(f) * blocks), MOST_SPLITS, f.shape[-1] // BM)
    # as many warps as give each thread one point
    numbers = Numbers(*packed([-math.log2(math.e) / sigma**2], f.dtype))
    constants = {
        "ROOT": distance == "l2", "BN": BN, "BM": BM, "ACC": accumulator(f.dtype), "warps": warps_of(BN),
    }  # fmt: skip
    return f, a, blocks, splits, numbers, constants
