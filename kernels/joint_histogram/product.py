"""Joint histogram as one product of all samples' responses in all bins, P^T diag(s) Q: no order, few operations. For few bins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ..common.devices import budget
from ..common.separated import sum_last
from .axes import BinsAxis

#: samples whose products are summed in their own dtype, before float64: of equal samples, as in a constant image, every addition is
#: rounded the same way
RUN = 256
#: responses made at a time: on a CPU, what stays in the cache and in memory that the allocator keeps
CPU_BUDGET, DEVICE_BUDGET = 1 << 18, 1 << 25

Axes = tuple[BinsAxis, BinsAxis]


class _Part(NamedTuple):
    """Samples that are done together, what describes them on both axes, and their responses (rows, samples, bins)."""

    part: tuple[slice, slice]
    described: list[Tensor]
    values: list[Tensor]


def _parts(x: Tensor, y: Tensor, axes: Axes) -> Iterator[_Part]:
    samples = max(1, budget(x, CPU_BUDGET, DEVICE_BUDGET) // max(axis.size for axis in axes))
    rows = max(1, samples // x.shape[1])
    samples = samples if samples < RUN else samples // RUN * RUN
    for first in range(0, len(x), rows):
        for start in range(0, x.shape[1], samples):
            part = slice(first, first + rows), slice(start, start + samples)
            described = [axis.describe(axis.place(each[part])) for axis, each in zip(axes, (x, y))]
            yield _Part(part, described, [axis.values(each) for axis, each in zip(axes, described)])


def forward(x: Tensor, y: Tensor, shares: Tensor | None, axes: Axes) -> Tensor:
    """(B, N), (B, N) -> (B, Kx, Ky)."""
    ax, ay = axes
    sums = x.new_zeros(len(x), ax.extent, ay.extent, dtype=torch.float64)
    for part, _described, (p, q) in _parts(x, y, axes):
        if shares is not None:
            p.mul_((shares[part] * x.shape[1]).unsqueeze(-1))
        _add_products(sums[part[0]], p, q)
    sums *= ax.factor * ay.factor / x.shape[1]
    return ax.fold(ay.fold(sums).mT).mT.to(x.dtype).contiguous()


def _add_products(sums: Tensor, p: Tensor, q: Tensor) -> None:
    """Add the sum over samples of (B, N, Kx) times (B, N, Ky) to (B, Kx, Ky) float64."""
    whole = p.shape[1] // RUN * RUN
    if whole:
        runs = torch.matmul(p[:, :whole].unflatten(1, (-1, RUN)).mT, q[:, :whole].unflatten(1, (-1, RUN)))
        sums += runs.sum(1, dtype=torch.float64)
    if whole < p.shape[1]:
        sums += torch.matmul(p[:, whole:].mT, q[:, whole:])


def backward(
    grad: Tensor, x: Tensor, y: Tensor, shares: Tensor | None, axes: Axes, needs: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients with respect to x, y and shares, empty where not needed."""
    ax, ay = axes
    grads = tuple(x.new_empty(x.shape if need else 0) for need in needs)
    upstream = ay.expand(ax.expand(grad.mT, True).mT, True).to(x.dtype)
    even = 1 / x.shape[1] if shares is None else 1.0
    for part, (of_x, of_y), (p, q) in _parts(x, y, axes):
        windows, votes = upstream[part[0]], 1.0 if shares is None else shares[part]
        if needs[1]:
            slopes = ay.slopes(of_y, q, torch.matmul(p, windows))
            grads[1][part] = slopes.mul_(even * ax.factor * ay.slope_factor).mul_(votes)
        if needs[0] or needs[2]:
            along = torch.matmul(q, windows.mT)
            if needs[2]:
                grads[2][part] = sum_last(p * along).mul_(ax.factor * ay.factor)
            if needs[0]:
                grads[0][part] = ax.slopes(of_x, p, along).mul_(even * ax.slope_factor * ay.factor).mul_(votes)
    return grads
