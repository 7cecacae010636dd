"""Sums of responses in Triton: a program has a block of samples, and walks over the bins in their reach."""

import triton
import triton.language as tl
from torch import Tensor

from ..common.bins import Bins
from ..common.jit.axis import Axis, coordinate, make_axis
from ..common.jit.boundaries import within_reach
from ..common.jit.launch import Work, accumulator, kernel, launch
from ..common.jit.numbers import number
from ..common.jit.responses import derivative, response
from ..common.jit.sizes import cdiv
from ..common.nonfinite import spread
from .portable import reached

BN = 512


@triton.jit
def _is_real(k, A: tl.constexpr):
    """Whether bin k of the unlimited axis is folded onto one of the histogram's."""
    if A.BOUNDARY == "open":
        real = (k >= 0) & (k < A.K)
    elif A.BOUNDARY == "reflect":
        real = (k >= -A.K) & (k < 2 * A.K)
    else:
        real = k == k
    return real


@kernel
def _sum_kernel(
    grad_ptr,  # (N,) if SLOPES
    x_ptr,  # (N,)
    sums_ptr,  # (N,): sums, or with SLOPES the gradient
    N, REACHED, a, A: tl.constexpr, BN: tl.constexpr, SLOPES: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    o_n = tl.program_id(0).to(tl.int64) * BN + tl.arange(0, BN)
    x = within_reach(tl.load(x_ptr + o_n, mask=o_n < N, other=0.0).to(ACC), a, A)
    t, _ = coordinate(x, 0.0, a, A)
    first = tl.floor(tl.where(t == t, t, 0.0)) - (REACHED - 1) // 2
    if A.BOUNDARY == "open":
        first = tl.minimum(tl.maximum(first, 0.0), (A.K - REACHED).to(ACC))
    total = tl.zeros([BN], ACC)
    for j in range(REACHED):
        k = first + j
        u, rest = coordinate(x, k + 0.5, a, A)
        value = derivative(u + rest, a, A) if SLOPES else response(u + rest, a, A)
        total += tl.where(_is_real(k, A), value, 0.0)
    if SLOPES:
        scale = number(a.SCALE) + number(a.SCALE_LOW)
        total *= scale * tl.load(grad_ptr + o_n, mask=o_n < N, other=0.0).to(ACC)
    tl.store(sums_ptr + o_n, total, mask=o_n < N)


def unserved(x: Tensor, bins: Bins) -> str | None:
    return None


def forward(x: Tensor, bins: Bins) -> Tensor:
    """(B, N) not empty -> (B, N)."""
    return spread(_launch(None, x, make_axis(bins, x.dtype), bins), None, (x, bins))


def backward(grad: Tensor, x: Tensor, bins: Bins, needs: list[bool]) -> list[Tensor]:
    """Gradient with respect to x."""
    return [_launch(grad, x, make_axis(bins, x.dtype), bins)]


def _launch(grad: Tensor | None, x: Tensor, axis: Axis, bins: Bins) -> Tensor:
    sums, count = x.new_empty(x.shape), reached(bins, x.dtype)
    launch(
        _sum_kernel, cdiv(x.numel(), BN), grad, x, sums, x.numel(), count, A=axis, BN=BN, SLOPES=grad is not None,
        ACC=accumulator(x.dtype), work=Work("response", BN, x.numel() * count),
    )  # fmt: skip
    return sums
