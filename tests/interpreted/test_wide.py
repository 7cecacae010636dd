"""Joint histograms and mutual information of wide windows, whose samples are ordered by pairs of cells: backend "triton" against
the dense reference in float64."""

from __future__ import annotations

import importlib

import pytest
import torch

from huenet.kernels import Bins, joint_histogram, mutual_information
from huenet.kernels.common.cases import declared
from tests.kernels.agreement import SINGLE, check, check_not_finite
from tests.kernels.strategies import BOUNDARIES, clustered, samples, votes

fused = importlib.import_module("huenet.kernels.joint_histogram.fused")
wide = importlib.import_module("huenet.kernels.joint_histogram.wide")
KINDS = [("logistic", 4.0), ("gaussian", 2.0)]


@pytest.fixture
def many_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells are chosen as for large images, whose samples share what does not depend on how many there are."""
    for name in ("PAIR", "COUNTED", "MULTIPLY_ADD"):
        monkeypatch.setattr(wide, name, 0.0)


def joint(bins, bins_y=None):
    return lambda backend: lambda x, y, *w: joint_histogram(x, y, bins, bins_y, weights=w[0] if w else None, backend=backend)


def terms(bins, marginals="joint"):
    return lambda backend: lambda x, y: torch.stack(mutual_information(x, y, bins, marginals=marginals, backend=backend))


def uses_cells(bins: Bins, bins_y: Bins | None = None, dtype: torch.dtype = torch.float32, count: int = 30) -> bool:
    return fused.wide_for(bins, bins_y or bins, torch.empty(1, count, dtype=dtype)) is not None


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("window, bandwidth", KINDS)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_windows_and_boundaries(many_samples, window, bandwidth, boundary, weighted):
    bins, single = (Bins(64, bandwidth=bandwidth, window=window, boundary=b) for b in (boundary, "open"))
    assert uses_cells(bins)
    x, y, w = clustered(37).float(), clustered(37, seed=1).float(), votes(37).float()
    check(joint(bins), [x, y, w] if weighted else [x, y], joint(single))


@pytest.mark.parametrize(
    "bins", [Bins(256, bandwidth=4.0), Bins(256, bandwidth=2.0, window="gaussian", boundary="circular")], ids=str
)
def test_many_bins(many_samples, bins):
    assert uses_cells(bins)
    check(joint(bins), [clustered(30).float(), clustered(30, seed=1).float(), votes(30).float()])


@pytest.mark.parametrize(
    "bins, bins_y",
    [
        (Bins(64, bandwidth=4.0), Bins(32, boundary="circular")),
        (Bins(20, boundary="circular", window="gaussian"), Bins(100, bandwidth=3.0, boundary="reflect")),
        (Bins(64, bandwidth=30.0, boundary="circular"), Bins(257, bandwidth=5.0, boundary="circular")),
    ],
    ids=["wide and narrow", "narrow and wide", "wider than the range"],
)
def test_axes_of_two_kinds(many_samples, bins, bins_y):
    assert uses_cells(bins, bins_y)
    check(joint(bins, bins_y), [clustered(30).float(), clustered(30, seed=1).float(), votes(30).float()])


@pytest.mark.parametrize("window, bandwidth", KINDS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_double_precision(many_samples, window, bandwidth, boundary):
    bins, single = (Bins(64, bandwidth=bandwidth, window=window, boundary=b) for b in (boundary, "open"))
    inputs = [clustered(16), clustered(16, seed=1), votes(16)]
    check(joint(bins), inputs, joint(single))
    if boundary == "circular":
        assert uses_cells(bins, dtype=torch.float64)
        check(terms(bins), inputs[:2])


@pytest.mark.parametrize("low, high", [(1000.1, 1001.1), (-1024.0, 3071.0)])
def test_ranges_far_from_zero(many_samples, low, high):
    bins = Bins(64, low, high, bandwidth=4.0, boundary="circular")
    x, y = ((low + (high - low) * clustered(20, seed=seed)).float() for seed in range(2))
    check(joint(bins), [x, y])


@pytest.mark.parametrize("count", [1, 2, 16, 17, 700])
def test_numbers_of_samples(many_samples, count):
    x, y = (clustered(max(count, 20), seed=seed)[:, :count].float() for seed in range(2))
    check(joint(Bins(64, bandwidth=4.0, boundary="circular")), [x, y])


@pytest.mark.parametrize("bins", [Bins(32, bandwidth=4.0), Bins(32, bandwidth=4.0, boundary="circular")], ids=str)
def test_not_finite(many_samples, bins):
    assert uses_cells(bins)
    check_not_finite(declared()["joint_histogram"].CASES, {"bins": bins}, "triton", 10)


def test_a_gradient_that_is_not_finite_spreads_over_its_row(many_samples):
    x, y = (clustered(20, seed=seed, rows=2).float().requires_grad_() for seed in range(2))
    histogram = joint_histogram(x, y, Bins(64, bandwidth=4.0, boundary="circular"), backend="triton")
    upstream = torch.ones_like(histogram)
    upstream[0, 40, 3] = torch.nan
    for gradient in torch.autograd.grad(histogram, [x, y], upstream):
        assert gradient[0].isnan().all() and gradient[1].isfinite().all()


def photo(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Like two channels of a photo: smooth, correlated, noisy."""
    place = torch.linspace(0, 1, count, dtype=torch.float64)[None]
    x = (0.4 + 0.2 * torch.sin(9 * place) + 0.05 * torch.randn(1, count, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    y = 0.7 * x + 0.1 + 0.05 * torch.randn(1, count, generator=torch.Generator().manual_seed(1))
    return x.float(), y.clamp(0, 1).float()


IMAGES = {
    "photo": photo(200),
    "noise": (samples(1, 200, spill=0.0).float(), samples(1, 200, seed=1, spill=0.0).float()),
    "constant": (torch.full((1, 200), 0.3), torch.full((1, 200), 0.71)),
}


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("window, bandwidth", KINDS)
def test_information(many_samples, window, bandwidth, image):
    """log J magnifies what far cells, of which J has next to nothing, are off by."""
    bins = Bins(256, bandwidth=bandwidth, window=window, boundary="circular")
    assert uses_cells(bins)
    x, y = IMAGES[image]
    actual, expected = terms(bins)("triton")(x, y), terms(bins)("reference")(x.double(), y.double())
    assert (actual.double() - expected).abs().max() <= SINGLE * expected.max()
    if image == "constant":  # whose information does not change, whatever the one colour
        return
    check(terms(bins), [x, y])


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_information_of_histograms(many_samples, boundary):
    bins = Bins(64, bandwidth=4.0, boundary=boundary)
    assert uses_cells(bins)
    check(terms(bins, "histogram"), [clustered(30).float(), clustered(30, seed=1).float()])


def test_where_cells_serve():
    """Wide windows of large images; not narrow ones, windows whose slopes jump, small images, or too many pairs."""
    large = 1 << 16
    assert uses_cells(Bins(256, bandwidth=4.0), count=large)
    assert uses_cells(Bins(64, bandwidth=4.0, boundary="reflect"), count=large)
    assert uses_cells(Bins(256, bandwidth=4.0), Bins(64, window="gaussian"), count=large)
    assert not uses_cells(Bins(256), count=large)
    assert not uses_cells(Bins(256, bandwidth=20.0, window="triangular"), count=large)
    assert not uses_cells(Bins(256, bandwidth=20.0, window="bspline"), count=large)
    assert not uses_cells(Bins(64, bandwidth=4.0), count=30)
    assert not uses_cells(Bins(4096, bandwidth=4.0), count=large)


@pytest.mark.parametrize("settings", importlib.import_module("huenet.kernels.joint_histogram.cases").WIDE.values(), ids=str)
def test_declared_cases_use_cells(settings):
    """On a GPU, where they are tried with 600 samples, and in the compile report."""
    assert uses_cells(settings["bins"], settings.get("bins_y"), count=600)
    assert uses_cells(settings["bins"], settings.get("bins_y"), count=256 * 256)


def test_gradcheck(many_samples):
    x, y, w = (samples(1, 3, seed=seed, spill=0.0).requires_grad_() for seed in range(3))
    function = joint(Bins(32, bandwidth=4.0, boundary="circular"))("triton")
    assert torch.autograd.gradcheck(function, (x, y, w), fast_mode=True, check_undefined_grad=False)  # there is but one result


def test_opcheck_and_compile(many_samples):
    """Also where fake tensors are the first that are seen."""
    bins = Bins(32, bandwidth=4.5, boundary="circular")
    x, y = (samples(1, 5, seed=seed, dtype=torch.float32).requires_grad_() for seed in range(2))
    loss = lambda x, y: joint_histogram(x, y, bins, backend="triton").square().sum()  # noqa: E731
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")(x, y)
    assert uses_cells(bins)
    (gradient,), (expected,) = (torch.autograd.grad(result, x) for result in (compiled, loss(x, y)))
    assert torch.equal(gradient, expected)
    torch.library.opcheck(declared()["joint_histogram"].OPERATOR.op, (x, y, None, bins.spec, bins.spec, "triton"))
