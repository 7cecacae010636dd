"""What depends on the device: how much is done at a time, whether autocast is kept out, which dtypes there are."""

import contextlib
import functools
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
#: devices that have autocast, of which torch.compile need not ask: before torch 2.12 it cannot
_AUTOCAST = ("cpu", "cuda", "mps", "xpu")


def budget(like: Tensor, cpu: T, accelerator: T) -> T:
    """How much is done at a time: on a CPU, what stays in the cache; on any other device, what keeps it busy."""
    return cpu if like.device.type == "cpu" else accelerator


def full_precision(like: Tensor) -> contextlib.AbstractContextManager[None]:
    """Context in which autocast, where the device has one, does not touch what is computed."""
    kind = like.device.type
    on = (kind in _AUTOCAST or torch.amp.is_autocast_available(kind)) and torch.is_autocast_enabled(kind)
    return torch.autocast(kind, enabled=False) if on else contextlib.nullcontext()


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Context in which this thread's operations on CPU tensors use one core; torch has a number of threads for each thread of the
    program. For what is many operations of some microseconds, of which others would share the least part, and be waited for: on a
    machine that is busy, milliseconds each time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def check_float64(like: Tensor) -> None:
    """RuntimeError where the device has no float64, which coordinates and sums need."""
    reason = _no_float64(like.device)
    if reason is not None:
        raise RuntimeError(
            f"samples must be on a device that has float64, got {like.device} ({reason}); move them to the CPU first, .cpu()"
        )


@functools.cache
def _no_float64(device: torch.device) -> str | None:
    try:
        torch.empty(0, dtype=torch.float64, device=device)
    # what torch raises for a dtype that a device lacks differs: TypeError on MPS, NotImplementedError where nothing is registered
    except (RuntimeError, TypeError, NotImplementedError) as error:
        return str(error).splitlines()[0]
    return None
