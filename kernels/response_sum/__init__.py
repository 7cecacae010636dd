"""The sum of a sample's responses in all bins, by which `Bins(normalized=True)` divides them. Formulas and algorithms: README.md
beside this file."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..common import arguments
from ..common.bins import Bins, MeasuredBins, as_bins, divides_well, placed
from ..common.boundaries import BOUNDARIES
from ..common.limited import limited
from ..common.operator import Operator
from . import portable, reference

#: of the window's peak: the least that responses may be divided by, so that the square of its reciprocal is a float32
_LEAST = 2.0**-56

OPERATOR = Operator(
    "response_sum",
    "x",
    {"bins": Bins},
    result=lambda x, bins: x.shape,
    reference=reference,
    portable=portable,
)


def response_sum(x: Tensor, bins: int | Bins | MeasuredBins = 256, *, backend: str | None = None) -> Tensor:
    """The sum over bins of each sample's responses: what of a sample is counted at all.

    Args:
        x: samples, (..., N), floating; half precision is computed and returned in float32.
        bins, backend: as for `soft_histogram`. `bins.normalized` makes no difference.

    Returns:
        (..., N): about 1 inside the range for windows that sum to one, and falling to 0 beyond an `open` boundary. A NaN makes its
        row NaN.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms, unless backend is "reference".

    Example:
        >>> import torch
        >>> from huenet.kernels import Bins, response_sum
        >>> response_sum(torch.tensor([0.5, 0.0, -1.0]), Bins(8, window="triangular"))
        tensor([1.0000, 0.5000, 0.0000])
    """
    x, bins = placed(arguments.samples("x", x), as_bins(bins))
    return arguments.of_rows(OPERATOR(arguments.rows(x), bins, backend=backend), x)


def counted_once(
    shares: Tensor | None, axes: Sequence[tuple[Tensor, Bins]], backend: str | None
) -> tuple[list[Tensor], Tensor | None]:
    """Samples (..., N) on every axis and their shares, such that responses are divided by their sums where bins are normalized."""
    samples = []
    for x, bins in axes:
        if bins.normalized:
            if bins.overlap < _LEAST:
                _refuse(bins)
            x = _within(x, bins)
            total = arguments.of_rows(OPERATOR(arguments.rows(x), bins, backend=backend), x)
            counted = torch.where(total == 0, 0, 1 / torch.where(total == 0, 1, total))  # a NaN is not, and stays
            shares = counted / x.shape[-1] if shares is None else shares * counted
        samples.append(x)
    return samples, shares


def _within(x: Tensor, bins: Bins) -> Tensor:
    """Samples brought to where responses have a sum: the range, or with mirror images it and as much on either side."""
    if BOUNDARIES[bins.boundary].periodic:
        return x
    beyond = BOUNDARIES[bins.boundary].beyond * (bins.high - bins.low)
    return limited(x, bins.low - beyond, bins.high + beyond)


def check_overlap(bins: Bins) -> None:
    """ValueError where a single histogram's moments of cells would be too coarse for what responses are divided by."""
    if not divides_well(bins):
        _refuse(bins, " (joint histograms take narrower ones)")


def _refuse(bins: Bins, remark: str = "") -> None:
    raise ValueError(f"bins.bandwidth must be such that neighbouring windows overlap where bins are normalized{remark}, got {bins}")
