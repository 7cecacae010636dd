"""Hard histograms: every sample in one bin."""

import torch
from torch import Tensor

from ..kernels import Bins


def count_cells(cell: Tensor, weights: Tensor, cells: int) -> Tensor:
    """Sum of `weights` (B, N) by `cell` (B, N): (B, cells)."""
    offset = cells * torch.arange(len(cell), device=cell.device)[:, None]
    counts = torch.bincount((cell + offset).flatten(), weights.flatten(), minlength=cells * len(cell))
    return counts.reshape(len(cell), cells)


def hard_joint_histogram(x: Tensor, y: Tensor, bins_x: Bins, bins_y: Bins, weights: Tensor | None = None) -> Tensor:
    """Joint counts (B, Kx, Ky) over their sum, of paired samples (B, N) and weights (B, N); float64, 0 where there is nothing to
    count, NaN where a sample is.

    A sample counts in the bin that it lies in, as for `numpy.histogram`: at `high` in the last. Outside of the range it does not
    count, but around a circle, and mirrored at a boundary that reflects.
    """
    (of_x, keep_x), (of_y, keep_y) = _bin(x, bins_x), _bin(y, bins_y)
    votes = torch.ones_like(x, dtype=torch.float64) if weights is None else weights.double()
    total = votes.sum(-1)[:, None, None]
    votes = torch.where(x.isnan() | y.isnan(), torch.nan, torch.where(keep_x & keep_y, votes, 0.0))
    counts = count_cells(of_x * bins_y.count + of_y, votes, bins_x.count * bins_y.count)
    counts = counts.unflatten(1, (bins_x.count, bins_y.count))
    counts = torch.where(counts.isnan().any(2, True).any(1, True), torch.nan, counts)  # a NaN is in no bin
    return torch.where(total == 0, 0.0, counts / torch.where(total == 0, 1.0, total))


def _bin(x: Tensor, bins: Bins) -> tuple[Tensor, Tensor]:
    """The number of each sample's bin, and whether it lies in one."""
    t = bins.coordinate(x)
    if bins.boundary == "reflect":
        t = torch.where(t < 0, -t, torch.where(t > bins.count, 2 * bins.count - t, t))
    return t.nan_to_num(0.0).floor().clamp(0, bins.count - 1).long(), (t >= 0) & (t <= bins.count)
