"""What histograms share in which every sample meets every bin: for few bins, or windows that cover much of the range.

Responses are made for SPAN bins and BN samples at a time, summed over the sample's images at the boundary, and never stored.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..bins import Bins
from .axis import Axis, make_axis
from .boundaries import images, within_reach
from .responses import image_responses
from .sizes import cdiv

BN = 32
#: programs wanted in all, some waves of them on the largest GPUs
PROGRAMS = 4096
#: images of a sample that a program adds up
MOST_IMAGES = 65


@triton.jit
def dense_responses(x, first, a, A: tl.constexpr, IMAGES: tl.constexpr, NEEDS_SLOPE: tl.constexpr):
    """Responses of samples x [BN] in SPAN bins from `first` on, [SPAN, BN], and with NEEDS_SLOPE their derivatives to x."""
    x = within_reach(x, a, A)
    value = tl.zeros([A.SPAN, x.shape[0]], x.dtype)
    slope = value
    for i_m in range(IMAGES):
        value_here, slope_here = image_responses(x, first, i_m, a, A, IMAGES, A.SPAN, NEEDS_SLOPE)
        value += value_here
        if NEEDS_SLOPE:
            slope += slope_here
    return value, slope


def too_wide(bins: Bins, dtype: torch.dtype) -> str | None:
    """Why the kernels cannot serve these bins, None if they can."""
    laps = images(make_axis(bins, dtype))
    return f"adds up at most {MOST_IMAGES} laps of a window round the circle, got {laps} for {bins}" if laps > MOST_IMAGES else None


def spans(axis: Axis) -> int:
    """Spans of all bins."""
    return cdiv(axis.K, axis.SPAN)


def parts(x: Tensor, programs: int) -> int:
    """How many programs share an image and a span of its bins."""
    return min(cdiv(x.shape[1], 4 * BN), cdiv(PROGRAMS, len(x) * programs))
