"""Bins of a soft histogram.

A sample x falls at t = (x - low) * count / (high - low), in bin widths. Its response in bin k is window(u) with
u = t - (k + 1/2), the signed distance to the bin's centre.
"""

from __future__ import annotations

import functools
import math
import numbers
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from .arguments import integer, number
from .boundaries import BOUNDARIES
from .ranges import HIGH, LOW, as_range, brought, brought_back, extremes
from .windows import WINDOWS, Window


@dataclass(frozen=True)
class Bins:
    """`count` equal bins over [low, high].

    Args:
        count: number of bins K, at least 1; any integer.
        low, high: the range, in the samples' units.
        bandwidth: width of the window in bin widths. None is the window's natural one: 0.4 (the paper's W = L / 2.5) for
            `logistic` and `gaussian`, which are kernels of that width integrated over the bin (Eq. 3-6); 1 for `triangular`,
            `bspline` and `xu` and 1/2 for `box`, whose responses then sum to one; 1 for the others.
        boundary: what becomes of the part of a window that leaves the range. `open` loses it (the paper); `reflect` adds the
            samples' mirror images at both ends, so that mass is kept; `circular` takes samples modulo the range, as hue wants.
        window: `logistic` (the paper), `gaussian`, `triangular` or `bspline` (cubic); or as other libraries have them, of peak 1:
            `rbf` (a Gaussian at the bin's centre, of standard deviation `bandwidth`), `inverse_quadratic` (boundary `open` only,
            as its tails have no end), `box` (hard: 1 up to `bandwidth` on either side, 1/2 at the ends), `epanechnikov`, `xu`
            (kornia's for mutual information), `truncated_gaussian` (`rbf` within `bandwidth`).
        normalized: divide each sample's responses by their sum over all bins, so that each sample counts once wherever it lies, as
            MONAI's and VoxelMorph's information has it. Samples outside an `open` range, or farther outside a `reflect` one than it
            is wide, then count as the nearer end, and have no gradient. Functions raise ValueError where windows hardly overlap:
            where responses to a sample in the range sum to less than 1/16 of the peak, joint histograms and their information
            below 2^-56; patches, and information with marginals="histogram", have no normalized bins.

    Samples outside the range are defined by the same formulas: `open` counts what reaches in, `reflect` adds exactly the
    images -t and 2K - t, `circular` wraps, as far as bins can be told apart: beyond 2^23 bins in float32 and 2^52 in float64
    samples have no place on the circle, and what is made of them is NaN.

    Raises:
        TypeError, ValueError: for a value outside the above; the message names the argument.

    Example:
        >>> from huenet.kernels import Bins
        >>> Bins(256, boundary="circular")  # hues
        Bins(count=256, low=0.0, high=1.0, bandwidth=None, boundary='circular', window='logistic', normalized=False)
        >>> Bins(64, -1, 1, window="gaussian").effective_bandwidth  # in bins, each 1/32 wide
        0.4
    """

    count: int = 256
    low: float = 0.0
    high: float = 1.0
    bandwidth: float | None = None
    boundary: str = "open"
    window: str = "logistic"
    normalized: bool = False

    #: the bins as a string, the form in which they pass through registered operators (whose arguments are plain values)
    spec: str = field(init=False, repr=False, compare=False)
    #: of normalized bins, the least that responses to a sample in the range sum to, of the window's peak
    overlap: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", integer("bins.count", self.count))
        if not 1 <= self.count < 2**31:
            raise ValueError(f"bins.count must be at least 1 and below 2^31, got {self.count}")
        for name in ("low", "high") + (("bandwidth",) if self.bandwidth is not None else ()):
            object.__setattr__(self, name, number(f"bins.{name}", getattr(self, name)))
        if not 1e-30 < self.high - self.low < 1e30:
            raise ValueError(f"bins.low must be below bins.high, by 1e-30 to 1e30, got low={self.low}, high={self.high}")
        if self.bandwidth is not None and not 1e-30 < self.bandwidth < 1e30:
            raise ValueError(f"bins.bandwidth must be positive, from 1e-30 to 1e30 bin widths, got {self.bandwidth}")
        for name, allowed in (("boundary", BOUNDARIES), ("window", WINDOWS)):
            if getattr(self, name) not in tuple(allowed):
                raise ValueError(f"bins.{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        if WINDOWS[self.window].endless and self.boundary != "open":
            raise ValueError(f"bins.boundary must be open for window {self.window}, whose tails have no end, got {self.boundary!r}")
        width = number("bins.bandwidth", self.effective_bandwidth)
        if not isinstance(self.normalized, bool):
            raise TypeError(f"bins.normalized must be True or False, got {self.normalized!r}")
        object.__setattr__(self, "overlap", _overlap(self.window, width) if self.normalized else 1.0)
        values = self.count, self.low, self.high, width, self.boundary, self.window, self.normalized
        object.__setattr__(self, "spec", ",".join(map(str, values)))

    @classmethod
    def of(
        cls,
        x: Tensor,
        count: int = 256,
        *,
        dim: int | tuple[int, ...] | None = None,
        gradient: bool = False,
        bandwidth: float | None = None,
        boundary: str = "open",
        window: str = "logistic",
        normalized: bool = False,
    ) -> MeasuredBins:
        """Bins over the range of samples, from the least to the largest finite one. The host does not wait for them.

        Args:
            x: samples, floating.
            count, bandwidth, boundary, window, normalized: as for `Bins`.
            dim: dimensions over which the range is taken; a batch (B, N) has one for each row with -1. None is one for all.
            gradient: whether the extremes are differentiated: samples then also move the range, as where data are normalised by
                their extremes. Else the range is constant, and each sample moves within it.

        Returns:
            what all functions take as `bins`. Where all samples are the same, the range is 1 wide with them in its middle, as
            numpy.histogram's is.

        Raises:
            TypeError, ValueError: naming the argument, what was expected and what came.
        """
        if not isinstance(x, Tensor) or not x.dtype.is_floating_point:
            raise TypeError(f"x must be a floating torch.Tensor, got {getattr(x, 'dtype', type(x).__name__)}")
        low, high = extremes(x if gradient else x.detach(), dim)
        return cls.between(low, high, count, bandwidth=bandwidth, boundary=boundary, window=window, normalized=normalized)

    @classmethod
    def between(
        cls,
        low: Tensor | float,
        high: Tensor | float,
        count: int = 256,
        *,
        bandwidth: float | None = None,
        boundary: str = "open",
        window: str = "logistic",
        normalized: bool = False,
    ) -> MeasuredBins:
        """Bins over a range of tensors, of which nothing is read by the host: quantiles, running extremes, one for each image.

        Args:
            low, high: the range, one of them at least a tensor; shapes that broadcast to the samples', such as () or (B, 1).
                Where they require gradients, they get them. Where low is high, the range is 1 wide about it; where low is above
                high, or not a number, results are NaN.
            count, bandwidth, boundary, window, normalized: as for `Bins`.

        Returns:
            what all functions take as `bins`. Samples are placed to count * 2^-26 of a bin in float32, of the range's own width.

        Raises:
            TypeError, ValueError: naming the argument, what was expected and what came.
        """
        return MeasuredBins(cls(count, LOW, HIGH, bandwidth, boundary, window, normalized), *as_range(low, high))

    def recount(self, count: int) -> Bins:
        """The same with another number of bins."""
        return replace(self, count=count)

    @property
    def effective_bandwidth(self) -> float:
        """The bandwidth in bin widths, the window's natural one where none was given."""
        natural = WINDOWS[self.window].natural_bandwidth
        return natural if self.bandwidth is None else self.bandwidth

    @property
    def edges(self) -> Tensor:
        """The count + 1 bin edges, float64."""
        return torch.linspace(self.low, self.high, self.count + 1, dtype=torch.float64, device="cpu")

    @property
    def centers(self) -> Tensor:
        """The count bin centres, float64 (the paper's mu_k)."""
        edges = self.edges
        return (edges[1:] + edges[:-1]) / 2

    @property
    def scale(self) -> float:
        """Bins per unit of x: dt/dx."""
        return self.count / (self.high - self.low)

    def coordinate(self, x: Tensor) -> Tensor:
        """Samples in bin widths, t = (x - low) * scale, in float64 so that t - k is not rounded away; circular: in [0, count], NaN
        for what has no place there."""
        t = (x.double() - self.low if self.low else x.double()) * self.scale
        if not BOUNDARIES[self.boundary].periodic:
            return t
        return torch.remainder(torch.where(x.abs() < self.farthest(x.dtype), t, torch.nan), self.count)

    def farthest(self, dtype: torch.dtype) -> float:
        """Samples on a circle must be nearer to 0 than this: beyond, the numbers of `dtype` are more than a bin apart."""
        return max(abs(self.low), abs(self.high)) + 1 / (torch.finfo(dtype).eps * self.scale)

    def response(self, u: Tensor) -> Tensor:
        """The window at distance u (bin widths) from a bin's centre."""
        return WINDOWS[self.window].response(u, self.effective_bandwidth)

    def derivative(self, u: Tensor) -> Tensor:
        """d response / du."""
        return WINDOWS[self.window].derivative(u, self.effective_bandwidth)

    def reach(self, dtype: torch.dtype) -> float:
        """Distance |u| in bins beyond which the response is below dtype's rounding of one."""
        return WINDOWS[self.window].reach(self.effective_bandwidth, torch.finfo(dtype).eps / 2)

    def radius(self, dtype: torch.dtype) -> int:
        """Bins either side of a sample's own that the window reaches; farther ones get less than dtype's rounding of one."""
        return max(1, math.ceil(self.reach(dtype) - 0.5))

    @staticmethod
    @functools.lru_cache(maxsize=256)
    def from_spec(spec: str) -> Bins:
        """The bins whose `spec` this is."""
        count, low, high, bandwidth, boundary, window, normalized = spec.split(",")
        return Bins(int(count), float(low), float(high), float(bandwidth), boundary, window, normalized == "True")


def divides_well(bins: Bins) -> bool:
    """Whether responses that are right to some roundings of the window's peak may be divided by their sum, where they are to be: it
    is a sixteenth of the peak at least."""
    return bins.overlap >= 2.0**-4


def _overlap(window: str, bandwidth: float) -> float:
    return _least_sum(WINDOWS[window], bandwidth)


# What torch.compiler.assume_constant_result does, as it is not a tensor of the graph's; that function loads all of torch._dynamo
# first, which takes as long as torch itself.
_overlap._dynamo_marked_constant = True  # type: ignore[attr-defined]


@functools.lru_cache(maxsize=256)
def _least_sum(window: Window, bandwidth: float) -> float:
    """The least that two neighbouring bins' responses to a sample between them add up to, or the last bin's to one at its outer
    edge, of the peak."""
    near = torch.linspace(0, 1, 65, dtype=torch.float64, device="cpu")
    one = window.response(near, bandwidth)
    return (torch.minimum((one + one.flip(0)).min(), one[32]) / one[0]).item()


@dataclass(frozen=True, eq=False)
class MeasuredBins:
    """Equal bins over [low, high] of tensors, as `Bins.of` and `Bins.between` make them; given to functions as `Bins` are."""

    #: over the range that samples are brought to
    unit: Bins
    #: float64, broadcast against the samples
    low: Tensor
    high: Tensor

    @property
    def count(self) -> int:
        """Number of bins K."""
        return self.unit.count

    @property
    def edges(self) -> Tensor:
        """The count + 1 bin edges, float64: (..., K + 1) for a range of shape (..., 1), (K + 1,) for one of a single number."""
        return brought_back(self.unit.edges, self.low, self.high)

    @property
    def centers(self) -> Tensor:
        """The count bin centres, float64, likewise."""
        return brought_back(self.unit.centers, self.low, self.high)

    def recount(self, count: int) -> MeasuredBins:
        """The same with another number of bins."""
        return MeasuredBins(self.unit.recount(count), self.low, self.high)

    def place(self, x: Tensor) -> Tensor:
        """Samples (...) brought to the range of `unit`. ValueError where this is no range of theirs."""
        return brought(x, self.low, self.high)


def as_bins(bins: int | Bins | MeasuredBins, name: str = "bins") -> Bins | MeasuredBins:
    """An int as `Bins` of that count over [0, 1]; bins as they are. TypeError otherwise."""
    if isinstance(bins, Bins | MeasuredBins):
        return bins
    if isinstance(bins, bool) or not isinstance(bins, numbers.Integral):
        raise TypeError(f"{name} must be an int or huenet.kernels.Bins, got {type(bins).__name__}")
    if bins < 1:
        raise ValueError(f"{name} must be at least 1, got {bins}")
    return Bins(count=bins)


def as_bins_pair(
    bins: int | Bins | MeasuredBins, bins_y: int | Bins | MeasuredBins | None
) -> tuple[Bins | MeasuredBins, Bins | MeasuredBins]:
    """The bins of both axes: `bins_y` None repeats `bins`, an int is `bins` with that count."""
    first = as_bins(bins)
    if bins_y is None:
        return first, first
    second = as_bins(bins_y, "bins_y")
    return first, second if second is bins_y else first.recount(second.count)


def placed(x: Tensor, bins: Bins | MeasuredBins) -> tuple[Tensor, Bins]:
    """Samples and the plain bins that they fall into."""
    return (bins.place(x), bins.unit) if isinstance(bins, MeasuredBins) else (x, bins)
