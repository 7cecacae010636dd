"""Contextual similarity of two sets of points, x (N) and y (M): Mechrez, Talmi and Zelnik-Manor 2018, Eq. 1-4.

With d_ij >= 0 the distance of x_i and y_j, h the bandwidth, and rows i over x, columns j over y:

    m_i = min_j d_ij  at j = k_i,   s_i = h (m_i + eps),   p_ij = softmax_j(-d_ij / s_i)
    q_j = max_i p_ij  at i = w_j,   CX = mean_j q_j                                          reduce="target", the paper's
    q_i = max_j p_ij  at j = k_i,   CX = mean_i q_i                                          reduce="source"

Matches (i, j) are (w_j, j) or (i, k_i). With G the upstream gradient over the number of matches, t_ij = d_ij - m_i, and c_i the sum
of q over the matches of row i,

    E_ij = c_i p_ij - [(i, j) a match] q        dL/dd_ij = G / s_i (E_ij - [j = k_i] sum_l E_il t_il / (m_i + eps))

the last term by way of the minimum, where t may stand for d as rows of E sum to zero. For that reason E_ik, which is q (p_ik - 1)
where a row is sure of its neighbour and would be all rounding, is minus the sum of the row's others. Then

    l2 (squared Euclidean):   dL/dx_i = 2 sum_j dL/dd_ij (x_i - y_j),      dL/dy_j = 2 sum_i dL/dd_ij (y_j - x_i)
    l1:                       dL/dx_i = sum_j dL/dd_ij sign(x_i - y_j),    dL/dy_j = sum_i dL/dd_ij sign(y_j - x_i)

The cosine distance (1 - cos) / 2 is the squared distance of vectors of length 1/2. Minima and maxima take the first of equals. A
row that wins no column has no gradient, and is left out.

Blocks of rows are handled at a time, with all columns, so that N x M distances are never stored. `torch` keeps only w for the
backward pass, and makes the rows that won anew; what `triton` keeps says fused/contextual.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Literal

import torch
from torch import Tensor

from . import arguments
from . import reference_contextual as reference
from .directions import half_directions
from .registration import once_differentiable, operator

#: distances made at a time: on a CPU a block and its affinities stay in the cache, on a GPU they fill the device
_CPU_BLOCK, _GPU_BLOCK = 2**18, 2**24
#: rows of a block at least, else its products are slow
_FEWEST_ROWS = 32


def _row_blocks(x: Tensor, y: Tensor, winner: Tensor | None = None) -> Iterator[tuple[slice, Tensor]]:
    """Samples and their rows, ascending, that make a block: all rows of several samples, or some of one; with `winner`, of large
    samples only the rows that won."""
    (batch, n, _), m = x.shape, y.shape[1]
    most = _GPU_BLOCK if x.is_cuda else _CPU_BLOCK
    together = most // (n * m)
    for first in range(0, batch, max(together, 1)):
        rows = torch.arange(n, device=x.device)
        if winner is not None and not together:
            rows = winner[first][winner[first] >= 0].unique()
        for some in rows.split(n if together else max(most // m, _FEWEST_ROWS)) if len(rows) else ():
            yield slice(first, first + max(together, 1)), some


class _Block:
    """Rows (b, r, C) against all columns (b, M, C): `excess` t, `affinity` p (b, r, M), and `floor` m + eps (b, r, 1)."""

    def __init__(self, x: Tensor, y: Tensor, y_squares: Tensor, bandwidth: float, eps: float, metric: str) -> None:
        if metric == "l1":
            distance = torch.cdist(x, y, p=1.0)
        else:
            distance = torch.baddbmm(y_squares.unsqueeze(-2), x, y.mT, alpha=-2)
            distance.add_(_squares(x).unsqueeze(-1)).clamp_min_(0)
        minimum = distance.amin(-1, keepdim=True)
        self.floor = minimum + eps
        self.excess = distance.sub_(minimum)
        self.affinity = torch.softmax(self.excess * (-1 / bandwidth / self.floor), -1)


def _squares(points: Tensor) -> Tensor:
    """|points|^2, (B, N, C) -> (B, N), some at a time: those of every channel would be as many numbers as the points."""
    return torch.cat([some.square().sum(-1) for some in points.split(256, 1)], 1)


def _forward(x: Tensor, y: Tensor, bandwidth: float, eps: float, metric: str, reduce: str) -> tuple[Tensor, Tensor]:
    """(B, N, C), (B, M, C) -> similarity (B,) and, for reduce="target", the winner of each column (B, M), or -1."""
    target = reduce == "target"
    best = x.new_full((len(x), y.shape[1] if target else x.shape[1]), -1.0)
    winner = torch.full((len(x), y.shape[1] if target else 0), -1, dtype=torch.int32, device=x.device)
    y_squares = _squares(y)
    for samples, rows in _row_blocks(x, y):
        affinity = _Block(x[samples][:, rows], y[samples], y_squares[samples], bandwidth, eps, metric).affinity
        if not target:
            best[samples, rows] = affinity.amax(-1)
            continue
        strongest = affinity.amax(-2)
        # finding where a maximum is takes longer than its value, so only for the columns that it changes
        sample, column = (strongest > best[samples].clamp_min(0)).nonzero(as_tuple=True)
        winner[sample + samples.start, column] = rows[affinity.mT[sample, column].argmax(-1)].int()
        best[samples] = torch.maximum(best[samples], strongest)
    return best.mean(-1), winner


def _backward(
    grad: Tensor, x: Tensor, y: Tensor, winner: Tensor, bandwidth: float, eps: float, metric: str, reduce: str, needs: list[bool]
) -> tuple[Tensor, Tensor]:
    """Gradients with respect to x and y, empty where not needed."""
    grad_x, grad_y = (z.new_zeros(z.shape if need else 0) for z, need in zip((x, y), needs))
    y_squares, column_sums = _squares(y), y.new_zeros(y.shape[:2] if needs[1] else 0)
    target = reduce == "target"
    share = grad / (y.shape[1] if target else x.shape[1])
    for samples, rows in _row_blocks(x, y, winner if target else None):
        some, all_y = x[samples][:, rows], y[samples]
        block = _Block(some, all_y, y_squares[samples], bandwidth, eps, metric)
        matches = _matches(winner[samples], rows) if target else None
        slope = _distance_gradient(block, share[samples].view(-1, 1, 1) / (bandwidth * block.floor), matches)
        if metric == "l1":
            if needs[0]:
                grad_x[samples, rows] = _l1_gradient(slope, some, all_y)
            if needs[1]:
                grad_y[samples] += _l1_gradient(slope.mT, all_y, some)
            continue
        if needs[0]:
            grad_x[samples, rows] = torch.baddbmm(some * slope.sum(-1, keepdim=True), slope, all_y, beta=2, alpha=-2)
        if needs[1]:
            column_sums[samples] += slope.sum(-2)
            grad_y[samples].baddbmm_(slope.mT, some, alpha=-2)
    if needs[1] and metric == "l2":
        grad_y.addcmul_(y, column_sums.unsqueeze(-1), value=2)
    return grad_x, grad_y


def _matches(winner: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Where in a block the winner (b, M) of each column is, (b, 1, M), and whether it is there."""
    place = torch.searchsorted(rows, winner.long()).clamp_max(len(rows) - 1)
    return place.unsqueeze(-2), (rows[place] == winner).unsqueeze(-2)


def _distance_gradient(block: _Block, scale: Tensor, matches: tuple[Tensor, Tensor] | None) -> Tensor:
    """dL/dd (b, r, M) of a block's distances, in place of its affinities; `scale` is G / s (b, r, 1)."""
    slope, t = block.affinity, block.excess
    nearest = t.argmin(-1, keepdim=True)
    if matches is None:  # every row with its nearest column
        slope.mul_(slope.gather(-1, nearest))
    else:
        place, here = matches
        q = slope.gather(-2, place) * here
        slope.mul_(torch.zeros_like(scale).scatter_add_(-2, place.mT, q.mT)).scatter_add_(-2, place, -q)
    others = slope.scatter_(-1, nearest, 0)
    pull = torch.linalg.vecdot(others, t).unsqueeze(-1) / block.floor
    return slope.scatter_(-1, nearest, -others.sum(-1, keepdim=True) - pull).mul_(scale)


def _l1_gradient(slope: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """sum_j slope_ij sign(a_i - b_j), by the backward pass of cdist, which makes nothing of the size of slope times C."""
    slope = slope.contiguous()
    distance = slope  # looked at for other norms than 1 only
    return torch.ops.aten._cdist_backward(slope, a.contiguous(), b.contiguous(), 1.0, distance)


@operator("contextual_similarity")
def _op(
    x: Tensor, y: Tensor, bandwidth: float, eps: float, metric: str, reduce: str, backend: str
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The similarity and what the backward pass needs: winner, and of backend "triton" strength, nearest and rows."""
    x, y = arguments.contiguous(x, y)
    finite = _finite(x) & _finite(y)
    if backend == "triton":
        similarity, *kept = _fused().forward(x, y, bandwidth, eps, metric, reduce)
    else:
        similarity, winner = _forward(x, y, bandwidth, eps, metric, reduce)
        kept = [winner, *_kept(x, y, reduce, backend)[1:]]
    return similarity.masked_fill_(~finite, torch.nan), *kept


@operator("contextual_similarity_backward")
def _op_backward(
    grad: Tensor,
    x: Tensor,
    y: Tensor,
    winner: Tensor,
    strength: Tensor,
    nearest: Tensor,
    rows: Tensor,
    bandwidth: float,
    eps: float,
    metric: str,
    reduce: str,
    backend: str,
    needs: list[bool],
) -> tuple[Tensor, Tensor]:
    grad, x, y = arguments.contiguous(grad, x, y)
    if backend == "triton":
        grads = _fused().backward(grad, x, y, winner, strength, nearest, rows, eps, metric, reduce, needs)
    else:
        grads = _backward(grad, x, y, winner, bandwidth, eps, metric, reduce, needs)
    bad = ~(_finite(x) & _finite(y)).view(-1, 1, 1)
    for slope, need in zip(grads, needs):
        if need:
            slope.masked_fill_(bad, torch.nan)
    return grads


def _finite(points: Tensor) -> Tensor:
    """Whether all points (B, N, C) of a sample are finite, without a tensor of their size."""
    return (points.amax((1, 2)) - points.amin((1, 2))).isfinite()


def _kept(x: Tensor, y: Tensor, reduce: str, backend: str) -> list[Tensor]:
    """What `_op` keeps, unwritten: winner and strength of columns, nearest column of rows, four statistics of rows."""
    (batch, n, _), m = x.shape, y.shape[1] if reduce == "target" else 0
    fused = backend == "triton"
    return [
        x.new_empty(batch, m, dtype=torch.int32),
        x.new_empty(batch, m if fused else 0),
        x.new_empty(batch, n if fused else 0, dtype=torch.int32),
        x.new_empty(4, batch, n if fused else 0),
    ]


def _fused() -> ModuleType:
    """The Triton kernels, imported when first used."""
    from .fused import contextual

    return contextual


@_op.register_fake
def _(
    x: Tensor, y: Tensor, bandwidth: float, eps: float, metric: str, reduce: str, backend: str
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return x.new_empty(x.shape[0]), *_kept(x, y, reduce, backend)


@_op_backward.register_fake
def _(
    grad: Tensor,
    x: Tensor,
    y: Tensor,
    winner: Tensor,
    strength: Tensor,
    nearest: Tensor,
    rows: Tensor,
    bandwidth: float,
    eps: float,
    metric: str,
    reduce: str,
    backend: str,
    needs: list[bool],
) -> tuple[Tensor, Tensor]:
    grad_x, grad_y = (z.new_empty(z.shape if need else 0) for z, need in zip((x, y), needs))
    return grad_x, grad_y


def _setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
    x, y, *ctx.plain = inputs
    ctx.save_for_backward(x, y, *output[1:])
    ctx.mark_non_differentiable(*output[1:])


def _differentiate(ctx: Any, grad: Tensor, *unused: Tensor) -> tuple[Tensor | None, ...]:
    needs = list(ctx.needs_input_grad[:2])
    grads = _op_backward(grad, *ctx.saved_tensors, *ctx.plain, needs)
    return *(g if need else None for g, need in zip(grads, needs)), *[None] * len(ctx.plain)


_op.register_autograd(_differentiate, setup_context=_setup_context)
once_differentiable(_op_backward)


def contextual_similarity(
    x: Tensor,
    y: Tensor,
    *,
    bandwidth: float = 0.5,
    eps: float = 1e-5,
    distance: Literal["cosine", "l2", "l1"] = "cosine",
    center: Literal["batch", "sample", "none"] = "batch",
    reduce: Literal["target", "source"] = "target",
    backend: str | None = None,
) -> Tensor:
    """How much of y is found in x, wherever it lies: contextual similarity of two sets of points (Mechrez et al. 2018, Eq. 1-4).

    The contextual loss is minus its logarithm (`huenet.losses.ContextualLoss`). Sets may differ in size, N x M is never stored.

    Args:
        x: points of the generated image, (..., N, C), floating; half precision is computed and returned in float32.
        y: points of the target, (..., M, C), leading dimensions broadcast against x's.
        bandwidth: h of Eq. 3, positive; the smaller, the more a point commits itself to its nearest neighbour.
        eps: added to the distance of the nearest neighbour (Eq. 2), at least 1e-12, in units of the distance.
        distance: "cosine", (1 - cos) / 2 in [0, 1]; "l2", the squared Euclidean distance; "l1", the sum of absolute differences.
        center: for "cosine", what is subtracted from x and y first: y's mean over batch and points, over the points of each sample,
            or nothing. A point that is then zero, but for rounding, gets the direction of (1, ..., 1).
        reduce: "target", the mean over y of the best affinity, or "source", the mean over x.
        backend: None or "torch" (blocks of rows, CPU or CUDA), "triton" (fused kernels for GPUs, the default there: tested in
            Triton's interpreter and compiled for sm_80, sm_90, sm_100 and gfx942, not yet run on a GPU), or "reference" (dense
            PyTorch, whose backward pass autocast may round).

    Returns:
        (...), in (0, 1]. A NaN or infinite value in x or y makes the similarity and the gradients of its sample NaN; in y, with
        center="batch", those of all samples.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms, unless backend is "reference".
    """
    x, y = _point_sets(x, y)
    check_options(bandwidth, eps, distance, center, reduce)
    backend = arguments.choose_backend(backend, x, lambda: _fused().unserved(x, y))
    with torch.autocast(x.device.type, enabled=False):
        if backend == "reference":
            return reference.contextual_similarity(x, y, bandwidth, eps, distance, center, reduce)
        arguments.plain_autograd_only(x, y)
        batch = x.shape[:-2]
        x, y, metric = _comparable(x, y, distance, center)
        x, y = (z.reshape(batch.numel(), *z.shape[-2:]) for z in (x, y))
        return _op(x, y, float(bandwidth), float(eps), metric, reduce, backend if batch.numel() else "torch")[0].view(batch)


def check_options(bandwidth: float, eps: float, distance: str, center: str, reduce: str) -> None:
    """ValueError where one of these options of `contextual_similarity` is bad."""
    for name, value, least in (("bandwidth", bandwidth, 0.0), ("eps", eps, 1e-12)):
        if not isinstance(value, (int, float)) or not (value > 0 and least <= value < math.inf):
            raise ValueError(f"{name} must be a finite number {f'of at least {least:g}' if least else 'above 0'}, got {value!r}")
    for name, value, choices in (
        ("distance", distance, ("cosine", "l2", "l1")),
        ("center", center, ("batch", "sample", "none")),
        ("reduce", reduce, ("target", "source")),
    ):
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def _comparable(x: Tensor, y: Tensor, distance: str, center: str) -> tuple[Tensor, Tensor, str]:
    """Points and the metric, "l2" or "l1", whose distances of them are those asked for of x and y."""
    if distance == "cosine":
        if center != "none":
            mean = reference.mean_of(y, center)
            x, y = reference.from_mean(x, mean), reference.from_mean(y, mean)
        return half_directions(x), half_directions(y), "l2"
    if distance == "l2":  # does not depend on the origin, but the rounding of |x|^2 + |y|^2 - 2 xy does
        origin = y.detach().mean(-2, keepdim=True)
        x, y = x - origin, y - origin
    return x, y, distance


def _point_sets(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(..., N, C) and (..., M, C) over the same leading dimensions, in their common dtype."""
    x, y = arguments.samples("x", x), arguments.samples("y", y)
    for name, points in (("x", x), ("y", y)):
        if points.dim() < 2 or not points.shape[-2] or not points.shape[-1]:
            raise ValueError(f"{name} must be points (..., N, C) with at least one point and channel, got {tuple(points.shape)}")
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(f"y must have the channels of x, expected {x.shape[-1]} on the last dimension, got {tuple(y.shape)}")
    return arguments.one_batch(x, y, ("x", "y"), 2)
