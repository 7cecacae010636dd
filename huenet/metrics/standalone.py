"""What metrics derive from: torchmetrics' class, or one with the same interface where torchmetrics is not installed."""

from __future__ import annotations

import abc
import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn

from ..distributed import all_reduce_sum


class StandaloneMetric(nn.Module, abc.ABC):
    """States that are sums over batches, in the manner of `torchmetrics.Metric`.

    Derive from it, `add_state` in `__init__`, add to the states in `update`, and return what they tell from `compute`, which sees
    them summed over the processes: those of `process_group`, unless `sync_on_compute` is False. Calling a metric updates it, and
    returns the value of that batch alone, on this process.
    """

    def __init__(self, *, process_group: dist.ProcessGroup | None = None, sync_on_compute: bool = True) -> None:
        super().__init__()
        self.process_group, self.sync_on_compute = process_group, sync_on_compute
        self._defaults: dict[str, Tensor] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "compute" in cls.__dict__:
            cls.compute = _of_all_processes(cls.compute)

    def add_state(self, name: str, default: Tensor, dist_reduce_fx: str = "sum", persistent: bool = False) -> None:
        """A tensor that `reset` sets to `default`; part of the `state_dict` where it is persistent."""
        if dist_reduce_fx != "sum":
            raise ValueError(f"dist_reduce_fx must be 'sum', got {dist_reduce_fx!r}")
        self._defaults[name] = default.clone()
        self.register_buffer(name, default.clone(), persistent)

    @abc.abstractmethod
    def update(self, *batch: Any, **options: Any) -> None:
        """Add a batch."""

    @abc.abstractmethod
    def compute(self) -> Tensor:
        """The value of all that was added, on all processes."""

    def reset(self) -> None:
        """Forget all that was added."""
        self._set_states(self._defaults)

    def forward(self, *batch: Any, **options: Any) -> Tensor:
        """Add a batch, and the value of it alone."""
        before, synced = self._states(), self.sync_on_compute
        self.reset()
        try:
            self.update(*batch, **options)
            self.sync_on_compute = False
            value = self.compute()
        except BaseException:
            self._set_states(before)
            raise
        finally:
            self.sync_on_compute = synced
        self._set_states({name: before[name] + state for name, state in self._states().items()})
        return value

    def _states(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in self._defaults}

    def _set_states(self, states: dict[str, Tensor]) -> None:
        for name, state in states.items():
            setattr(self, name, state.detach().to(getattr(self, name).device, copy=True))

    def _apply(self, function: Callable[[Tensor], Tensor], recurse: bool = True) -> StandaloneMetric:
        """Move with the model; but `half` is not for sums."""
        states = self._states()
        super()._apply(function, recurse)
        self.__dict__["_buffers"].update({name: state.to(getattr(self, name).device) for name, state in states.items()})
        return self


def _of_all_processes(compute: Callable[[Any], Tensor]) -> Callable[[Any], Tensor]:
    @functools.wraps(compute)
    def synced(self: StandaloneMetric) -> Tensor:
        if not self.sync_on_compute:
            return compute(self)
        own = self._states()
        self._set_states({name: all_reduce_sum(state, self.process_group) for name, state in own.items()})
        try:
            return compute(self)
        finally:
            self._set_states(own)

    return synced


def _base() -> type[nn.Module]:
    if importlib.util.find_spec("torchmetrics") is None:
        return StandaloneMetric
    return importlib.import_module("torchmetrics").Metric


Metric: Any = _base()
