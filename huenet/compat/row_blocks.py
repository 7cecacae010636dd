"""Affinities of points by blocks of rows, in plain PyTorch, for what the contextual operator cannot express. A block is made anew
on the way back, so that more than one of them is never stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..kernels.common.devices import budget
from ..kernels.contextual_similarity.portable import CPU_BLOCK, DEVICE_BLOCK

#: of points (B, n, C) and (B, M, C) the distances (B, n, M)
Distance = Callable[[Tensor, Tensor], Tensor]
#: of affinities (B, n, M) of n rows from the one given on, what is kept of them
Reduction = Callable[[Tensor, int], Tensor]
#: rows of a block at least, else its products are slow
_FEWEST_ROWS = 32


def reduced(x: Tensor, y: Tensor, distance: Distance, bandwidth: float, eps: float, reduction: Reduction) -> list[list[Tensor]]:
    """Points (B, N, C), (B, M, C) -> by samples and, within them, by rows, what `reduction` keeps of the affinities
    p_ij = softmax_j(-d_ij / (bandwidth (min_j d_ij + eps))). Differentiable in x and y."""

    def of_block(rows: Tensor, columns: Tensor, first: int) -> Tensor:
        d = distance(rows, columns)
        nearest = d.min(-1, keepdim=True).values
        return reduction(torch.softmax((nearest - d) / (bandwidth * (nearest + eps)), -1), first)

    blocks = list(_blocks(x, y))
    if len(blocks) == 1 and len(blocks[0]) == 1:
        return [[of_block(*blocks[0][0])]]
    return [[checkpoint(of_block, *block, use_reentrant=False, preserve_rng_state=False) for block in some] for some in blocks]


def _blocks(x: Tensor, y: Tensor) -> Iterator[list[tuple[Tensor, Tensor, int]]]:
    """For some samples at a time, their rows, their columns and the number of the first row."""
    n, m = x.shape[1], y.shape[1]
    most = budget(x, CPU_BLOCK, DEVICE_BLOCK)
    together = max(most // (n * m), 1)
    step = n if n * m <= most else max(most // m, _FEWEST_ROWS)
    # `split`, whose gradient is put together once, where that of slices would be as large as x for each
    for rows, columns in zip(x.split(together), y.split(together)):
        yield [(some, columns, place * step) for place, some in enumerate(rows.split(step, 1))]
