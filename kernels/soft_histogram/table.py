"""Backward pass of the soft histogram in Triton by a table: on cells of the axis, what a gradient does to samples is a polynomial
(../common/cells.py), which every sample evaluates at its place. Derivation: README.md beside this file."""

import functools

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..common.bins import Bins
from ..common.cells import NARROWEST, SMALL_TABLE, WIDEST, Grid, grid_of
from ..common.jit.axis import Axis, coordinate, make_axis
from ..common.jit.boundaries import within_reach
from ..common.jit.cells import kept_near, nearest_cell
from ..common.jit.launch import Work, accumulator, kernel, launch
from ..common.jit.numbers import number
from ..common.jit.programs import image_and_part, load_samples, load_shares
from ..common.jit.sizes import cdiv, next_power_of_2
from ..common.polynomials import Table
from ..common.windows import WINDOWS, Window

#: blocks of cells that a program of the table has; samples that one has at a time, 8 a thread
BLOCKS, BN = 32, 1024
#: programs wanted in all, some waves of them on the largest GPUs
PROGRAMS = 4096
#: terms that are gathered for a sample: two loads of 16 bytes in float32, and in float64 as many as `polynomials` ever uses
MOST_TERMS = {torch.float32: 8, torch.float64: 16}


@triton.jit
def _real_bin(k, A: tl.constexpr):
    """The histogram's bin that bin k of the unlimited axis is folded onto, -1 where its content is lost."""
    if A.BOUNDARY == "circular":
        k = k % A.K
        k = tl.where(k < 0, k + A.K, k)
    elif A.BOUNDARY == "reflect":
        k = tl.where(k < 0, -1 - k, tl.where(k >= A.K, 2 * A.K - 1 - k, k))
    return tl.where((k >= 0) & (k < A.K), k, -1)


@kernel
def _table_kernel(
    grad_ptr,  # (B, A.K), or (B, 2, A.K) if IN_TWO: rounded, and what rounding left
    scale_ptr,  # (B,) if IN_TWO: what an image's gradient is to be multiplied by
    matrix_ptr,  # (REACH, NUMBERS) float64: what a block's numbers are of the gradient in the bins that it reaches
    table_ptr,  # (B, NB, NUMBERS)
    NB, NP, REACH,
    FIRST,  # the bin of the unlimited axis where the reach of the first block begins
    A: tl.constexpr, BLOCK: tl.constexpr, NUMBERS: tl.constexpr, BLOCKS: tl.constexpr, IN_TWO: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """The polynomials of all cells, summed in float64, as neighbours' gradients nearly cancel."""
    i_b, i_p = image_and_part(NP)
    o_c, o_j = i_p * BLOCKS + tl.arange(0, BLOCKS), tl.arange(0, NUMBERS)
    grad_ptr += i_b * (A.K * (2 if IN_TWO else 1))
    # NaN where the row is, also for samples that respond in no bin
    numbers = tl.zeros([BLOCKS, NUMBERS], ACC) + tl.load(grad_ptr).to(ACC) * 0
    for i_r in range(REACH):
        k = _real_bin(FIRST + o_c * BLOCK + i_r, A)
        gradient = tl.load(grad_ptr + k, mask=k >= 0, other=0.0).to(ACC)
        if IN_TWO:
            gradient += tl.load(grad_ptr + A.K + k, mask=k >= 0, other=0.0).to(ACC)
        numbers += gradient[:, None] * tl.load(matrix_ptr + i_r * NUMBERS + o_j)[None, :]
    if IN_TWO:
        numbers *= tl.load(scale_ptr + i_b).to(ACC)
    place = (i_b * NB + o_c)[:, None] * NUMBERS + o_j[None, :]
    tl.store(table_ptr + place, numbers.to(table_ptr.dtype.element_ty), mask=(o_c < NB)[:, None])


@triton.jit
def _cell_of(x, a, LOW, HIGH, A: tl.constexpr, PER_BIN: tl.constexpr, ENDS: tl.constexpr):
    """The cell (int32, of LOW to HIGH) of samples x and their place in it from -1/2 to 1/2; with ENDS, cells are slots of which
    the left end of every cell has one of its own. That of NaN is any, at NaN."""
    x = within_reach(x, a, A)
    t, _ = coordinate(x, 0.0, a, A)
    cell, lap = nearest_cell(t, LOW, HIGH, A, PER_BIN)
    u, rest = coordinate(x, lap + cell * (1 / PER_BIN), a, A)
    place = (u + rest) * PER_BIN
    if ENDS:  # t was rounded, and may lie on the other side of an end
        beyond = tl.where(place < 0, -1.0, tl.where(place >= 1, 1.0, 0.0))
        beyond = tl.minimum(tl.maximum(cell + beyond, LOW.to(t.dtype)), HIGH.to(t.dtype)) - cell
        cell += beyond
        place -= beyond
    place = kept_near(place)
    slot = (cell - LOW).to(tl.int32)
    if ENDS:
        slot = 2 * slot + (place > 0).to(tl.int32)
    return slot, place - 0.5


@triton.jit
def _polynomial(table_ptr, slot, v, TERMS: tl.constexpr):
    """sum_j table[slot, j] v^j."""
    at = table_ptr + slot * TERMS
    value = tl.load(at + (TERMS - 1))
    for j in tl.static_range(1, TERMS):
        value = value * v + tl.load(at + (TERMS - 1 - j))
    return value


@kernel
def _sample_kernel(
    slopes_ptr,  # (B, slots, SLOPE_TERMS) if NEEDS_X
    responses_ptr,  # (B, slots, RESPONSE_TERMS) if NEEDS_SHARES
    x_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    grad_x_ptr,  # (B, N) if NEEDS_X
    grad_shares_ptr,  # (B, N) if NEEDS_SHARES
    N, NP, LOW, HIGH, a, A: tl.constexpr, PER_BIN: tl.constexpr, SLOPE_TERMS: tl.constexpr, SLOPE_ENDS: tl.constexpr,
    RESPONSE_TERMS: tl.constexpr, RESPONSE_ENDS: tl.constexpr, BN: tl.constexpr, WEIGHTED: tl.constexpr, NEEDS_X: tl.constexpr,
    NEEDS_SHARES: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    i_b, i_p = image_and_part(NP)
    cells = i_b * (HIGH - LOW + 1)
    scale = number(a.SCALE) + number(a.SCALE_LOW)
    if NEEDS_X:
        slopes_ptr += cells * (SLOPE_TERMS * (2 if SLOPE_ENDS else 1))
    if NEEDS_SHARES:
        responses_ptr += cells * (RESPONSE_TERMS * (2 if RESPONSE_ENDS else 1))
    for start in range(i_p * BN, N, NP * BN):
        o_n = start + tl.arange(0, BN)
        x = load_samples(x_ptr, i_b, o_n, N, ACC)
        if NEEDS_X:
            slot, v = _cell_of(x, a, LOW, HIGH, A, PER_BIN, SLOPE_ENDS)
            share = load_shares(shares_ptr, i_b, o_n, N, WEIGHTED, ACC)
            gradient = _polynomial(slopes_ptr, slot, v, SLOPE_TERMS) * (share * scale)
            tl.store(grad_x_ptr + i_b * N + o_n, gradient, mask=o_n < N)
        if NEEDS_SHARES:
            slot, v = _cell_of(x, a, LOW, HIGH, A, PER_BIN, RESPONSE_ENDS)
            gradient = _polynomial(responses_ptr, slot, v, RESPONSE_TERMS)
            tl.store(grad_shares_ptr + i_b * N + o_n, gradient, mask=o_n < N)


def table_grid(bins: Bins, x: Tensor) -> Grid | None:
    """The cells for samples x (B, N): the widest on which the window is a short polynomial; None where there are none, or where
    tables would take more memory than the samples."""
    grid, numbers = _grid(bins, WINDOWS[bins.window], x.dtype)
    return grid if numbers <= max(x.shape[1], SMALL_TABLE) else None


def _padded(terms: int) -> int:
    return next_power_of_2(terms)


@functools.lru_cache(maxsize=256)
def _grid(bins: Bins, window: Window, dtype: torch.dtype) -> tuple[Grid | None, int]:
    """The cells, and how many numbers an image's larger table has."""
    for exponent in range(WIDEST, NARROWEST - 1, -1):
        grid = grid_of(bins, window, dtype, 2.0**exponent, False)
        if grid is not None and max(grid.response.terms, grid.derivative.terms) <= MOST_TERMS[dtype]:
            return grid, max(grid.slots(table) * _padded(table.terms) for table in (grid.response, grid.derivative))
    return None, 0


@functools.lru_cache(maxsize=256)
def _matrix(table: Table, device: torch.device) -> Tensor:
    """A block's numbers, (reach, slots * terms), terms padded with zeros; float64."""
    by_term = table.matrix.view(table.terms, table.slots, -1).permute(2, 1, 0)
    return torch.nn.functional.pad(by_term, (0, _padded(table.terms) - table.terms)).flatten(1).contiguous().to(device)


def backward(
    grad: Tensor, scale: Tensor | None, x: Tensor, shares: Tensor | None, bins: Bins, grid: Grid, needs: list[bool]
) -> tuple[Tensor, Tensor]:
    """Gradients with respect to x and shares, empty where not needed. With `scale` (B,), a factor of each image's gradient, `grad`
    comes in two parts, (B, 2, K): rounded, and what rounding left."""
    axis, (batch, samples) = make_axis(bins, x.dtype), x.shape
    slopes, responses = (
        _fill(grad, scale, x, axis, grid, table) if need else None for table, need in zip((grid.derivative, grid.response), needs)
    )
    grad_x, grad_shares = (x.new_empty(x.shape if need else 0) for need in needs)
    parts, cut = min(cdiv(samples, BN), cdiv(PROGRAMS, batch)), grid.cut
    first = grid.first * cut.cells
    launch(
        _sample_kernel, batch * parts, slopes, responses, x, shares, grad_x, grad_shares, samples, parts, first,
        first + grid.blocks * cut.cells - 1, A=axis, PER_BIN=cut.cells / cut.block, SLOPE_TERMS=_padded(grid.derivative.terms),
        SLOPE_ENDS=grid.derivative.ends, RESPONSE_TERMS=_padded(grid.response.terms), RESPONSE_ENDS=grid.response.ends, BN=BN,
        WEIGHTED=shares is not None, NEEDS_X=needs[0], NEEDS_SHARES=needs[1], ACC=accumulator(x.dtype),
        work=Work("sample", BN, x.numel()),
    )  # fmt: skip
    return grad_x, grad_shares


def _fill(grad: Tensor, scale: Tensor | None, x: Tensor, axis: Axis, grid: Grid, table: Table) -> Tensor:
    """The polynomials of every image's slots, (B, slots * terms)."""
    numbers, parts, cut = table.slots * _padded(table.terms), cdiv(grid.blocks, BLOCKS), grid.cut
    filled = x.new_empty(len(x), grid.blocks * numbers)
    launch(
        _table_kernel, len(x) * parts, grad, scale, _matrix(table, x.device), filled, grid.blocks, parts, cut.reach,
        (grid.first - cut.margin) * cut.block, A=axis, BLOCK=cut.block, NUMBERS=next_power_of_2(numbers), BLOCKS=BLOCKS,
        IN_TWO=scale is not None, ACC=tl.float64, work=Work("cell", BLOCKS, filled.numel() // numbers * cut.reach),
    )  # fmt: skip
    return filled
