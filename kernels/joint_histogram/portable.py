"""Joint histogram by runs of samples of one pair of tiles of bins (see common/tiles.py): about 600 of 65,536 multiply-adds a sample
at K = 256, and nothing of size N x K. Only samples and shares are kept for the backward pass."""

import itertools

import torch
from torch import Tensor

from ..common.bins import Bins
from ..common.nonfinite import spread
from ..common.tiles import Ordered, Responses, joint_tilings, parts


def forward(x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins) -> Tensor:
    """(B, N), (B, N) -> (B, Kx, Ky) by runs of one pair of tiles."""
    tilings = tx, ty = joint_tilings(bins_x, bins_y, x, y)
    # float64, as a constant image adds all its runs to one block
    blocks = x.new_zeros(len(x) * tx.blocks * ty.blocks, tx.tile * ty.tile, dtype=torch.float64)
    for part in parts(x):
        ordered = Ordered([x, y], shares, tilings, part)
        first = (ordered.image * tx.blocks + ordered.tiles[0]) * ty.blocks + ordered.tiles[1]
        for piece in ordered.runs.pieces(tx, ty):
            p, q = (Responses(tiling, distance[piece]) for tiling, distance in zip(tilings, ordered.distances))
            weighted = p.values.mul_((ordered.share[piece] * (p.factor * q.factor)).unsqueeze(-1))
            windows = torch.bmm(weighted.mT, q.values)
            for i, j in itertools.product(range(tx.reach // tx.tile), range(ty.reach // ty.tile)):
                block = windows[:, i * tx.tile : (i + 1) * tx.tile, j * ty.tile : (j + 1) * ty.tile]
                blocks.index_add_(0, first[piece] + (i * ty.blocks + j), block.double().flatten(1))
    extended = blocks.view(len(x), tx.blocks, ty.blocks, tx.tile, ty.tile).transpose(2, 3)
    extended = extended.reshape(len(x), tx.blocks * tx.tile, ty.blocks * ty.tile)
    histogram = ty.fold(tx.fold(extended, 1), 2).to(x.dtype)
    return spread(histogram, shares, (x, bins_x), (y, bins_y))


def backward(
    grad: Tensor, x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins, needs: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients with respect to x, y and shares, empty where not needed."""
    tilings = tx, ty = joint_tilings(bins_x, bins_y, x, y)
    grads = tuple(x.new_empty(x.shape if need else 0) for need in needs)
    # G over the reach of every pair of tiles, a view: (B, tiles x, tiles y, reach x, reach y)
    reaches = ty.unfold(tx.unfold(grad, 1), 2).unfold(1, tx.reach, tx.tile).unfold(2, ty.reach, ty.tile)
    for part in parts(x):
        ordered = Ordered([x, y], shares, tilings, part)
        slopes = [torch.empty_like(ordered.share) if need else None for need in needs]
        for piece in ordered.runs.pieces(tx, ty):
            p, q = (Responses(tiling, distance[piece]) for tiling, distance in zip(tilings, ordered.distances))
            upstream = reaches[ordered.image[piece], ordered.tiles[0][piece], ordered.tiles[1][piece]]
            along_x = torch.bmm(q.values, upstream.mT) if needs[0] or needs[2] else None
            if needs[2]:
                slopes[2][piece] = torch.linalg.vecdot(p.values, along_x).mul_(p.factor * q.factor)
            if needs[1]:
                along_y = torch.bmm(p.values, upstream)
                slopes[1][piece] = torch.linalg.vecdot(q.slopes(), along_y).mul_(p.factor * q.slope_factor * bins_y.scale)
            if needs[0]:
                slopes[0][piece] = torch.linalg.vecdot(p.slopes(), along_x).mul_(p.slope_factor * q.factor * bins_x.scale)
        for grad_part, slope, share in zip(grads, slopes, (ordered.share, ordered.share, None)):
            if slope is not None:
                grad_part[part] = ordered.runs.scatter(slope if share is None else slope.mul_(share), x[part])
    return grads
