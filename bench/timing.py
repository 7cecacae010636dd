"""Times of forward and backward: a call's own, in a block of calls, and their quantiles."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

Times = list[tuple[float, float]]
#: bytes written between two calls on a GPU, so that inputs are read from memory: more than any L2 cache
FLUSH = 256 << 20


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    """p10, p25, median, p75, p90 and min of times in seconds, and how many there are."""
    if not seconds:
        raise ValueError("seconds must not be empty")
    p10, p25, median, p75, p90 = np.quantile(seconds, [0.1, 0.25, 0.5, 0.75, 0.9]).tolist()
    return {"min": min(seconds), "p10": p10, "p25": p25, "median": median, "p75": p75, "p90": p90, "n": len(seconds)}


class Call:
    """One provider's forward and backward on prepared inputs."""

    def __init__(self, run: Callable[[SimpleNamespace], Tensor], given: SimpleNamespace, upstream: Tensor | None) -> None:
        self.run, self.given, self.upstream = run, given, upstream
        self.leaves = [tensor for tensor in vars(given).values() if tensor.requires_grad]

    def forward(self) -> Tensor:
        for leaf in self.leaves:
            leaf.grad = None
        return self.run(self.given)

    def backward(self, result: Tensor) -> None:
        if self.upstream is not None:
            result.backward(self.upstream)

    def rotated(self) -> Call:
        """The same on a copy of the inputs in other memory."""
        copies = {name: value.detach().clone().requires_grad_(value.requires_grad) for name, value in vars(self.given).items()}
        return Call(self.run, SimpleNamespace(**copies), self.upstream)


def times_on_cpu(call: Call, seconds: float, least: int, most: int) -> Times:
    """Forward and backward times of calls, at least `least`, until `seconds` are over."""
    times: Times = []
    end = time.perf_counter() + seconds
    while len(times) < least or (time.perf_counter() < end and len(times) < most):
        start = time.perf_counter()
        result = call.forward()
        between = time.perf_counter()
        call.backward(result)
        times.append((between - start, time.perf_counter() - between))
        del result
    return times


def times_on_gpu(calls: Sequence[Call], count: int) -> Times:
    """The same by the device's own clock: inputs in turn, the L2 cache overwritten before each call.

    The host runs ahead while the cache is overwritten, but a call of many small kernels still waits for it: that is a user's time
    too. `graph_times` is without it.
    """
    cache = torch.empty(FLUSH, dtype=torch.int8, device="cuda")
    marks = [[torch.cuda.Event(enable_timing=True) for _ in range(3)] for _ in range(count)]
    for index, (start, between, end) in enumerate(marks):
        call = calls[index % len(calls)]
        cache.zero_()
        start.record()
        result = call.forward()
        between.record()
        call.backward(result)
        end.record()
        del result
    torch.cuda.synchronize()
    return [(start.elapsed_time(between) / 1e3, between.elapsed_time(end) / 1e3) for start, between, end in marks]


def graph_times(call: Call, count: int) -> list[float]:
    """Times of replays of forward and backward captured in one CUDA graph: the kernels alone, without the host.

    Raises RuntimeError where the call cannot be captured, since the host waits for the device in it; the process may be of no more
    use then.
    """
    once = lambda: torch.autograd.grad(call.forward(), call.leaves, call.upstream)  # noqa: E731
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            once()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        gradients = once()
    cache = torch.empty(FLUSH, dtype=torch.int8, device="cuda")
    marks = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(count)]
    for start, end in marks:
        cache.zero_()
        start.record()
        graph.replay()
        end.record()
    torch.cuda.synchronize()
    del gradients  # until here, as the graph writes them
    return [start.elapsed_time(end) / 1e3 for start, end in marks]
