"""Harmonic energies against the dense reference, `torch.cdist`, values by hand, and their laws.

Tolerance EXACT: sums of at most 10^5 float64 terms, torch's in pairs. SINGLE: float32 distances of few components to 2^-23, weights
to that times an exponent of at most 10, sums in pairs; gradients cancel by up to a digit.
"""

from __future__ import annotations

import importlib
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from huenet.kernels import harmonic_energy
from tests.assertions import assert_close, assert_gradients_close
from tests.kernels.strategies import gradients, samples

EXACT, SINGLE = 1e-12, 2e-6
NAMES = "features outputs"
PORTABLE = importlib.import_module("huenet.kernels.harmonic_energy.portable")
OPERATOR = importlib.import_module("huenet.kernels.harmonic_energy").OPERATOR


def points(*shape: int, seed: int = 0, spread: float = 4.0) -> Tensor:
    return spread * samples(*shape, seed=seed)


def coarse(*shape: int, seed: int = 0) -> Tensor:
    """Points whose components tie often, as empty bins do, and some of which are equal."""
    x = points(*shape, seed=seed).round()
    x[..., 1, :] = x[..., 0, :]
    return x


def energy(**arguments):
    return lambda f, a: harmonic_energy(f, a, **{"sigma": 1.5, "backend": "torch", **arguments})


@pytest.fixture(params=[4, 256], ids="tiles of {}".format)
def side(request, monkeypatch) -> int:
    monkeypatch.setattr(PORTABLE, "CPU_SIDE", request.param)
    monkeypatch.setattr(PORTABLE, "CPU_KEPT", request.param**2)
    return request.param


@pytest.mark.parametrize("distance", ["l1", "l2"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("make", [points, coarse])
def test_agrees_with_the_reference(distance, reduction, dtype, make, side):
    inputs = [make(2, 3, 19, 5), make(2, 1, 19, 7, seed=1)]
    arguments = {"distance": distance, "reduction": reduction}
    tolerance = EXACT if dtype == torch.float64 else SINGLE
    actual, actual_gradients = gradients(energy(**arguments), [x.to(dtype) for x in inputs])
    expected, expected_gradients = gradients(energy(**arguments, backend="reference"), [x.to(dtype).double() for x in inputs])
    assert actual.shape == (2, 3) and actual.dtype == dtype
    assert_close(actual, expected, tolerance)
    assert_gradients_close(actual_gradients, expected_gradients, tolerance, NAMES)


@pytest.mark.parametrize("distance, order", [("l1", 1), ("l2", 2)])
@pytest.mark.parametrize("count", [2, 63, 300, 700])
def test_is_what_cdist_gives(distance, order, count):
    def dense(f, a):
        return (torch.exp(-torch.cdist(f, f, p=1) / 1.5**2) * torch.cdist(a, a, p=order, compute_mode=exact)).mean((-2, -1))

    exact = "donot_use_mm_for_euclid_dist"
    inputs = [points(2, count, 6, spread=2.0), points(2, count, 3, seed=1)]
    actual, actual_gradients = gradients(energy(distance=distance), inputs)
    expected, expected_gradients = gradients(dense, inputs)
    assert_close(actual, expected, EXACT)
    assert_gradients_close(actual_gradients, expected_gradients, EXACT, NAMES)


@pytest.mark.parametrize("distance, length", [("l1", 7), ("l2", 5)])
def test_two_points_by_hand(distance, length):
    """|f_1 - f_2|_1 = 3, over sigma^2 = 4; outputs differ by (3, -4). The pair counts twice, of four."""
    f, a = torch.tensor([[0.0, 1], [2, 0]], dtype=torch.float64), torch.tensor([[1.0, 0], [-2, 4]], dtype=torch.float64)
    value, (slope_f, slope_a) = gradients(energy(sigma=2, distance=distance, reduction="sum"), [f, a], seed=3)
    upstream = torch.randn((), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    weight = math.exp(-3 / 4)
    assert value.item() == pytest.approx(2 * weight * length, rel=EXACT)
    direction = torch.tensor([1.0, -1] if distance == "l1" else [3 / 5, -4 / 5], dtype=torch.float64)
    expected = 2 * weight * upstream * torch.stack([direction, -direction])
    assert_close(slope_a, expected, EXACT)
    signs = torch.tensor([[-1.0, 1], [1, -1]], dtype=torch.float64)
    assert_close(slope_f, -2 * weight * length / 4 * upstream * signs, EXACT)
    assert_close(energy(sigma=2, distance=distance)(f, a), value / 4, EXACT)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 40), distance=st.sampled_from(["l1", "l2"]))
def test_laws(seed, count, distance):
    f, a = points(count, 3, seed=seed), points(count, 4, seed=seed + 1)
    value = energy(distance=distance)
    here = value(f, a)
    assert 0 <= here <= (a.unsqueeze(0) - a.unsqueeze(1)).abs().sum(-1).max() + EXACT
    assert_close(value(f + 7, a - 3), here, 1e-11)  # differences of moved points are rounded anew
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    assert_close(value(f[order], a[order]), here, EXACT)
    assert_close(value(f, 2 * a), 2 * here, EXACT)
    assert_close(value(f * 4, a) if count == 1 else energy(distance=distance, sigma=3.0)(f * 4, a), here, EXACT)  # sigma^2 scales
    assert value(f, a[:1].expand(count, 4)) == 0  # constant outputs
    _, slopes = gradients(value, [f, a])
    for slope in slopes:  # by translation invariance
        assert slope.sum(0).abs().max() <= 1e-12 * max(1, slope.abs().max())


@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_equal_points_have_gradient_zero(distance):
    f, a = points(1, 4).expand(6, 4), points(1, 4, seed=1).expand(6, 4)
    value, slopes = gradients(energy(distance=distance), [f, a])
    assert value == 0 and not any(slope.any() for slope in slopes)
    a = points(6, 4)
    a[3] = a[2]
    _, slopes = gradients(energy(distance=distance), [f, a])
    assert all(slope.isfinite().all() for slope in slopes) and not slopes[0].any() and slopes[1].any()


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("shape", [(2, 0), (2, 1), (0, 5)])
def test_no_pairs_have_no_energy(backend, reduction, shape):
    f, a = (torch.rand(*shape, 3).requires_grad_() for _ in range(2))
    value = harmonic_energy(f, a, sigma=1, reduction=reduction, backend=backend)
    assert value.shape == shape[:1] and not value.any()
    value.sum().backward()
    assert not f.grad.any() and not a.grad.any()


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_nan_shows_in_its_image(backend, which):
    inputs = [points(3, 6, 2), points(3, 6, 2, seed=1)]
    inputs[which][1, 2, 0] = torch.nan
    value = harmonic_energy(*inputs, sigma=1, backend=backend)
    assert value.isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_gradients_only_where_needed(distance):
    f, a = points(9, 3), points(9, 2, seed=1)
    _, both = gradients(energy(distance=distance), [f, a], seed=5)
    for index, fixed in enumerate((lambda x: energy(distance=distance)(x, a), lambda x: energy(distance=distance)(f, x))):
        _, (slope,) = gradients(fixed, [(f, a)[index]], seed=5)
        assert torch.equal(slope, both[index])
    upstream = torch.ones(1, dtype=torch.float64)
    _, kept = OPERATOR.op(f[None], a[None], 1.5, distance, "torch")
    for needs in ([True, False], [False, True]):
        slopes = OPERATOR.op_backward(upstream, f[None], a[None], kept, 1.5, distance, "torch", needs)
        assert [slope.numel() > 0 for slope in slopes] == needs


@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_gradcheck_and_opcheck(distance):
    f, a = points(2, 5, 3).requires_grad_(), points(2, 5, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(energy(distance=distance), (f, a))
    torch.library.opcheck(OPERATOR.op, (f, a, 1.5, distance, "torch"))


def test_compiles_in_one_graph():
    inputs = [points(2, 9, 3).float(), points(2, 9, 4, seed=1).float()]
    actual, actual_gradients = gradients(torch.compile(energy(), fullgraph=True, backend="aot_eager"), inputs)
    expected, expected_gradients = gradients(energy(), inputs)
    assert_close(actual, expected, SINGLE)
    assert_gradients_close(actual_gradients, expected_gradients, SINGLE, NAMES)


def test_dtypes_layouts_and_gradients_of_stride_zero(side):
    f, a = points(3, 11, 4).float(), points(3, 11, 6, seed=1).float()
    expected, expected_gradients = gradients(lambda f, a: energy()(f, a).sum(), [f, a])  # a gradient of stride 0
    each, each_gradients = gradients(lambda f, a: torch.stack([energy()(*both) for both in zip(f, a)]).sum(), [f, a])
    assert_close(expected, each, SINGLE)
    assert_gradients_close(expected_gradients, each_gradients, SINGLE, NAMES)
    strided, strided_gradients = gradients(lambda f, a: energy()(f.mT.contiguous().mT, a.repeat(1, 1, 2)[..., ::2]).sum(), [f, a])
    assert strided.isfinite() and strided_gradients[0].any()
    assert_close(energy()(f.mT.contiguous().mT, torch.stack([a, a], -1)[..., 0]), energy()(f, a), SINGLE)
    for dtype in (torch.float16, torch.bfloat16):
        with torch.autocast("cpu", torch.bfloat16):
            half = energy()(f.to(dtype), a)
        assert half.dtype == torch.float32
        assert_close(half, energy()(f.to(dtype).float(), a), SINGLE)
    assert energy()(f, a.double()).dtype == torch.float64


def test_distances_of_near_points_do_not_cancel():
    """Points 1e-3 apart, 100 from the origin: a matrix product would leave no digit of the distance."""
    f, a = points(40, 3).float(), (100 + 1e-3 * points(40, 3, seed=1)).float()
    actual, actual_gradients = gradients(energy(distance="l2"), [f, a])
    expected, expected_gradients = gradients(energy(distance="l2", backend="reference"), [f.double(), a.double()])
    assert_close(actual, expected, SINGLE)
    assert_gradients_close(actual_gradients, expected_gradients, SINGLE, NAMES)


def test_float32_sums_of_many_pairs():
    """9 million pairs in float32: torch sums a tile pairwise, tiles and gradients are added in float64."""
    f, a = points(3000, 4, spread=1.0).float(), points(3000, 4, seed=1).float()
    actual, actual_gradients = gradients(energy(), [f, a])
    expected, expected_gradients = gradients(energy(), [f.double(), a.double()])
    assert_close(actual, expected, SINGLE)
    assert_gradients_close(actual_gradients, expected_gradients, SINGLE, NAMES)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda f, a: energy()(f, a[:4]), ValueError, r"outputs must have the points of features, expected 5, got \(4, 3\)"),
        (lambda f, a: energy()(f[0], a), ValueError, r"features must be \(..., N, D\) .*got \(2,\)"),
        (lambda f, a: energy()(f, a[:, :0]), ValueError, r"outputs must be \(..., N, E\) with at least one component"),
        (lambda f, a: energy()(f.expand(2, 5, 2), a.expand(3, 5, 3)), ValueError, "outputs must broadcast against features"),
        (lambda f, a: energy(sigma=0)(f, a), ValueError, "sigma must be positive and finite, got 0"),
        (lambda f, a: energy(sigma=math.inf)(f, a), ValueError, "sigma must be positive and finite, got inf"),
        (lambda f, a: energy(sigma="1")(f, a), TypeError, "sigma must be a real number, got '1'"),
        (lambda f, a: energy(distance="l3")(f, a), ValueError, "distance must be one of l1, l2, got 'l3'"),
        (lambda f, a: energy(reduction="none")(f, a), ValueError, "reduction must be one of mean, sum, got 'none'"),
        (lambda f, a: energy()(f, a.long()), TypeError, "outputs must be a floating tensor"),
        (lambda f, a: energy()(f, a.to("meta")), ValueError, "outputs must be on the device of features, expected cpu"),
        (lambda f, a: energy(backend="fast")(f, a), ValueError, "backend must be None or one of"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call(torch.rand(5, 2), torch.rand(5, 3))


def test_other_derivatives_raise_or_take_the_reference():
    f, a = points(5, 2).requires_grad_(), points(5, 3, seed=1).requires_grad_()
    (slope,) = torch.autograd.grad(energy()(f, a), f, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiable once only"):
        torch.autograd.grad(slope.sum(), f)
    with pytest.raises(RuntimeError, match=r"torch.func transforms are not supported"):
        torch.func.grad(energy())(f.detach(), a.detach())
    assert torch.autograd.gradgradcheck(energy(distance="l2", backend="reference"), (f, a))
