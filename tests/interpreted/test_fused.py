"""Backend "triton" against the dense reference in float64, on the CPU.

Tolerances. EXACT: as for the torch backend, sums of at most 1000 float64 terms and a window cut at 2^-53. SINGLE: a distance is
rounded to 2^-24 of at most 17 bins, over a bandwidth of 0.4 a relative 2.5e-6 at the farthest bins and a tenth of that where a
response matters; exponentials, reciprocal and sums add a few 2^-24.
"""

from __future__ import annotations

import importlib

import pytest
import torch

from huenet.kernels import Bins, joint_histogram, mutual_information, soft_histogram
from tests.assertions import assert_close, assert_gradients_close
from tests.kernels.strategies import BOUNDARIES, WINDOWS, bins_of, gradients, samples

EXACT, SINGLE = 1e-12, 2e-6
FUSED = importlib.import_module("huenet.kernels.fused.joint_histogram")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks for a few hundred samples; what is left unwritten is NaN."""
    for name, value in (("STRETCH", 128), ("SEGMENT", 128), ("FOLD", 64)):
        monkeypatch.setattr(FUSED, name, value)
    empty = torch.Tensor.new_empty

    def poisoned(self: torch.Tensor, *size: int, **options: object) -> torch.Tensor:
        made = empty(self, *size, **options)
        return made.fill_(torch.nan) if made.is_floating_point() else made

    monkeypatch.setattr(torch.Tensor, "new_empty", poisoned)


def soft(bins, backend):
    return lambda x, *w: soft_histogram(x, bins, weights=w[0] if w else None, backend=backend)


def joint(bins, bins_y, backend):
    return lambda x, y, *w: joint_histogram(x, y, bins, bins_y, weights=w[0] if w else None, backend=backend)


def spread(count: int, seed: int = 0, spill: float = 0.1) -> torch.Tensor:
    """Two rows of samples, a third of them alike, and a few far outside."""
    x = samples(2, count, seed=seed, spill=spill)
    x[:, : count // 3] = 0.4
    if spill:
        x[:, -8:] = torch.linspace(-4, 4, 8)
    return x


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("dtype, count", [(torch.float64, 130), (torch.float32, 64), (torch.float32, 257)], ids=str)
def test_soft_histogram(window, boundary, dtype, count):
    bins = bins_of(window, boundary, count)
    inputs = [spread(301).to(dtype), samples(2, 301, seed=7, spill=0.0).to(dtype)]
    tolerance = EXACT if dtype == torch.float64 else SINGLE
    for arguments in (inputs, inputs[:1]):
        actual, actual_gradients = gradients(soft(bins, "triton"), arguments)
        expected, expected_gradients = gradients(soft(bins, "reference"), [z.double() for z in arguments])
        assert_close(actual, expected, tolerance)
        assert_gradients_close(actual_gradients, expected_gradients, tolerance, "x weights")


@pytest.mark.parametrize(
    "window, boundary, boundary_y, dtype",
    [
        ("logistic", "open", "circular", torch.float64),
        ("logistic", "circular", "open", torch.float32),
        ("gaussian", "reflect", "open", torch.float64),
        ("triangular", "open", "reflect", torch.float32),
        ("bspline", "circular", "circular", torch.float64),
    ],
)
def test_joint_histogram(window, boundary, boundary_y, dtype):
    bins, bins_y = Bins(130, -0.3, 1.1, None, boundary, window), bins_of(window, boundary_y, 150)
    inputs = [spread(260).to(dtype), spread(260, seed=1).to(dtype), samples(2, 260, seed=7, spill=0.0).to(dtype)]
    tolerance = EXACT if dtype == torch.float64 else SINGLE
    actual, actual_gradients = gradients(joint(bins, bins_y, "triton"), inputs)
    expected, expected_gradients = gradients(joint(bins, bins_y, "reference"), [z.double() for z in inputs])
    assert_close(actual, expected, tolerance)
    assert_gradients_close(actual_gradients, expected_gradients, tolerance)


def test_mutual_information():
    inputs = [spread(200, spill=0.0).float(), samples(2, 200, seed=1, spill=0.0).float()]
    value = lambda backend: lambda x, y: mutual_information(x, y, Bins(64, boundary="circular"), backend=backend).relative  # noqa: E731
    actual, actual_gradients = gradients(value("triton"), inputs)
    expected, expected_gradients = gradients(value("reference"), [z.double() for z in inputs])
    assert_close(actual, expected, SINGLE)
    # log J magnifies the relative errors of near-empty cells, each as its own
    assert_gradients_close(actual_gradients, expected_gradients, 10 * SINGLE)


@pytest.mark.parametrize("low, high, bandwidth", [(-1.0, 2.0, 0.2), (0.0, 255.0, 1.0), (3.0, 3.1, 0.05)])
def test_ranges_and_bandwidths(low, high, bandwidth):
    bins = Bins(256, low, high, bandwidth)
    x = (low + (high - low) * samples(2, 200)).float()
    actual, actual_gradients = gradients(soft(bins, "triton"), [x])
    expected, expected_gradients = gradients(soft(bins, "reference"), [x.double()])
    same_precision = gradients(soft(bins, "reference"), [x])
    for a, e, s in zip((actual, *actual_gradients), (expected, *expected_gradients), (same_precision[0], *same_precision[1])):
        error, theirs = ((z.double() - e).norm() / e.norm() for z in (a, s))
        assert error <= max(2 * theirs, SINGLE)


@pytest.mark.parametrize("kind", ["half", "strided", "stride-0 gradient", "few", "empty"])
def test_inputs(kind):
    x = samples(2, 90, dtype=torch.float32)
    x = {"half": x.half(), "strided": x.mT.contiguous().mT[:, ::2], "few": x[:, :3], "empty": x[:, :0]}.get(kind, x)
    leaf = x.detach().clone().requires_grad_()
    histogram = soft_histogram(leaf, 64, backend="triton")
    assert_close(histogram, soft_histogram(x, 64), SINGLE)
    histogram.sum().backward()
    other = x.detach().clone().requires_grad_()
    soft_histogram(other, 64).sum().backward()
    assert_close(leaf.grad, other.grad, 1e-3 if kind == "half" else 10 * SINGLE)


def test_nan_and_infinite_samples():
    x = samples(3, 90)
    x[0, 7], x[1, 7] = torch.nan, torch.inf
    y = samples(3, 90, seed=1)
    for histogram, expected in (
        (soft_histogram(x, 130, backend="triton"), soft_histogram(x, 130)),
        (joint_histogram(x, y, 130, backend="triton"), joint_histogram(x, y, 130)),
    ):
        assert histogram[0].isnan().all()
        assert_close(histogram[1:], expected[1:], EXACT)


def test_gradcheck_and_opcheck():
    bins = Bins(128)
    x, y = (samples(1, 5, seed=seed).requires_grad_() for seed in range(2))
    assert torch.autograd.gradcheck(soft(bins, "triton"), (x,), fast_mode=True)
    assert torch.autograd.gradcheck(joint(bins, bins, "triton"), (x, y), fast_mode=True)
    operator = importlib.import_module("huenet.kernels.histogram")._op
    torch.library.opcheck(operator, (x, None, bins.spec, "triton"))


def test_what_it_cannot_serve_is_said():
    with pytest.raises(ValueError, match="backend 'triton' needs at least 64 bins"):
        soft_histogram(torch.rand(9), 32, backend="triton")
