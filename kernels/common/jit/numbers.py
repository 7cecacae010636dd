"""Numbers that kernels are given when they run: a named tuple of floats, in the type that the kernel computes in.

Triton hands a float to a kernel as float32. One of float64 comes as its bits, an integer, and `number` reads it. Of integers
Triton compiles kernels anew for those that 16 divides, for 1, and for those of 32 bits, even where told not to in a tuple; so the
last bit is always set, and zero is the smallest number that has all its digits. What that takes, at most the rounding of float64,
goes into the number's second part where it has one.
"""

import ctypes
import struct
import sys
from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from triton.language import core


def as_given(value: float, dtype: torch.dtype) -> float:
    """The number that a kernel of this dtype has for `value`."""
    if dtype == torch.float64:
        return _from_bits(_bits(value))
    return ctypes.c_float(value).value if abs(value) >= torch.finfo(torch.float32).tiny else 0.0


def packed(values: Sequence[float], dtype: torch.dtype) -> list[float] | list[int]:
    """Numbers as a kernel's arguments: float32 as they are, float64 as their bits."""
    return [_bits(value) if dtype == torch.float64 else as_given(value, dtype) for value in values]


def _bits(value: float) -> int:
    value = value if abs(value) > sys.float_info.min else sys.float_info.min
    return struct.unpack("<q", struct.pack("<d", value))[0] | 1


def _from_bits(bits: int) -> float:
    return struct.unpack("<d", struct.pack("<q", bits))[0]


@triton.jit
def number(value):
    """A number in a kernel."""
    value = core.to_tensor(value)  # the interpreter has floats as they are, and Triton 3.6 this function in `core` only
    if value.dtype == tl.int64:
        value = value.to(tl.float64, bitcast=True)
    return value
