"""Contextual similarity by blocks of rows, with all columns, so that N x M distances are never stored.

Only the winners of the columns are kept for the backward pass, which makes the rows that won anew.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from ..common.devices import budget

#: distances made at a time: on a CPU a block and its affinities stay in the cache, on other devices they fill them
CPU_BLOCK, DEVICE_BLOCK = 2**18, 2**24
#: rows of a block at least, else its products are slow
_FEWEST_ROWS = 32
_ORDERS = {"l1": 1.0, "l2": 2.0}


def _row_blocks(x: Tensor, y: Tensor, winner: Tensor | None = None) -> Iterator[tuple[slice, Tensor]]:
    """Samples and their rows, ascending, that make a block: all rows of several samples, or some of one; with `winner`, of large
    samples only the rows that won."""
    (batch, n, _), m = x.shape, y.shape[1]
    most = budget(x, CPU_BLOCK, DEVICE_BLOCK)
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
        if metric == "product":
            distance = torch.baddbmm(y_squares.unsqueeze(-2), x, y.mT, alpha=-2)
            distance.add_(_squares(x).unsqueeze(-1)).clamp_min_(0)
        else:
            distance = _norms(x, y, metric)
            if metric == "l2":
                distance.square_()
        minimum = distance.amin(-1, keepdim=True)
        self.floor = minimum + eps
        self.excess = distance.sub_(minimum)
        self.affinity = torch.softmax(self.excess * (-1 / bandwidth / self.floor), -1)


def _squares(points: Tensor) -> Tensor:
    """|points|^2, (B, N, C) -> (B, N), some at a time: those of every channel would be as many numbers as the points."""
    return torch.cat([some.square().sum(-1) for some in points.split(256, 1)], 1)


def kept(x: Tensor, y: Tensor, bandwidth: float, eps: float, metric: str, reduce: str) -> list[Tensor]:
    """The winner of each column for reduce="target", (B, M) or -1; else (B, 0)."""
    return [x.new_empty(len(x), y.shape[1] if reduce == "target" else 0, dtype=torch.int32)]


def forward(x: Tensor, y: Tensor, bandwidth: float, eps: float, metric: str, reduce: str) -> tuple[Tensor, Tensor]:
    """(B, N, C), (B, M, C) -> similarity (B,) and what is kept."""
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
    return best.mean(-1).masked_fill_(~finite(x, y), torch.nan), winner


def backward(
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
        if metric != "product":
            if needs[0]:
                grad_x[samples, rows] = _gradient(slope, some, all_y, metric)
            if needs[1]:
                grad_y[samples] += _gradient(slope.mT, all_y, some, metric)
            continue
        if needs[0]:
            grad_x[samples, rows] = torch.baddbmm(some * slope.sum(-1, keepdim=True), slope, all_y, beta=2, alpha=-2)
        if needs[1]:
            column_sums[samples] += slope.sum(-2)
            grad_y[samples].baddbmm_(slope.mT, some, alpha=-2)
    if needs[1] and metric == "product":
        grad_y.addcmul_(y, column_sums.unsqueeze(-1), value=2)
    return spoilt((grad_x, grad_y), x, y)


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


def _norms(x: Tensor, y: Tensor, metric: str) -> Tensor:
    """|x_i - y_j|, of differences: by a product, in which near points far from the origin cancel, it would be mostly rounding."""
    return torch.cdist(x, y, p=_ORDERS[metric], compute_mode="donot_use_mm_for_euclid_dist")


def _gradient(slope: Tensor, a: Tensor, b: Tensor, metric: str) -> Tensor:
    """sum_j slope_ij times the derivative of the distance of a_i and b_j to a_i, by the backward pass of cdist, which makes nothing
    of the size of slope times C."""
    distance = slope  # looked at for other norms than 1 only
    if metric == "l2":  # |.|^2, of which cdist knows the root
        distance = _norms(a, b, metric)
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
