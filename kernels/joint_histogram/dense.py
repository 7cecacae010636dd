"""Joint histogram in Triton for few bins, or windows that cover much of the range: every sample meets every pair of bins.

No order: programs share an image's samples and a square of SPAN x SPAN bins, whose parts are then added in order. Backward: a
program walks over all squares for its block of samples.
"""

import triton.language as tl
from torch import Tensor

from ..common.bins import Bins
from ..common.jit import dense
from ..common.jit.axis import make_axis
from ..common.jit.boundaries import images
from ..common.jit.dense import dense_responses, spans, too_wide
from ..common.jit.launch import Work, accumulator, kernel, launch, precision
from ..common.jit.programs import image_and_part, load_samples, load_shares
from ..common.jit.sizes import cdiv
from ..common.nonfinite import spread

__all__ = ["backward", "forward", "too_wide"]


@kernel
def _dense_forward_kernel(
    x_ptr,  # (B, N)
    y_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    sums_ptr,  # (B, NP, X.K, Y.K)
    N, NP, ax, ay, X: tl.constexpr, Y: tl.constexpr, SPANS_X: tl.constexpr, SPANS_Y: tl.constexpr, IMAGES_X: tl.constexpr,
    IMAGES_Y: tl.constexpr, BN: tl.constexpr, WEIGHTED: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    i_b, i_p = image_and_part(NP * SPANS_X * SPANS_Y)
    first_x, first_y = i_p % SPANS_X * X.SPAN, i_p // SPANS_X % SPANS_Y * Y.SPAN
    i_p = i_p // (SPANS_X * SPANS_Y)
    sums = tl.zeros([X.SPAN, Y.SPAN], ACC)
    for start in range(i_p * BN, N, NP * BN):
        o_n = start + tl.arange(0, BN)
        x, y = load_samples(x_ptr, i_b, o_n, N, ACC), load_samples(y_ptr, i_b, o_n, N, ACC)
        share = load_shares(shares_ptr, i_b, o_n, N, WEIGHTED, ACC)
        p, _p = dense_responses(x, first_x, ax, X, IMAGES_X, False)
        q, _q = dense_responses(y, first_y, ay, Y, IMAGES_Y, False)
        sums = tl.dot(p * share[None, :], tl.trans(q), acc=sums, input_precision=PRECISION, out_dtype=ACC)
    o_x, o_y = first_x + tl.arange(0, X.SPAN), first_y + tl.arange(0, Y.SPAN)
    at = ((i_b * NP + i_p) * X.K + o_x[:, None]) * Y.K + o_y[None, :]
    tl.store(sums_ptr + at, sums, mask=(o_x < X.K)[:, None] & (o_y < Y.K)[None, :])


@kernel
def _dense_backward_kernel(
    grad_ptr,  # (B, X.K, Y.K)
    x_ptr,  # (B, N)
    y_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    grad_x_ptr,  # (B, N) if NEEDS_X
    grad_y_ptr,  # (B, N) if NEEDS_Y
    grad_shares_ptr,  # (B, N) if NEEDS_SHARES
    N, NN, ax, ay, X: tl.constexpr, Y: tl.constexpr, SPANS_X: tl.constexpr, SPANS_Y: tl.constexpr, IMAGES_X: tl.constexpr,
    IMAGES_Y: tl.constexpr, BN: tl.constexpr, WEIGHTED: tl.constexpr, NEEDS_X: tl.constexpr, NEEDS_Y: tl.constexpr,
    NEEDS_SHARES: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    i_b, i_n = image_and_part(NN)
    o_n = i_n * BN + tl.arange(0, BN)
    x, y = load_samples(x_ptr, i_b, o_n, N, ACC), load_samples(y_ptr, i_b, o_n, N, ACC)
    share = load_shares(shares_ptr, i_b, o_n, N, WEIGHTED, ACC)
    grad_x, grad_y, grad_share = tl.zeros([BN], ACC), tl.zeros([BN], ACC), tl.zeros([BN], ACC)
    for i_s in range(SPANS_X * SPANS_Y):
        first_x, first_y = i_s // SPANS_Y * X.SPAN, i_s % SPANS_Y * Y.SPAN
        o_x, o_y = first_x + tl.arange(0, X.SPAN), first_y + tl.arange(0, Y.SPAN)
        at = (i_b * X.K + o_x[:, None]) * Y.K + o_y[None, :]
        upstream = tl.load(grad_ptr + at, mask=(o_x < X.K)[:, None] & (o_y < Y.K)[None, :], other=0.0).to(ACC)
        p, slope_p = dense_responses(x, first_x, ax, X, IMAGES_X, NEEDS_X)
        q, slope_q = dense_responses(y, first_y, ay, Y, IMAGES_Y, NEEDS_Y)
        if NEEDS_X or NEEDS_SHARES:
            along_x = tl.dot(upstream, q, input_precision=PRECISION, out_dtype=ACC)
            grad_x += tl.sum(slope_p * along_x, 0)
            grad_share += tl.sum(p * along_x, 0)
        if NEEDS_Y:
            along_y = tl.dot(tl.trans(upstream), p, input_precision=PRECISION, out_dtype=ACC)
            grad_y += tl.sum(slope_q * along_y, 0)
    if NEEDS_X:
        tl.store(grad_x_ptr + i_b * N + o_n, grad_x * share, mask=o_n < N)
    if NEEDS_Y:
        tl.store(grad_y_ptr + i_b * N + o_n, grad_y * share, mask=o_n < N)
    if NEEDS_SHARES:
        tl.store(grad_shares_ptr + i_b * N + o_n, grad_share, mask=o_n < N)


def _constants(bins_x: Bins, bins_y: Bins, x: Tensor, shares: Tensor | None) -> dict[str, object]:
    """What both passes have in common."""
    ax, ay = make_axis(bins_x, x.dtype), make_axis(bins_y, x.dtype)
    sizes = {"SPANS_X": spans(ax), "SPANS_Y": spans(ay), "IMAGES_X": images(ax), "IMAGES_Y": images(ay)}
    return {
        "X": ax, "Y": ay, **sizes, "BN": dense.BN, "WEIGHTED": shares is not None, "ACC": accumulator(x.dtype),
        "PRECISION": precision(x), "warps": 4,
        "work": Work("sample", dense.BN, x.numel() * sizes["SPANS_X"] * sizes["SPANS_Y"]),
    }  # fmt: skip


def forward(x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins) -> Tensor:
    """(B, N), (B, N) not empty -> (B, Kx, Ky)."""
    (batch, samples), constants = x.shape, _constants(bins_x, bins_y, x, shares)
    squares = constants["SPANS_X"] * constants["SPANS_Y"]
    parts = dense.parts(x, squares)
    sums = x.new_empty(batch, parts, bins_x.count, bins_y.count)
    launch(_dense_forward_kernel, batch * parts * squares, x, y, shares, sums, samples, parts, **constants)
    return spread(sums.sum(1), shares, (x, bins_x), (y, bins_y))


def backward(
    grad: Tensor, x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins, needs: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients with respect to x, y and shares, empty where not needed."""
    (batch, samples), blocks = x.shape, cdiv(x.shape[1], dense.BN)
    grads = [x.new_empty(x.shape if need else 0) for need in needs]
    needed = dict(zip(("NEEDS_X", "NEEDS_Y", "NEEDS_SHARES"), needs))
    constants = _constants(bins_x, bins_y, x, shares)
    launch(_dense_backward_kernel, batch * blocks, grad, x, y, shares, *grads, samples, blocks, **constants, **needed)
    return tuple(grads)
