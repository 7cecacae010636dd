"""Soft histogram by moments of cells (see common/cells.py): what a sample costs depends neither on bins nor on the window. Nothing but
the samples and shares is kept for the backward pass. Windows that are no short polynomials on cells, and tables that would outgrow the
samples, take the way of tiled.py."""

import torch
from torch import Tensor

from ..common.bins import Bins
from ..common.cells import Grid, Table
from . import tiled


def forward(x: Tensor, shares: Tensor | None, bins: Bins) -> Tensor:
    """(B, N) -> (B, K)."""
    if not x.numel():
        return x.new_zeros(len(x), bins.count)
    grid = Grid.covering(bins, x)
    if grid is None:
        return tiled.forward(x, shares, bins)
    histogram = x.new_empty(len(x), bins.count)
    for rows, parts in grid.pieces(x, grid.response):
        samples, votes = x[rows], None if shares is None else shares[rows]
        moments = samples.new_zeros(len(samples), grid.numbers(grid.response), dtype=torch.float64)
        for part in parts:
            _add_moments(moments, grid, samples[:, part], None if votes is None else votes[:, part])
        counts = grid.histogram(moments)
        if shares is None:
            counts /= x.shape[1]
        # a NaN is in the moments of its sample, and shows in all bins, as in the dense formula
        histogram[rows] = counts.masked_fill_(moments.sum(1, keepdim=True).isnan(), torch.nan)
    return histogram


def _add_moments(moments: Tensor, grid: Grid, x: Tensor, shares: Tensor | None) -> None:
    """Add sum s v^j of samples x to the moments of their slots; s is 1 where shares are None."""
    cell, place = grid.locate(x)
    index = grid.index(cell, place, grid.response).long()
    v = place.sub_(0.5)
    power = cell.fill_(1.0) if shares is None else cell.copy_(shares)
    for j in range(grid.response.terms):
        if j:
            power.mul_(v)
        moments[:, j:].scatter_add_(1, index, power)


def backward(grad: Tensor, x: Tensor, shares: Tensor | None, bins: Bins, needs: list[bool]) -> tuple[Tensor, Tensor]:
    """Gradients with respect to x and shares, empty where not needed."""
    grid = Grid.covering(bins, x) if x.numel() else None
    if grid is None:
        return tiled.backward(grad, x, shares, bins, needs)
    grads = grad_x, grad_shares = tuple(x.new_empty(x.shape if need else 0) for need in needs)
    tables = [table for table, need in zip((grid.derivative, grid.response), needs) if need]
    for rows, parts in grid.pieces(x, *tables):
        # what all samples are multiplied by is multiplied into the tables
        factors = bins.scale / x.shape[1] if shares is None else bins.scale, 1.0
        polynomials = [
            grid.polynomials(grad[rows], table).mul_(factor).to(x.dtype)
            for table, factor, need in zip((grid.derivative, grid.response), factors, needs)
            if need
        ]
        for part in parts:
            cell, place = grid.locate(x[rows, part])
            indices = [grid.index(cell, place, table) for table in tables]
            v = place.sub_(0.5).to(x.dtype)
            results = iter(_evaluate(*given, v) for given in zip(polynomials, tables, indices))
            if needs[0]:
                slope = next(results)
                grad_x[rows, part] = slope if shares is None else slope.mul_(shares[rows, part])
            if needs[1]:
                grad_shares[rows, part] = next(results)
    return grads


def _evaluate(polynomials: Tensor, table: Table, index: Tensor, v: Tensor) -> Tensor:
    """The polynomial (B, numbers) of every sample's slot at its v (B, N)."""
    if len(v) > 1:
        index.add_(torch.arange(len(v), dtype=torch.int32, device=v.device).unsqueeze(1) * polynomials.shape[1])
    numbers, index, place = polynomials.view(-1), index.view(-1), v.view(-1)
    value = numbers[table.terms - 1 :].index_select(0, index)
    for j in reversed(range(table.terms - 1)):
        value = torch.addcmul(numbers[j:].index_select(0, index), value, place)
    return value.view(v.shape)
