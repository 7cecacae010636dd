"""The soft histogram, then the earth mover's distance: one after the other, of which the histogram is kept."""

from types import ModuleType

from torch import Tensor

from ..common.bins import Bins
from ..emd import portable as emd
from ..soft_histogram import portable as soft_histogram


def kept(x: Tensor, shares: Tensor | None, target: Tensor, bins: Bins, circular: bool) -> list[Tensor]:
    """The histogram."""
    return [x.new_empty(len(x), bins.count)]


def forward(
    x: Tensor, shares: Tensor | None, target: Tensor, bins: Bins, circular: bool, histograms: ModuleType = soft_histogram
) -> tuple[Tensor, Tensor]:
    """(B, N), (B, K) -> squared distances (B,) and what is kept; histograms by the backend given."""
    histogram = histograms.forward(x, shares, bins)
    return emd.forward(histogram, target, circular), histogram


def backward(
    grad: Tensor, x: Tensor, shares: Tensor | None, target: Tensor, histogram: Tensor, bins: Bins, circular: bool,
    needs: list[bool], histograms: ModuleType = soft_histogram,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients with respect to x, shares and target, empty where not needed."""
    needs_x, needs_shares, needs_target = needs
    of_histogram, of_target = emd.backward(grad, histogram, target, circular, [needs_x or needs_shares, needs_target])
    if not (needs_x or needs_shares):
        return x.new_empty(0), x.new_empty(0), of_target
    return *histograms.backward(of_histogram, x, shares, bins, [needs_x, needs_shares]), of_target
