"""How operators are registered: a forward and a backward `torch.library.custom_op`, both opaque to tracing, so that
`torch.compile(fullgraph=True)` and `torch.library.opcheck` take them on every supported version of torch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def operator(name: str) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: register a function as `huenet::name`.

    Inside, autocast is off, as histograms are summed in the dtype given, and the first tensor's GPU is the current one, on which
    Triton launches kernels.
    """

    def register(function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        def exact(first: Tensor, *args: Any) -> Any:
            with torch.autocast(first.device.type, enabled=False), torch.cuda.device_of(first):
                return function(first, *args)

        return torch.library.custom_op(f"huenet::{name}", exact, mutates_args=())

    return register


def once_differentiable(backward: Any) -> None:
    """Make differentiating a backward operator an error that says what to do, rather than one about missing formulas."""

    def refuse(ctx: Any, *grads: Tensor) -> None:
        raise RuntimeError(
            f"{backward._qualname} is differentiable once only; second derivatives need backend='reference', which is plain PyTorch"
        )

    torch.library.register_autograd(backward._qualname, refuse)
