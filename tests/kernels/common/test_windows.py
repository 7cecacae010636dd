"""A window is one entry: a toy window, registered here, goes through all backends and boundaries with nothing else touched; and
what an entry says of a window is true."""

from __future__ import annotations

import pytest
import torch

from huenet.kernels import Bins, soft_histogram
from huenet.kernels.common.windows import WINDOWS, is_separable
from tests.kernels.strategies import BOUNDARIES, boundaries_of
from tests.kernels.toy import TOY, check_toy


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setitem(WINDOWS, "toy", TOY)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("count", [5, 70])
def test_a_toy_window_works_everywhere(toy, boundary, count):
    """In backend "torch"; tests/interpreted has the same of the kernels."""
    check_toy("torch", count, boundary)


def test_a_toy_windows_kernels_compile(toy):
    pytest.importorskip("triton")
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from huenet.kernels.common.jit.launch import recorded

    with recorded() as launches:
        soft_histogram(torch.empty(1, 4096, device="meta"), Bins(256, window="toy"))
    forward = launches[0]
    signature = dict.fromkeys(forward.kernel.arg_names, "constexpr")
    numbers = forward.numbers["a"]
    signature |= {"x_ptr": "*fp32", "sums_ptr": "*fp32", "N": "i32", "NP": "i32", "a": type(numbers)(*["fp32"] * len(numbers))}
    source = ASTSource(forward.kernel, signature, constexprs={"shares_ptr": None, **forward.frozen})
    assert triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 1}).asm["ptx"]


def test_an_unknown_window_is_an_error():
    with pytest.raises(ValueError, match=r"bins\.window must be one of logistic, gaussian, triangular, bspline, .*, got 'toy'"):
        Bins(8, window="toy")


@pytest.mark.parametrize("name", WINDOWS)
def test_knots_are_where_a_derivative_jumps(name):
    """Third differences: h times a fourth derivative where the window is analytic; at a knot a jump of the window, of its slope, or
    of the slope's own."""
    window, h = WINDOWS[name], 1e-3
    u = torch.arange(-3.0005, 3, h, dtype=torch.float64)
    window_jumps = (window.response(u, 1.0).diff(n=3) / h).abs() > 0.3
    slope_jumps = (window.derivative(u, 1.0).diff(n=3) / h**2).abs() > 0.3
    jumps = u[1:-2][window_jumps | slope_jumps]
    assert all(min(abs(place - knot) for knot in window.knots) < 3 * h for place in jumps.tolist())
    assert {round(place, 1) for place in jumps.tolist()} == set(window.knots)


@pytest.mark.parametrize("name", WINDOWS)
def test_even_sums(name):
    for bandwidth in (0.4, 0.7, 1.0):
        x = torch.linspace(0, 1, 40, dtype=torch.float64)
        bins = Bins(9, bandwidth=bandwidth, boundary=boundaries_of(name)[-1], window=name)
        sums = soft_histogram(x.unsqueeze(1), bins, backend="reference").sum(-1)
        even = bool((sums - sums[0]).abs().max() < 1e-12)
        assert even == WINDOWS[name].even_sum(bandwidth)


def test_one_limit_of_the_separable_form():
    logistic = WINDOWS["logistic"]
    limit = 0.95 * torch.finfo(torch.float32).max
    assert is_separable(logistic, 1.0, 84.0, torch.float32) and not is_separable(logistic, 1.0, 84.6, torch.float32)
    assert torch.tensor(84.2).exp() < limit and not is_separable(WINDOWS["gaussian"], 1.0, 1.0, torch.float32)
