"""The soft histogram's and the earth mover's distance's references, one after the other."""

from torch import Tensor

from ..common.bins import Bins
from ..common.nonfinite import spoil
from ..emd import reference as emd
from ..soft_histogram import reference as soft_histogram


def forward(x: Tensor, shares: Tensor | None, target: Tensor, bins: Bins, circular: bool) -> Tensor:
    """(..., N), (..., K) -> (...): squared distances; shares sum to one."""
    return spoil(emd.forward(soft_histogram.forward(x, shares, bins), target, circular), 0, x, shares, target)
