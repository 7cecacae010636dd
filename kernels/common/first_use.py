"""Kernels are checked the first time that they run on a device: what they make of a small input is compared with backend `torch`.

Kernels that no test of this package has seen on that GPU, driver or version of Triton might be wrong; a wrong loss trains a network
all the same. HUENET_CHECK=0 leaves the check out. In Triton's interpreter it is made only with HUENET_CHECK=1.
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

#: largest relative error, in the norm, of a result or gradient: a hundred times what tests hold kernels to, and half of what matrix
#: products leave that round their factors to tf32
BOUND = 2.0**-12
#: samples or points of the small input
SAMPLES = 256

#: tensors -> result and gradients
Passes: TypeAlias = Callable[[Sequence[Tensor | None]], Sequence[Tensor]]


def is_wanted(x: Tensor) -> bool:
    """Whether kernels are checked where this tensor is, now: not while a graph is captured, which can neither wait nor compile."""
    asked = os.environ.get("HUENET_CHECK")
    if not x.is_cuda:
        return asked == "1"
    return asked != "0" and not torch.cuda.is_current_stream_capturing()


def drawn(tensors: Sequence[Tensor | None], sampled: Sequence[bool]) -> list[Tensor | None]:
    """One row of every tensor, of at most SAMPLES samples where its second dimension counts them, and as many other numbers in the
    range of its own: callers' may lie where two backends rightly differ, such as all in one place."""
    generator = torch.Generator("cpu").manual_seed(0)
    return [None if x is None else _drawn(x, cut, generator) for x, cut in zip(tensors, sampled, strict=True)]


def _drawn(x: Tensor, cut: bool, generator: torch.Generator) -> Tensor:
    x = torch.nan_to_num(x.detach()[:1, :SAMPLES] if cut else x.detach()[:1], 0.0, 1.0, 0.0)
    low, high = x.amin(), x.amax()
    span = torch.where(high > low, high - low, torch.ones_like(high))
    return (low + span * torch.rand(x.shape, generator=generator, dtype=x.dtype).to(x.device)).contiguous()


def failure(kernels: Passes, portable: Passes, tensors: Sequence[Tensor | None]) -> str | None:
    """Why kernels are not to be trusted, None if they agree with the other backend on these tensors; waits for the device."""
    expected = portable(tensors)
    try:
        actual = kernels(tensors)
        error = max(_error(a, e) for a, e in zip(actual, expected, strict=True))
    except Exception as raised:  # whatever Triton, its compilers and the driver raise
        return f"raised {type(raised).__name__}: {' '.join(str(raised).split())[:200]}"
    return None if error <= BOUND else f"differs from backend 'torch' by {error:.1e} of the norm, where {BOUND:.1e} is allowed"


def _error(actual: Tensor, expected: Tensor) -> float:
    """Relative error in the norm; infinite for NaN."""
    error, norm = ((x.double()).norm().item() for x in (actual - expected, expected))
    if error != error:
        return float("inf")
    return error / norm if norm > 0 else error


def where(device: torch.device) -> str:
    """The device and the versions, for whoever reads the warning."""
    name = f"{torch.cuda.get_device_name(device)} ({device})" if device.type == "cuda" else str(device)
    return f"{name} with torch {torch.__version__}, triton {sys.modules['triton'].__version__}"
