"""Joint histogram as one product of all samples' responses in all bins, P^T diag(s) Q: no order, few operations. For few bins."""

from __future__ import annotations

from collections.abc import Iterator

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


class _Responses:
    """Of samples (rows, N) of both axes, in one go where the axes are the same."""

    def __init__(self, axes: Axes, x: Tensor, y: Tensor) -> None:
        groups = [(axes[0], torch.stack([x, y]))] if axes[0] is axes[1] else [*zip(axes, (x.unsqueeze(0), y.unsqueeze(0)))]
        self._axes = [axis for axis, _ in groups]
        self._described = [axis.describe(axis.place(samples)) for axis, samples in groups]
        self._values = [axis.values(described) for axis, described in zip(self._axes, self._described)]
        #: (rows, N, bins)
        self.p, self.q = (each for values in self._values for each in values)

    def slopes(self, along_x: Tensor | None, along_y: Tensor | None) -> list[Tensor | None]:
        """Sums over `along` (rows, N, bins) times slopes, (rows, N), where wanted; `along` is overwritten."""
        if len(self._axes) == 1 and along_x is not None and along_y is not None:
            return [*self._axes[0].slopes(self._described[0], self._values[0], torch.stack([along_x, along_y]))]
        found = []
        for i, along in enumerate((along_x, along_y)):
            group = min(i, len(self._axes) - 1)
            described, values = (each[group][i - group] for each in (self._described, self._values))
            found.append(None if along is None else self._axes[group].slopes(described, values, along))
        return found


def _parts(x: Tensor, y: Tensor, axes: Axes) -> Iterator[tuple[tuple[slice, slice], _Responses]]:
    """Samples that are done together, and their responses."""
    samples = max(1, budget(x, CPU_BUDGET, DEVICE_BUDGET) // max(axis.size for axis in axes))
    rows = max(1, samples // x.shape[1])
    samples = samples if samples < RUN else samples // RUN * RUN
    for first in range(0, len(x), rows):
        for start in range(0, x.shape[1], samples):
            part = slice(first, first + rows), slice(start, start + samples)
            yield part, _Responses(axes, x[part], y[part])


def forward(x: Tensor, y: Tensor, shares: Tensor | None, axes: Axes) -> Tensor:
    """(B, N), (B, N) -> (B, Kx, Ky)."""
    ax, ay = axes
    sums = x.new_zeros(len(x), ax.extent, ay.extent, dtype=torch.float64)
    for part, responses in _parts(x, y, axes):
        p = responses.p if shares is None else responses.p * (shares[part] * x.shape[1]).unsqueeze(-1)
        _add_products(sums[part[0]], p, responses.q)
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
    for part, responses in _parts(x, y, axes):
        p, q, windows = responses.p, responses.q, upstream[part[0]]
        along_x = torch.matmul(q, windows.mT) if needs[0] or needs[2] else None
        if needs[2]:
            grads[2][part] = sum_last(p * along_x).mul_(ax.factor * ay.factor)
        along_y = torch.matmul(p, windows) if needs[1] else None
        slopes = responses.slopes(along_x if needs[0] else None, along_y)
        for i, factor in enumerate((ax.slope_factor * ay.factor, ax.factor * ay.slope_factor)):
            if needs[i]:
                slope = slopes[i].mul_(even * factor)
                grads[i][part] = slope if shares is None else slope.mul_(shares[part])
    return grads
