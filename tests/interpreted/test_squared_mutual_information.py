"""Backend "triton" of rSMI against the dense reference in float64, on the CPU.

Tolerances. EXACT: as for the torch backend. In float32 an exponent of up to 2.9 is rounded to 2^-24 of it, the exponential and the
sums add a few 2^-24, and what moments then lack comes back as a multiple of 1 + rSMI; where terms cancel, as they do for gradients
of nearly constant images, no float32 computation gets farther, so the other bound is twice the error of the reference in float32.
"""

from __future__ import annotations

import importlib

import pytest
import torch

from huenet.kernels import squared_mutual_information
from tests.assertions import assert_close, assert_gradients_close, relative_error
from tests.kernels.strategies import gradients

EXACT, SINGLE = 1e-11, 2e-6
FUSED = importlib.import_module("huenet.kernels.squared_mutual_information.fused")
OPERATOR = importlib.import_module("huenet.kernels.squared_mutual_information").OPERATOR.op


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several programs for a few hundred samples; what is left unwritten is NaN."""
    monkeypatch.setattr(FUSED, "SHORTEST", 128)
    monkeypatch.setattr(FUSED, "LONGEST", 128)
    empty = torch.Tensor.new_empty

    def poisoned(self: torch.Tensor, *size: int, **options: object) -> torch.Tensor:
        made = empty(self, *size, **options)
        return made.fill_(torch.nan) if made.is_floating_point() else made

    monkeypatch.setattr(torch.Tensor, "new_empty", poisoned)


def rsmi(**options):
    return lambda x, y: squared_mutual_information(x, y, **options)


def pair(*shape: int, dtype: torch.dtype = torch.float64, low: float = -1.0, high: float = 1.0) -> list[torch.Tensor]:
    x, noise = torch.rand(2, *shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return [(low + (high - low) * z).to(dtype) for z in (x, (x + 0.4 * noise) / 1.4)]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sign": 1},
        {"centers": 1},
        {"centers": 2, "beta": 0.8},
        {"centers": 10, "sigma": 0.07},
        {"centers": 21, "sigma": 0.3},
        {"low": 0.1, "high": 0.9, "sigma": 0.2},
        {"sigma": 10.0},
        {"ridge": 1e-5},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_agrees_with_reference(options, dtype):
    inputs = pair(2, 301, dtype=dtype, low=options.get("low", -1.0), high=options.get("high", 1.0))
    actual, actual_gradients = gradients(rsmi(**options, backend="triton"), inputs)
    reference = rsmi(**options, backend="reference")
    expected, expected_gradients = gradients(reference, [z.double() for z in inputs])
    assert_close(1 + actual.double(), 1 + expected, EXACT if dtype == torch.float64 else SINGLE)
    if dtype == torch.float64:
        assert_gradients_close(actual_gradients, expected_gradients, EXACT)
        return
    for a, e, same in zip(actual_gradients, expected_gradients, gradients(reference, inputs)[1]):
        assert_close(a, e, max(SINGLE, 2 * relative_error(same, e)))


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("kind", ["constant", "nearly saturated", "binary", "half"])
def test_hard_images(kind, sign):
    """Gradients right to 3e-5 of what another image's are: float32 moments of a constant image all err in the same direction."""
    a, b = torch.rand(2, 301, generator=torch.Generator().manual_seed(5))
    binary = torch.where(a < 0.5, -1.0, 1.0)
    x, y = {
        "constant": (torch.full((301,), 0.7), torch.full((301,), -0.3)),
        "nearly saturated": ((0.99 + 0.02 * a).clamp(max=1), (-0.99 - 0.01 * (a + b)).clamp(min=-1)),
        "binary": (binary, torch.where(b < 0.9, binary, -binary)),
        "half": ((2 * a - 1).half(), (a - 0.5).half()),
    }[kind]
    actual, actual_gradients = gradients(rsmi(sign=sign, backend="triton"), [x, y])
    expected, expected_gradients = gradients(rsmi(sign=sign, backend="reference"), [x.double(), y.double()])
    assert abs(actual - expected) <= SINGLE
    usual = gradients(rsmi(sign=sign), pair(301))[1][0].norm()
    rounding = torch.finfo(x.dtype).eps if kind == "half" else 0.0
    for a, e in zip(actual_gradients, expected_gradients):
        assert (a.double() - e).norm() <= rounding * e.norm() + 3e-5 * usual


def test_positions_are_not_rounded():
    """Centres that are no float32 numbers, and kernels so narrow that the error of a rounded one would show."""
    options = {"centers": 21, "sigma": 0.01}
    inputs = pair(300, dtype=torch.float32)
    expected = gradients(rsmi(**options), [z.double() for z in inputs])[1]
    assert_gradients_close(gradients(rsmi(**options, backend="triton"), inputs)[1], expected, 3e-7)
    assert relative_error(gradients(rsmi(**options, backend="reference"), inputs)[1][0], expected[0]) > 6e-7


@pytest.mark.parametrize("sign", [-1, 1])
def test_samples_outside_infinite_and_nan(sign):
    x, y = pair(4, 150)
    x[0, :3], y[1, 3:5] = torch.tensor([1.5, -300.0, torch.inf]), torch.tensor([-torch.inf, -1.2])
    x[2, 7] = torch.nan
    actual, actual_gradients = gradients(rsmi(sign=sign, backend="triton"), [x, y])
    expected, expected_gradients = gradients(rsmi(sign=sign), [x, y])
    assert actual.isnan().tolist() == [False, False, True, False]
    finite = torch.tensor([0, 1, 3])
    assert_close(actual[finite], expected[finite], EXACT)
    assert_gradients_close([g[finite] for g in actual_gradients], [g[finite] for g in expected_gradients], EXACT)
    assert all(gradient[2].isnan().all() for gradient in actual_gradients)


@pytest.mark.parametrize("kind", ["one sample", "stride-0 gradient", "one side", "strided", "broadcast", "empty"])
def test_inputs(kind):
    x, y = pair(3, 140)
    x, y = {"one sample": (x[:, :1], y[:, :1]), "strided": (x.mT.contiguous().mT, y[:, ::1]), "broadcast": (x[:1], y)}.get(
        kind, (x, y)
    )
    x, y = (x[:0], y[:0]) if kind == "empty" else (x, y)
    results = []
    for backend in ("triton", "torch"):
        leaf, other = x.detach().clone().requires_grad_(kind != "one side"), y.detach().clone().requires_grad_()
        value = squared_mutual_information(leaf, other, backend=backend)
        value.sum().backward()
        results.append((value.detach(), other.grad, *([] if leaf.grad is None else [leaf.grad])))
    for actual, expected in zip(*results, strict=True):
        # of a single sample, a constant image, the gradient is 1e-5 of others'
        assert_close(actual, expected, 1e-8 if kind == "one sample" else EXACT)


def test_gradcheck_and_opcheck():
    x, y = (z.requires_grad_() for z in pair(1, 5))
    for sign in (-1, 1):
        assert torch.autograd.gradcheck(rsmi(sign=sign, backend="triton"), (x, y), fast_mode=True)
    from huenet.kernels.squared_mutual_information.estimator import Estimator

    torch.library.opcheck(OPERATOR, (x, y, Estimator().spec, "triton"))


def test_what_it_cannot_serve_is_said():
    with pytest.raises(ValueError, match="backend 'triton' needs at most 21 centers, got 22"):
        squared_mutual_information(torch.rand(9), torch.rand(9), centers=22, backend="triton")
    with pytest.raises(ValueError, match=r"backend 'triton' needs low and high .* and sigma from"):
        squared_mutual_information(torch.rand(9), torch.rand(9), sigma=1e-9, backend="triton")
