"""Joint histogram as one product of all samples' responses in all bins, P^T diag(s) Q: no order, few operations. For few bins.
Where they are few numbers, responses are held from the forward to the backward pass."""

from __future__ import annotations

import contextlib
import itertools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..common.bins import Bins
from ..common.bins_axis import BinsAxis, held_shapes
from ..common.devices import budget, cores
from ..common.separated import sum_last

#: multiply-adds of a row up to which one product is soonest done, its responses held, and numbers that are held at most: 8 MB in
#: float32
SMALL, HELD = 1 << 24, 1 << 21
#: samples whose products are summed in their own dtype, before float64: of equal samples, as in a constant image, every addition is
#: rounded the same way
RUN = 256
#: responses made at a time: on a CPU, what stays in the cache and in memory that the allocator keeps
CPU_BUDGET, DEVICE_BUDGET = 1 << 17, 1 << 25

#: multiply-adds from which a product takes all cores also where all else is done on one: it takes 80 us on one, and where others
#: are busy they are waited for in three calls and not in a hundred
SHARED = 1 << 22

Axes = tuple[BinsAxis, BinsAxis]


def held(x: Tensor, bins_x: Bins, bins_y: Bins, hold: bool) -> list[Tensor]:
    """Room for what describes samples x (B, N), and for their responses, of either axis or of both at once where their bins are the
    same: empty where that is not held. By shapes alone; where there is room, this is the way."""
    axes, both = ((bins_x,), 2) if bins_x == bins_y else ((bins_x, bins_y), 1)
    shapes = [held_shapes(bins, x, both) for bins in axes] if hold else [None]
    rooms = [] if None in shapes else [shape for pair in shapes for shape in pair]
    if not rooms or x.shape[1] * rooms[1][-1] * rooms[-1][-1] > SMALL or sum(map(math.prod, rooms)) > HELD:
        rooms = [(0,)] * (2 * len(axes))
    return [x.new_empty(shape) for shape in rooms]


class _Responses(NamedTuple):
    """Of samples (rows, N) of both axes, made in one go where the axes are the same."""

    axes: Axes
    described: tuple[Tensor, Tensor]
    #: (rows, N, bins)
    values: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, axes: Axes, x: Tensor, y: Tensor, held: list[Tensor]) -> _Responses:
        """Written to what is `held`, if it has room."""
        same = axes[0] is axes[1]
        groups = [(axes[0], torch.stack([x, y]))] if same else [*zip(axes, (x.unsqueeze(0), y.unsqueeze(0)))]
        rooms = held if held and held[0].numel() else [None] * 4
        described, values = [], []
        for i, (axis, samples) in enumerate(groups):
            described.append(axis.describe_all(samples, rooms[2 * i]))
            values.append(axis.values(described[-1], rooms[2 * i + 1]))
        return cls._unbound(axes, described, values)

    @classmethod
    def again(cls, axes: Axes, held: list[Tensor]) -> _Responses:
        """Those that were written."""
        return cls._unbound(axes, [described.movedim(0, -1) for described in held[::2]], held[1::2])

    @classmethod
    def _unbound(cls, axes: Axes, described: list[Tensor], values: list[Tensor]) -> _Responses:
        each = (tuple(one for group in groups for one in group) for groups in (described, values))
        return cls(axes, *each)

    def along(self, windows: Tensor, i: int, threads: int) -> Tensor:
        """Windows (rows, Kx, Ky) met by the responses of the other axis than i, (rows, N, bins)."""
        with self.threads_for(threads):
            return torch.matmul(self.values[1 - i], windows if i else windows.mT)

    def threads_for(self, threads: int) -> contextlib.AbstractContextManager[None]:
        """Context in which a product of the responses takes so many threads, where it is enough work."""
        many = self.values[0].numel() * self.values[1].shape[-1] >= SHARED and threads != torch.get_num_threads()
        return cores(threads) if many else contextlib.nullcontext()

    def slopes(self, along: Tensor, i: int) -> Tensor:
        """Sums over `along` times slopes of axis i, (rows, N); `along` is overwritten."""
        return self.axes[i].slopes(self.described[i], self.values[i], along)


def _parts(x: Tensor, axes: Axes) -> list[tuple[slice, slice]]:
    """Samples that are done together."""
    samples = max(1, budget(x, CPU_BUDGET, DEVICE_BUDGET) // max(axis.size for axis in axes))
    rows = max(1, samples // x.shape[1])
    samples = samples if samples < RUN else samples // RUN * RUN
    starts = itertools.product(range(0, len(x), rows), range(0, x.shape[1], samples))
    return [(slice(first, first + rows), slice(start, start + samples)) for first, start in starts]


def forward(x: Tensor, y: Tensor, shares: Tensor | None, axes: Axes, held: list[Tensor], threads: int) -> Tensor:
    """(B, N), (B, N) -> (B, Kx, Ky), responses written to what is held; products may take so many threads."""
    ax, ay = axes
    if held[0].numel():
        sums = _sums(_Responses.of(axes, x, y, held), shares, x.shape[1], threads)
    else:
        sums = x.new_zeros(len(x), ax.extent, ay.extent, dtype=torch.float64)
        for part in _parts(x, axes):
            votes = None if shares is None else shares[part]
            sums[part[0]] += _sums(_Responses.of(axes, x[part], y[part], []), votes, x.shape[1], threads)
    sums *= ax.factor * ay.factor / x.shape[1]
    return ax.fold(ay.fold(sums).mT).mT.to(x.dtype).contiguous()


def _sums(responses: _Responses, shares: Tensor | None, samples: int, threads: int) -> Tensor:
    """The sum over samples of their responses' products and shares, of so many samples, (rows, Kx, Ky) float64."""
    p, q = responses.values
    if shares is not None:
        p = p * (shares * samples).unsqueeze(-1)
    whole = p.shape[1] // RUN * RUN
    with responses.threads_for(threads):
        rest = torch.matmul(p[:, whole:].mT, q[:, whole:]).double() if whole < p.shape[1] else None
        if not whole:
            return rest
        runs = torch.matmul(p[:, :whole].unflatten(1, (-1, RUN)).mT, q[:, :whole].unflatten(1, (-1, RUN)))
    sums = runs.sum(1, dtype=torch.float64)
    return sums if rest is None else sums.add_(rest)


def backward(
    grad: Tensor, x: Tensor, y: Tensor, shares: Tensor | None, axes: Axes, held: list[Tensor], needs: list[bool], threads: int
) -> tuple[Tensor, ...]:
    """Gradients with respect to x, y and shares, empty where not needed."""
    ax, ay = axes
    upstream = ay.expand(ax.expand(grad.mT, True).mT, True).to(x.dtype) * (ax.factor * ay.factor)
    if held[0].numel():
        return tuple(_gradients(upstream, _Responses.again(axes, held), shares, x.shape[1], needs, threads))
    grads = tuple(x.new_empty(x.shape if need else 0) for need in needs)
    for part in _parts(x, axes):
        responses, votes = _Responses.of(axes, x[part], y[part], []), None if shares is None else shares[part]
        for whole, grad_part, need in zip(
            grads, _gradients(upstream[part[0]], responses, votes, x.shape[1], needs, threads), needs
        ):
            if need:
                whole[part] = grad_part
    return grads


def _gradients(
    windows: Tensor, responses: _Responses, shares: Tensor | None, samples: int, needs: list[bool], threads: int
) -> list[Tensor]:
    """Of so many samples, those of a part; `windows` is the gradient of the sums."""
    grads = [windows.new_empty(0) for _ in needs]
    for i, axis in enumerate(responses.axes):
        if not (needs[i] or (needs[2] and i == 0)):
            continue
        along = responses.along(windows, i, threads)
        if needs[2] and i == 0:
            grads[2] = sum_last(responses.values[0] * along)
        if needs[i]:
            slopes = responses.slopes(along, i).mul_(axis.slope_factor / axis.factor / (samples if shares is None else 1))
            grads[i] = slopes if shares is None else slopes.mul_(shares)
        del along  # before the other axis', in whose memory the cache still is
    return grads
