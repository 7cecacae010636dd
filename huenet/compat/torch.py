"""`torch.histc` with the same counts, whatever the device and however many samples, and soft counts that have a gradient.

from huenet.compat.torch import histc

histc(x, bins=64, min=0, max=1)                         # torch.histc's counts
histc(x, bins=64, min=0, max=1, differentiable=True)    # soft counts, differentiable in x
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..kernels import Bins, soft_histogram
from ..kernels.common.arguments import integer
from ..kernels.common.devices import budget

#: samples counted at a time
_CPU_PIECE, _DEVICE_PIECE = 2**18, 2**24


def histc(
    input: Tensor,
    bins: int = 100,
    min: float = 0,
    max: float = 0,
    *,
    out: Tensor | None = None,
    differentiable: bool = False,
    window: str = "triangular",
    bandwidth: float | None = None,
    boundary: str = "reflect",
    backend: str | None = None,
) -> Tensor:
    """Histogram of all elements, as `torch.histc` counts them.

    Counts are integers until the end, so that every run gives the same, on a GPU too, and none stops at 2^24 (float32), 2048
    (float16) or 256 (bfloat16), as torch's do on a CPU. The host reads the extremes where they are the range.

    Args:
        input: samples, any shape, floating. NaN and what lies outside the range is not counted.
        bins: number of bins, at least 1; the last one includes its upper edge.
        min, max: the range. Where they are equal, the samples' own; where these are all the same, one more on either side.
        out: a tensor of input's dtype that takes the result, resized where it has another size.
        differentiable: whether each sample is shared among the bins near it by a window, and has a gradient. The sum of the counts
            stays the number of samples in the range with the default window and boundary; the range itself is constant.
        window, bandwidth, boundary, backend: of the soft counts, as for `huenet.kernels.Bins` and `soft_histogram`. The boundary
            "open" loses what a window leaves outside, up to half a sample at an edge.

    Returns:
        (bins,), counts, in input's dtype: exact ones are rounded to it once, soft ones of half precision are computed in float32.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.

    Source: `torch.histc`, whose bin trunc((x - min) * bins / (max - min)) this is, rounded to input's dtype at each step. Where
    torch's result is undefined, and on a CPU may be written outside the histogram, this has one: where the product overflows it
    is taken in float64, a bin beyond the last is the last, and of a range without width in input's dtype the middle bin gets all.
    """
    bins = _checked(input, bins)
    flat = input.flatten()
    low, high = _range(flat, min, max)
    if differentiable:
        if out is not None:
            raise ValueError("out must be None with differentiable=True: what is written into a tensor has no gradient")
        return _soft(flat, Bins(bins, low, high, bandwidth, boundary, window), backend)
    return _into(out, _counts(flat.detach(), bins, low, high).to(input.dtype))


def _checked(input: Tensor, bins: int) -> int:
    if not isinstance(input, Tensor):
        raise TypeError(f"input must be a torch.Tensor, got {type(input).__name__}")
    if not input.dtype.is_floating_point:
        raise TypeError(f"input must be a floating tensor, got {input.dtype}; convert it first, e.g. input.float()")
    bins = integer("bins", bins)
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    return bins


def _range(flat: Tensor, low: float, high: float) -> tuple[float, float]:
    """The range as torch.histc takes it: numbers of the samples' dtype, or one more on either side, which need not be."""
    low, high = float(low), float(high)
    if low > high:
        raise ValueError(f"max must be larger than min, got min={low} and max={high}")
    own = low == high
    if own and flat.numel():
        what, extremes = "the extremes of input, its range where min equals max,", torch.stack(flat.detach().aminmax())
    else:
        what, extremes = "min and max", torch.tensor([low, high], dtype=torch.float64, device="cpu").to(flat.dtype)
    low, high = extremes.tolist()
    if not math.isfinite(low) or not math.isfinite(high):
        raise ValueError(f"{what} must be finite in {flat.dtype}, got {low} and {high}")
    return (low - 1, high + 1) if own and low == high else (low, high)


def _counts(flat: Tensor, bins: int, low: float, high: float) -> Tensor:
    """(N,) -> (bins,), int64."""
    counts = torch.zeros(bins, dtype=torch.int64, device=flat.device)
    for piece in flat.split(max(budget(flat, _CPU_PIECE, _DEVICE_PIECE), bins)):
        counts += torch.bincount(_places(piece, bins, low, high), minlength=bins + 1)[:bins]
    return counts


def _places(x: Tensor, bins: int, low: float, high: float) -> Tensor:
    """The bin of each sample, `bins` for those that are not counted."""
    axis = torch.tensor([low, high, bins], dtype=torch.float64, device="cpu")
    rounded = axis.to(x.dtype)
    low, high, _ = rounded.tolist()
    inside = (x >= low) & (x <= high)
    if low == high:
        place = torch.full(x.shape, bins // 2, device=x.device)
    else:
        x = torch.where(inside, x, low)
        fits = ((rounded[1] - rounded[0]) * rounded[2]).isfinite()
        place = (_in_bins(x, rounded) if fits else _in_bins(*_scaled(x, axis))).long()
    return place.clamp_max_(bins - 1).masked_fill_(~inside, bins)


def _scaled(x: Tensor, axis: Tensor) -> tuple[Tensor, Tensor]:
    """Samples and range in float64, by a power of two smaller that keeps their product with the bins from overflowing."""
    scale = 0.25 ** int(axis[2]).bit_length()
    return x.double() * scale, axis * axis.new_tensor([scale, scale, 1])


def _in_bins(x: Tensor, axis: Tensor) -> Tensor:
    """(x - low) * bins / (high - low), each step rounded to x's dtype; `axis` is (low, high, bins)."""
    wide = torch.promote_types(x.dtype, torch.float32)

    def step(value: Tensor) -> Tensor:
        # spelt out, as torch divides bfloat16 by a single number in another way than elementwise
        return value.to(x.dtype).to(wide)

    # tensors of x's device, as a GPU divides by a number of the host by multiplying with its inverse
    low, high, bins = axis.to(x.device, wide)
    return step(step(step(x.to(wide) - low) * bins) / step(high - low))


def _soft(flat: Tensor, bins: Bins, backend: str | None) -> Tensor:
    """(N,) -> (bins,): soft counts of the samples in the range."""
    inside = (flat >= bins.low) & (flat <= bins.high)
    # what is not counted has no vote, and no value either, as a NaN without a vote would still show
    samples = torch.where(inside, flat, bins.low)
    return (soft_histogram(samples, bins, weights=inside, backend=backend) * inside.sum()).to(flat.dtype)


def _into(out: Tensor | None, counts: Tensor) -> Tensor:
    if out is None:
        return counts
    if not isinstance(out, Tensor) or out.dtype != counts.dtype or out.device != counts.device:
        found = f"{out.dtype} on {out.device}" if isinstance(out, Tensor) else type(out).__name__
        raise TypeError(f"out must be a tensor of input's dtype and device, {counts.dtype} on {counts.device}, got {found}")
    return out.resize_(counts.shape).copy_(counts)
