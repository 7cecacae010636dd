"""`python -m bench host`: what the host does for a call of every operator with kernels, forward and backward, on this CPU.

A GPU waits for the host wherever a call's kernels take less time than the host needs to launch them. Here operators are called in
backend `triton` on small inputs in the CPU's memory, and every kernel is looked up as always, but for the last step, which would
start it on a device. So outputs hold any numbers, and what torch computes beside the kernels is computed by the CPU.
"""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
from collections.abc import Iterator
from datetime import date
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import JITFunction

from huenet.kernels.common import backends

from . import gate, tables
from .cases import Case, suite
from .machine import commit, describe, versions
from .operators import OPERATORS
from .timing import Call, times_on_cpu

#: samples a side and images, few enough that the CPU computes next to nothing
SIDE, BATCH = 16, 1
LEAST, MOST = 20, 100_000
LEFT_OUT = """\
Microseconds a call, forward and backward, the median of many. `triton` is what of it Triton takes from a kernel's arguments to the
compiled kernel; `rest` is checks, buffers, autograd, and torch's own operations between kernels, launched and computed on the CPU.
Left out: the driver's launch of every kernel, what a GPU's allocator and streams take beyond a CPU's, and the first call, in which
kernels are compiled."""


@dataclasses.dataclass(frozen=True)
class Host:
    """Of a call: the kernels that it launches, seconds in all, and seconds without Triton's own way to a kernel."""

    launches: int
    seconds: float
    rest: float


@contextlib.contextmanager
def without_device(lookup: bool = True) -> Iterator[list[str]]:
    """Backend `triton` serves tensors on the CPU, and kernels are found but do not run; without `lookup`, not even found. Gives a
    list that grows by a name for every launch."""
    launched: list[str] = []
    found: list[JITFunction] = []

    def compiled(kernel: JITFunction, key: str, *_: Any) -> SimpleNamespace:
        run = lambda *_: launched.append(kernel.__name__)  # noqa: E731
        stub = SimpleNamespace(launch_metadata=lambda *_: None, run=run, function=None, packed_metadata=None)
        kernel.device_caches[0][0][key] = stub
        found.append(kernel)
        return stub

    device = SimpleNamespace(
        get_current_target=lambda: GPUTarget("cuda", 90, 32), get_current_device=lambda: 0, get_current_stream=lambda _: 0
    )
    with contextlib.ExitStack() as patches:
        patch = lambda *what: patches.enter_context(mock.patch.object(*what))  # noqa: E731
        patch(triton.runtime.driver, "_active", device)
        patch(JITFunction, "_do_compile", compiled)
        patch(backends, "_no_triton", lambda _: None)
        if not lookup:
            patch(JITFunction, "run", lambda kernel, *_, **__: launched.append(kernel.__name__))
        try:
            yield launched
        finally:
            for kernel in found:  # what is kept of them is for the device that is not there
                kernel.device_caches.clear()


def cases() -> list[Case]:
    """The quick suite's of operators with kernels, on inputs as small as can be."""
    small = [dataclasses.replace(case, side=SIDE, batch=BATCH) for case in suite("quick") if case.operator != "emd"]
    return sorted(small, key=lambda case: case.operator)


def prepared(case: Case) -> Call:
    """A call of the operator's kernels."""
    operator = OPERATORS[case.operator]
    given, run = gate.given(operator.inputs(case), case, torch.float32, "cpu", full=True), operator.huenet(case, "triton")
    with without_device():
        result: Tensor = run(given)
    return Call(run, given, torch.ones_like(result))


def measure(case: Case, seconds: float) -> Host:
    """Launches and times of a case's calls, over `seconds` each with Triton's lookup and without."""
    call, medians, launches = prepared(case), [], 0
    for lookup in (True, False):
        with without_device(lookup) as launched:
            call.backward(call.forward())  # finds its kernels for the first time
            launched.clear()
            call.backward(call.forward())
            launches = len(launched)
            medians.append(statistics.median(map(sum, times_on_cpu(call, seconds, LEAST, MOST))))
    return Host(launches, *medians)


def report(seconds: float) -> str:
    """Every operator's times as a table, and what is left out."""
    if seconds <= 0:
        raise ValueError(f"--seconds must be positive, got {seconds}")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = [[case.operator, *_figures(measure(case, seconds))] for case in cases()]
    finally:
        torch.set_num_threads(threads)
    table = tables.markdown(["operator", "launches", "microseconds", "triton", "rest"], rows)
    measured = {"machine": describe("cpu", 1), "versions": versions(), "date": date.today().isoformat(), **commit()}
    where = f"{tables.where(measured)}, triton {triton.__version__}, {BATCH} x {SIDE} x {SIDE} samples"
    return f"{table}\n\n{LEFT_OUT}\n{where}"


def _figures(host: Host) -> list[str]:
    return [str(host.launches), *(f"{each * 1e6:.0f}" for each in (host.seconds, host.seconds - host.rest, host.rest))]
