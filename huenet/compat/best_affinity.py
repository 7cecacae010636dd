"""Contextual similarity of what the operator of that name cannot express: distances with squares of their own, affinities mixed
with those of places. By blocks of rows, in plain PyTorch; a backward pass makes them anew, one at a time.

With points x (B, N, C), y (B, M, C), d their distances, h the bandwidth, w the weight and s the affinities of places,

    m_i = min_j d_ij  at j = k_i,   f_i = m_i + eps,   t_ij = d_ij - m_i,   p_ij = softmax_j(-t_ij / (h f_i))
    best_i = max_j (1 - w) p_ij + w s_ij,  the mean over i          with places
    best_j = max_i p_ij,                   the mean over j          without

With G the gradient of an affinity that is a best one, and E_ij = p_ij sum_l G_il p_il - G_ij p_ij, whose rows sum to zero,

    dL/dd_ij = (E_ij - [j = k_i] sum_l E_il t_il / f_i) / (h f_i)

where E_ik, all rounding where a row is sure of its neighbour, is minus the sum of the row's others, as in contextual_similarity.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import torch
from torch import Tensor

from ..kernels.common.operator import Operator
from ..kernels.contextual_similarity.portable import norms, points_gradient, row_blocks

#: distances of a block on a CPU: half a dozen tensors of so many numbers stay in the cache
CPU_BLOCK = 2**18


class _Block(NamedTuple):
    """Rows against all columns."""

    #: t, (b, r, M)
    excess: Tensor
    affinity: Tensor
    #: m + eps, (b, r, 1)
    floor: Tensor
    #: whether d is above 0, where a product may have been raised to it, (b, r, M)
    positive: Tensor | None

    @classmethod
    def of(cls, x: Tensor, y: Tensor, bandwidth: float, eps: float, metric: str) -> _Block:
        if metric == "product":
            d = torch.baddbmm(y[..., -1:].mT, x[..., :-1], y[..., :-1].mT, alpha=-2).add_(x[..., -1:])
        else:
            d = norms(x, y, metric)
            if metric == "l2":
                d.square_()
        positive = d > 0 if metric == "product" else None
        minimum = d.clamp_min_(0).amin(-1, keepdim=True)
        floor = minimum + eps
        excess = d.sub_(minimum)
        return cls(excess, torch.softmax(excess / (-bandwidth * floor), -1), floor, positive)


def kept(x: Tensor, y: Tensor, down: Tensor | None, *_: Tensor | float | str) -> list[Tensor]:
    """Where the best affinities are: a column for each row (B, N) with places, a row for each column (B, M) without."""
    return [x.new_empty(len(x), (y if down is None else x).shape[1], dtype=torch.int64)]


def forward(
    x: Tensor, y: Tensor, down: Tensor | None, across: Tensor | None, bandwidth: float, eps: float, weight: float, metric: str
) -> tuple[Tensor, Tensor]:
    """(B, N, C), (B, M, C), affinities of places along each axis (H, H) and (W, W) with H W = N = M, or None -> mean of the best
    affinities, (B,), and where they are."""
    (place,) = kept(x, y, down)
    best = x.new_full(place.shape, -1.0)
    for samples, rows in row_blocks(x, y, cpu_block=CPU_BLOCK):
        affinity = _Block.of(x[samples, rows], y[samples], bandwidth, eps, metric).affinity
        if down is not None:
            mixed = _of_places(down, across, rows).mul_(weight).add(affinity, alpha=1 - weight)
            best[samples, rows], place[samples, rows] = mixed.max(-1)
            continue
        strongest, row = affinity.max(-2)
        better = (strongest > best[samples]) | strongest.isnan()
        best[samples] = torch.where(better, strongest, best[samples])
        place[samples] = torch.where(better, row + rows.start, place[samples])
    return best.mean(-1), place


def backward(
    grad: Tensor, x: Tensor, y: Tensor, down: Tensor | None, across: Tensor | None, place: Tensor,
    bandwidth: float, eps: float, weight: float, metric: str, needs: list[bool],
) -> list[Tensor]:  # fmt: skip
    """Gradients with respect to x and y, empty where not needed; places have none."""
    grad_x, grad_y = (torch.zeros_like(z) if need else z.new_empty(0) for z, need in zip((x, y), needs))
    share = (grad * (1 if down is None else 1 - weight) / place.shape[1]).view(-1, 1, 1)
    for samples, rows in row_blocks(x, y, cpu_block=CPU_BLOCK):
        some, all_y = x[samples, rows], y[samples]
        block = _Block.of(some, all_y, bandwidth, eps, metric)
        chosen = _in_rows(place[samples], rows) if down is None else _in_columns(place[samples, rows])
        slope = _distance_gradient(block, share[samples] / (bandwidth * block.floor), *chosen)
        if needs[0]:
            grad_x[samples, rows] = _of_points(slope, some, all_y, metric)
        if needs[1]:
            grad_y[samples] += _of_points(slope.mT, all_y, some, metric)
    return [grad_x, grad_y, x.new_empty(0), x.new_empty(0)]


def _of_places(down: Tensor, across: Tensor, rows: slice) -> Tensor:
    """Affinities of the points of a map, row by row of it, to all, (r, H W): products of those along each axis."""
    point = torch.arange(rows.start, rows.stop, device=down.device)
    return (down[point // len(across)].unsqueeze(2) * across[point % len(across)].unsqueeze(1)).flatten(1)


def _in_columns(place: Tensor) -> tuple[int, Tensor, Tensor]:
    """Dimension along which the best of a block are chosen, where, and whether they are among its rows."""
    return -1, place.unsqueeze(-1), torch.ones_like(place, dtype=torch.bool).unsqueeze(-1)


def _in_rows(place: Tensor, rows: slice) -> tuple[int, Tensor, Tensor]:
    within = place - rows.start
    here = (within >= 0) & (place < rows.stop)
    return -2, within.clamp(0, rows.stop - rows.start - 1).unsqueeze(-2), here.unsqueeze(-2)


def _distance_gradient(block: _Block, scale: Tensor, dim: int, place: Tensor, here: Tensor) -> Tensor:
    """dL/dd (b, r, M) of a block's distances, in place of its affinities; `scale` is G / (h f), (b, r, 1)."""
    slope, t = block.affinity, block.excess
    nearest = t.argmin(-1, keepdim=True)
    q = slope.gather(dim, place) * here
    total = q if dim == -1 else torch.zeros_like(scale).scatter_add_(-2, place.mT, q.mT)
    others = slope.mul_(total).scatter_add_(dim, place, -q).scatter_(-1, nearest, 0)
    pull = torch.linalg.vecdot(others, t).unsqueeze(-1) / block.floor
    slope = others.scatter_(-1, nearest, -others.sum(-1, keepdim=True) - pull).mul_(scale)
    return slope if block.positive is None else slope.mul_(block.positive)


def _of_points(slope: Tensor, a: Tensor, b: Tensor, metric: str) -> Tensor:
    """The gradient of points a, (b, n, C), of those of their distances to b."""
    if metric != "product":
        return points_gradient(slope, a, b, metric)
    return torch.cat([slope @ b[..., :-1] * -2, slope.sum(-1, keepdim=True)], -1)


OPERATOR = Operator(
    "best_affinity",
    "x y down? across?",
    {"bandwidth": float, "eps": float, "weight": float, "metric": str},
    result=lambda x, *_: (len(x),),
    reference=None,
    portable=sys.modules[__name__],
    fused=False,
)


def best_affinity(
    x: Tensor,
    y: Tensor,
    metric: str,
    bandwidth: float,
    eps: float,
    places: tuple[Tensor, Tensor] | None = None,
    weight: float = 0.0,
) -> Tensor:
    """Mean of the best affinities, (B,); formulas stand at the top of this file. Differentiable once in x and y.

    Args:
        x, y: points (B, N, C) and (B, M, C), float32 or float64.
        metric: "l1", "l2" (squared), or "product": max(0, a_i - 2 x_i y_j + b_j) of points with a and b as their last channel.
        bandwidth, eps: h and eps.
        places: of the rows and the columns of a map of H x W points, affinities among themselves (H, H) and (W, W); None is none.
        weight: w.
    """
    return OPERATOR(x, y, *(places or (None, None)), float(bandwidth), float(eps), float(weight), metric)
