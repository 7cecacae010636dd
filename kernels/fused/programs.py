"""What the kernels of several operators share: their place on the grid, and gradients added up in steps."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def flat_program(per_image):
    """Image and place within it of a program on a grid of one axis, as the other two allow only 65,535."""
    program = tl.program_id(0).to(tl.int64)
    return program // per_image, (program % per_image).to(tl.int32)


@triton.jit
def store_sum(pointers, values, mask, before):
    """Store values, or, unless `before` is 0, add them to what this program stored before."""
    if before > 0:
        values += tl.load(pointers, mask=mask, other=0.0)
    tl.store(pointers, values, mask=mask)


@triton.jit
def sample_share(samples, WEIGHTED: tl.constexpr, ACC: tl.constexpr):
    """What every sample counts where it has no share of its own, 1 / N. A number from the host would come as float32."""
    share = tl.full([], 1.0, ACC)
    if not WEIGHTED:
        share /= samples
    return share
