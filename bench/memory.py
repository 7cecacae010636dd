"""Memory: what a call takes at most beyond what was held before it, and what there is."""

import contextlib
import ctypes
import gc
import resource
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

_PROCESS = Path("/proc/self")
T = TypeVar("T")


def with_peak(function: Callable[[], T], device: str = "cpu") -> tuple[T, int | None]:
    """What the function returns, and the bytes by which it raised the memory in use at most; None where the system does not tell.

    On a GPU, of PyTorch's allocator; on a CPU, of the process (Linux), so call the function once before: caches and thread pools
    stay. Nothing the function leaves behind for its caller is subtracted.
    """
    gc.collect()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        return function(), torch.cuda.max_memory_allocated() - before
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what the allocator keeps for later must count as free
        (_PROCESS / "clear_refs").write_text("5")  # resets the high-water mark
        before = _kilobytes(_PROCESS / "status", "VmRSS")
    except (OSError, AttributeError):
        return function(), None
    result = function()
    return result, (_kilobytes(_PROCESS / "status", "VmHWM") - before) * 1024


def available() -> int | None:
    """Bytes that new allocations may take on this machine (Linux), within the limits of its container."""
    try:
        free = _kilobytes(Path("/proc/meminfo"), "MemAvailable") * 1024
    except OSError:
        return None
    with contextlib.suppress(OSError, ValueError):  # no such files, or `max`: no limit
        group = Path("/sys/fs/cgroup")
        free = min(free, int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    return free


def limit_to(share: float) -> None:
    """From now on, allocations of this process fail beyond a share of what is available, rather than the system's."""
    free = available()
    if free is not None:
        mapped = _kilobytes(_PROCESS / "status", "VmSize") * 1024
        resource.setrlimit(resource.RLIMIT_AS, (mapped + int(share * free),) * 2)


def _kilobytes(file: Path, field: str) -> int:
    line = next(line for line in file.read_text().splitlines() if line.startswith(field + ":"))
    return int(line.split()[1])
