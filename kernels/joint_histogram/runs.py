"""Joint histogram by runs of samples of one pair of tiles, of either kind (axes.py). The samples' order is kept for the backward
pass, 4 bytes each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..common.devices import budget
from ..common.tiles import Runs
from .axes import Axis


class Budget(NamedTuple):
    """How much is done at a time."""

    ordered: int
    """Samples put in order."""
    values: int
    """Numbers that describe samples, or cells of windows."""
    cells: int
    """Cells of the extended histograms of rows that are done together."""


#: torch sorts so many integers by radix, and fewer than a quarter of them by comparison; values stay in the cache
CPU_BUDGET = Budget(1 << 17, 1 << 18, 1 << 20)
#: any other device must be given more at a time than it takes to launch a kernel: 128 MB of float32, chosen and not measured
DEVICE_BUDGET = Budget(1 << 22, 1 << 25, 1 << 25)

Axes = tuple[Axis, Axis]


def rows_together(x: Tensor, axes: Axes) -> Iterator[slice]:
    """Cut the rows of x (B, N)."""
    most = budget(x, CPU_BUDGET, DEVICE_BUDGET)
    rows = max(1, min(most.ordered // x.shape[1], most.cells // (axes[0].extent * axes[1].extent)))
    return (slice(first, first + rows) for first in range(0, len(x), rows))


def samples_together(x: Tensor) -> Iterator[slice]:
    """Cut the samples of a row of x (B, N)."""
    size = budget(x, CPU_BUDGET, DEVICE_BUDGET).ordered
    return (slice(start, start + size) for start in range(0, x.shape[1], size))


class Ordered:
    """Samples (B, N) in runs of one pair of tiles: what describes them, and where runs belong."""

    def __init__(self, samples: Sequence[Tensor], axes: Axes, order: Tensor | None = None) -> None:
        """order: as it was found before, (B * N)."""
        self._axes, self._like = axes, samples[0]
        key, places = torch.arange(len(self._like), device=self._like.device).unsqueeze(1), []
        for axis, x in zip(axes, samples):
            tile, place = axis.locate(x)
            key = torch.add(tile, key, alpha=axis.count)
            places.append(place)
        count, longest = len(self._like) * axes[0].count * axes[1].count, max(axis.size for axis in axes)
        self.runs = Runs.of(key, count, longest, order)
        self.described = [axis.describe(self.runs.gather(place)) for axis, place in zip(axes, places)]

    @property
    def places(self) -> tuple[Tensor, Tensor, Tensor]:
        """Image and tiles of every run."""
        rest, tile_y = self.runs.tiles // self._axes[1].count, self.runs.tiles % self._axes[1].count
        return rest // self._axes[0].count, rest % self._axes[0].count, tile_y

    def pieces(self) -> Iterator[tuple[slice, list[Tensor], list[Tensor]]]:
        """Runs that are done together, what describes their samples on both axes, and their values."""
        sizes = [axis.size for axis in self._axes]
        per_run = max(self.runs.length * max(sizes), sizes[0] * sizes[1])
        step = max(budget(self._like, CPU_BUDGET, DEVICE_BUDGET).values // per_run, 1)
        for start in range(0, len(self.runs.tiles), step):
            piece = slice(start, start + step)
            described = [each[piece] for each in self.described]
            yield piece, described, [axis.values(each) for axis, each in zip(self._axes, described)]


def forward(x: Tensor, y: Tensor, shares: Tensor | None, axes: Axes, order: Tensor) -> Tensor:
    """(B, N), (B, N) -> (B, Kx, Ky); the samples' order is written to `order` (B, N)."""
    if _better_exchanged(axes):
        return forward(y, x, shares, axes[::-1], order).mT.contiguous()
    return torch.cat([_histograms(*_part((x, y, shares, order), (rows,)), axes) for rows in rows_together(x, axes)])


def _better_exchanged(axes: Axes) -> bool:
    """Whether only y's tiles are cells: products with few, strided numbers on the right take ten times as long as on the left."""
    return axes[1].two_tables and not axes[0].two_tables


def _part(tensors: Sequence[Tensor | None], part: tuple[slice, ...]) -> list[Tensor | None]:
    return [None if tensor is None else tensor[part] for tensor in tensors]


def _histograms(x: Tensor, y: Tensor, shares: Tensor | None, order: Tensor, axes: Axes) -> Tensor:
    ax, ay = axes
    strips = Strips(len(x), axes)
    # float64, as a constant image adds all its runs to one window
    sums = x.new_zeros(strips.blocks, strips.block, dtype=torch.float64)
    for part in samples_together(x):
        some_x, some_y, votes, place = _part((x, y, shares, order), (slice(None), part))
        ordered = Ordered([some_x, some_y], axes)
        place.copy_(ordered.runs.order.view(place.shape))
        blocks = strips.blocks_of(ordered.places)
        share = ordered.runs.gather(torch.ones_like(some_x) if votes is None else votes * x.shape[1]).unsqueeze(-1)
        for piece, _described, (p, q) in ordered.pieces():
            windows = torch.matmul((p * share[piece]).mT, q)
            sums.index_add_(0, blocks[piece].flatten(), windows.double().view(-1, strips.block))
    sums *= ax.factor * ay.factor / x.shape[1]
    joint = ax.fold(ay.fold(strips.joined(sums)).mT).mT.to(x.dtype).contiguous()
    return joint.clamp_min_(0) if ax.two_tables or ay.two_tables else joint  # polynomials may be off to either side


class Strips:
    """Windows in memory: for each image and each tile of y a strip of all numbers of x by the window's numbers of y. Windows of one
    strip overlap, `block` numbers after each other, so that each is in one piece."""

    def __init__(self, rows: int, axes: Axes) -> None:
        self._rows, self._axes = rows, axes
        self._along_x = axes[0].extent // axes[0].step
        self.block = axes[0].step * axes[1].size
        self.blocks = rows * axes[1].count * self._along_x

    def first_block(self, places: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Of the windows of image and tiles of x and y."""
        image, tile_x, tile_y = places
        return (image * self._axes[1].count + tile_y) * self._along_x + tile_x

    def blocks_of(self, places: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """All blocks of each window, in order, (windows, size x / step x)."""
        number = torch.arange(self._axes[0].size // self._axes[0].step, device=places[0].device)
        return self.first_block(places).unsqueeze(1) + number

    def joined(self, sums: Tensor) -> Tensor:
        """Strips (blocks, block) -> (B, extent x, extent y), overlapping numbers added."""
        ax, ay = self._axes
        by_tile = sums.view(self._rows, ay.count, ax.extent, ay.size).transpose(1, 2)
        joined = sums.new_zeros(self._rows, ax.extent, ay.extent // ay.step, ay.step)
        for i, part in enumerate(by_tile.split(ay.step, dim=-1)):
            joined[:, :, i : i + ay.count] += part
        return joined.flatten(2)

    def windows(self, extended: Tensor) -> Tensor:
        """(B, extent x, extent y) -> the window that begins at each block, (blocks, size x * size y), a view of strips."""
        ax, ay = self._axes
        strips = extended.unfold(2, ay.size, ay.step).transpose(1, 2).contiguous()
        whole = self.blocks - (ax.size // ax.step - 1)
        return strips.as_strided((whole, ax.size * ay.size), (self.block, 1))


def backward(
    grad: Tensor, x: Tensor, y: Tensor, shares: Tensor | None, axes: Axes, order: Tensor, needs: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients with respect to x, y and shares, empty where not needed."""
    if _better_exchanged(axes):
        grad_y, grad_x, grad_shares = backward(grad.mT, y, x, shares, axes[::-1], order, [needs[1], needs[0], needs[2]])
        return grad_x, grad_y, grad_shares
    grads = [x.new_empty(x.shape if need else 0) for need in needs]
    wanted = [slope if need else None for slope, need in zip(grads, needs)]
    for rows in rows_together(x, axes):
        _gradients(*_part((grad, x, y, shares, order, *wanted), (rows,)), axes)
    return tuple(grads)


def _gradients(
    grad: Tensor, x: Tensor, y: Tensor, shares: Tensor | None, order: Tensor, grad_x: Tensor | None, grad_y: Tensor | None,
    grad_shares: Tensor | None, axes: Axes,
) -> None:  # fmt: skip
    ax, ay = axes
    upstream = _Upstream(grad, axes, x.dtype)
    even = 1 / x.shape[1] if shares is None else 1.0
    factors = [even * ax.slope_factor * ay.factor, even * ax.factor * ay.slope_factor, ax.factor * ay.factor]
    for part in samples_together(x):
        some_x, some_y, votes, place, *results = _part((x, y, shares, order, grad_x, grad_y, grad_shares), (slice(None), part))
        ordered = Ordered([some_x, some_y], axes, place.reshape(-1).long())
        first = upstream.strips.first_block(ordered.places)
        sums = [None if result is None else result.new_empty(len(first), ordered.runs.length) for result in results]
        for piece, (of_x, of_y), (p, q) in ordered.pieces():
            windows = upstream.over(first[piece])
            if sums[1] is not None:
                sums[1][piece] = ay.slopes(of_y, q, ay.along(windows(False, True).mT, p))
            along = None
            if sums[2] is not None:
                along = ax.along(windows(False, False), q)
                sums[2][piece] = (p * along).sum(-1)
            if sums[0] is not None:
                if along is None or ax.two_tables:
                    along = ax.along(windows(True, False), q)
                sums[0][piece] = ax.slopes(of_x, p, along)
        for result, total, factor, is_vote in zip(results, sums, factors, (False, False, True)):
            if result is not None:
                torch.mul(ordered.runs.scatter(total, some_x), factor if votes is None or is_vote else votes * factor, out=result)


class _Upstream:
    """Gradients (B, Kx, Ky) over the windows of all pairs of tiles, as values or slopes meet them."""

    def __init__(self, grad: Tensor, axes: Axes, dtype: torch.dtype) -> None:
        self._grad, self._axes, self._dtype, self.strips = grad, axes, dtype, Strips(len(grad), axes)
        self._tables: dict[tuple[bool, bool], Tensor] = {}

    def over(self, first: Tensor) -> Callable[[bool, bool], Tensor]:
        """The windows (runs, size, size) that begin at these blocks: a function of whether those of slopes are wanted, on either
        axis."""
        gathered: dict[tuple[bool, bool], Tensor] = {}

        def windows(slopes_x: bool, slopes_y: bool) -> Tensor:
            key = slopes_x and self._axes[0].two_tables, slopes_y and self._axes[1].two_tables
            if key not in gathered:
                gathered[key] = self._table(key).index_select(0, first).view(-1, self._axes[0].size, self._axes[1].size)
            return gathered[key]

        return windows

    def _table(self, slopes: tuple[bool, bool]) -> Tensor:
        """`Strips.windows` of them."""
        if slopes not in self._tables:
            ax, ay = self._axes
            extended = ay.expand(ax.expand(self._grad.mT, slopes[0]).mT, slopes[1]).to(self._dtype)
            self._tables[slopes] = self.strips.windows(extended)
        return self._tables[slopes]
