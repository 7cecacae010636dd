"""Small things that kernels of several operators do: find their place on the grid, load samples, add in steps."""

import triton
import triton.language as tl


@triton.jit
def image_and_part(parts):
    """Image (int64, as addresses need) and part of it that a program of a grid of one axis has, `parts` to an image."""
    i = tl.program_id(0).to(tl.int64)
    return i // parts, (i % parts).to(tl.int32)


@triton.jit
def own_share(N, WEIGHTED: tl.constexpr, ACC: tl.constexpr):
    """What every sample counts where it has no share of its own, 1 / N. A number from the host would come as float32."""
    share = tl.full([], 1.0, ACC)
    if not WEIGHTED:
        share /= N
    return share


@triton.jit
def load_samples(x_ptr, i_b, o_n, N, ACC: tl.constexpr):
    """Samples o_n of image i_b, 0 beyond the last."""
    return tl.load(x_ptr + i_b * N + o_n, mask=o_n < N, other=0.0).to(ACC)


@triton.jit
def load_shares(shares_ptr, i_b, o_n, N, WEIGHTED: tl.constexpr, ACC: tl.constexpr):
    """Shares of samples o_n of image i_b, 0 beyond the last."""
    share = tl.where(o_n < N, own_share(N, WEIGHTED, ACC), 0.0)
    if WEIGHTED:
        share = load_samples(shares_ptr, i_b, o_n, N, ACC)
    return share


@triton.jit
def store_sum(pointers, values, mask, before):
    """Store values, or, unless `before` is 0, add them to what this program stored before."""
    if before > 0:
        tl.debug_barrier()  # other threads of the program may have stored it
        values += tl.load(pointers, mask=mask, other=0.0)
    tl.store(pointers, values, mask=mask)
