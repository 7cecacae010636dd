"""Soft histograms of the patches of an image (HarmonicGAN's low-level features). Formulas and algorithms: README.md beside this
file."""

import numbers

from torch import Tensor

from ..common import arguments
from ..common.bins import Bins, MeasuredBins, as_bins, placed
from ..common.operator import Operator
from . import portable, reference
from .patches import Patches


def _result(x: Tensor, bins: Bins, patch: int, stride: int) -> tuple[int, int, int]:
    patches = Patches(*x.shape[2:], patch, stride)
    return x.shape[0], patches.rows * patches.columns, x.shape[1] * bins.count


OPERATOR = Operator(
    "patch_histogram",
    "x",
    {"bins": Bins, "patch": int, "stride": int},
    result=_result,
    reference=reference,
    portable=portable,
    sampled="",
)


def patch_histogram(
    x: Tensor, bins: int | Bins | MeasuredBins, *, patch: int = 8, stride: int | None = None, backend: str | None = None
) -> Tensor:
    """Differentiable histograms of an image's patches: the sum of the pixels' responses in each bin (HarmonicGAN, Zhang et al.
    2019, phi_h of "low-level soft histogram").

    Args:
        x: images, (B, C, H, W), floating; half precision is computed and returned in float32. Values outside the bins' range
            are treated as `Bins` says; a NaN pixel makes the histograms of its patches, in its channel, NaN.
        bins: `Bins`, or a number of bins over [0, 1]: then HarmonicGAN's triangular window with boundary "reflect", where each
            pixel counts exactly 1, shared by the two nearest bins.
        patch: side of the square patches in pixels.
        stride: pixels from one patch to the next; None is `patch`, patches side by side. Rows and columns of pixels that are
            left over at the bottom and on the right are dropped, as by `torch.nn.functional.unfold`.
        backend: None, "torch", "triton" or "reference", as for `soft_histogram`.

    Returns:
        (B, patches, C*K), counts: patches row by row, bins channel by channel. Each channel of a patch sums to patch^2 but for
        what an `open` boundary loses.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms, unless backend is "reference".

    Example:
        >>> import torch
        >>> from huenet.kernels import patch_histogram
        >>> image = torch.rand(2, 3, 64, 64)
        >>> patch_histogram(image, 16, patch=8).shape  # 8 x 8 patches; 3 channels of 16 bins
        torch.Size([2, 64, 48])
    """
    if not isinstance(bins, Bins | MeasuredBins):
        bins = Bins(as_bins(bins).count, boundary="reflect", window="triangular")
    x, bins = placed(arguments.samples("x", x), bins)
    if bins.normalized:
        raise ValueError(f"bins must not be normalized for patch histograms, got {bins}")
    if x.dim() != 4:
        raise ValueError(f"x must be images (B, C, H, W), got {tuple(x.shape)}")
    patch = _length("patch", patch)
    stride = patch if stride is None else _length("stride", stride)
    if patch > min(x.shape[2:]):
        raise ValueError(f"patch must fit into x, expected at most {min(x.shape[2:])} for {tuple(x.shape)}, got {patch}")
    return OPERATOR(x, bins, patch, stride, backend=backend)


def _length(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be a number of pixels, an int, got {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return len(range(int(value)))  # under torch.compile a symbol becomes a number again, as in as_bins
