"""Constant tensors that are made once for each device and settings, and used by every later call."""

import functools
import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

T = TypeVar("T")


def kept_tensors(maxsize: int) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """What `functools.lru_cache` is to functions of plain values, for functions that make tensors, which nobody may write to.

    The latest `maxsize` results serve in any mode: they are made outside of inference mode, whose tensors autograd refuses. Where
    operations are only traced, fake tensors are not kept, and kept ones not given. What is made while a CUDA graph is captured has
    no values before its first replay, and is not kept either.
    """

    def decorated(make: Callable[..., T]) -> Callable[..., T]:
        kept: dict[tuple[Hashable, ...], T] = {}
        lock = threading.Lock()

        @functools.wraps(make)
        def get(*key: Hashable) -> T:
            if torch.compiler.is_compiling() or is_in_torch_dispatch_mode():
                return make(*key)
            if (found := kept.get(key)) is not None:
                return found
            with torch.inference_mode(False), torch.no_grad():
                found = make(*key)
            if not (torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()):
                with lock:
                    kept[key] = found
                    while len(kept) > maxsize:
                        del kept[next(iter(kept))]  # the oldest
            return found

        attached: Any = get
        attached.kept = kept
        return get

    return decorated
