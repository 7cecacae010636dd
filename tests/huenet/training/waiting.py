"""Contexts in which it is an error that the host waits for the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode


class Waiting(AssertionError):
    """The host would wait for the device."""


WAITS = {Tensor.item, Tensor.tolist, Tensor.cpu, Tensor.numpy, Tensor.nonzero, torch.nonzero, Tensor.__bool__, Tensor.__int__,
         Tensor.__float__, Tensor.__index__, torch.equal, torch.masked_select, torch.unique}  # fmt: skip
aten = torch.ops.aten
WAITING = {aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten._unique2, aten.equal, aten.is_nonzero, aten.bincount}


class NoCalls(TorchFunctionMode):
    """Python's calls that wait: some of them, as `.cpu()`, do nothing that is dispatched where the device is the CPU."""

    def __torch_function__(self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if function in WAITS:
            raise Waiting(str(function))
        return function(*args, **(kwargs or {}))


class NoOperations(TorchDispatchMode):
    """Operations that wait, whoever calls them, autograd and optimisers included; indexing by a mask is one."""

    def __torch_dispatch__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        indexed = function.overloadpacket in (aten.index, aten.index_put, aten.index_put_)
        masks = [index for index in args[1] if index is not None and index.dtype == torch.bool] if indexed else []
        if function.overloadpacket in WAITING or masks:
            raise Waiting(str(function))
        return function(*args, **(kwargs or {}))
