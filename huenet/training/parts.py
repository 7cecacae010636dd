"""Which part of a training step is computed now: data, a network, losses, the optimiser. A step tells, whoever watches hears.

Autograd runs what was recorded last first, so a backward pass goes through the losses, then the networks: hooks on what they return
part them. In compiled functions there are no marks.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor

Output = TypeVar("Output")
Mark = Callable[[str], None]
LOSSES = "losses"
OPTIMISER = "optimiser"
OTHER = "other"
_marks: list[Mark] = []


def begins(part: str) -> None:
    """From now on this part is computed, until another begins."""
    for mark in _marks:
        mark(part)


@contextlib.contextmanager
def heard_by(mark: Mark) -> Iterator[None]:
    """Context in which ``mark`` is called with each part that begins, in this process."""
    _marks.append(mark)
    try:
        yield
    finally:
        _marks.remove(mark)


def of_part(part: str, function: Callable[..., Output]) -> Callable[..., Output]:
    """The function as a part of the step: its own pass, and the backward pass from where gradients arrive at what it returns."""

    def marked(*args: Any, **options: Any) -> Output:
        begins(part)
        output = function(*args, **options)
        if _marks:
            for tensor in tensors_of(output):
                if tensor.requires_grad:
                    tensor.register_hook(lambda _: begins(part))
        begins(OTHER)
        return output

    return marked


def tensors_of(output: Any) -> Iterator[Tensor]:
    """All tensors of tuples, lists and dictionaries within each other."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, (tuple, list, dict)):
        for one in output.values() if isinstance(output, dict) else output:
            yield from tensors_of(one)


class Shares:
    """Seconds of each part of a step, by marks at which the next part begins; on a GPU by its own clock."""

    def __init__(self, device: torch.device) -> None:
        self.on_gpu = device.type == "cuda"
        self.marks: list[tuple[str, Any]] = []
        self.records: list[dict[str, float]] = []

    def watch(self, step: Callable[[], Output]) -> Output:
        """What the step returns; what its parts took is one more of the `records`."""
        with heard_by(self._mark):
            self._mark(OTHER)
            output = step()
            self._mark(OTHER)
        self.records.append(self._seconds())
        return output

    def means(self) -> dict[str, float]:
        """Of all records, by part, in the order in which they began, what belongs to none last."""
        names = dict.fromkeys(name for record in self.records for name in record if name != OTHER)
        return {name: sum(one.get(name, 0.0) for one in self.records) / len(self.records) for name in (*names, OTHER)}

    def steps(self) -> list[float]:
        """Seconds of each step."""
        return [sum(record.values()) for record in self.records]

    def _mark(self, part: str) -> None:
        moment: Any = torch.cuda.Event(enable_timing=True) if self.on_gpu else time.perf_counter()
        if self.on_gpu:
            moment.record()
        self.marks.append((part, moment))

    def _seconds(self) -> dict[str, float]:
        if self.on_gpu:
            torch.cuda.synchronize()
        found: dict[str, float] = {}
        for (part, start), (_, end) in zip(self.marks, self.marks[1:]):
            took = start.elapsed_time(end) / 1e3 if self.on_gpu else end - start
            found[part] = found.get(part, 0.0) + took
        self.marks = []
        return found
