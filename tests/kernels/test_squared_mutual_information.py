"""rSMI against its definition over all pairs of samples, the dense reference, and the published code on images that break it.

Tolerances. `exact`: rounding of float64 moments comes back times the largest eigenvalue of the system over the ridge, of which
`Estimator.log_condition` is a bound, and a few times over in alpha and v. SINGLE: the default backend computes in float64 whatever
the samples' dtype, so float32 results and gradients are rounded once.
"""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from huenet.kernels import squared_mutual_information
from huenet.kernels.squared_mutual_information.estimator import Estimator
from huenet.kernels.squared_mutual_information.reference import published as published_rsmi
from tests.assertions import assert_close, assert_gradients_close, relative_error
from tests.kernels.strategies import gradients

SINGLE = 2.0**-24
PORTABLE, ESTIMATOR = (
    importlib.import_module(f"huenet.kernels.squared_mutual_information.{name}") for name in ("portable", "estimator")
)
OPERATOR = importlib.import_module("huenet.kernels.squared_mutual_information").OPERATOR
ESTIMATORS = {
    "default": {},
    "published": {"sign": 1},
    "one centre": {"centers": 1},
    "two centres": {"centers": 2, "beta": 0.9},
    "narrow": {"centers": 12, "sigma": 0.05},
    "wide": {"sigma": 10.0},
    "[0, 1]": {"low": 0.0, "high": 1.0, "sigma": 0.07, "centers": 11, "ridge": 1e-3, "beta": 0.1},
    "steep": {"sign": 1, "sigma": 0.6, "centers": 5},
}


def exact(options: dict) -> float:
    return max(1e-12, 16 * 2.0**-53 * math.exp(Estimator(**options).log_condition))


def rsmi(**options):
    return lambda x, y: squared_mutual_information(x, y, **options)


def pair(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64, noise: float = 0.3) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples in [-1, 1], and others that depend on them."""
    generator = torch.Generator().manual_seed(seed)
    x, other = (2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1 for _ in range(2))
    return x.to(dtype), ((1 - noise) * x.square() * 2 - (1 - noise) + noise * other).to(dtype)


def images(count: int = 3000) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Pairs of float32 images on which float32 arithmetic is at its limits."""
    a, b, c = torch.rand(3, count, generator=torch.Generator().manual_seed(5))
    binary = torch.where(a < 0.5, -1.0, 1.0)
    return {
        "constant": (torch.full((count,), 0.7), torch.full((count,), -0.3)),
        "nearly constant": (0.7 + 0.01 * a, -0.3 + 0.01 * b),
        "nearly saturated": ((0.99 + 0.02 * a).clamp(max=1), (-0.99 - 0.02 * (a + b) / 2).clamp(min=-1)),
        "binary": (binary, torch.where(b < 0.9, binary, -binary)),
        "half": ((2 * a - 1).half().float(), (a - 0.5 + 0.1 * c).half().float()),
    }


@pytest.mark.parametrize("name", list(ESTIMATORS))
@pytest.mark.parametrize("shape", [(1, 3), (3, 700), (2, 5, 4)])
def test_agrees_with_reference(name, shape, monkeypatch):
    monkeypatch.setattr(PORTABLE, "CPU_PRODUCTS", 2000)  # images in several pieces, the last one smaller
    options = ESTIMATORS[name]
    inputs = pair(*shape)
    actual, actual_gradients = gradients(rsmi(**options), inputs)
    expected, expected_gradients = gradients(rsmi(**options, backend="reference"), inputs)
    assert_close(1 + actual, 1 + expected, exact(options))
    assert_gradients_close(actual_gradients, expected_gradients, exact(options))


@pytest.mark.parametrize("name", ["default", "published", "two centres", "[0, 1]"])
def test_is_rulsif(name):
    """Relative density ratio estimation by its definition: the product of marginals is all N x N pairs of samples."""
    options = ESTIMATORS[name]
    e = Estimator(**options)
    x, y = (z.numpy() for z in pair(40))
    kernel = lambda z, center: np.exp(e.sign * (z - center) ** 2 / (2 * e.sigma**2))  # noqa: E731
    centers = np.linspace(e.low, e.high, e.centers)
    basis = lambda x, y: np.array([kernel(x, a) * kernel(y, b) for a in centers for b in centers])  # noqa: E731
    numerator, denominator = basis(*(z.ravel() for z in np.meshgrid(x, y))), basis(x, y)
    gram = e.beta * numerator @ numerator.T / 1600 + (1 - e.beta) * denominator @ denominator.T / 40
    h = numerator.mean(1)
    theta = np.linalg.solve(gram + e.ridge * np.eye(len(gram)), h)
    divergence = 2 * theta @ h - theta @ gram @ theta - 1
    assert squared_mutual_information(*pair(40), **options).item() == pytest.approx(divergence, abs=exact(options))


def test_sign_one_is_the_published_code():
    inputs = pair(2, 500)
    actual, actual_gradients = gradients(rsmi(sign=1), inputs)
    expected, expected_gradients = gradients(published_rsmi, inputs)
    assert_close(actual, expected, exact({"sign": 1}))
    assert_gradients_close(actual_gradients, expected_gradients, exact({"sign": 1}))


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("kind", list(images()))
def test_gradients_of_hard_images(kind, sign):
    """Against the dense formula in float64. Of a constant image these are all but zero, which is right only to float64's rounding
    of a gradient as large as other images'."""
    x, y = images()[kind]
    actual, actual_gradients = gradients(rsmi(sign=sign), [x, y])
    expected, expected_gradients = gradients(rsmi(sign=sign, backend="reference"), [x.double(), y.double()])
    assert abs(actual - expected) <= 2 * SINGLE
    usual = gradients(rsmi(sign=sign), pair(3000))[1][0].norm()
    for a, e in zip(actual_gradients, expected_gradients):
        assert e.any()
        assert (a.double() - e).norm() <= SINGLE * e.norm() + exact({"sign": sign}) * usual


def test_where_the_published_code_gives_garbage():
    """In float32 its gradients are wrong by as much as they are large, or more; ours are right as far as float32 can tell."""
    wrong = {}
    for kind, (x, y) in images().items():
        expected = gradients(rsmi(sign=1), [x.double(), y.double()])[1][0]
        wrong[kind] = relative_error(gradients(published_rsmi, [x[None], y[None]])[1][0][0], expected)
        tolerance = 1e-6 if kind == "constant" else SINGLE  # its gradient is 1e-7 of other images', see above
        assert relative_error(gradients(rsmi(sign=1), [x, y])[1][0], expected) <= tolerance
    assert wrong["constant"] > 100 and wrong["nearly saturated"] > 1 and wrong["binary"] > 1e-3


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    centers=st.integers(1, 12),
    sigma=st.floats(0.05, 10),
    beta=st.floats(0.01, 0.99),
    ridge=st.floats(1e-6, 10),
    noise=st.floats(0, 1),
    spread=st.floats(0, 3),
)
def test_laws(seed, centers, sigma, beta, ridge, noise, spread):
    options = {"centers": centers, "sigma": sigma, "beta": beta, "ridge": ridge}
    x, y = (spread * z for z in pair(200, seed=seed, noise=noise))
    value = squared_mutual_information(x, y, **options)
    assert -1 <= value <= 1 / beta - 1
    tolerance = exact(options) / beta
    order = torch.randperm(200, generator=torch.Generator().manual_seed(seed))
    for other in ((y, x), (x[order], y[order]), (-x, y), (-x, -y)):
        assert abs(squared_mutual_information(*other, **options) - value) <= tolerance
    scaled = squared_mutual_information(5 * x + 2, 5 * y + 2, **{**options, "sigma": 5 * sigma}, low=-3.0, high=7.0)
    assert abs(scaled - value) <= tolerance


def test_tells_dependence():
    x, y = pair(20_000)
    shuffled = y[torch.randperm(20_000, generator=torch.Generator().manual_seed(1))]
    itself, close, parabola, unrelated = (
        squared_mutual_information(x, z).item() for z in (x, 0.8 * x**3 + 0.2 * shuffled, y, shuffled)
    )
    assert itself > close > 0.1 > parabola > 0.01 > abs(unrelated)
    assert abs(squared_mutual_information(x, -x) - itself) <= exact({})


@pytest.mark.parametrize("centers", [1, 2, 9, 20, 33])
def test_any_width_and_number_of_centres(centers):
    x, y = pair(90)
    for sigma in (0.05, 0.3, 1.0, 10.0):
        options = {"centers": centers, "sigma": sigma}
        actual, actual_gradients = gradients(rsmi(**options), [x, y])
        expected, expected_gradients = gradients(rsmi(**options, backend="reference"), [x, y])
        assert -1 <= actual <= 1
        assert_close(1 + actual, 1 + expected, exact(options))
        assert_gradients_close(actual_gradients, expected_gradients, exact(options))


def test_samples_outside():
    x, y = pair(2, 60)
    x[0, :3], y[0, 3:5] = torch.tensor([1.5, -300.0, 1e30]), torch.tensor([-1.2, 7.0])
    for sign in (-1, 1):
        actual, actual_gradients = gradients(rsmi(sign=sign), [x, y])
        expected, expected_gradients = gradients(rsmi(sign=sign, backend="reference"), [x, y])
        assert_close(actual, expected, exact({"sign": sign}))
        assert_gradients_close(actual_gradients, expected_gradients, exact({"sign": sign}))
        assert (actual_gradients[0][0, 0] == 0) == (sign == 1)  # close outside: the Gaussian's formula stands
        assert (actual_gradients[0][0, 1:3] == 0).all()
    assert_close(squared_mutual_information(x, y, sign=1), squared_mutual_information(x.clamp(-1, 1), y.clamp(-1, 1), sign=1), 0.0)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_infinite_samples_are_far_outside(sign, backend):
    x, y = pair(60)
    x[3], y[9] = torch.inf, -torch.inf
    far = x.clamp(max=1e30), y.clamp(min=-1e30)
    actual, actual_gradients = gradients(rsmi(sign=sign, backend=backend), [x, y])
    expected, expected_gradients = gradients(rsmi(sign=sign, backend=backend), far)
    assert actual == expected
    assert_gradients_close(actual_gradients, expected_gradients, 0.0)


@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_a_nan_spoils_its_pair_only(backend):
    x, y = pair(3, 60)
    y[1, 7] = torch.nan
    value, (grad_x, grad_y) = gradients(rsmi(backend=backend), [x, y])
    assert value.isnan().tolist() == [False, True, False]
    for gradient in (grad_x, grad_y):
        # autograd has none for what is clamped, and tells a NaN sample so
        assert gradient[1].isnan().sum() >= 59 and gradient[[0, 2]].isfinite().all()


def test_an_unsolvable_system_is_nan_not_garbage():
    """Moments that no samples have, of a matrix that is not positive definite."""
    from huenet.kernels.squared_mutual_information.estimator import Moments, solve

    ones = torch.ones(2, 3, dtype=torch.float64)
    joint = torch.stack([ones.new_ones(3, 3), ones.new_full((3, 3), -9.0)])
    value, packed = solve(Moments(joint, ones, ones, ones[:, :2], ones[:, :2]), Estimator(2))
    assert value[0].isfinite() and value[1].isnan()
    assert packed[0].isfinite().all() and packed[1].isnan().all()


def test_systems_are_solved_in_pieces(monkeypatch):
    inputs = pair(5, 30)
    expected = gradients(rsmi(), inputs)
    monkeypatch.setattr(ESTIMATOR, "CPU_CELLS", 2 * 9**4)
    actual = gradients(rsmi(), inputs)
    assert_close(actual[0], expected[0], 1e-14)
    assert_gradients_close(actual[1], expected[1], 1e-14)


@pytest.mark.parametrize("name", ["default", "published", "one centre", "two centres"])
def test_gradcheck_and_opcheck(name):
    x, y = (z.requires_grad_() for z in pair(2, 7))
    assert torch.autograd.gradcheck(rsmi(**ESTIMATORS[name]), (x, y))
    torch.library.opcheck(OPERATOR.op, (x, y, Estimator(**ESTIMATORS[name]).spec, "torch"))


def test_one_side_only():
    x, y = pair(2, 50)
    both = gradients(rsmi(), [x, y])[1]
    assert_gradients_close(gradients(lambda x: squared_mutual_information(x, y), [x])[1], both[:1], 0.0)
    assert_gradients_close(gradients(lambda y: squared_mutual_information(x, y), [y])[1], both[1:], 0.0)


@pytest.mark.parametrize("kind", ["half", "bfloat16", "strided", "mixed"])
def test_inputs(kind):
    x, y = pair(2, 90, dtype=torch.float32)
    x = {"half": x.half(), "bfloat16": x.bfloat16(), "strided": x.mT.contiguous().mT, "mixed": x.double()}[kind]
    actual, (grad_x, _) = gradients(rsmi(), [x, y])
    expected, (expected_x, _) = gradients(rsmi(), [x.double(), y.double()])
    assert actual.dtype == (torch.float64 if kind == "mixed" else torch.float32) and grad_x.dtype == x.dtype
    assert_close(actual, expected, 2 * SINGLE / 0.1)  # a value of 0.1 and more is 1 + value less 1
    assert_close(grad_x, expected_x, torch.finfo(x.dtype).eps + SINGLE)


def test_shapes():
    x, y = pair(2, 1, 30)[0], pair(3, 30)[1]
    assert squared_mutual_information(x, y).shape == (2, 3)
    assert_close(squared_mutual_information(x, y)[1, 2], squared_mutual_information(x[1, 0], y[2]), 1e-13)
    assert squared_mutual_information(x[0, 0], y[0]).shape == ()
    empty = torch.rand(0, 5, requires_grad=True)
    squared_mutual_information(empty, torch.rand(0, 5)).sum().backward()
    assert empty.grad.shape == (0, 5)


def test_a_gradient_of_stride_zero():
    x, y = pair(3, 40)
    x.requires_grad_()
    (summed,) = torch.autograd.grad(squared_mutual_information(x, y).sum(), x)
    (weighted,) = torch.autograd.grad(squared_mutual_information(x, y), x, torch.ones(3, dtype=torch.float64))
    assert_close(summed, weighted, 0.0)


def test_keeps_nothing_as_large_as_samples_times_centres():
    x, y = (z.requires_grad_() for z in pair(1, 5000, dtype=torch.float32))
    kept = {}
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.update({tensor.data_ptr(): tensor.nbytes}), lambda _: None):
        squared_mutual_information(x, y)
    assert sum(kept.values()) == x.nbytes + y.nbytes + 8 * (4 * 81 + 2 * 9) + 4  # and the result


def test_compiles_without_graph_breaks():
    loss = lambda x, y: squared_mutual_information(x.tanh(), y).mean()  # noqa: E731
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    actual, expected = gradients(compiled, pair(2, 60)), gradients(loss, pair(2, 60))
    assert_close(actual[0], expected[0], 1e-13)
    assert_gradients_close(actual[1], expected[1], 1e-13)


def test_derivatives_that_are_not_there_raise():
    x, y = pair(20)
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(squared_mutual_information(leaf, y), leaf, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiable once only"):
        torch.autograd.grad(slope.sum(), leaf)
    with pytest.raises(RuntimeError, match=r"torch\.func transforms are not supported"):
        torch.func.grad(lambda x: squared_mutual_information(x, y))(x)
    assert torch.func.grad(lambda x: squared_mutual_information(x, y, backend="reference"))(x).any()


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"centers": 0}, ValueError, "centers must be at least 1, got 0"),
        ({"centers": 9.0}, TypeError, r"centers must be an integer, got 9\.0"),
        ({"sigma": 0.0}, ValueError, r"sigma must be positive, .* got 0\.0"),
        ({"sigma": "1"}, TypeError, "sigma must be a real number, got '1'"),
        ({"beta": 1.0}, ValueError, r"beta must be between 0 and 1, got 1\.0"),
        ({"ridge": 0.0}, ValueError, r"ridge must be positive, got 0\.0"),
        ({"ridge": 1e-12}, ValueError, r"ridge must be at least 5\.9e-10 for these kernels.*, got 1e-12"),
        ({"sign": 1, "sigma": 0.3}, ValueError, "a larger sigma serves too"),
        ({"sign": 1, "sigma": 1e-3}, ValueError, "ridge must be at least beyond any number"),
        ({"sign": 0}, ValueError, r"sign must be -1 .* or 1 .*, got 0"),
        ({"low": 1.0}, ValueError, r"low must be below high, .* got low=1\.0, high=1\.0"),
        ({"high": math.inf}, ValueError, "high must be finite, got inf"),
        ({"backend": "fast"}, ValueError, "backend must be"),
    ],
)
def test_bad_settings_are_named(options, error, message):
    with pytest.raises(error, match=message):
        squared_mutual_information(torch.rand(9), torch.rand(9), **options)


@pytest.mark.parametrize(
    "x, y, error, message",
    [
        (torch.rand(3), torch.rand(4), ValueError, "y must be as long as x, expected 3"),
        (torch.rand(2, 3), torch.rand(4, 3), ValueError, "y must broadcast against x"),
        (torch.rand(2, 0), torch.rand(2, 0), ValueError, r"x must have at least one sample .* got \(2, 0\)"),
        (torch.rand(3), [0.1], TypeError, "y must be a torch.Tensor, got list"),
        (torch.ones(3, dtype=torch.uint8), torch.rand(3), TypeError, "x must be a floating tensor"),
    ],
)
def test_bad_samples_are_named(x, y, error, message):
    with pytest.raises(error, match=message):
        squared_mutual_information(x, y)
