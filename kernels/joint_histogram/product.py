"""Joint histogram as one product of all samples' responses in all bins, P^T diag(s) Q: no order, few operations. For few bins."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from ..common.devices import budget, cores
from ..common.separated import sum_last
from .axes import BinsAxis

#: samples whose products are summed in their own dtype, before float64: of equal samples, as in a constant image, every addition is
#: rounded the same way
RUN = 256
#: responses made at a time: on a CPU, what stays in the cache and in memory that the allocator keeps
CPU_BUDGET, DEVICE_BUDGET = 1 << 17, 1 << 25

#: multiply-adds from which a product takes all cores also where all else is done on one: it takes 80 us on one, and where others
#: are busy they are waited for in three calls and not in a hundred
SHARED = 1 << 22

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

    def along(self, windows: Tensor, wanted: list[bool], threads: int) -> list[Tensor]:
        """Windows (rows, Kx, Ky) met by the other axis's responses, (axes, rows, N, bins) for each group of axes that are the same;
        unwritten where not wanted."""
        groups = [torch.empty_like(values) for values in self._values]
        of_x, of_y = (each for group in groups for each in group)
        with self.threads_for(threads):
            if wanted[0]:
                torch.matmul(self.q, windows.mT, out=of_x)
            if wanted[1]:
                torch.matmul(self.p, windows, out=of_y)
        return groups

    def threads_for(self, threads: int) -> contextlib.AbstractContextManager[None]:
        """Context in which a product of the responses takes so many threads, where it is enough work."""
        many = self.p.numel() * self.q.shape[-1] >= SHARED and threads != torch.get_num_threads()
        return cores(threads) if many else contextlib.nullcontext()

    def slopes(self, along: list[Tensor], wanted: list[bool]) -> list[Tensor | None]:
        """Sums over `along` times slopes, (rows, N) of either axis; `along` is overwritten."""
        if len(self._axes) == 1 and all(wanted):
            return [*self._axes[0].slopes(self._described[0], self._values[0], along[0])]
        of_each = ([each for group in groups for each in group] for groups in (self._described, self._values, along))
        axes = self._axes[0], self._axes[-1]
        return [axis.slopes(*given) if need else None for need, axis, *given in zip(wanted, axes, *of_each)]


def _parts(x: Tensor, y: Tensor, axes: Axes) -> Iterator[tuple[tuple[slice, slice], _Responses]]:
    """Samples that are done together, and their responses."""
    samples = max(1, budget(x, CPU_BUDGET, DEVICE_BUDGET) // max(axis.size for axis in axes))
    rows = max(1, samples // x.shape[1])
    samples = samples if samples < RUN else samples // RUN * RUN
    for first in range(0, len(x), rows):
        for start in range(0, x.shape[1], samples):
            part = slice(first, first + rows), slice(start, start + samples)
            yield part, _Responses(axes, x[part], y[part])


def forward(x: Tensor, y: Tensor, shares: Tensor | None, axes: Axes, threads: int) -> Tensor:
    """(B, N), (B, N) -> (B, Kx, Ky); products may take so many threads."""
    ax, ay = axes
    sums = x.new_zeros(len(x), ax.extent, ay.extent, dtype=torch.float64)
    for part, responses in _parts(x, y, axes):
        p = responses.p if shares is None else responses.p * (shares[part] * x.shape[1]).unsqueeze(-1)
        with responses.threads_for(threads):
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
    grad: Tensor, x: Tensor, y: Tensor, shares: Tensor | None, axes: Axes, needs: list[bool], threads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients with respect to x, y and shares, empty where not needed."""
    ax, ay = axes
    grads = tuple(x.new_empty(x.shape if need else 0) for need in needs)
    upstream = ay.expand(ax.expand(grad.mT, True).mT, True).to(x.dtype)
    even = 1 / x.shape[1] if shares is None else 1.0
    for part, responses in _parts(x, y, axes):
        along = responses.along(upstream[part[0]], [needs[0] or needs[2], needs[1]], threads)
        if needs[2]:
            grads[2][part] = sum_last(responses.p * along[0][0]).mul_(ax.factor * ay.factor)
        slopes = responses.slopes(along, needs[:2])
        for i, factor in enumerate((ax.slope_factor * ay.factor, ax.factor * ay.slope_factor)):
            if needs[i]:
                slope = slopes[i].mul_(even * factor)
                grads[i][part] = slope if shares is None else slope.mul_(shares[part])
    return grads
