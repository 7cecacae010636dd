"""Soft histogram of samples (Hue-Net, Eq. 5). Formulas and algorithms: README.md beside this file."""

from torch import Tensor

from ..common import arguments
from ..common.bins import Bins, MeasuredBins, as_bins, placed
from ..common.operator import Operator
from ..response_sum import check_overlap, counted_once
from . import portable, reference

OPERATOR = Operator(
    "soft_histogram",
    "x shares?",
    {"bins": Bins},
    result=lambda x, shares, bins: (x.shape[0], bins.count),
    reference=reference,
    portable=portable,
)


def soft_histogram(
    x: Tensor, bins: int | Bins | MeasuredBins = 256, *, weights: Tensor | None = None, backend: str | None = None
) -> Tensor:
    """Differentiable histogram of the samples on the last dimension: the mean response of each bin (Hue-Net, Eq. 5).

    Args:
        x: samples, (..., N), floating; half precision is computed and returned in float32. Values outside the bins' range are
            treated as `Bins` says; a NaN sample makes its whole histogram NaN.
        bins: number of bins over [0, 1], or `Bins`; `Bins.of(x, count)` for the samples' own range.
        weights: non-negative votes, or a boolean mask, broadcastable to x, normalised to mean 1 over the samples; differentiable.
            Where they sum to zero the histogram and its gradients are zero. Negative ones are not refused: the formula stands.
        backend: "triton" (fused kernels, for GPUs; not run on one yet), "torch" (moments of cells, any device) or "reference"
            (dense PyTorch, whose backward pass autocast may round). None is "triton" on a GPU, or "torch" with a warning where
            that cannot serve, and "torch" elsewhere.

    Returns:
        (..., K), non-negative, summing to 1 but for what an `open` boundary loses. No samples give zeros.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms, unless backend is "reference".

    Example:
        >>> import torch
        >>> from huenet.kernels import Bins, soft_histogram
        >>> x = torch.tensor([0.1, 0.1, 0.6])
        >>> soft_histogram(x, Bins(4, window="triangular", boundary="reflect"))
        tensor([0.6667, 0.0333, 0.3000, 0.0000])
    """
    x, bins = placed(arguments.samples("x", x), as_bins(bins))
    check_overlap(bins)
    (x,), shares = counted_once(arguments.shares(x, weights), [(x, bins)], backend)
    histogram = OPERATOR(arguments.rows(x), arguments.rows(shares), bins, backend=backend)
    return arguments.of_rows(histogram, x)
