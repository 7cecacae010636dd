"""Peak memory of a call on the CPU, from the operating system (Linux)."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_memory(function: Callable[[], object]) -> int | None:
    """Bytes by which the process grows at most during the call, beyond what it held before; None where Linux does not tell.

    The call is made once before, so that caches and thread pools, which stay, are not counted.
    """
    function()
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what the allocator keeps for later must count as free
        _CLEAR.write_text("5")  # resets the high-water mark
        before = _kilobytes("VmRSS")
    except (OSError, AttributeError):
        return None
    function()
    return (_kilobytes("VmHWM") - before) * 1024


def _kilobytes(field: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(field + ":"))
    return int(line.split()[1])
