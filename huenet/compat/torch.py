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

    Source: `torch.histc`, whose bin trunc((x - min) * bins / (max - min)), rounded in input's dtype at each step, this is. Where torch
    leaves the result undefined, and on a CPU may write outside its histogram, this has one: a product that overflows is taken in
    float64, a bin beyond the last one is the last one, and of a range that has no width in input's dtype the middle bin gets all.
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
    """The range as torch.histc takes it, numbers of the samples' dtype."""
    if low > high:
        raise ValueError(f"max must be larger than min, got min={low} and max={high}")
    if low == high and flat.numel():
        # min() and max() pass NaN on
        low, high = torch.stack(flat.detach().aminmax()).tolist()
    if not math.isfinite(low) or not math.isfinite(high):
        raise ValueError(f"min and max, or the samples where these are equal, must be finite, got a range of [{low}, {high}]")
    if low == high:
        low, high = low - 1, high + 1
    low, high = torch.tensor([low, high], dtype=torch.float64, device="cpu").to(flat.dtype).tolist()
    if not math.isfinite(low) or not math.isfinite(high):
        raise ValueError(f"min and max must be finite in the samples' dtype {flat.dtype}, got a range of [{low}, {high}]")
    return low, high


def _counts(flat: Tensor, bins: int, low: float, high: float) -> Tensor:
    """(N,) -> (bins,), int64."""
    counts = torch.zeros(bins, dtype=torch.int64, device=flat.device)
    for piece in flat.split(max(budget(flat, _CPU_PIECE, _DEVICE_PIECE), bins)):
        counts += torch.bincount(_places(piece, bins, low, high), minlength=bins + 1)[:bins]
    return counts


def _places(x: Tensor, bins: int, low: float, high: float) -> Tensor:
    """The bin of each sample, `bins` for those that are not counted."""
    inside = (x >= low) & (x <= high)
    if low == high:
        place = torch.full(x.shape, bins // 2, device=x.device)
    else:
        # on tensors, as a GPU would divide by a number of the host by multiplying with its inverse
        first, last, count = (torch.tensor(value, dtype=x.dtype, device=x.device) for value in (low, high, bins))
        place = _place(torch.where(inside, x, first), first, last, count).long().clamp_max_(bins - 1)
    return place.masked_fill_(~inside, bins)


def _place(x: Tensor, low: Tensor, high: Tensor, bins: Tensor) -> Tensor:
    """(x - low) * bins / (high - low), each step rounded to x's dtype. That of half precision is spelt out: torch divides bfloat16
    by a single number in another way than elementwise."""
    dtype = x.dtype
    if not ((high - low) * bins).isfinite():
        x, low, high, bins = (value.double() for value in (x, low, high, bins))
    elif dtype in (torch.float16, torch.bfloat16):
        rounded = [value.float() for value in (x, low, high, bins)]
        x, low, high, bins = rounded
        offset, width = ((value - low).to(dtype).float() for value in (x, high))
        return ((offset * bins).to(dtype).float() / width).to(dtype)
    return (x - low) * bins / (high - low)


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
