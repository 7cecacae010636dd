"""How the operators run on a GPU: by default, deterministically, in graphs, without waiting, compiled, under autocast."""

from __future__ import annotations

import warnings

import pytest
import torch

from huenet.kernels import Bins, joint_histogram, soft_histogram
from huenet.kernels.common import backends
from tests.assertions import assert_close
from tests.gpu.cases import BACKEND, DEVICE, FEW_CASES, FUSED, assert_same, draw, sizes, step
from tests.kernels.agreement import SINGLE
from tests.kernels.strategies import upstream

pytestmark = pytest.mark.gpu
EVERY_CASE = pytest.mark.parametrize("operator, label", [(name, label) for name, label in FEW_CASES if name in FUSED])


def leaves(operator: str, label: str, device: torch.device = DEVICE) -> list[torch.Tensor]:
    cases = FUSED[operator]
    return [tensor.to(device).requires_grad_() for tensor in draw(cases, cases.settings[label], sizes(cases), 3)]


def both(operator: str, label: str, x: list[torch.Tensor], backend: str | None = BACKEND, upstream: torch.Tensor | None = None):
    """Result and gradients."""
    return step(FUSED[operator], FUSED[operator].settings[label], x, backend, upstream)


@EVERY_CASE
def test_default_is_triton(operator, label):
    backends.warn_once.cache_clear()
    x = leaves(operator, label)
    assert backends.choose_backend(None, x[0]) == "triton"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(both(operator, label, x, None), both(operator, label, x, "triton"))


@pytest.mark.parametrize(
    "function, reason",
    [
        (lambda x, backend: joint_histogram(x, x.flip(1), 5000, backend=backend), "orders samples by at most 8191 pairs"),
        (
            lambda x, backend: soft_histogram(x, Bins(2, bandwidth=1e3, boundary="circular"), backend=backend),
            "adds up at most 65 laps",
        ),
    ],
    ids=["joint_histogram", "soft_histogram"],
)
def test_falls_back_with_one_warning(function, reason):
    backends.warn_once.cache_clear()
    x, results = torch.rand(2, 200, device=DEVICE).requires_grad_(), []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for backend in (BACKEND, BACKEND, "torch"):
            result = function(x, backend)
            results.append([result, *torch.autograd.grad(result.square().sum(), x)])
    (warning,) = (str(warning.message) for warning in caught if "slower backend" in str(warning.message))
    assert reason in warning
    for result in results[:2]:
        for actual, expected in zip(result, results[2]):  # whose sums of float64 have no fixed order
            assert_close(actual, expected, SINGLE)
    with pytest.raises(ValueError, match=reason):
        function(x, "triton")


@pytest.fixture
def deterministic_algorithms(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@EVERY_CASE
def test_every_run_gives_the_same_bits(operator, label, deterministic_algorithms):
    """Where torch allows no operation of its own to do otherwise."""
    x = leaves(operator, label)
    first = both(operator, label, x, BACKEND)
    for _ in range(3):
        assert_same(both(operator, label, x, BACKEND), first)
    torch.use_deterministic_algorithms(False)
    assert_same(both(operator, label, x, BACKEND), first)


@EVERY_CASE
def test_graph_capture(operator, label):
    """A captured forward and backward pass, replayed for images whose samples lie in other tiles."""
    x = leaves(operator, label)
    gradient = upstream(both(operator, label, x)[0])
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            both(operator, label, x, BACKEND, gradient)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = both(operator, label, x, BACKEND, gradient)
    for change in (lambda t: t, lambda t: t.flip(1).square(), lambda t: 0.4 + 0.1 * t):
        with torch.no_grad():
            for tensor in x:
                tensor.copy_(change(tensor))
        graph.replay()
        replayed = [tensor.clone() for tensor in captured]
        assert_same(replayed, both(operator, label, x, BACKEND, gradient))


@EVERY_CASE
def test_host_never_waits(operator, label):
    x = leaves(operator, label)
    gradient = torch.ones_like(both(operator, label, x, BACKEND)[0])  # and kernels are compiled
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        both(operator, label, x, BACKEND, gradient)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@EVERY_CASE
def test_autocast_changes_nothing(operator, label):
    x = leaves(operator, label)
    with torch.autocast(DEVICE.type, dtype=torch.bfloat16):
        inside = both(operator, label, x, BACKEND)
    assert_same(inside, both(operator, label, x, BACKEND))


@EVERY_CASE
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiles_without_graph_breaks(operator, label, backend):
    torch._dynamo.reset()
    x = leaves(operator, label)
    cases, settings = FUSED[operator], FUSED[operator].settings[label]
    function = lambda *given: cases.run(list(given), BACKEND, settings).square().sum()  # noqa: E731
    compiled, loss = torch.compile(function, fullgraph=True, backend=backend), function(*x)
    actual = compiled(*x)
    assert_close(actual, loss, SINGLE)
    for a, e in zip(torch.autograd.grad(actual, x), torch.autograd.grad(loss, x)):
        assert_close(a, e, 10 * SINGLE)  # inductor sums in another order, and the upstream gradient is what it gives


@EVERY_CASE
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_second_device(operator, label):
    """Kernels run where their inputs are, whichever GPU is the current one."""
    other = leaves(operator, label, torch.device("cuda:1"))
    with torch.cuda.device(0):
        result = both(operator, label, other, BACKEND)
        assert torch.cuda.current_device() == 0
    assert all(tensor.device == torch.device("cuda:1") for tensor in result)
    with torch.cuda.device(1):
        assert_same(result, both(operator, label, other, BACKEND))
    expected = both(operator, label, [tensor.detach().cpu().double().requires_grad_() for tensor in other], "reference")
    assert_close(result[0].cpu(), expected[0], 10 * SINGLE)


@EVERY_CASE
def test_other_streams(operator, label):
    """Kernels go to the current stream, so that what they wait for is done."""
    x = leaves(operator, label)
    expected, side = both(operator, label, x, BACKEND), torch.cuda.Stream()
    torch.cuda.synchronize()
    with torch.cuda.stream(side):
        torch.cuda._sleep(50_000_000)
        late = [(tensor.detach() + 0.0).requires_grad_() for tensor in x]
        result = both(operator, label, late, BACKEND)
    torch.cuda.current_stream().wait_stream(side)
    assert_same(result, expected)
