"""Soft histogram by moments of cells (see common/cells.py): what a sample costs depends neither on bins nor on the window. Nothing
but the samples and shares is kept for the backward pass. Windows that are no short polynomials on cells, and tables that would
outgrow the samples, take the way of tiled.py; few samples and bins that of product.py, which keeps its responses."""

import itertools
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ..common.bins import Bins
from ..common.cells import Grid
from ..common.devices import one_core
from . import product, tiled


def kept(x: Tensor, shares: Tensor | None, bins: Bins) -> list[Tensor]:
    """What few samples and bins hold, see product.py; empty otherwise."""
    return product.held(x, bins)


def forward(x: Tensor, shares: Tensor | None, bins: Bins) -> tuple[Tensor, ...]:
    """(B, N) -> (B, K) and what is kept."""
    held = kept(x, shares, bins)
    if not x.numel():
        return x.new_zeros(len(x), bins.count), *held
    with one_core():
        if held[0].numel():
            return product.forward(x, shares, bins, *held), *held
        grid = Grid.covering(bins, x)
        if grid is not None:
            parts = [_histogram(grid, *given).to(x.dtype) for given in _split(grid.rows(x, grid.response), 0, x, shares)]
            return parts[0] if len(parts) == 1 else torch.cat(parts), *held
    return tiled.forward(x, shares, bins), *held


def _split(size: int, dim: int, *tensors: Tensor | None) -> Iterable[tuple[Tensor | None, ...]]:
    """The tensors cut along a dimension, together; None stays."""
    count = tensors[0].shape[dim]
    if count <= size:
        return [tensors]
    return zip(*(itertools.repeat(None) if tensor is None else tensor.split(size, dim) for tensor in tensors))


def _histogram(grid: Grid, x: Tensor, shares: Tensor | None) -> Tensor:
    """(B, N) -> (B, K) float64, of rows that are done together."""
    moments = x.new_zeros(grid.response.terms, len(x), grid.slots(grid.response), dtype=torch.float64)
    # torch adds along the only dimension sooner than along the last of two
    each, flat = (moments.flatten(1).unbind(), -1) if len(x) == 1 else (moments.unbind(), x.shape)
    for part, votes in _split(grid.samples(x), 1, x, shares):
        cell, place = grid.locate(part)
        slot = grid.slot(cell, place, grid.response).long().view(flat)
        v = place.sub_(0.5)
        power = torch.full_like(v, 1 / x.shape[1]) if votes is None else votes.double()
        for j, moment in enumerate(each):
            power = power * v if j else power
            moment.scatter_add_(-1, slot, power.view(flat))
    # a NaN is in the moments of its sample, and shows in all bins, as in the dense formula
    return grid.histogram(moments).add(moments.sum((0, 2)).unsqueeze(1), alpha=0)


def backward(
    grad: Tensor, x: Tensor, shares: Tensor | None, described: Tensor, values: Tensor, bins: Bins, needs: list[bool]
) -> tuple[Tensor, Tensor]:
    """Gradients with respect to x and shares, empty where not needed."""
    with one_core():
        if described.numel():
            return product.backward(grad, x, shares, bins, described, values, needs)
        grid = Grid.covering(bins, x) if x.numel() else None
        if grid is not None:
            return _gradients(grid, grad, x, shares, needs)
    return tiled.backward(grad, x, shares, bins, needs)


def _gradients(grid: Grid, grad: Tensor, x: Tensor, shares: Tensor | None, needs: list[bool]) -> tuple[Tensor, Tensor]:
    grads = tuple(x.new_empty(x.shape if need else 0) for need in needs)
    wanted = [slope if need else None for slope, need in zip(grads, needs)]
    # what all samples are multiplied by is multiplied into the tables
    scale = grid.bins.scale / x.shape[1] if shares is None else grid.bins.scale
    tables = [given for given, need in zip(((grid.derivative, scale), (grid.response, 1.0)), needs) if need]
    for upstream, *rows in _split(grid.rows(x, *(table for table, _ in tables)), 0, grad, x, shares, *wanted):
        polynomials = [grid.polynomials(upstream, table, factor, x.dtype).unbind() for table, factor in tables]
        for part, votes, *results in _split(grid.samples(x), 1, *rows):
            cell, place = grid.locate(part)
            slots = [grid.slot(cell, place, table) for table, _ in tables]
            v = place.sub_(0.5).to(x.dtype)
            for numbers, slot, result in zip(polynomials, slots, [result for result in results if result is not None]):
                _evaluate(numbers, slot, v, result)
            if votes is not None and results[0] is not None:
                results[0].mul_(votes)
    return grads


def _evaluate(polynomials: Sequence[Tensor], slot: Tensor, v: Tensor, result: Tensor) -> None:
    """Write the polynomial of every sample's slot at its v, (B, N); the coefficients of each power are (B * slots)."""
    if len(v) > 1:
        row = torch.arange(len(v), dtype=torch.int32, device=v.device) * (len(polynomials[0]) // len(v))
        slot = slot + row.unsqueeze(1)
    slot, v, value = slot.view(-1), v.view(-1), None
    for j in reversed(range(len(polynomials))):
        coefficient = polynomials[j].index_select(0, slot)
        value = coefficient if value is None else torch.addcmul(coefficient, value, v, out=None if j else result.view(-1))
