"""Soft histograms of the patches of an image.

Which pixels of a stretch of a row belong to which patches is a matrix of zeros and ones, [patches x pixels], and the pixels'
responses are another, [pixels x bins]: their product adds every pixel to all of its patches of that row at once, however much they
overlap. A program has PATCHES patches abreast in one channel and walks over their rows of pixels. Backward, the transposed matrix
times the upstream gradient of the patches, [patches x bins], is what each pixel's responses are weighed with.

A response is evaluated in every bin: with few bins that is less work than finding out which. So an image of P pixels costs
P * K * patch / stride evaluations, and no memory but the result's. A pixel's coordinate is split into a whole number of bins and
the rest, which is formed without rounding (see axis.py); no sum depends on the order in which programs run.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..bins import Bins
from ..patch_histogram import Grid
from .axis import accumulator, coordinate, make_axis, precision, within_reach
from .windows import response, slope

#: patches abreast that a program counts, and pixels of a row at a time
PATCHES, PIXELS = 32, 32
#: backward, pixels of a row that a program has, and patches at a time
BACKWARD_PIXELS, BACKWARD_PATCHES = 64, 16
#: bins at a time
MOST_BINS = 64


@triton.jit
def _locate(x, A: tl.constexpr):
    """The whole bins below samples x, and the rest of their coordinates; a NaN lies at 0."""
    x = tl.where(x == x, x, 0.0)
    x = within_reach(x, A)
    t, _ = coordinate(x, 0.0, A)
    shift = tl.full(x.shape, 0.0, x.dtype)
    if A.BOUNDARY == "circular":
        shift = tl.floor(t / A.COUNT) * A.COUNT
    whole = tl.floor(t - shift)
    rest, _ = coordinate(x, shift + whole, A)
    return whole, rest


@triton.jit
def _distances(whole, rest, k, IMAGE: tl.constexpr, A: tl.constexpr):
    """Distances [samples, bins] of samples, or of their first or second image at the boundary, from the centres of bins k."""
    centers = (k.to(whole.dtype) + 0.5)[None, :]
    if IMAGE == 0:
        distance = (whole[:, None] - centers) + rest[:, None]
    elif A.BOUNDARY == "circular":
        distance = (whole[:, None] - centers + (3 - 2 * IMAGE) * A.COUNT) + rest[:, None]
    else:
        distance = ((IMAGE - 1) * 2 * A.COUNT - whole[:, None] - centers) - rest[:, None]
    return distance


@triton.jit
def _responses(x, k, A: tl.constexpr):
    """[samples, bins]"""
    whole, rest = _locate(x, A)
    value = response(_distances(whole, rest, k, 0, A), A)
    if A.BOUNDARY != "open":
        value += response(_distances(whole, rest, k, 1, A), A) + response(_distances(whole, rest, k, 2, A), A)
    return value


@triton.jit
def _slopes(x, k, A: tl.constexpr):
    """Derivatives of the responses with respect to the samples' coordinates, [samples, bins]."""
    whole, rest = _locate(x, A)
    value = slope(_distances(whole, rest, k, 0, A), A)
    if A.BOUNDARY != "open":
        images = slope(_distances(whole, rest, k, 1, A), A) + slope(_distances(whole, rest, k, 2, A), A)
        value = value + images if A.BOUNDARY == "circular" else value - images
    return value


@triton.jit
def _forward_kernel(
    x_ptr,  # (B, C, height, width)
    counts_ptr,  # (B, rows, columns, C, A.COUNT)
    channels,
    height,
    width,
    rows,
    columns,
    A: tl.constexpr,
    PATCH: tl.constexpr,
    STRIDE: tl.constexpr,
    PATCHES: tl.constexpr,
    PIXELS: tl.constexpr,
    BINS: tl.constexpr,
    ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):
    program = tl.program_id(0).to(tl.int64)
    across, parts = tl.cdiv(columns, PATCHES), tl.cdiv(A.COUNT, BINS)
    k = (program % parts * BINS).to(tl.int32) + tl.arange(0, BINS)
    program = program // parts
    p = (program % across * PATCHES).to(tl.int32) + tl.arange(0, PATCHES)
    row, plane = program // across % rows, program // across // rows
    first = (program % across * PATCHES * STRIDE).to(tl.int32)
    x_ptr += (plane * height + row * STRIDE) * width
    counts = tl.zeros([PATCHES, BINS], ACC)
    bad = tl.zeros([PATCHES], tl.int32)
    for _ in range(PATCH):
        for start in range(first, first + (PATCHES - 1) * STRIDE + PATCH, PIXELS):
            pixel = start + tl.arange(0, PIXELS)
            x = tl.load(x_ptr + pixel, mask=pixel < width, other=0.0).to(ACC)
            within = pixel[None, :] - p[:, None] * STRIDE
            held = (within >= 0) & (within < PATCH)
            counts = tl.dot(held.to(ACC), _responses(x, k, A), acc=counts, input_precision=PRECISION, out_dtype=ACC)
            bad |= tl.max((held & (x != x)[None, :]).to(tl.int32), axis=1)
        x_ptr += width
    counts = tl.where((bad != 0)[:, None], float("nan"), counts)
    image, channel = plane // channels, plane % channels
    at = (((image * rows + row) * columns + p[:, None]) * channels + channel) * A.COUNT + k[None, :]
    tl.store(counts_ptr + at, counts, mask=(p < columns)[:, None] & (k < A.COUNT)[None, :])


@triton.jit
def _backward_kernel(
    grad_ptr,  # (B, rows, columns, C, A.COUNT)
    x_ptr,  # (B, C, height, width)
    grad_x_ptr,  # (B, C, height, width)
    channels,
    height,
    width,
    rows,
    columns,
    A: tl.constexpr,
    PATCH: tl.constexpr,
    STRIDE: tl.constexpr,
    PATCHES: tl.constexpr,
    PIXELS: tl.constexpr,
    BINS: tl.constexpr,
    ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):
    program = tl.program_id(0).to(tl.int64)
    across = tl.cdiv(width, PIXELS)
    first = (program % across * PIXELS).to(tl.int32)
    y, plane = (program // across % height).to(tl.int32), program // across // height
    image, channel = plane // channels, plane % channels
    pixel = first + tl.arange(0, PIXELS)
    x = tl.load(x_ptr + (plane * height + y) * width + pixel, mask=pixel < width, other=0.0).to(ACC)
    # the patches that hold any of these pixels
    lowest, highest = tl.maximum(first - PATCH + STRIDE, 0) // STRIDE, tl.minimum((first + PIXELS - 1) // STRIDE + 1, columns)
    top, bottom = tl.maximum(y - PATCH + STRIDE, 0) // STRIDE, tl.minimum(y // STRIDE + 1, rows)
    gradient = tl.zeros([PIXELS], ACC)
    for least in range(0, A.COUNT, BINS):
        k = least + tl.arange(0, BINS)
        upstream = tl.zeros([PIXELS, BINS], ACC)
        for row in range(top, bottom):
            for start in range(lowest, highest, PATCHES):
                p = start + tl.arange(0, PATCHES)
                within = pixel[:, None] - p[None, :] * STRIDE
                held = (within >= 0) & (within < PATCH)
                at = (((image * rows + row) * columns + p[:, None]) * channels + channel) * A.COUNT + k[None, :]
                given = tl.load(grad_ptr + at, mask=(p < columns)[:, None] & (k < A.COUNT)[None, :], other=0.0).to(ACC)
                upstream = tl.dot(held.to(ACC), given, acc=upstream, input_precision=PRECISION, out_dtype=ACC)
        gradient += tl.sum(upstream * _slopes(x, k, A), axis=1)
    tl.store(grad_x_ptr + (plane * height + y) * width + pixel, gradient * (A.SCALE + A.SCALE_LOW), mask=pixel < width)


def unserved(bins: Bins, dtype: torch.dtype) -> str | None:
    """Why the kernels cannot serve these bins, None if they can: beyond, a sample has more than two images at the boundary."""
    if bins.radius(dtype) <= bins.count:
        return None
    return f"needs at least {bins.radius(dtype)} bins for this window and dtype, got {bins}"


def forward(x: Tensor, bins: Bins, grid: Grid) -> Tensor:
    """(B, C, H, W) contiguous, not empty -> (B, patches, C*K)."""
    (batch, channels), width = x.shape[:2], _bins(bins)
    counts = x.new_empty(batch, grid.rows * grid.columns, channels * bins.count)
    programs = batch * channels * grid.rows * triton.cdiv(grid.columns, PATCHES) * triton.cdiv(bins.count, width)
    _forward_kernel[programs,](
        x, counts, channels, grid.height, grid.width, grid.rows, grid.columns, make_axis(bins, x.dtype).frozen,
        grid.patch, grid.stride, PATCHES, PIXELS, width, accumulator(x), precision(x),
    )  # fmt: skip
    return counts


def backward(grad: Tensor, x: Tensor, bins: Bins, grid: Grid) -> Tensor:
    """(B, patches, C*K), (B, C, H, W), both contiguous and not empty -> (B, C, H, W)."""
    batch, channels = x.shape[:2]
    grad_x = torch.empty_like(x)
    _backward_kernel[batch * channels * grid.height * triton.cdiv(grid.width, BACKWARD_PIXELS),](
        grad, x, grad_x, channels, grid.height, grid.width, grid.rows, grid.columns, make_axis(bins, x.dtype).frozen,
        grid.patch, grid.stride, BACKWARD_PATCHES, BACKWARD_PIXELS, _bins(bins), accumulator(x), precision(x),
    )  # fmt: skip
    return grad_x


def _bins(bins: Bins) -> int:
    """Bins at a time, as many as a matrix product takes."""
    return min(MOST_BINS, max(16, triton.next_power_of_2(bins.count)))
