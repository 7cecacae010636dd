"""Which backend serves a call: `reference`, `torch` (portable) or `triton` (fused), and what is said where Triton cannot."""

import functools
import sys
import warnings
from collections.abc import Callable

from torch import Tensor

BACKENDS = ("reference", "torch", "triton")
#: frames of these packages are not where a warning comes from
_INSIDE = (__name__.rpartition(".common.")[0] + ".", "torch.")


def check_backend(backend: str | None) -> None:
    """ValueError for a name that no backend has."""
    if backend is not None and backend not in BACKENDS:
        raise ValueError(f"backend must be None or one of {', '.join(BACKENDS)}, got {backend!r}")


def choose_backend(backend: str | None, x: Tensor, unserved: Callable[[], str | None] = lambda: None) -> str:
    """The backend to use: the one asked for, else `triton` on a GPU and `torch` elsewhere.

    `unserved` returns why the operator's Triton kernels cannot serve these arguments, None if they can; it is called only where
    Triton can be used at all. Then the default is `torch`, with a warning that says why, once for each reason; asking for
    `triton` is a ValueError, as is an unknown name.
    """
    check_backend(backend)
    if backend in ("reference", "torch"):
        return backend
    if backend is None and not x.is_cuda:
        return "torch"
    reason = _no_triton(x) or unserved()
    if reason is None:
        return "triton"
    if backend == "triton":
        raise ValueError(f"backend 'triton' {reason}; use 'torch'")
    warn_once(f"huenet.kernels uses its slower backend 'torch', as backend 'triton' {reason}")
    return "torch"


def _no_triton(x: Tensor) -> str | None:
    """Why Triton cannot be used for this tensor, None if it can."""
    try:
        import triton
    except ImportError as error:
        return f"needs the package triton, which cannot be imported: {error}"
    if not x.is_cuda and not triton.knobs.runtime.interpret:
        return f"needs samples on a GPU (or TRITON_INTERPRET=1), got them on {x.device}"
    return None


@functools.cache
def warn_once(message: str) -> None:
    """A warning that points at whoever called huenet.kernels, once for each message."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and f"{frame.f_globals.get('__name__', '')}.".startswith(_INSIDE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)
