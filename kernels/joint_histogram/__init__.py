"""Joint soft histogram of paired samples (Hue-Net, Eq. 23-24). Formulas and algorithms: README.md beside this file."""

from torch import Tensor

from ..common import arguments
from ..common.bins import Bins, MeasuredBins, as_bins_pair, placed
from ..common.operator import Operator
from ..response_sum import counted_once
from . import portable, reference

OPERATOR = Operator(
    "joint_histogram",
    "x y shares?",
    {"bins_x": Bins, "bins_y": Bins},
    result=lambda x, y, shares, bins_x, bins_y: (x.shape[0], bins_x.count, bins_y.count),
    reference=reference,
    portable=portable,
)


def joint_histogram(
    x: Tensor,
    y: Tensor,
    bins: int | Bins | MeasuredBins = 256,
    bins_y: int | Bins | MeasuredBins | None = None,
    *,
    weights: Tensor | None = None,
    backend: str | None = None,
) -> Tensor:
    """Differentiable joint histogram of paired samples on the last dimension (Hue-Net, Eq. 23-24).

    Args:
        x, y: samples, (..., N) with the same N and leading dimensions that broadcast; floating. Half precision is computed and
            returned in float32. A NaN sample makes its whole joint histogram NaN.
        bins, bins_y: bins of x and of y. `bins_y` None repeats `bins`; an int is `bins` with that count.
        weights: non-negative votes of the pairs, or a boolean mask, broadcastable to x, normalised to mean 1; where they sum to
            zero the histogram and its gradients are zero.
        backend: "triton" (fused kernels, for GPUs; not run on one yet), "torch" (any device) or "reference" (dense
            PyTorch, whose backward pass autocast may round). None is "triton" on a GPU, or "torch" with a warning where that cannot
            serve, and "torch" elsewhere.

    Returns:
        (..., Kx, Ky), non-negative, summing to 1 but for what `open` boundaries lose.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms, unless backend is "reference".

    Example:
        >>> import torch
        >>> from huenet.kernels import Bins, joint_histogram
        >>> x, y = torch.tensor([0.1, 0.1, 0.6]), torch.tensor([0.9, 0.9, 0.4])
        >>> joint_histogram(x, y, Bins(2, window="box"))
        tensor([[0.0000, 0.6667],
                [0.3333, 0.0000]])
    """
    bins_x, bins_y = as_bins_pair(bins, bins_y)
    x, y = arguments.paired(x, y)
    (x, bins_x), (y, bins_y) = placed(x, bins_x), placed(y, bins_y)
    (x, y), shares = counted_once(arguments.shares(x, weights), [(x, bins_x), (y, bins_y)], backend)
    joint = OPERATOR(*map(arguments.rows, (x, y, shares)), bins_x, bins_y, backend=backend)
    return arguments.of_rows(joint, x)
