"""HistoGAN's differentiable colour histograms, which store N x h responses for every image in turn, as modules of the same names
that do not, and its loss.

    from huenet.compat.histogan import RGBuvHistBlock, hellinger_loss

    histogram = RGBuvHistBlock(insz=150, h=64)
    loss = hellinger_loss(histogram(target_image), histogram(generated_image))

What its code does other than its documentation or its paper says is put right; `strict=True` does as the code does.
docs/compat.md lists both.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..kernels import Bins, joint_histogram
from ..kernels.common.arguments import integer, number
from ..kernels.common.devices import full_precision
from ..losses.arguments import at_least_float32, check_images, not_negative

RESIZINGS = ("interpolation", "sampling")
METHODS = ("thresholding", "RBF", "inverse-quadratic")
#: added to intensities before logarithms and roots, and to sums before they divide
_EPS = 1e-6


class _HistBlock(nn.Module, abc.ABC):
    """What the three blocks share: settings, the size of images, histograms of two coordinates of every pixel."""

    __call__: Callable[..., Tensor]

    def __init__(
        self,
        h: int,
        insz: int,
        resizing: str,
        method: str,
        sigma: float,
        intensity_scale: bool,
        hist_boundary: Sequence[float] | None,
        device: torch.device | str | None,
        strict: bool,
        backend: str | None,
    ) -> None:
        super().__init__()
        self.h, self.insz = _at_least("h", h, 2), _at_least("insz", insz, 1)
        self.resizing, self.method = _one_of("resizing", resizing, RESIZINGS), _one_of("method", method, METHODS)
        self.sigma = number("sigma", sigma)
        if self.sigma <= 0:
            raise ValueError(f"sigma must be positive, got {self.sigma:g}")
        self.hist_boundary = _boundary(hist_boundary)
        self.intensity_scale, self.strict, self.backend = bool(intensity_scale), bool(strict), backend
        self.device = None if device is None else torch.device(device)
        self.bins = self._bins()

    def extra_repr(self) -> str:
        names = ("h", "insz", "resizing", "method", "sigma", "intensity_scale", "hist_boundary", "strict")
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W), C at least 3 of which the first three count, floating -> (B, planes, h, h), float32 or float64."""
        check_images(" of at least one element", x=x)
        if x.shape[1] < 3:
            raise ValueError(f"x must have at least 3 channels, got {tuple(x.shape)}")
        if self.device is not None and not _on(x.device, self.device):
            raise ValueError(f"x must be on the device of this block, expected {self.device}, got {x.device}")
        with full_precision(x):
            pixels = self._resized(at_least_float32(x[:, :3]).clamp(0, 1)).flatten(2)
            return self._normalised(*self.coordinates(pixels), self.weights(pixels) if self.intensity_scale else None)

    @abc.abstractmethod
    def coordinates(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Of pixels (B, 3, N) what is counted, u and v, each (B, planes, N)."""

    def weights(self, pixels: Tensor) -> Tensor:
        """(B, 3, N) -> (B, 1, N), with how much every pixel counts where intensities scale."""
        return (pixels.square().sum(1, keepdim=True) + _EPS).sqrt()

    def _normalised(self, u: Tensor, v: Tensor, weights: Tensor | None) -> Tensor:
        """Weighted counts over the sum of all planes."""
        joint = joint_histogram(u, v, self.bins, weights=weights, backend=self.backend)
        # the operator's weights are normalised, the original's sums are not
        counts = joint * (u.shape[-1] if weights is None else weights.sum(-1)[..., None, None])
        return counts / (counts.sum((1, 2, 3), keepdim=True) + _EPS)

    def _resized(self, x: Tensor) -> Tensor:
        if max(x.shape[-2:]) <= self.insz:
            return x
        if self.resizing == "interpolation":
            return F.interpolate(x, size=(self.insz, self.insz), mode="bilinear", align_corners=False)
        side = self.h if self.strict else self.insz
        rows, columns = (
            (torch.arange(side, device=x.device, dtype=torch.float64) * (length / side)).long() for length in x.shape[-2:]
        )
        return x[..., rows.unsqueeze(-1), columns]

    def _bins(self) -> Bins:
        """Bins whose centres are linspace(low, high, h)."""
        low, high = self.hist_boundary
        spacing = (high - low) / (self.h - 1)
        range_ = abs(low) + abs(high) if self.strict else high - low
        window, width = {
            "thresholding": ("box", range_ / self.h / 2),
            "RBF": ("rbf", self.sigma * math.sqrt(0.5)),
            "inverse-quadratic": ("inverse_quadratic", self.sigma),
        }[self.method]
        return Bins(self.h, low - spacing / 2, high + spacing / 2, width / spacing, "open", window)


class RGBuvHistBlock(_HistBlock):
    """RGB-uv histograms: joint histograms of log ratios of each of R, G, B to the two others, of pixels weighted by intensity
    (Afifi et al. 2021, Eq. 1-3).

    Memory is that of `huenet.kernels.joint_histogram`: N x h responses are never stored beyond a piece.

    Args:
        h: bins of either axis, at least 2; their centres are linspace(*hist_boundary, h).
        insz: images with a side longer than this are resized to insz x insz.
        resizing: "interpolation", bilinear, without antialiasing; "sampling", pixels at equal steps.
        method: how a log ratio at distance d from a bin's centre counts there: "inverse-quadratic", 1 / (1 + d^2 / sigma^2);
            "RBF", exp(-d^2 / sigma^2); "thresholding", 1 where d is at most the range over 2 h, without gradient to it.
        sigma: width of the first two, in log ratios, positive.
        intensity_scale: whether pixels count as much as their intensity sqrt(R^2 + G^2 + B^2 + 1e-6), with gradient; else 1.
        hist_boundary: first and last centre, in log ratios; None is [-3, 3]. Pixels beyond count as far as they reach in.
        green_only: whether of the three planes only G's, of log(G / R) and log(G / B), is made.
        device: None takes any device; else images must be on this one.
        strict: whether "sampling" takes h x h pixels, whatever insz, and "thresholding" |low| + |high| as the range.
        backend: as for `huenet.kernels.joint_histogram`.

    Called with images (B, C, H, W), RGB in [0, 1], floating (values beyond are clamped, channels beyond three dropped), it returns
    (B, 3, h, h), or (B, 1, h, h) with `green_only`: non-negative, of sum 1 - 1e-6 / (the weighted counts' sum + 1e-6). Half
    precision is computed and returned in float32. Differentiable, once; by 1 / (value + 1e-6), up to 1e6, at black pixels.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms.

    Source: mahmoudnafifi/HistoGAN, `histogram_classes/RGBuvHistBlock.py`.
    """

    def __init__(
        self,
        h: int = 64,
        insz: int = 150,
        resizing: str = "interpolation",
        method: str = "inverse-quadratic",
        sigma: float = 0.02,
        intensity_scale: bool = True,
        hist_boundary: Sequence[float] | None = None,
        green_only: bool = False,
        device: torch.device | str | None = None,
        *,
        strict: bool = False,
        backend: str | None = None,
    ) -> None:
        boundary = (-3, 3) if hist_boundary is None else hist_boundary
        super().__init__(h, insz, resizing, method, sigma, intensity_scale, boundary, device, strict, backend)
        self.green_only = bool(green_only)

    def coordinates(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        red, green, blue = (pixels + _EPS).log().unbind(1)
        # of its own channel, less those of the first and the second other
        planes = [(red, green, blue), (green, red, blue), (blue, red, green)]
        planes = planes[1:2] if self.green_only else planes
        return tuple(torch.stack([own - others[axis] for own, *others in planes], 1) for axis in (0, 1))


class _OnePlane(_HistBlock):
    """What the blocks of one plane share: their arguments and defaults."""

    def __init__(
        self,
        h: int = 64,
        insz: int = 150,
        resizing: str = "interpolation",
        method: str = "inverse-quadratic",
        sigma: float = 0.02,
        intensity_scale: bool = False,
        hist_boundary: Sequence[float] | None = None,
        device: torch.device | str | None = None,
        *,
        strict: bool = False,
        backend: str | None = None,
    ) -> None:
        boundary = (0, 1) if hist_boundary is None else hist_boundary
        super().__init__(h, insz, resizing, method, sigma, intensity_scale, boundary, device, strict, backend)


class rgChromaHistBlock(_OnePlane):
    """rg-chromaticity histograms: joint histograms of R / (R + G + B + 1e-6) and G / (R + G + B + 1e-6).

    Args, errors: as for `RGBuvHistBlock`, in chromaticities; None is [0, 1] for `hist_boundary`.

    Called with images as `RGBuvHistBlock` is, it returns (B, 1, h, h).

    Source: mahmoudnafifi/HistoGAN, `histogram_classes/rgChromaHistBlock.py`.
    """

    def coordinates(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        red, green = (pixels / (pixels.sum(1, keepdim=True) + _EPS))[:, :2].split(1, 1)
        return red, green


class LabHistBlock(_OnePlane):
    """Lab histograms: joint histograms of a and b of images (L, a, b) that are scaled to [0, 1] before.

    Args, errors: as for `RGBuvHistBlock`, in a and b; None is [0, 1] for `hist_boundary`, and `intensity_scale` weights pixels by
    L. Where L is 0 everywhere, the histogram and its gradients are zero.

    Called with images (B, C, H, W), it returns (B, 1, h, h).

    Source: mahmoudnafifi/HistoGAN, `histogram_classes/LabHistBlock.py`.
    """

    def coordinates(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        _, a, b = pixels.split(1, 1)
        return a, b

    def weights(self, pixels: Tensor) -> Tensor:
        return pixels[:, :1]


def hellinger_loss(target: Tensor, generated: Tensor, alpha: float = 2.0, *, strict: bool = False) -> Tensor:
    """HistoGAN's colour matching loss: alpha times the batch's mean of the histograms' Hellinger distances,

        1 / sqrt(2) |sqrt(target) - sqrt(generated)|_2     (Afifi et al. 2021, Eq. 4)

    Where a bin is empty, and where the histograms are equal, the gradient is 0 and not infinite or NaN.

    Args:
        target, generated: histograms (B, ...) of one shape, floating and not negative, such as those of `RGBuvHistBlock`.
        alpha: weight of the loss, not negative.
        strict: whether the distance is that of the batch as a whole, divided by B: between equal pairs of histograms it is
            sqrt(B) times smaller.

    Returns:
        scalar, in the histograms' common dtype, at least float32. Differentiable in both.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.

    Source: mahmoudnafifi/HistoGAN, `histoGAN/histoGAN.py`.
    """
    alpha = not_negative("alpha", alpha)
    for name, histogram in (("target", target), ("generated", generated)):
        if not isinstance(histogram, Tensor):
            raise TypeError(f"{name} must be a torch.Tensor, got {type(histogram).__name__}")
        if histogram.ndim < 2 or not histogram.is_floating_point() or not histogram.numel():
            found = f"{histogram.dtype} {tuple(histogram.shape)}"
            raise ValueError(f"{name} must be floating-point histograms (B, ...) of at least one element, got {found}")
    if target.shape != generated.shape:
        raise ValueError(f"generated must have the shape of target, expected {tuple(target.shape)}, got {tuple(generated.shape)}")
    if target.device != generated.device:
        raise ValueError(f"generated must be on the device of target, expected {target.device}, got {generated.device}")
    with full_precision(target):
        difference = (_root(at_least_float32(target)) - _root(at_least_float32(generated))).flatten(1)
        squares = difference.square().sum(1)
        distances = _root(squares.sum() if strict else squares)
        return alpha / math.sqrt(2) * distances.sum() / len(target)


class HellingerLoss(nn.Module):
    """`hellinger_loss` as a module, called with (target, generated)."""

    __call__: Callable[..., Tensor]

    def __init__(self, alpha: float = 2.0, *, strict: bool = False) -> None:
        super().__init__()
        self.alpha, self.strict = not_negative("alpha", alpha), strict

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}, strict={self.strict}"

    def forward(self, target: Tensor, generated: Tensor) -> Tensor:
        return hellinger_loss(target, generated, self.alpha, strict=self.strict)


def _root(x: Tensor) -> Tensor:
    """Square root with gradient 0 at 0."""
    zero = x == 0
    return torch.where(zero, 1, x).sqrt().masked_fill(zero, 0)


def _at_least(name: str, value: int, least: int) -> int:
    value = integer(name, value)
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return value


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def _boundary(ends: Sequence[float]) -> tuple[float, float]:
    """In ascending order."""
    if not isinstance(ends, Sequence) or len(ends) != 2:
        raise ValueError(f"hist_boundary must be two numbers, got {ends!r}")
    low, high = sorted(number("hist_boundary", end) for end in ends)
    if low == high:
        raise ValueError(f"hist_boundary must be two different numbers, got {ends!r}")
    return low, high


def _on(device: torch.device, wanted: torch.device) -> bool:
    """Whether a device is the wanted one, of any index where none is given."""
    return device.type == wanted.type and wanted.index in (None, device.index)
