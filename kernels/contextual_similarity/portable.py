"""Contextual similarity by blocks of rows, with all columns, so that more than a block of N x M distances is never stored.

Only the winners of the columns are kept for the backward pass, which makes the rows that won anew; where one block is all, it is
kept too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ..common.devices import budget

#: distances made at a time, and kept where they are all: on a CPU fewer take longer than what the cache gains, on other devices
#: they fill them
CPU_BLOCK, DEVICE_BLOCK = 2**20, 2**24
#: rows of a block at least, else its products are slow
_FEWEST_ROWS = 32
_ORDERS = {"l1": 1.0, "l2": 2.0}


def row_blocks(
    x: Tensor, y: Tensor, winner: Tensor | None = None, cpu_block: int | None = None
) -> Iterator[tuple[slice, slice | Tensor]]:
    """Samples and their rows, ascending, that make a block: all rows of several samples, or some of one; with `winner`, of large
    samples only the rows that won; on a CPU of `cpu_block` distances, by default CPU_BLOCK."""
    (batch, n, _), m = x.shape, y.shape[1]
    most = budget(x, cpu_block or CPU_BLOCK, DEVICE_BLOCK)
    together = most // (n * m)
    for first in range(0, batch, max(together, 1)):
        samples, step = slice(first, first + max(together, 1)), n if together else max(most // m, _FEWEST_ROWS)
        if winner is None or together:
            yield from ((samples, rows) for rows in _slices(n, step))
            continue
        rows = winner[first][winner[first] >= 0].unique()
        # slices are views, where chosen rows are copies
        chosen = _slices(n, step) if len(rows) == n else rows.split(step) if len(rows) else ()
        yield from ((samples, rows) for rows in chosen)


def _slices(n: int, step: int) -> Iterator[slice]:
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


class _Block(NamedTuple):
    """Rows (b, r, C) against all columns (b, M, C)."""

    #: t and p, (b, r, M)
    excess: Tensor
    affinity: Tensor
    #: m + eps, (b, r, 1)
    floor: Tensor

    @classmethod
    def of(cls, x: Tensor, y: Tensor, y_squares: Tensor, bandwidth: float, eps: float, metric: str) -> _Block:
        if metric == "product":
            distance = torch.baddbmm(y_squares.unsqueeze(-2), x, y.mT, alpha=-2)
            distance.add_(_squares(x).unsqueeze(-1)).clamp_min_(0)
        else:
            distance = norms(x, y, metric)
            if metric == "l2":
                distance.square_()
        minimum = distance.amin(-1, keepdim=True)
        floor = minimum + eps
        excess = distance.sub_(minimum)
        return cls(excess, torch.softmax(excess / (floor * -bandwidth), -1), floor)


def _squares(points: Tensor) -> Tensor:
    """|points|^2, (B, N, C) -> (B, N), some at a time: those of every channel would be as many numbers as the points. Not by
    lengths, whose rounding their squares double."""
    parts = [torch.linalg.vecdot(some, some) for some in points.split(256, 1)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def kept(x: Tensor, y: Tensor, bandwidth: float, eps: float, metric: str, reduce: str) -> list[Tensor]:
    """The winner of each column for reduce="target", (B, M), -1 for none; else (B, 0). Where one block is all, its excess and
    affinity (B, N, M) and floor (B, N, 1); else (0,)."""
    winner = x.new_empty(len(x), y.shape[1] if reduce == "target" else 0, dtype=torch.int64)
    pairs = len(x), x.shape[1], y.shape[1]
    return [winner, *(x.new_empty(shape if _one_block(x, y) else 0) for shape in (pairs, pairs, (*pairs[:2], 1)))]


def _one_block(x: Tensor, y: Tensor) -> bool:
    return 0 < len(x) * x.shape[1] * y.shape[1] <= budget(x, CPU_BLOCK, DEVICE_BLOCK)


def forward(x: Tensor, y: Tensor, bandwidth: float, eps: float, metric: str, reduce: str) -> tuple[Tensor, ...]:
    """(B, N, C), (B, M, C) -> similarity (B,) and what is kept."""
    if _one_block(x, y):
        held = _Block.of(x, y, _squares(y), bandwidth, eps, metric)
        target = reduce == "target"
        best, winner = _strongest(held.affinity) if target else (held.affinity.amax(-1), x.new_empty(len(x), 0, dtype=torch.int64))
    else:
        (best, winner), held = _by_blocks(x, y, bandwidth, eps, metric, reduce), [x.new_empty(0)] * 3
    similarity = best.mean(-1)
    # products are NaN with all that is not finite
    return similarity if metric == "product" else similarity.masked_fill_(~finite(x, y), torch.nan), winner, *held


def _by_blocks(x: Tensor, y: Tensor, bandwidth: float, eps: float, metric: str, reduce: str) -> tuple[Tensor, Tensor]:
    """The best affinity of every column and its winner, or of every row and nothing."""
    target = reduce == "target"
    best = x.new_full((len(x), y.shape[1] if target else x.shape[1]), -1.0)
    winner = x.new_full((len(x), y.shape[1] if target else 0), -1, dtype=torch.int64)
    y_squares = _squares(y)
    for samples, rows in row_blocks(x, y):
        affinity = _Block.of(x[samples][:, rows], y[samples], y_squares[samples], bandwidth, eps, metric).affinity
        if not target:
            best[samples, rows] = affinity.amax(-1)
            continue
        if rows.stop - rows.start == x.shape[1]:  # all that there are
            best[samples], winner[samples] = _strongest(affinity)
            continue
        strongest = affinity.amax(-2)
        # finding where a maximum is takes longer than its value, so only for the columns that it changes
        sample, column = (strongest > best[samples].clamp_min(0)).nonzero(as_tuple=True)
        row = affinity.mT[sample, column].argmax(-1)
        winner[sample + samples.start, column] = row + rows.start
        best[samples] = torch.maximum(best[samples], strongest)
    return best, winner


def _strongest(affinity: Tensor) -> tuple[Tensor, Tensor]:
    """The largest of every column of (b, N, M), and the first row that has it; of NaN, row 0."""
    strongest = affinity.amax(-2)
    return strongest, _first_zero((strongest.unsqueeze(-2) - affinity).sign_(), -2)


def _first_zero(signs: Tensor, dim: int) -> Tensor:
    """Where along a dimension of numbers that are 0 or 1 the first 0 is; 0 where there is NaN. In their place.

    Places are numbers of the same type, n more where there is a 1: operations that a CPU does on many at a time, which it does not
    in argmin, comparisons and choices.
    """
    n = signs.shape[dim]
    if n > 2**24:  # places that float32 does not have
        return signs.argmin(dim)
    places = torch.arange(n, dtype=signs.dtype, device=signs.device).view(-1, *[1] * (-1 - dim))
    return torch.add(places, signs, alpha=n, out=signs).amin(dim).nan_to_num_(0).long()


def backward(
    grad: Tensor, x: Tensor, y: Tensor, winner: Tensor, excess: Tensor, affinity: Tensor, floor: Tensor,
    bandwidth: float, eps: float, metric: str, reduce: str, needs: list[bool],
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Gradients with respect to x and y, empty where not needed."""
    target = reduce == "target"
    share = (grad / (bandwidth * (y.shape[1] if target else x.shape[1]))).view(-1, 1, 1)
    if excess.numel():
        matches = (winner.unsqueeze(-2), None) if target else None
        slope = _distance_gradient(_Block(excess, affinity, floor), share / floor, matches, torch.empty_like(affinity))
        ways = ((slope, x, y), (slope.mT, y, x))
        grads = tuple(points_gradient(*way, metric) if need else x.new_empty(0) for way, need in zip(ways, needs))
        # products have spread the NaN of `grad`
        return grads if metric == "product" else spoilt(grads, x, y)
    grad_x, grad_y = (z.new_zeros(z.shape if need else 0) for z, need in zip((x, y), needs))
    y_squares, column_sums = _squares(y), y.new_zeros(y.shape[:2] if needs[1] else 0)
    for samples, rows in row_blocks(x, y, winner if target else None):
        some, all_y = x[samples][:, rows], y[samples]
        block = _Block.of(some, all_y, y_squares[samples], bandwidth, eps, metric)
        matches = _matches(winner[samples], rows, x.shape[1]) if target else None
        slope = _distance_gradient(block, share[samples] / block.floor, matches, block.affinity)
        if metric != "product":
            if needs[0]:
                grad_x[samples, rows] = points_gradient(slope, some, all_y, metric)
            if needs[1]:
                grad_y[samples] += points_gradient(slope.mT, all_y, some, metric)
            continue
        if needs[0]:
            grad_x[samples, rows] = points_gradient(slope, some, all_y, metric)
        if needs[1]:  # added up without a tensor of the size of y for every block
            column_sums[samples] += slope.sum(-2)
            grad_y[samples].baddbmm_(slope.mT, some, alpha=-2)
    if needs[1] and metric == "product":
        grad_y.addcmul_(y, column_sums.unsqueeze(-1), value=2)
    return spoilt((grad_x, grad_y), x, y)


def _matches(winner: Tensor, rows: slice | Tensor, n: int) -> tuple[Tensor, Tensor | None]:
    """Where in a block of n rows in all the winner (b, M) of each column is, (b, 1, M), and whether it is there; None: all are."""
    if isinstance(rows, slice):
        if not rows.start and rows.stop >= n:
            return winner.unsqueeze(-2), None
        place = winner - rows.start
        return place.clamp(0, rows.stop - rows.start - 1).unsqueeze(-2), ((place >= 0) & (winner < rows.stop)).unsqueeze(-2)
    place = torch.searchsorted(rows, winner).clamp_max(len(rows) - 1)
    return place.unsqueeze(-2), (rows[place] == winner).unsqueeze(-2)


def _distance_gradient(block: _Block, scale: Tensor, matches: tuple[Tensor, Tensor | None] | None, out: Tensor) -> Tensor:
    """dL/dd (b, r, M) of a block's distances, into `out`, which may be its affinities; `scale` is G / s (b, r, 1)."""
    affinity, t = block.affinity, block.excess
    nearest = _first_zero(t.sign(), -1).unsqueeze(-1)
    if matches is None:  # every row with its nearest column
        slope = torch.mul(affinity, affinity.gather(-1, nearest), out=out)
    else:
        place, here = matches
        q = affinity.gather(-2, place)
        q = q if here is None else q * here
        won = torch.zeros_like(scale).scatter_add_(-2, place.mT, q.mT)
        slope = torch.mul(affinity, won, out=out).scatter_add_(-2, place, -q)
    others = slope.scatter_(-1, nearest, 0)
    pull = torch.linalg.vecdot(others, t).unsqueeze(-1) / block.floor
    return slope.scatter_(-1, nearest, -others.sum(-1, keepdim=True) - pull).mul_(scale)


def norms(x: Tensor, y: Tensor, metric: str) -> Tensor:
    """|x_i - y_j|, of differences: by a product, in which near points far from the origin cancel, it would be mostly rounding."""
    return torch.cdist(x, y, p=_ORDERS[metric], compute_mode="donot_use_mm_for_euclid_dist")


def points_gradient(slope: Tensor, a: Tensor, b: Tensor, metric: str) -> Tensor:
    """sum_j slope_ij times the derivative of the distance of a_i and b_j to a_i: by a product, or the backward pass of cdist, which
    makes nothing of the size of slope times C."""
    if metric == "product":
        return torch.baddbmm(a * slope.sum(-1, keepdim=True), slope, b, beta=2, alpha=-2)
    distance = slope  # looked at for other norms than 1 only
    if metric == "l2":  # |.|^2, of which cdist knows the root
        distance = norms(a, b, metric)
        slope = slope * distance.mul(2)
    tensors = (tensor.contiguous() for tensor in (slope, a, b))
    return torch.ops.aten._cdist_backward(*tensors, _ORDERS[metric], distance.contiguous())


def finite(x: Tensor, y: Tensor) -> Tensor:
    """Whether all points of a sample, (B, N, C) and (B, M, C), are finite, without a tensor of their size."""
    extents = [points.amax((1, 2)) - points.amin((1, 2)) for points in (x, y)]
    return extents[0].isfinite() & extents[1].isfinite()


def spoilt(grads: tuple[Tensor, Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients, in place, NaN for samples that are not finite."""
    bad = ~finite(x, y).view(-1, 1, 1)
    for grad in grads:
        if grad.numel():
            grad.masked_fill_(bad, torch.nan)
    return grads
