"""Soft histogram by runs of samples of one tile of bins (see common/tiles.py): only the bins within a sample's reach enter, and
nothing but the samples and shares is kept for the backward pass."""

from __future__ import annotations

import torch
from torch import Tensor

from ..common import arguments
from ..common.bins import Bins
from ..common.tiles import Responses, Runs, Tiling, parts


def forward(x: Tensor, shares: Tensor | None, bins: Bins) -> Tensor:
    """(B, N) -> (B, K) by runs of samples of one tile."""
    tiling = Tiling.covering(bins, x)
    # float64, as a constant image adds all its runs to one block
    blocks = x.new_zeros(len(x) * tiling.blocks, tiling.tile, dtype=torch.float64)
    for part in parts(x):
        ordered = _Ordered(x, shares, tiling, part)
        first = ordered.image * tiling.blocks + ordered.tile
        for piece in ordered.runs.pieces(tiling):
            responses = Responses(tiling, ordered.distance[piece])
            windows = torch.bmm((ordered.share[piece] * responses.factor).unsqueeze(1), responses.values).squeeze(1).double()
            for i, block in enumerate(windows.split(tiling.tile, dim=1)):
                blocks.index_add_(0, first[piece] + i, block)
    histogram = tiling.fold(blocks.view(len(x), tiling.blocks * tiling.tile), 1).to(x.dtype)
    return arguments.spread_nan(histogram, x, shares)


def backward(grad: Tensor, x: Tensor, shares: Tensor | None, bins: Bins, needs: list[bool]) -> tuple[Tensor, Tensor]:
    """Gradients with respect to x and shares, empty where not needed."""
    tiling = Tiling.covering(bins, x)
    grad_x, grad_shares = (x.new_empty(x.shape if need else 0) for need in needs)
    # G over the reach of every tile, a view: (B, tiles, reach)
    reaches = tiling.unfold(grad, 1).unfold(1, tiling.reach, tiling.tile)
    for part in parts(x):
        ordered = _Ordered(x, shares, tiling, part)
        slope, response = torch.empty_like(ordered.share), torch.empty_like(ordered.share)
        for piece in ordered.runs.pieces(tiling):
            responses = Responses(tiling, ordered.distance[piece])
            upstream = reaches[ordered.image[piece], ordered.tile[piece]].unsqueeze(-1)
            if needs[0]:
                slope[piece] = torch.bmm(responses.slopes() * (responses.slope_factor * bins.scale), upstream).squeeze(-1)
            if needs[1]:
                response[piece] = torch.bmm(responses.values * responses.factor, upstream).squeeze(-1)
        if needs[0]:
            grad_x[part] = ordered.runs.scatter(slope.mul_(ordered.share), x[part])
        if needs[1]:
            grad_shares[part] = ordered.runs.scatter(response, x[part])
    return grad_x, grad_shares


class _Ordered:
    """A part of the samples in runs of one tile: distances from its centre and shares, (runs, length), and where runs belong."""

    def __init__(self, x: Tensor, shares: Tensor | None, tiling: Tiling, part: tuple[slice, slice]) -> None:
        samples = x[part]
        tile, distance = tiling.locate(samples)
        image = torch.arange(len(samples), device=x.device).unsqueeze(1)
        self.runs = Runs.of(image * tiling.count + tile, len(samples) * tiling.count, tiling.reach)
        self.distance = self.runs.gather(distance)
        self.share = self.runs.gather(torch.full_like(samples, 1 / x.shape[1]) if shares is None else shares[part])
        self.image, self.tile = self.runs.tiles // tiling.count + part[0].start, self.runs.tiles % tiling.count
