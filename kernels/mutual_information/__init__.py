"""Mutual information of paired samples from their joint soft histogram (Hue-Net, Eq. 16-18), in nats. Formulas and algorithms:
README.md beside this file."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..common import arguments
from ..common.bins import Bins, MeasuredBins, as_bins_pair, placed
from ..common.operator import Operator
from ..response_sum import counted_once
from . import portable, reference
from .smoothed import smoothed_information

__all__ = ["MutualInformation", "mutual_information", "smoothed_information"]

OPERATOR = Operator(
    "mutual_information",
    "x y shares?",
    {"bins_x": Bins, "bins_y": Bins, "marginals": str},
    result=lambda x, *_: (x.shape[0], 4),
    reference=reference,
    portable=portable,
)


class MutualInformation(NamedTuple):
    """Information and entropies in nats, each of the samples' leading shape.

    Example:
        >>> import torch
        >>> from huenet.kernels import MutualInformation
        >>> joint = torch.tensor([[0.5, 0.0], [0.0, 0.5]])  # each tells the other
        >>> MutualInformation.of_joint(joint).information  # log 2
        tensor(0.6931)
        >>> MutualInformation.of_joint(joint).normalized
        tensor(1.)
    """

    information: Tensor
    joint_entropy: Tensor
    entropy_x: Tensor
    entropy_y: Tensor

    @classmethod
    def of_joint(cls, joint: Tensor) -> "MutualInformation":
        """Of joint histograms (..., Kx, Ky), as by `joint_histogram`: those that are already there, or summed from many.

        Plain PyTorch, differentiable any number of times. Raises TypeError and ValueError that name the argument.
        """
        joint = arguments.samples("joint", joint)
        if joint.dim() < 2:
            raise ValueError(f"joint must have bins on its last two dimensions, got {tuple(joint.shape)}")
        return cls(*reference.information_terms(joint, joint.sum(-1), joint.sum(-2)).unbind(-1))

    @property
    def relative(self) -> Tensor:
        """I / H, one minus the paper's D_MI (Eq. 17); 0 where H is 0. For identical images about 0.5, as soft bins overlap."""
        return _ratio(self.information, self.joint_entropy)

    @property
    def normalized(self) -> Tensor:
        """2 I / (H(x) + H(y)), in [0, 1] for marginals of J; 0 where both entropies are 0."""
        return _ratio(2 * self.information, self.entropy_x + self.entropy_y)

    @property
    def conditional_x(self) -> Tensor:
        """H(x | y) = H - H(y)."""
        return self.joint_entropy - self.entropy_y

    @property
    def conditional_y(self) -> Tensor:
        """H(y | x) = H - H(x)."""
        return self.joint_entropy - self.entropy_x


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    return numerator / denominator.masked_fill(denominator <= 0, torch.inf)  # a NaN is not, and stays


def mutual_information(
    x: Tensor,
    y: Tensor,
    bins: int | Bins | MeasuredBins = 256,
    bins_y: int | Bins | MeasuredBins | None = None,
    *,
    weights: Tensor | None = None,
    marginals: str = "joint",
    backend: str | None = None,
) -> MutualInformation:
    """Mutual information and entropies of paired samples on the last dimension, in nats (Hue-Net, Eq. 16-18).

    Args:
        x, y, bins, bins_y, weights, backend: as for `joint_histogram`.
        marginals: "joint" takes p and q as row and column sums of the joint histogram; "histogram" takes the soft histograms of
            x and y (Eq. 5, the paper). They differ only where an `open` boundary loses mass.

    Returns:
        MutualInformation(information, joint_entropy, entropy_x, entropy_y), each (...), with properties relative (I/H),
        normalized, conditional_x and conditional_y. Empty bins contribute nothing, neither value nor gradient.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms, unless backend is "reference".

    Example:
        >>> import torch
        >>> from huenet.kernels import mutual_information
        >>> x = torch.linspace(0, 1, 1000)
        >>> mi = mutual_information(x, 1 - x, 16)  # inverted, which loses nothing
        >>> print(f"{mi.information:.2f} of {mi.entropy_x:.2f} nats")
        1.30 of 2.65 nats
    """
    if marginals not in ("joint", "histogram"):
        raise ValueError(f"marginals must be 'joint' or 'histogram', got {marginals!r}")
    bins_x, bins_y = as_bins_pair(bins, bins_y)
    x, y = arguments.paired(x, y)
    (x, bins_x), (y, bins_y) = placed(x, bins_x), placed(y, bins_y)
    if marginals != "joint" and (bins_x.normalized or bins_y.normalized):
        raise ValueError(f"marginals must be 'joint' where bins are normalized, got {marginals!r}")
    (x, y), shares = counted_once(arguments.shares(x, weights), [(x, bins_x), (y, bins_y)], backend)
    terms = OPERATOR(*map(arguments.rows, (x, y, shares)), bins_x, bins_y, marginals, backend=backend)
    return MutualInformation(*arguments.of_rows(terms, x).unbind(-1))
