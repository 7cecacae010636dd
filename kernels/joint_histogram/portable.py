"""Joint histogram in plain PyTorch, in the way that is the least work (ways.py): one product of all responses (product.py), or runs
of samples of one pair of tiles (runs.py), each described by its responses in reach or by polynomials (axes.py). Samples and shares
are kept for the backward pass, and their order where there is one."""

from typing import Any

import torch
from torch import Tensor

from ..common.bins import Bins
from ..common.bins_axis import bins_axis
from ..common.devices import one_core
from ..common.nonfinite import spread
from . import product, runs
from .axes import Axis
from .ways import Way, way_for

#: samples up to which other cores would be waited for longer than they help, and in one product the responses on an axis
FEW, FEW_RESPONSES = 1 << 13, 1 << 17


def _axes(way: Way | None, bins_x: Bins, bins_y: Bins, x: Tensor, y: Tensor) -> tuple[Axis, Axis]:
    return (bins_axis(bins_x, x, True), bins_axis(bins_y, y, True)) if way is None else way.axes(bins_x, bins_y, x, y)


def _is_few(way: Way | None, bins_x: Bins, bins_y: Bins, x: Tensor) -> bool:
    return x.numel() <= FEW and (way is not None or x.numel() * max(bins_x.count, bins_y.count) <= FEW_RESPONSES)


def kept(x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins, hold: bool = True) -> list[Tensor]:
    """The order of every row's samples, (B, N) int32, 0 where the way has none, as shapes must not depend on the way; and what one
    product of few samples and bins holds."""
    return [torch.zeros_like(x, dtype=torch.int32), *product.held(x, bins_x, bins_y, hold)]


def forward(x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins, hold: bool = True) -> tuple[Tensor, ...]:
    """(B, N), (B, N) -> (B, Kx, Ky) and what is kept; without `hold`, never more than the samples' order."""
    order, *held = kept(x, y, shares, bins_x, bins_y, hold)
    if not x.numel():
        return x.new_zeros(len(x), bins_x.count, bins_y.count), order, *held
    threads, way = torch.get_num_threads(), None if held[0].numel() else way_for(bins_x, bins_y, x)
    with one_core(_is_few(way, bins_x, bins_y, x)):
        axes = _axes(way, bins_x, bins_y, x, y)
        if way is None:
            return product.forward(x, y, shares, axes, held, threads), order, *held
        return spread(runs.forward(x, y, shares, axes, order), shares, (x, bins_x), (y, bins_y)), order, *held


def backward(
    grad: Tensor, x: Tensor, y: Tensor, shares: Tensor | None, order: Tensor, *held_and_settings: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients with respect to x, y and shares, empty where not needed."""
    *held, bins_x, bins_y, needs = held_and_settings
    if not x.numel():
        return tuple(x.new_empty(x.shape if need else 0) for need in needs)
    threads, way = torch.get_num_threads(), None if held[0].numel() else way_for(bins_x, bins_y, x)
    with one_core(_is_few(way, bins_x, bins_y, x)):
        axes = _axes(way, bins_x, bins_y, x, y)
        if way is None:
            return product.backward(grad, x, y, shares, axes, held, needs, threads)
        return runs.backward(grad, x, y, shares, axes, order, needs)
