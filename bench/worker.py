"""A process for each provider, so that none is timed in memory another has left behind, and a slow or dead one ends nothing else.

The parent asks (`Worker.ask`), the child answers (`Session`). On a CPU the providers of a case are asked in turn, a block of calls
each, so that all of them see the same moments of a busy machine.
"""

import functools
import math
import multiprocessing
import os
import sys
import time
import warnings
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

import torch

from . import gate, memory
from .cases import Case
from .operators import OPERATORS, Inputs, Run
from .providers import PROVIDERS
from .timing import Call, graph_times, times_on_cpu, times_on_gpu

#: of what is probed, one part in so many of an image's samples, or of its pairs of points, and how many times the limit it may then
#: seem to take: a short call is mostly starting
PROBES = ((1024, 30), (32, 1))
#: of the memory that is available, what a provider may take
MEMORY_SHARE = 0.8


class Failure(Exception):
    """A provider gave no times: `status` is `out of memory`, `over time`, `wrong` or `failed`."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Session:
    """The child's side: one case at a time."""

    def __init__(self, provider: str, device: str) -> None:
        self.name, self.provider, self.device = provider, PROVIDERS[provider], device
        self.calls: list[Call] = []

    def prepare(self, case: Case, limit: float = math.inf) -> dict[str, Any]:
        """Build the case and check its first call; its errors, and the seconds of a call, which `limit` is for."""
        operator, dtype = OPERATORS[case.operator], getattr(torch, case.dtype)
        inputs, expected = _truth(case, operator.truth(case) if self.provider.same else self.name, self.device)
        given = gate.given(inputs, case, dtype, self.device, full=True)
        run = operator.builders()[self.name](case)
        if self.provider.probed:
            self._probe(run, given, inputs, limit, case)
        start = time.perf_counter()
        result = run(given)
        upstream = None
        if self.provider.gradient:
            distinct = len(next(iter((inputs.samples or inputs.fixed).values())))
            upstream = gate.upstream(result, case.samples if inputs.samples else 1, case.batch, distinct)
            result.backward(upstream)
        seconds = self._since(start)
        slopes = {name: getattr(given, name).grad for name in inputs.differentiated} if self.provider.gradient else {}
        tolerance = operator.tolerance(self.name, self.provider.tolerance, case.dtype)
        errors = gate.check(gate.Outcome(result.detach(), slopes), expected, inputs, case, tolerance)
        if errors.wrong:
            raise Failure("wrong", errors.wrong)
        self.calls = [Call(run, given, upstream)]
        if self.provider.startup:  # the first call compiled
            start = time.perf_counter()
            self.calls[0].backward(self.calls[0].forward())
            seconds = self._since(start)
        return {"errors": {"result": errors.result, "gradient": errors.gradient}, "seconds": seconds}

    def _probe(self, run: Run, given: SimpleNamespace, inputs: Inputs, limit: float, case: Case) -> None:
        """Time calls on parts of the samples, for the first of which it is compiled; over time where all would take longer."""
        order = OPERATORS[case.operator].order
        for share, patience in PROBES:
            count = math.ceil(case.samples / share ** (1 / order))
            part = {name: getattr(given, name)[:1, :count] for name in inputs.samples}
            leaves = {name: values.detach().clone().requires_grad_(values.requires_grad) for name, values in part.items()}
            small, times = SimpleNamespace(**{**vars(given), **leaves}), case.batch * (case.samples / count) ** order
            for _ in range(2):
                start = time.perf_counter()
                run(small).sum().backward()
                seconds = self._since(start) * times
            if seconds > patience * limit:
                raise Failure("over time", f"about {seconds:.3g} s a call, by its time for {count:,} samples")

    def block(self, seconds: float, least: int, most: int, warm: bool) -> tuple[list[tuple[float, float]], int | None]:
        """Times of a block of calls, and its peak memory."""
        (call,) = self.calls
        if warm:
            call.backward(call.forward())
        for leaf in call.leaves:
            leaf.grad = None
        if self.device == "cpu":
            return memory.with_peak(functools.partial(times_on_cpu, call, seconds, least, most))
        _, peak = memory.with_peak(lambda: call.backward(call.forward()), "cuda")
        once = sum(times_on_gpu([call], 1)[0])
        count = max(least, min(most, math.ceil(seconds / max(once, 1e-6))))
        copies = [call, *(call.rotated() for _ in range(2))] if once < 0.05 else [call]
        return times_on_gpu(copies, count), peak

    def graph(self, count: int) -> list[float]:
        """Times of replays of a CUDA graph."""
        return graph_times(self.calls[0], count)

    def release(self) -> None:
        self.calls = []
        if self.device == "cuda":
            torch.cuda.empty_cache()

    def _since(self, start: float) -> float:
        """Seconds from then until all that was launched is done."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start


_TRUTHS: dict[tuple[object, ...], tuple[Inputs, gate.Outcome]] = {}


def _truth(case: Case, provider: str, device: str) -> tuple[Inputs, gate.Outcome]:
    """Base inputs and their float64 truth, kept for the other sizes of a series."""
    operator = OPERATORS[case.operator]
    key = *case.series, *operator.base(case), provider
    if key not in _TRUTHS:
        inputs = operator.inputs(case)
        if len(_TRUTHS) >= 8:
            _TRUTHS.pop(next(iter(_TRUTHS)))
        run = operator.builders()[provider](case)
        _TRUTHS[key] = inputs, gate.truth(run, inputs, case, device, PROVIDERS[provider].gradient)
    return _TRUTHS[key]


class Worker:
    """The parent's side of a provider's process; started when first asked, and again after it was stopped."""

    def __init__(self, provider: str, device: str, threads: int) -> None:
        self.provider, self.device, self.threads = provider, device, threads
        self._process: Any = None
        self._pipe: Connection | None = None

    def ask(self, method: str, *arguments: Any, timeout: float) -> Any:
        """What the child's method returns. Raises `Failure`; past the timeout the child is stopped."""
        if self._process is None:
            self._start()
        try:
            self._pipe.send((method, arguments))
            if not self._pipe.poll(timeout):
                self.stop()
                raise Failure("over time", f"no answer in {timeout:.0f} s")
            status, answer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(5)
            code = self._process.exitcode
            self.stop()
            raise Failure("out of memory" if code == -9 else "failed", f"its process died with exit code {code}") from None
        if status != "done":
            raise Failure(status, answer)
        return answer

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = self._pipe = None

    def _start(self) -> None:
        context = _context()
        self._pipe, theirs = context.Pipe()
        settings = self.provider, self.device, self.threads
        self._process = context.Process(target=_serve, args=(theirs, *settings), daemon=True)
        self._process.start()
        theirs.close()


@functools.cache
def _context() -> Any:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "huenet.kernels", "bench.worker"])  # imports only: no thread runs before the fork
    return context


def _serve(pipe: Connection, provider: str, device: str, threads: int) -> None:
    warnings.simplefilter("ignore")
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115  libraries greet
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    torch.set_num_threads(threads)
    if device == "cpu":
        memory.limit_to(MEMORY_SHARE)
    session = Session(provider, device)
    while True:
        try:
            method, arguments = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            answer = "done", getattr(session, method)(*arguments)
        except Failure as failure:
            answer = failure.status, failure.reason
        except Exception as error:
            answer = _status(error), one_line(error)
        try:
            pipe.send(answer)
        except OSError:  # the parent is gone
            return


def _status(error: Exception) -> str:
    text = str(error).lower()
    exhausted = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in text or "out of memory" in text
    return "out of memory" if exhausted else "failed"


def one_line(error: BaseException) -> str:
    """An error's kind and the first line of what it says."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:200].rstrip(": ")
