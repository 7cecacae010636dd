"""Soft histogram by runs of samples of one tile of bins (see common/tiles.py): only the bins within a sample's reach enter, and
nothing but the samples and shares is kept for the backward pass."""

import torch
from torch import Tensor

from ..common.bins import Bins
from ..common.nonfinite import spread
from ..common.tiles import Ordered, Responses, Tiling, parts


def forward(x: Tensor, shares: Tensor | None, bins: Bins) -> Tensor:
    """(B, N) -> (B, K) by runs of samples of one tile."""
    tiling = Tiling.covering(bins, x)
    # float64, as a constant image adds all its runs to one block
    blocks = x.new_zeros(len(x) * tiling.blocks, tiling.tile, dtype=torch.float64)
    for part in parts(x):
        ordered = Ordered([x], shares, [tiling], part)
        first = ordered.image * tiling.blocks + ordered.tiles[0]
        for piece in ordered.runs.pieces(tiling):
            responses = Responses(tiling, ordered.distances[0][piece])
            windows = torch.bmm((ordered.share[piece] * responses.factor).unsqueeze(1), responses.values).squeeze(1).double()
            for i, block in enumerate(windows.split(tiling.tile, dim=1)):
                blocks.index_add_(0, first[piece] + i, block)
    histogram = tiling.fold(blocks.view(len(x), tiling.blocks * tiling.tile)).to(x.dtype)
    return spread(histogram, shares, (x, bins))


def backward(grad: Tensor, x: Tensor, shares: Tensor | None, bins: Bins, needs: list[bool]) -> tuple[Tensor, Tensor]:
    """Gradients with respect to x and shares, empty where not needed."""
    tiling = Tiling.covering(bins, x)
    grad_x, grad_shares = (x.new_empty(x.shape if need else 0) for need in needs)
    # G over the reach of every tile, a view: (B, tiles, reach)
    reaches = tiling.unfold(grad.to(x.dtype)).unfold(1, tiling.reach, tiling.tile)
    for part in parts(x):
        ordered = Ordered([x], shares, [tiling], part)
        slope, response = torch.empty_like(ordered.share), torch.empty_like(ordered.share)
        for piece in ordered.runs.pieces(tiling):
            responses = Responses(tiling, ordered.distances[0][piece])
            upstream = reaches[ordered.image[piece], ordered.tiles[0][piece]].unsqueeze(-1)
            if needs[0]:
                slope[piece] = torch.bmm(responses.slopes() * (responses.slope_factor * bins.scale), upstream).squeeze(-1)
            if needs[1]:
                response[piece] = torch.bmm(responses.values * responses.factor, upstream).squeeze(-1)
        if needs[0]:
            grad_x[part] = ordered.runs.scatter(slope.mul_(ordered.share), x[part])
        if needs[1]:
            grad_shares[part] = ordered.runs.scatter(response, x[part])
    return grad_x, grad_shares
