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


def one_core(few: bool = True) -> contextlib.AbstractContextManager[None]:
    """Context in which this thread's operations on CPU tensors use one core, where samples are few. For what is many operations of
    some microseconds, of which others would share the least part, and be waited for: on a machine that is busy, milliseconds each
    time.

    torch has a number of threads for each thread of the program, of which one that begins meanwhile takes this one's:
    `torch.set_num_threads` in it says otherwise.
    """
    return cores(1) if few else contextlib.nullcontext()


@contextlib.contextmanager
def cores(count: int) -> Iterator[None]:
    """Context in which this thread's operations on CPU tensors use so many."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@functools.cache
def hold_freed_memory() -> None:
    """Let glibc's allocator keep some tens of MB that were freed, as in any program that ever freed a tensor of such a size.

    It gives memory back to the system above twice the largest block that it has seen freed; the buffers of one pass, a MB each,
    are then asked for anew in every pass, and a fifth of the time is the system's, clearing pages. This block is never touched, so
    it takes no memory. 31 MB, as sizes above 32 MB teach it nothing; other allocators do not mind.
    """
    torch.empty(31 << 20, dtype=torch.uint8, device="cpu")


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


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on the device, which the host does not wait for: from pinned memory, copies to a GPU return at once."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
