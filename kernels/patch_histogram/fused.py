"""Soft histograms of the patches of an image, in Triton: a matrix of zeros and ones, which patches hold which pixels, times the
pixels' responses. Derivation: README.md beside this file.
"""

import triton
import triton.language as tl
from torch import Tensor

from ..common.bins import Bins
from ..common.jit.axis import make_axis
from ..common.jit.boundaries import images, placeless, within_reach
from ..common.jit.launch import Work, accumulator, kernel, launch, precision
from ..common.jit.programs import image_and_part
from ..common.jit.responses import image_responses
from ..common.jit.sizes import cdiv, next_power_of_2
from .patches import Patches

#: patches abreast that a program counts, and pixels of a row at a time
BP, BN = 32, 32
#: backward, pixels of a row that a program has, and patches at a time
BACKWARD_BN, BACKWARD_BP = 64, 16
#: bins at a time
MOST_BINS = 64


@triton.jit
def _responses(x, first, a, A: tl.constexpr, IMAGES: tl.constexpr, BK: tl.constexpr, NEEDS_SLOPE: tl.constexpr):
    """Responses of pixels x [BN] in BK bins from `first` on, [BK, BN], with NEEDS_SLOPE their derivatives instead; those of
    samples without a place are some numbers, as NaN would spread to other patches."""
    x = within_reach(tl.where(placeless(x, a, A), 0.0, x), a, A)
    total = tl.zeros([BK, x.shape[0]], x.dtype)
    for i_m in tl.static_range(IMAGES):
        _, result = image_responses(x, first, i_m, a, A, IMAGES, BK, NEEDS_SLOPE)
        total += result
    return total


@kernel
def _forward_kernel(
    x_ptr,  # (B, C, H, W)
    counts_ptr,  # (B, NY, NX, C, A.K)
    C, H, W, NY, NX, a, A: tl.constexpr, IMAGES: tl.constexpr, PATCH: tl.constexpr, STRIDE: tl.constexpr, BP: tl.constexpr,
    BN: tl.constexpr, BK: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    across, parts = tl.cdiv(NX, BP), tl.cdiv(A.K, BK)
    i_c, i_p = image_and_part(NY * across * parts)
    first, i_p = i_p % parts * BK, i_p // parts
    i_y, o_p = i_p // across, i_p % across * BP + tl.arange(0, BP)
    left = i_p % across * BP * STRIDE
    x_ptr += (i_c * H + i_y * STRIDE) * W
    counts = tl.zeros([BP, BK], ACC)
    bad = tl.zeros([BP], tl.int32)
    for _ in range(PATCH):
        for start in range(left, left + (BP - 1) * STRIDE + PATCH, BN):
            o_n = start + tl.arange(0, BN)
            x = tl.load(x_ptr + o_n, mask=o_n < W, other=0.0).to(ACC)
            within = o_n[None, :] - o_p[:, None] * STRIDE
            held = (within >= 0) & (within < PATCH)
            response = tl.trans(_responses(x, first, a, A, IMAGES, BK, False))
            counts = tl.dot(held.to(ACC), response, acc=counts, input_precision=PRECISION, out_dtype=ACC)
            bad |= tl.max((held & placeless(x, a, A)[None, :]).to(tl.int32), axis=1)
        x_ptr += W
    counts = tl.where((bad != 0)[:, None], float("nan"), counts)
    o_k = first + tl.arange(0, BK)
    at = (((i_c // C * NY + i_y) * NX + o_p[:, None]) * C + i_c % C) * A.K + o_k[None, :]
    tl.store(counts_ptr + at, counts, mask=(o_p < NX)[:, None] & (o_k < A.K)[None, :])


@kernel
def _backward_kernel(
    grad_ptr,  # (B, NY, NX, C, A.K)
    x_ptr,  # (B, C, H, W)
    grad_x_ptr,  # (B, C, H, W)
    C, H, W, NY, NX, a, A: tl.constexpr, IMAGES: tl.constexpr, PATCH: tl.constexpr, STRIDE: tl.constexpr, BP: tl.constexpr,
    BN: tl.constexpr, BK: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    across = tl.cdiv(W, BN)
    i_c, i_p = image_and_part(H * across)
    i_h, left = i_p // across, i_p % across * BN
    o_n = left + tl.arange(0, BN)
    x = tl.load(x_ptr + (i_c * H + i_h) * W + o_n, mask=o_n < W, other=0.0).to(ACC)
    # the patches that hold any of these pixels
    lowest, highest = tl.maximum(left - PATCH + STRIDE, 0) // STRIDE, tl.minimum((left + BN - 1) // STRIDE + 1, NX)
    top, bottom = tl.maximum(i_h - PATCH + STRIDE, 0) // STRIDE, tl.minimum(i_h // STRIDE + 1, NY)
    gradient = tl.zeros([BN], ACC)
    bad = tl.zeros([BN], tl.int32)
    for first in range(0, A.K, BK):
        o_k = first + tl.arange(0, BK)
        upstream = tl.zeros([BN, BK], ACC)
        for i_y in range(top, bottom):
            for start in range(lowest, highest, BP):
                o_p = start + tl.arange(0, BP)
                within = o_n[:, None] - o_p[None, :] * STRIDE
                held = (within >= 0) & (within < PATCH)
                at = (((i_c // C * NY + i_y) * NX + o_p[:, None]) * C + i_c % C) * A.K + o_k[None, :]
                given = tl.load(grad_ptr + at, mask=(o_p < NX)[:, None] & (o_k < A.K)[None, :], other=0.0).to(ACC)
                spoilt = (given != given) | (
                    tl.abs(given) == float("inf")
                )  # kept apart, as the product would spread it to pixels that other patches hold
                bad |= tl.max((held & (tl.max(spoilt.to(tl.int32), axis=1) > 0)[None, :]).to(tl.int32), axis=1)
                given = tl.where(spoilt, 0.0, given)
                upstream = tl.dot(held.to(ACC), given, acc=upstream, input_precision=PRECISION, out_dtype=ACC)
        gradient += tl.sum(upstream * tl.trans(_responses(x, first, a, A, IMAGES, BK, True)), axis=1)
    tl.store(grad_x_ptr + (i_c * H + i_h) * W + o_n, tl.where(bad != 0, float("nan"), gradient), mask=o_n < W)


def unserved(x: Tensor, bins: Bins, patch: int, stride: int) -> str | None:
    """Why the kernels cannot serve these bins, None if they can: beyond, a sample has more than two images at the boundary."""
    radius = bins.radius(x.dtype)
    served = bins.boundary == "open" or radius <= bins.count
    return None if served else f"needs at least {radius} bins for this window and dtype, got {bins}"


def forward(x: Tensor, bins: Bins, patch: int, stride: int) -> Tensor:
    """(B, C, H, W) not empty -> (B, patches, C*K)."""
    (batch, channels), patches = x.shape[:2], Patches(*x.shape[2:], patch, stride)
    counts = x.new_empty(batch, patches.rows * patches.columns, channels * bins.count)
    constants = _constants(x, bins, patch, stride)
    programs = batch * channels * patches.rows * cdiv(patches.columns, BP) * cdiv(bins.count, constants["BK"])
    launch(
        _forward_kernel, programs, x, counts, channels, *x.shape[2:], patches.rows, patches.columns, **constants, BP=BP, BN=BN,
        work=Work("sample", BN, x.numel() * patch // stride),
    )  # fmt: skip
    return counts


def backward(grad: Tensor, x: Tensor, bins: Bins, patch: int, stride: int, needs: list[bool]) -> list[Tensor]:
    """(B, patches, C*K), (B, C, H, W) -> (B, C, H, W)."""
    (batch, channels, height, width), patches, grad_x = x.shape, Patches(*x.shape[2:], patch, stride), x.new_empty(x.shape)
    launch(
        _backward_kernel, batch * channels * height * cdiv(width, BACKWARD_BN), grad, x, grad_x, channels, height, width,
        patches.rows, patches.columns, **_constants(x, bins, patch, stride), BP=BACKWARD_BP, BN=BACKWARD_BN,
        work=Work("sample", BACKWARD_BN, x.numel()),
    )  # fmt: skip
    return [grad_x]


def _constants(x: Tensor, bins: Bins, patch: int, stride: int) -> dict[str, object]:
    """What both passes have in common; as many bins at a time as a matrix product takes."""
    axis = make_axis(bins, x.dtype)
    return {
        "A": axis, "IMAGES": images(axis), "PATCH": patch, "STRIDE": stride,
        "BK": min(MOST_BINS, max(16, next_power_of_2(bins.count))), "ACC": accumulator(x.dtype), "PRECISION": precision(x),
    }  # fmt: skip
