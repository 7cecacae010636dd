"""How the operators run on a GPU: by default, deterministically, in graphs, without waiting, compiled, under autocast."""

from __future__ import annotations

import warnings

import pytest
import torch

from huenet.kernels import Bins, arguments, histogram_emd, joint_histogram, soft_histogram
from tests.assertions import assert_close
from tests.gpu.cases import BACKEND, DEVICE, OPERATORS, assert_same, inputs, step
from tests.interpreted.cases import SINGLE
from tests.kernels.strategies import upstream

pytestmark = pytest.mark.gpu
EVERY_OPERATOR = pytest.mark.parametrize("operator", OPERATORS)
TILED_AND_DENSE = pytest.mark.parametrize("bins", [Bins(256, boundary="circular"), Bins(7)], ids=["tiled", "dense"])
WEIGHTED = pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])


def leaves(count: int, rows: int = 3, weighted: bool = False, device: torch.device = DEVICE) -> list[torch.Tensor]:
    return [tensor.to(device).requires_grad_() for tensor in inputs(count, rows)[: 3 if weighted else 2]]


@EVERY_OPERATOR
@TILED_AND_DENSE
def test_default_is_triton(operator, bins):
    arguments._warn_once.cache_clear()
    x = leaves(2000)
    assert arguments.choose_backend(None, x[0]) == "triton"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(step(operator, bins, x, None), step(operator, bins, x, "triton"))


@pytest.mark.parametrize(
    "function, reason",
    [
        (lambda x, backend: soft_histogram(x, 5000, backend=backend), "holds at most 2048 bins on chip, got 5000"),
        (lambda x, backend: joint_histogram(x, x.flip(1), 5000, backend=backend), "orders samples by at most 8191 pairs"),
        (lambda x, backend: histogram_emd(x, torch.ones_like(x[:, :1]).expand(-1, 5000), 5000, backend=backend), "holds at most"),
    ],
    ids=["soft_histogram", "joint_histogram", "histogram_emd"],
)
def test_falls_back_with_one_warning(function, reason):
    arguments._warn_once.cache_clear()
    (x, _), results = leaves(200, rows=2), []
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


@EVERY_OPERATOR
@TILED_AND_DENSE
@WEIGHTED
def test_every_run_gives_the_same_bits(operator, bins, weighted, deterministic_algorithms):
    """Where torch allows no operation of its own to do otherwise."""
    x = leaves(20_000, weighted=weighted)
    first = step(operator, bins, x, BACKEND)
    for _ in range(3):
        assert_same(step(operator, bins, x, BACKEND), first)
    torch.use_deterministic_algorithms(False)
    assert_same(step(operator, bins, x, BACKEND), first)


@EVERY_OPERATOR
@TILED_AND_DENSE
@WEIGHTED
def test_graph_capture(operator, bins, weighted):
    """A captured forward and backward pass, replayed for images whose samples lie in other tiles."""
    x = leaves(5000, weighted=weighted)
    gradient = upstream(OPERATORS[operator](*x, *[None] * (3 - len(x)), bins, BACKEND))
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step(operator, bins, x, BACKEND, gradient)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step(operator, bins, x, BACKEND, gradient)
    for change in (lambda t: t, lambda t: t.flip(1).square(), lambda t: torch.full_like(t, 0.4)):
        with torch.no_grad():
            for tensor in x:
                tensor.copy_(change(tensor))
        graph.replay()
        replayed = [tensor.clone() for tensor in captured]
        assert_same(replayed, step(operator, bins, x, BACKEND, gradient))


@EVERY_OPERATOR
@TILED_AND_DENSE
@WEIGHTED
def test_host_never_waits(operator, bins, weighted):
    x = leaves(5000, weighted=weighted)
    gradient = torch.ones_like(step(operator, bins, x, BACKEND)[0])  # and kernels are compiled
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        step(operator, bins, x, BACKEND, gradient)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@EVERY_OPERATOR
@TILED_AND_DENSE
def test_autocast_changes_nothing(operator, bins):
    x = leaves(2000, weighted=True)
    with torch.autocast(DEVICE.type, dtype=torch.bfloat16):
        inside = step(operator, bins, x, BACKEND)
    assert_same(inside, step(operator, bins, x, BACKEND))


@EVERY_OPERATOR
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiles_without_graph_breaks(operator, backend):
    torch._dynamo.reset()
    x, bins = leaves(2000), Bins(256, boundary="circular")
    compiled = torch.compile(
        lambda x, y: OPERATORS[operator](x, y, None, bins, BACKEND).square().sum(), fullgraph=True, backend=backend
    )
    loss = OPERATORS[operator](*x, None, bins, BACKEND).square().sum()
    actual = compiled(*x)
    assert_close(actual, loss, SINGLE)
    for a, e in zip(torch.autograd.grad(actual, x), torch.autograd.grad(loss, x)):
        assert_close(a, e, 10 * SINGLE)  # inductor sums in another order, and the upstream gradient is what it gives


@EVERY_OPERATOR
@TILED_AND_DENSE
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_second_device(operator, bins):
    """Kernels run where their inputs are, whichever GPU is the current one."""
    other = leaves(3000, weighted=True, device=torch.device("cuda:1"))
    with torch.cuda.device(0):
        result = step(operator, bins, other, BACKEND)
        assert torch.cuda.current_device() == 0
    assert all(tensor.device == torch.device("cuda:1") for tensor in result)
    with torch.cuda.device(1):
        assert_same(result, step(operator, bins, other, BACKEND))
    expected = step(operator, bins, [tensor.detach().cpu().double().requires_grad_() for tensor in other], "reference")
    assert_close(result[0].cpu(), expected[0], 10 * SINGLE)


@EVERY_OPERATOR
def test_other_streams(operator):
    """Kernels go to the current stream, so that what they wait for is done."""
    x, bins = leaves(50_000), Bins(256)
    expected, side = step(operator, bins, x, BACKEND), torch.cuda.Stream()
    torch.cuda.synchronize()
    with torch.cuda.stream(side):
        torch.cuda._sleep(50_000_000)
        late = [(tensor.detach() + 0.0).requires_grad_() for tensor in x]
        result = step(operator, bins, late, BACKEND)
    torch.cuda.current_stream().wait_stream(side)
    assert_same(result, expected)
