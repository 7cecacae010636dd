"""Soft histogram in Triton for few bins, or windows that cover much of the range: every sample meets every bin.

Forward: a program walks over its part of an image's samples for a span of bins; the parts are then added in order. Backward: a
program walks over all bins for its block of samples.
"""

import triton.language as tl
from torch import Tensor

from ..common.bins import Bins
from ..common.jit import dense
from ..common.jit.axis import make_axis
from ..common.jit.boundaries import images
from ..common.jit.dense import dense_responses, spans, too_wide
from ..common.jit.launch import Work, accumulator, kernel, launch
from ..common.jit.programs import image_and_part, load_samples, load_shares
from ..common.jit.sizes import cdiv
from ..common.nonfinite import spread

__all__ = ["backward", "forward", "too_wide"]


@kernel
def _dense_forward_kernel(
    x_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    sums_ptr,  # (B, NP, A.K)
    N, NP, a, A: tl.constexpr, SPANS: tl.constexpr, IMAGES: tl.constexpr, BN: tl.constexpr, WEIGHTED: tl.constexpr,
    ACC: tl.constexpr,
):  # fmt: skip
    i_b, i_p = image_and_part(NP * SPANS)
    first, i_p = i_p % SPANS * A.SPAN, i_p // SPANS
    sums = tl.zeros([A.SPAN, BN], ACC)
    for start in range(i_p * BN, N, NP * BN):
        o_n = start + tl.arange(0, BN)
        x = load_samples(x_ptr, i_b, o_n, N, ACC)
        share = load_shares(shares_ptr, i_b, o_n, N, WEIGHTED, ACC)
        value, _ = dense_responses(x, first, a, A, IMAGES, False)
        sums += value * share[None, :]
    o_k = first + tl.arange(0, A.SPAN)
    tl.store(sums_ptr + (i_b * NP + i_p) * A.K + o_k, tl.sum(sums, 1), mask=o_k < A.K)


@kernel
def _dense_backward_kernel(
    grad_ptr,  # (B, A.K)
    x_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    grad_x_ptr,  # (B, N) if NEEDS_X
    grad_shares_ptr,  # (B, N) if NEEDS_SHARES
    N, NN, a, A: tl.constexpr, SPANS: tl.constexpr, IMAGES: tl.constexpr, BN: tl.constexpr, WEIGHTED: tl.constexpr,
    NEEDS_X: tl.constexpr, NEEDS_SHARES: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    i_b, i_n = image_and_part(NN)
    o_n = i_n * BN + tl.arange(0, BN)
    x = load_samples(x_ptr, i_b, o_n, N, ACC)
    share = load_shares(shares_ptr, i_b, o_n, N, WEIGHTED, ACC)
    grad_x, grad_share = tl.zeros([BN], ACC), tl.zeros([BN], ACC)
    for i_s in range(SPANS):
        o_k = i_s * A.SPAN + tl.arange(0, A.SPAN)
        upstream = tl.load(grad_ptr + i_b * A.K + o_k, mask=o_k < A.K, other=0.0).to(ACC)[:, None]
        value, slope = dense_responses(x, i_s * A.SPAN, a, A, IMAGES, NEEDS_X)
        grad_x += tl.sum(slope * upstream, 0)
        grad_share += tl.sum(value * upstream, 0)
    if NEEDS_X:
        tl.store(grad_x_ptr + i_b * N + o_n, grad_x * share, mask=o_n < N)
    if NEEDS_SHARES:
        tl.store(grad_shares_ptr + i_b * N + o_n, grad_share, mask=o_n < N)


def forward(x: Tensor, shares: Tensor | None, bins: Bins) -> Tensor:
    """(B, N) not empty -> (B, K)."""
    (batch, samples), axis = x.shape, make_axis(bins, x.dtype)
    parts = dense.parts(x, spans(axis))
    sums = x.new_empty(batch, parts, bins.count)
    launch(
        _dense_forward_kernel, batch * parts * spans(axis), x, shares, sums, samples, parts, A=axis, SPANS=spans(axis),
        IMAGES=images(axis), BN=dense.BN, WEIGHTED=shares is not None, ACC=accumulator(x.dtype), warps=2 if axis.HEAVY else 1,
        work=Work("sample", dense.BN, x.numel() * spans(axis) * images(axis)),
    )  # fmt: skip
    return spread(sums.sum(1), shares, (x, bins))


def backward(grad: Tensor, x: Tensor, shares: Tensor | None, bins: Bins, needs: list[bool]) -> tuple[Tensor, Tensor]:
    """Gradients with respect to x and shares, empty where not needed."""
    (batch, samples), axis, blocks = x.shape, make_axis(bins, x.dtype), cdiv(x.shape[1], dense.BN)
    grad_x, grad_shares = (x.new_empty(x.shape if need else 0) for need in needs)
    launch(
        _dense_backward_kernel, batch * blocks, grad, x, shares, grad_x, grad_shares, samples, blocks, A=axis, SPANS=spans(axis),
        IMAGES=images(axis), BN=dense.BN, WEIGHTED=shares is not None, NEEDS_X=needs[0], NEEDS_SHARES=needs[1],
        ACC=accumulator(x.dtype), warps=2 if axis.HEAVY else 1,
        work=Work("sample", dense.BN, x.numel() * spans(axis) * images(axis)),
    )  # fmt: skip
    return grad_x, grad_shares
