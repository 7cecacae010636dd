"""Earth mover's distance from the soft histogram of samples to a target histogram, as one operator. Formulas are those of
soft_histogram and emd; what is gained by fusing them: README.md beside this file."""

from torch import Tensor

from ..common import arguments
from ..common.bins import Bins, MeasuredBins, as_bins, placed
from ..common.operator import Operator
from ..emd import root_mean
from ..response_sum import check_overlap, counted_once
from . import portable, reference

OPERATOR = Operator(
    "histogram_emd",
    "x shares? target",
    {"bins": Bins, "circular": bool},
    result=lambda x, *_: (x.shape[0],),
    reference=reference,
    portable=portable,
    sampled="x shares",
)


def histogram_emd(
    x: Tensor,
    target: Tensor,
    bins: int | Bins | MeasuredBins = 256,
    *,
    circular: bool = True,
    squared: bool = False,
    weights: Tensor | None = None,
    backend: str | None = None,
) -> Tensor:
    """Earth mover's distance from the soft histogram of the samples on the last dimension to a target (Hue-Net, Eq. 5, 12-14).

    The same as `emd(soft_histogram(x, bins, weights=weights), target, circular=circular)`, or `squared_emd`, in one operator.

    Args:
        x, weights: samples and their votes, (..., N), as for `soft_histogram`.
        target: histogram, (..., K); leading dimensions broadcast against those of x. Differentiable.
        bins: number of bins over [0, 1], or `Bins`; K is their count.
        circular: bins on a circle (Eq. 14), as hues; their boundary is the bins' own affair.
        squared: the raw sum of squares (Eq. 13) instead of its root per bin (Eq. 12).
        backend: as for `soft_histogram`.

    Returns:
        (...), non-negative. At 0 the gradient is 0.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms, unless backend is "reference".

    Example:
        >>> import torch
        >>> from huenet.kernels import Bins, histogram_emd, soft_histogram
        >>> hue = Bins(64, boundary="circular")
        >>> x = torch.full((100,), 0.2, requires_grad=True)
        >>> distance = histogram_emd(x, soft_histogram(torch.full((100,), 0.3), hue), hue)
        >>> distance.backward()
        >>> bool((x.grad < 0).all())  # moving the samples up brings them nearer
        True
    """
    bins = as_bins(bins)
    x, target = _broadcast(x, target, bins.count)
    x, bins = placed(x, bins)
    if not isinstance(squared, bool) or not isinstance(circular, bool):
        raise TypeError(f"circular and squared must be True or False, got {circular!r} and {squared!r}")
    check_overlap(bins)
    (x,), shares = counted_once(arguments.shares(x, weights), [(x, bins)], backend)
    cost = arguments.of_rows(OPERATOR(*map(arguments.rows, (x, shares, target)), bins, circular, backend=backend), x)
    return cost if squared else root_mean(cost, bins.count)


def _broadcast(x: Tensor, target: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Samples (..., N) and target (..., K) over the same leading dimensions, in their common dtype."""
    x, target = arguments.samples("x", x), arguments.samples("target", target)
    if target.shape[-1] != count:
        raise ValueError(f"target must have as many bins as bins says, expected {count}, got {tuple(target.shape)}")
    return arguments.one_batch(x, target, ("x", "target"), 1)
