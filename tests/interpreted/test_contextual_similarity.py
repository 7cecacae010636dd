"""Backend "triton" of the contextual similarity against the dense reference in float64, on the CPU.

Tolerances as in tests/kernels/test_contextual.py: EXACT for float64; in float32 the error may be twice that of the dense reference
in float32, plus that of summing N terms.
"""

from __future__ import annotations

import importlib
import itertools

import pytest
import torch
from torch import Tensor

from huenet.kernels import contextual_similarity
from tests.assertions import assert_close, assert_gradients_close, relative_error
from tests.kernels.agreement import check_far_from_the_origin
from tests.kernels.strategies import gradients

EXACT = 1e-11
FUSED = importlib.import_module("huenet.kernels.contextual_similarity.fused")
KINDS = list(itertools.product(("cosine", "l2", "l1"), ("target", "source")))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks for a few dozen points; what is left unwritten is NaN."""
    for name, value in (("BN", 16), ("BO", {"product": 8, "l2": 8, "l1": 8}), ("WIDTH", 32)):
        monkeypatch.setattr(FUSED, name, value)

    def poison(made: Tensor) -> Tensor:
        return made.fill_(torch.nan) if made.is_floating_point() else made.fill_(-(2**30))

    empty, like = torch.Tensor.new_empty, torch.empty_like
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda self, *size, **options: poison(empty(self, *size, **options)))
    monkeypatch.setattr(torch, "empty_like", lambda tensor, **options: poison(like(tensor, **options)))


def points(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def similarity(backend: str, **options: object):
    return lambda x, y: contextual_similarity(x, y, backend=backend, **options)


@pytest.mark.parametrize("distance, reduce", KINDS)
@pytest.mark.parametrize("n, m, channels", [(33, 20, 35), (16, 35, 3)])
def test_agrees_with_reference(distance, reduce, n, m, channels):
    channels = channels if distance == "cosine" else min(channels, 5)  # one after the other
    inputs = [points(2, n, channels), points(2, m, channels, seed=1)]
    options = {"distance": distance, "reduce": reduce}
    actual, actual_gradients = gradients(similarity("triton", **options), inputs)
    expected, expected_gradients = gradients(similarity("reference", **options), inputs)
    assert_close(actual, expected, EXACT)
    assert_gradients_close(actual_gradients, expected_gradients, EXACT, "x y")


@pytest.mark.parametrize("distance, reduce", KINDS)
@pytest.mark.parametrize("spread", [1.0, 0.3])
def test_float32(distance, reduce, spread, monkeypatch):
    monkeypatch.setattr(FUSED, "BN", 64)
    y = points(1, 50, 4, dtype=torch.float32)
    x = y.flip(1) + spread * points(1, 50, 4, seed=1, dtype=torch.float32)
    options = {"distance": distance, "reduce": reduce}
    expected = gradients(similarity("reference", **options), [x.double(), y.double()])
    errors = {}
    for backend in ("triton", "torch", "reference"):
        result, slopes = gradients(similarity(backend, **options), [x, y])
        errors[backend] = [relative_error(a, e) for a, e in zip((result, *slopes), (expected[0], *expected[1]))]
    for ours, *theirs in zip(*errors.values()):
        assert ours <= 2 * max(theirs) + 50 * 2.0**-24


@pytest.mark.parametrize("places, apart", [([10.0], 1e-3), ([-1000.0, 1000.0], 0.1)])
def test_near_points_far_from_the_origin(places, apart):
    check_far_from_the_origin(similarity("triton", distance="l2"), places, apart, 40)


@pytest.mark.parametrize("distance", ["cosine", "l2", "l1"])
@pytest.mark.parametrize("kind", ["masked", "with itself", "one row", "one column", "one winner"])
def test_extremes(distance, kind):
    x, y = points(1, 20, 4), points(1, 24, 4, seed=1)
    if kind == "masked":
        x[0, 5:15], y[0, 3:9] = 0.3, 0.3
    elif kind == "with itself":
        y = x.clone()
    elif kind == "one winner":  # the other rows' block is left out
        y = x[:, :1] + 1e-3 * y
    x, y = (x[:, :1] if kind == "one row" else x), (y[:, :1] if kind == "one column" else y)
    options = {"distance": distance, "center": "none", "bandwidth": 0.3}
    actual, slopes = gradients(similarity("triton", **options), [x, y])
    expected, _ = gradients(similarity("reference", **options), [x, y])
    _, portable = gradients(similarity("torch", **options), [x, y])
    coincident = 1e-7  # exponents are rounded to 2^-53 / (h eps), and slopes to the square of that
    assert_close(actual, expected, coincident)
    for a, e in zip(slopes, portable, strict=True):
        torch.testing.assert_close(a, e, rtol=coincident, atol=coincident * max(1.0, e.abs().max().item()))


@pytest.mark.parametrize("needs", [(True, False), (False, True)], ids=["x", "y"])
@pytest.mark.parametrize("distance", ["l2", "l1"])
def test_only_what_is_needed_is_differentiated(distance, needs):
    results = []
    for backend in ("triton", "reference"):
        x, y = (z.requires_grad_(need) for z, need in zip((points(1, 20, 4), points(1, 18, 4, seed=1)), needs))
        contextual_similarity(x, y, distance=distance, backend=backend).sum().backward()
        results.append([z.grad for z in (x, y) if z.grad is not None])
    assert len(results[0]) == 1
    assert_gradients_close(*results, EXACT, "x")


def test_a_nan_shows_in_its_sample():
    x, y = points(2, 20, 4).requires_grad_(), points(2, 18, 4, seed=1)
    with torch.no_grad():
        x[0, 7, 1] = torch.nan
    actual = similarity("triton", center="sample")(x, y)
    actual.sum().backward()
    assert actual[0].isnan() and x.grad[0].isnan().all()
    assert_close(actual[1], similarity("reference")(x[1], y[1]), EXACT)
    assert x.grad[1].isfinite().all() and x.grad[1].any()


@pytest.mark.parametrize("kind", ["half", "strided", "empty", "stride-0 gradient"])
def test_inputs(kind):
    x, y = points(2, 18, 6, dtype=torch.float32), points(2, 17, 6, seed=1, dtype=torch.float32)
    if kind == "half":
        x, y = x.half(), y.half()
    elif kind == "strided":
        x, y = (z.repeat_interleave(2, -1).mT.contiguous().mT[..., ::2] for z in (x, y))
    elif kind == "empty":
        x, y = x[:0], y[:0]
    leaves = [[z.detach().clone().requires_grad_() for z in (x, y)] for _ in range(2)]
    results = [similarity(backend)(*pair) for backend, pair in zip(("triton", "torch"), leaves)]
    assert results[0].dtype == torch.float32
    for result in results:
        result.backward(torch.ones(()).expand(len(x)) if kind == "stride-0 gradient" else torch.ones(len(x)))
    assert_close(results[0], results[1], 1e-5)
    for a, e in zip(*leaves):
        assert_close(a.grad, e.grad, 1e-3 if kind == "half" else 1e-5)


@pytest.mark.parametrize("distance, reduce", [("l2", "target"), ("l1", "source")])
def test_gradcheck_and_opcheck(distance, reduce):
    x, y = points(1, 5, 3).requires_grad_(), points(1, 6, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(similarity("triton", distance=distance, reduce=reduce), (x, y), fast_mode=True)
    operator = importlib.import_module("huenet.kernels.contextual_similarity").OPERATOR.op
    torch.library.opcheck(operator, (x, y, 0.5, 1e-5, distance, reduce, "triton"))


def test_what_it_cannot_serve_is_said():
    with pytest.raises(ValueError, match="backend 'triton' needs at most 1024 channels, got 1025"):
        contextual_similarity(torch.rand(2, 1025), torch.rand(2, 1025), backend="triton")
