"""Metrics of pairs of images, gathered over batches and processes."""

from __future__ import annotations

import abc
from typing import Any, Literal

import torch
from torch import Tensor

from ..color import NO_HUE, color_weights, mean_chroma, rgb_to_hsv
from ..kernels import Bins, MutualInformation, emd, joint_histogram, soft_histogram
from ..kernels.common import arguments
from ..kernels.common.bins import as_bins_pair
from .counting import hard_joint_histogram
from .hue import hue_histogram, hue_joint_histogram
from .standalone import Metric

Of = Literal["images", "dataset"]


class _OfPairs(Metric):
    """A number that a histogram of a pair of images tells.

    ``of``: "images" is the mean over the pairs of each one's number; "dataset" is the number of one histogram, that of the samples
    of all pairs. Either way the states are sums in float64: over batches, and in `compute` over the processes. ``options``: those
    of `torchmetrics.Metric`, such as ``process_group``.

    Pairs without votes do not count; of no pairs at all, `compute` is NaN.
    """

    total: Tensor
    pairs: Tensor
    histogram: Tensor
    votes: Tensor

    is_differentiable = False
    full_state_update = False

    def __init__(self, shape: tuple[int, ...], of: Of, **options: Any) -> None:
        super().__init__(**options)
        if of not in ("images", "dataset"):
            raise ValueError(f"of must be 'images' or 'dataset', got {of!r}")
        self.of = of
        votes = (*shape[:-1], 1)
        for name, size in (("total", ()), ("pairs", ())) if of == "images" else (("histogram", shape), ("votes", votes)):
            self.add_state(name, torch.zeros(size, dtype=torch.float64, device="cpu"), dist_reduce_fx="sum", persistent=True)

    def _add(self, histogram: Tensor, votes: Tensor) -> None:
        """Histograms (B, ..., K) of pairs, and the votes (B, ..., 1) that they are shares of."""
        if self.of == "images":
            counts = ~(votes == 0).flatten(1).any(1)  # a NaN counts, and shows
            values = torch.where(counts, self._value(histogram).double(), 0.0)
            self.total = self.total + values.sum().to(self.total.device)
            self.pairs = self.pairs + counts.sum().to(self.pairs.device)
        else:
            counted = torch.where(votes == 0, 0.0, votes * histogram.double())
            self.histogram = self.histogram + counted.sum(0).to(self.histogram.device)
            self.votes = self.votes + votes.sum(0).to(self.votes.device)

    @torch.no_grad()
    def compute(self) -> Tensor:
        """A scalar, float64."""
        if self.of == "images":
            return self.total / self.pairs
        return self._value(self.histogram / self.votes)

    @abc.abstractmethod
    def _value(self, histogram: Tensor) -> Tensor:
        """What histograms (..., K) tell, (...)."""


class _OfValues(_OfPairs):
    """A number that joint histograms of values tell."""

    def __init__(
        self, bins: int | Bins = 64, bins_y: int | Bins | None = None, *, soft: bool = True, of: Of = "images", **options: Any
    ) -> None:
        bins_x, bins_y = as_bins_pair(bins, bins_y)
        for name, given in (("bins", bins_x), ("bins_y", bins_y)):
            if not isinstance(given, Bins):
                raise TypeError(f"{name} must have the same range for all images, an int or Bins, got {type(given).__name__}")
        super().__init__((bins_x.count, bins_y.count), of, **options)
        self.bins_x, self.bins_y, self.soft = bins_x, bins_y, soft

    @torch.no_grad()
    def update(self, x: Tensor, y: Tensor, weights: Tensor | None = None) -> None:
        """Add pairs: floating images (B, ...) of one shape, each with all its values as samples, and votes that broadcast to them.

        Raises TypeError and ValueError that name the argument.
        """
        x, y = arguments.samples("x", x), arguments.samples("y", y)
        if x.shape != y.shape or x.dim() < 2:
            raise ValueError(f"x and y must be images (B, ...) of one shape, got {tuple(x.shape)} and {tuple(y.shape)}")
        weights = arguments.votes(x, weights)
        x, y, weights = (None if z is None else z.flatten(1) for z in (*arguments.paired(x, y), weights))
        if self.soft:
            joint = joint_histogram(x, y, self.bins_x, self.bins_y, weights=weights)
        else:
            joint = hard_joint_histogram(x, y, self.bins_x, self.bins_y, weights)
        votes = x.new_full((len(x),), x.shape[1]) if weights is None else weights.double().sum(1)
        self._add(joint, votes.double()[:, None, None].expand(-1, self.bins_x.count, 1))


class NormalizedMutualInformation(_OfValues):
    """Studholme's normalised mutual information (H(x) + H(y)) / H(x, y) of pairs of images, from 1, nothing shared, to 2.

    1 where there is no entropy. For ``bins``, ``bins_y``, ``soft``: see `RelativeMutualInformation`, which is this less 1. ``of``:
    by default the mean over the pairs, as a registration or a translation is judged one by one; "dataset" asks how far the values
    of all images together determine each other, by one mapping.

    Example:
        >>> import torch
        >>> from huenet.metrics import NormalizedMutualInformation
        >>> metric = NormalizedMutualInformation(bins=16, soft=False)
        >>> images = torch.rand(4, 1, 32, 32, generator=torch.manual_seed(0))
        >>> metric.update(images, 1 - images)
        >>> print(f"{metric.compute():.2f}")
        2.00
    """

    higher_is_better = True

    def _value(self, histogram: Tensor) -> Tensor:
        return 1 + MutualInformation.of_joint(histogram).relative


class RelativeMutualInformation(_OfValues):
    """Relative mutual information I / H(x, y) of pairs of images (Hue-Net, Eq. 17, is one less this), from 0 to 1.

    ``bins``, ``bins_y``: of x and of y, a number over [0, 1] or `Bins`. ``soft``: soft histograms as in the losses, or hard ones;
    soft bins overlap, so that an image and itself have about 0.5. ``of``: "images", the mean over the pairs of each one's number,
    or "dataset", the number of the joint histogram of all pairs' samples. 0 where there is no entropy; pairs whose weights are all
    zero do not count.

    Example:
        >>> import torch
        >>> from huenet.metrics import RelativeMutualInformation
        >>> metric = RelativeMutualInformation(bins=16, soft=False)
        >>> images = torch.rand(4, 1, 32, 32, generator=torch.manual_seed(0))
        >>> metric.update(images, 1 - images)
        >>> print(f"{metric.compute():.2f}")
        1.00
    """

    higher_is_better = True

    def _value(self, histogram: Tensor) -> Tensor:
        return MutualInformation.of_joint(histogram).relative


class _OfHues(_OfPairs):
    """A number that the hues of pairs of pictures tell. Pictures without hue (`huenet.color.NO_HUE`) do not count."""

    def __init__(self, shape: tuple[int, ...], soft: bool, of: Of, **options: Any) -> None:
        super().__init__(shape, of, **options)
        self.soft, self.bins = soft, Bins(shape[-1], boundary="circular")


def _check_pairs(first: Tensor, second: Tensor, dims: int) -> None:
    """ValueError where so many of the first dimensions differ."""
    if first.shape[:dims] != second.shape[:dims]:
        expected = "the shape of first" if dims > 1 else "as many pictures as first"
        raise ValueError(f"second must have {expected}, expected {tuple(first.shape[:dims])}, got {tuple(second.shape[:dims])}")


def _hues(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hues and votes (B, N), and their sum (B,), 0 where a picture has no hue."""
    hsv = rgb_to_hsv(rgb)
    hues, votes = hsv[:, 0].flatten(1), color_weights(hsv).flatten(1)
    return hues, votes, torch.where(mean_chroma(rgb) <= NO_HUE, 0.0, votes.double().sum(1))


class HueEMD(_OfHues):
    """Circular earth mover's distance between the hues of pairs of RGB pictures (Hue-Net, Table 1): from 0 to sqrt(1/2).

    Pixels vote by saturation * value. ``soft`` False counts hard bins, as `huenet evaluate` and `huenet.metrics.hue.hue_emd` do.
    ``of``: "images", the mean over the pairs, or "dataset", the distance of all the first pictures' hues from all the second ones'.
    Pairs with a picture without hue do not count.

    Example:
        >>> import torch
        >>> from huenet.metrics import HueEMD
        >>> metric = HueEMD()
        >>> red, green = torch.zeros(2, 4, 3, 8, 8)
        >>> red[:, 0], green[:, 1] = 1, 1
        >>> metric.update(red, red)
        >>> print(f"{metric.compute():.2f}")
        0.00
        >>> metric.update(red, green)
        >>> print(f"{metric.compute():.2f}")
        0.29
    """

    higher_is_better = False

    def __init__(self, bins: int = 256, *, soft: bool = False, of: Of = "images", **options: Any) -> None:
        super().__init__((2, bins), soft, of, **options)

    @torch.no_grad()
    def update(self, first: Tensor, second: Tensor) -> None:
        """Add pairs of RGB pictures (B, 3, H, W) in [0, 1]; sizes may differ. Raises as `huenet.color.rgb_to_hsv` does, and
        ValueError where there are not as many of both."""
        found = []
        for rgb in (first, second):
            hues, weights, votes = _hues(rgb)
            histogram = soft_histogram(hues, self.bins, weights=weights) if self.soft else hue_histogram(rgb, self.bins.count)
            found.append((histogram.double().to(votes.device), votes))
        _check_pairs(first, second, 1)
        histograms, votes = (torch.stack(parts, 1) for parts in zip(*found))
        self._add(histograms, torch.where((votes == 0).any(1, True), 0.0, votes)[..., None])

    def _value(self, histogram: Tensor) -> Tensor:
        return emd(*histogram.unbind(-2), circular=True)


class HueMutualInformation(_OfHues):
    """Relative mutual information I / H of the hues of pairs of RGB pictures (Hue-Net, Table 1), from 0 to 1.

    Pixels vote by the first picture's saturation * value. ``soft`` False counts hard bins, as `huenet evaluate` and
    `huenet.metrics.hue.hue_mutual_information` do. ``of``: "images", the mean over the pairs, or "dataset", of all pairs' hues
    together. Pairs with a picture without hue do not count.

    Example:
        >>> import torch
        >>> from huenet.metrics import HueMutualInformation
        >>> pictures = torch.rand(4, 3, 32, 32, generator=torch.manual_seed(0))
        >>> metric = HueMutualInformation(bins=16)
        >>> metric.update(pictures, pictures)
        >>> print(f"{metric.compute():.2f}")
        1.00
    """

    higher_is_better = True

    def __init__(self, bins: int = 256, *, soft: bool = False, of: Of = "images", **options: Any) -> None:
        super().__init__((bins, bins), soft, of, **options)

    @torch.no_grad()
    def update(self, first: Tensor, second: Tensor) -> None:
        """Add pairs of RGB pictures (B, 3, H, W) in [0, 1] of one size. Raises as `huenet.color.rgb_to_hsv` does, and ValueError
        where shapes differ."""
        (x, weights, votes), (y, _, others) = _hues(first), _hues(second)
        _check_pairs(first, second, 4)
        if self.soft:
            joint = joint_histogram(x, y, self.bins, weights=weights)
        else:
            joint = hue_joint_histogram(first, second, self.bins.count).to(votes.device)
        votes = torch.where(others == 0, 0.0, votes)
        self._add(joint, votes[:, None, None].expand(-1, self.bins.count, 1))

    def _value(self, histogram: Tensor) -> Tensor:
        return MutualInformation.of_joint(histogram).relative
