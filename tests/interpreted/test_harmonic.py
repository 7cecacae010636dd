"""HarmonicGAN's operators, backend "triton", against the dense reference in float64, on the CPU.

Tolerances as in tests/kernels/test_harmonic.py and test_patch_histogram.py.
"""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import Tensor

from huenet.kernels import Bins, harmonic_energy, patch_histogram
from tests.assertions import assert_close, assert_gradients_close
from tests.kernels.strategies import bins_of, gradients, samples

EXACT, SINGLE = 1e-12, 2e-6
NAMES = "features outputs"
FUSED_ENERGY = importlib.import_module("huenet.kernels.harmonic_energy.fused")
FUSED_PATCHES = importlib.import_module("huenet.kernels.patch_histogram.fused")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks for a few points and patches; what is left unwritten is NaN."""
    for name, value in (("BN", 16), ("BM", 8), ("PROGRAMS", 8)):
        monkeypatch.setattr(FUSED_ENERGY, name, value)
    for name, value in (("BP", 4), ("BN", 8), ("BACKWARD_BN", 8), ("BACKWARD_BP", 2), ("MOST_BINS", 16)):
        monkeypatch.setattr(FUSED_PATCHES, name, value)
    monkeypatch.setattr(torch.Tensor, "new_empty", _poisoned(torch.Tensor.new_empty))
    monkeypatch.setattr(torch, "empty_like", _poisoned(torch.empty_like))


def _poisoned(empty):
    def poisoned(*arguments: object, **options: object) -> Tensor:
        made = empty(*arguments, **options)
        return made.fill_(torch.nan) if made.is_floating_point() else made

    return poisoned


def counts(bins, patch, stride, backend):
    return lambda x: patch_histogram(x, bins, patch=patch, stride=stride, backend=backend)


def energy(backend, distance="l1", sigma=1.5):
    return lambda f, a: harmonic_energy(f, a, sigma=sigma, distance=distance, backend=backend)


def coarse(*shape: int, seed: int = 0) -> Tensor:
    """Points whose components tie often, as empty bins do, and some of which are equal."""
    x = (4 * samples(*shape, seed=seed)).round()
    x[..., 1, :] = x[..., 0, :]
    return x


@pytest.mark.parametrize("distance", ["l1", "l2"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("count", [1, 2, 37])
def test_harmonic_energy(distance, dtype, count):
    make = (lambda *shape, seed=0: 4 * samples(*shape, seed=seed)) if count < 3 else coarse
    inputs = [make(2, count, 5).to(dtype), make(2, count, 3, seed=1).to(dtype)]
    tolerance = EXACT if dtype == torch.float64 else SINGLE
    actual, actual_gradients = gradients(energy("triton", distance), inputs)
    expected, expected_gradients = gradients(energy("reference", distance), [x.double() for x in inputs])
    assert_close(actual, expected, tolerance)
    if count > 1:
        assert_gradients_close(actual_gradients, expected_gradients, tolerance, NAMES)


@pytest.mark.parametrize("programs", [1, 2, 100])
def test_however_many_programs_share_rows(programs, monkeypatch):
    monkeypatch.setattr(FUSED_ENERGY, "PROGRAMS", programs)
    inputs = [coarse(2, 40, 3), coarse(2, 40, 2, seed=1)]
    actual, actual_gradients = gradients(energy("triton"), inputs)
    expected, expected_gradients = gradients(energy("torch"), inputs)
    assert_close(actual, expected, EXACT)
    assert_gradients_close(actual_gradients, expected_gradients, EXACT, NAMES)


@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_gradients_only_where_needed(distance):
    f, a = coarse(9, 3), coarse(9, 2, seed=1)
    _, both = gradients(energy("triton", distance), [f, a])
    for index, fixed in enumerate((lambda x: energy("triton", distance)(x, a), lambda x: energy("triton", distance)(f, x))):
        _, (slope,) = gradients(fixed, [(f, a)[index]])
        assert torch.equal(slope, both[index])


@pytest.mark.parametrize(
    "bins, patch, stride",
    [
        (Bins(16, boundary="reflect", window="triangular"), 4, 4),
        (Bins(5, -1.0, 1.0, window="triangular"), 5, 2),
        (bins_of("logistic", "reflect", 20), 3, 4),
        (bins_of("gaussian", "circular", 12), 4, 3),
        (bins_of("bspline", "circular", 3), 3, 1),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_patch_histogram(bins, patch, stride, dtype):
    x = samples(1, 2, 6, 13, spill=1.2).to(dtype)
    tolerance = EXACT if dtype == torch.float64 else SINGLE
    actual, actual_gradients = gradients(counts(bins, patch, stride, "triton"), [x])
    expected, expected_gradients = gradients(counts(bins, patch, stride, "reference"), [x.double()])
    assert_close(actual, expected, tolerance)
    assert_gradients_close(actual_gradients, expected_gradients, tolerance)


@pytest.mark.parametrize("kind", ["half", "strided", "stride-0 gradient", "every patch", "one patch", "empty"])
def test_inputs(kind):
    x = samples(1, 1, 5, 9, dtype=torch.float32)
    x = {"half": x.half(), "strided": x.mT.contiguous().mT[..., ::2], "empty": x[:0], "one patch": x[..., :3, :3]}.get(kind, x)
    stride = 1 if kind == "every patch" else 2
    results = []
    for backend in ("triton", "torch"):
        leaf = x.detach().clone().requires_grad_()
        histograms = patch_histogram(leaf, Bins(6, window="triangular"), patch=3, stride=stride, backend=backend)
        energies = harmonic_energy(histograms, histograms.square(), sigma=2, backend=backend)
        (histograms.sum() + energies.sum()).backward()
        results.append((histograms, energies, leaf.grad))
    for actual, expected in zip(*results):
        assert_close(actual, expected, 1e-3 if kind == "half" and actual.dtype == torch.float16 else 10 * SINGLE)


def test_nan_and_infinite_values_stay_where_they_belong():
    x = samples(1, 2, 8, 8)
    clean = patch_histogram(x, 20, patch=4, backend="triton")
    x[0, 0, 1, 1], x[0, 1, 6, 6] = torch.nan, torch.inf
    histograms = patch_histogram(x, 20, patch=4, backend="triton")
    assert histograms[0, 0, :20].isnan().all()
    assert_close(histograms[0, 0, 20:], clean[0, 0, 20:], EXACT)
    assert_close(histograms[0, 1:3], clean[0, 1:3], EXACT)
    assert histograms[0, 3, 20:].sum().item() == pytest.approx(15, abs=EXACT)
    f, a = coarse(2, 6, 3), coarse(2, 6, 3)
    f[1, 3, 0] = torch.nan
    assert energy("triton")(f, a).isnan().tolist() == [False, True]
    assert energy("triton")(f[1:, 3:4], a[1:, 3:4]).isnan().all()


def test_gradcheck_and_opcheck():
    x = samples(1, 1, 4, 6).requires_grad_()
    f, a = samples(1, 4, 2).requires_grad_(), samples(1, 4, 3, seed=1).requires_grad_()
    bins = Bins(4, boundary="reflect", window="triangular")
    assert torch.autograd.gradcheck(counts(bins, 3, 2, "triton"), (x,), fast_mode=True)
    torch.library.opcheck(importlib.import_module("huenet.kernels.patch_histogram").OPERATOR.op, (x, bins.spec, 3, 2, "triton"))
    for distance in ("l1", "l2"):
        assert torch.autograd.gradcheck(energy("triton", distance), (f, a), fast_mode=True)
    torch.library.opcheck(importlib.import_module("huenet.kernels.harmonic_energy").OPERATOR.op, (f, a, 1.5, "l1", "triton"))


def test_what_it_cannot_serve_is_said():
    """Beyond, a sample would have more images at the boundary than two; an open one has none."""
    image = torch.rand(1, 1, 8, 8)
    with pytest.raises(ValueError, match="backend 'triton' needs at least 7 bins for this window and dtype"):
        patch_histogram(image, Bins(6, boundary="reflect"), backend="triton")
    expected = patch_histogram(image.double(), Bins(6), backend="reference")
    assert_close(patch_histogram(image, Bins(6), backend="triton"), expected, SINGLE)
