"""Windows as polynomials on cells: as many terms as their poles ask for, as exact as promised, and tables no larger than they may
be."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from huenet.kernels import Bins, soft_histogram
from huenet.kernels.common import cells
from huenet.kernels.common.cells import SMALL_TABLE, Grid
from huenet.kernels.common.polynomials import Cut, series, tabulate, tolerance
from huenet.kernels.common.windows import WINDOWS, Window
from huenet.kernels.soft_histogram import portable, tiled
from tests.assertions import assert_close, assert_gradients_close
from tests.kernels.agreement import EXACT
from tests.kernels.strategies import BOUNDARIES, bins_of, gradients, samples
from tests.kernels.strategies import WINDOWS as NAMES
from tests.kernels.toy import TOY
from tests.largest import LargestTensor

SIZES = [(300, 20), (4096, 256), (65536, 256), (65536, 100_000)]


def soft(bins: Bins, backend: str = "torch"):
    return lambda x, *w: soft_histogram(x, bins, weights=w[0] if w else None, backend=backend)


def grid(bins: Bins, count: int, dtype: torch.dtype = torch.float32) -> Grid | None:
    return Grid.covering(bins, samples(1, count, dtype=dtype, spill=0.0))


@pytest.mark.parametrize("bandwidth", [0.1, 0.4, 1.0, 4.0])
@pytest.mark.parametrize("cell", [1 / 16, 1 / 2, 2])
def test_terms_fall_as_the_logistics_pole_says(bandwidth, cell):
    """The logistic is two sigmoids, whose poles lie pi W, 3 pi W, ... from the real axis with residues W. In units of half a cell,
    h, a pole iy above the middle of a cell with residue R gives Chebyshev coefficients of 2 R / sqrt(1 + y^2) rho^-n, and less when
    it lies above another place. There are four of each: two sigmoids, and either side of the axis."""
    cut, h = Cut.of(cell, Bins(bandwidth=bandwidth).radius(torch.float64)), cell / 2
    found = series(lambda u: WINDOWS["logistic"].response(u, bandwidth), cut).abs().amax((0, 2))
    y = (2 * torch.arange(100, dtype=torch.float64) + 1) * (math.pi * bandwidth / h)
    rho = y + (1 + y * y).sqrt()
    n = torch.arange(2, len(found), dtype=torch.float64)
    bound = (8 * bandwidth / h / (1 + y * y).sqrt() * rho ** -n.unsqueeze(1)).sum(1)
    assert (found[2:] <= bound + 1e-15).all()  # values of at most 1 are rounded
    assert (found[2:5] >= bound[:3] / 30).all()  # no faster: some pole is above some cell
    assert 0.9 < bound[3] * rho[0] / bound[2] < 1.1 or bandwidth / h < 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bandwidth", [0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("name", NAMES)
def test_polynomials_are_as_near_as_promised(name, bandwidth, dtype):
    window, checked = WINDOWS[name], 0
    for exponent in range(-5, 3):
        cut = Cut.of(2.0**exponent, Bins(window=name, bandwidth=bandwidth).radius(dtype))
        if not cut.fits(window.knots, bandwidth):
            continue
        v = torch.linspace(-0.499, 0.499, 101, dtype=torch.float64)
        places = (torch.arange(cut.cells, dtype=torch.float64).unsqueeze(1) + 0.5 + v) * (cut.block / cut.cells)
        for form in (window.response, window.derivative):
            table = tabulate(lambda u, form=form: form(u, bandwidth), cut, tolerance(dtype))
            if table is None:
                continue
            expected = form(places.unsqueeze(-1) - cut.centers(), bandwidth)  # (cells, places, reach)
            matrix = table.matrix.view(table.terms, cut.cells, -1, cut.reach)[:, :, -1]
            powers = v.unsqueeze(1) ** torch.arange(table.terms, dtype=torch.float64)
            actual = torch.einsum("vj,jco->cvo", powers, matrix)
            # powers of v cost a few roundings more
            assert (actual - expected).abs().max() <= (tolerance(dtype) + 1e-14) * expected.abs().max()
            checked += 1
    assert checked >= 8


def test_what_is_a_polynomial_has_its_own_degree():
    for name, terms, slopes in (("triangular", 2, 2), ("bspline", 4, 3)):
        found = grid(Bins(64, window=name), 1000, torch.float64)
        assert (found.response.terms, found.derivative.terms) == (terms, slopes)  # two at least
        assert not found.response.ends and found.derivative.ends == (name == "triangular")


@pytest.mark.parametrize("count, bins", SIZES)
def test_tables_do_not_outgrow_samples(count, bins):
    for name, boundary in itertools.product(NAMES, BOUNDARIES):
        found = grid(bins_of(name, boundary, bins), count)
        assert found is not None or bins == 100_000
        if found is not None:
            assert max(map(found.numbers, (found.response, found.derivative))) <= max(count // 2, SMALL_TABLE)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_hundred_thousand_bins(boundary):
    """The old way for few samples, and cells for many."""
    bins = Bins(100_000, boundary=boundary)
    assert grid(bins, 30) is None and grid(bins, 1 << 22) is not None
    x = samples(30, spill=0.01)
    (actual, slopes), (expected, expected_slopes) = gradients(soft(bins), [x]), gradients(soft(bins, "reference"), [x])
    assert_close(actual, expected, EXACT)
    assert_gradients_close(slopes, expected_slopes, EXACT)


@pytest.mark.parametrize("bins", [Bins(5000), Bins(3000, boundary="circular", window="bspline"), Bins(2500, boundary="reflect")])
def test_many_bins_and_many_samples(bins):
    """Every sample four hundred times over: the histogram of once, and 1/400 of its gradient."""
    x = samples(1000)
    assert grid(bins, 400_000, torch.float64) is not None
    many, (slopes,) = gradients(soft(bins), [x.repeat(400)])
    once, (expected,) = gradients(soft(bins, "reference"), [x])
    assert_close(many, once, EXACT)
    assert_close(slopes.view(400, -1) * 400, expected.expand(400, -1), EXACT)


class Calls(TorchDispatchMode):
    """Counts the numbers that each operation writes."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: dict[str, int] = {}

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        name = function.overloadpacket.__name__
        if name.startswith("scatter"):
            self.numbers[name] = self.numbers.get(name, 0) + arguments[2].numel()
        elif isinstance(result, torch.Tensor) and not result._is_view():
            self.numbers[name] = self.numbers.get(name, 0) + result.numel()
        return result


def test_work_is_the_same_at_every_bandwidth():
    x, grad, done = samples(1, 65536, dtype=torch.float32, spill=0.0), torch.randn(1, 256), []
    for bandwidth in (0.4, 4.0):
        bins = Bins(256, boundary="circular", bandwidth=bandwidth)
        for _ in range(2):  # the first time also makes what is made once
            with Calls() as calls:
                _, *kept = portable.forward(x, None, bins)
                portable.backward(grad, x, None, *kept, bins, [True, False])
        done.append(calls.numbers)
    narrow, wide = done
    assert narrow["scatter_add_"] == wide["scatter_add_"] == 4 * 65536
    assert sum(wide.values()) < 1.1 * sum(narrow.values())


@pytest.mark.parametrize("bandwidth", [0.4, 4.0])
def test_nothing_is_large(bandwidth):
    """The gradient takes 256 KB, a part's coordinates as much, a table or what it gives to the bins at most 1 MB."""
    x, grad, bins = samples(1, 65536, dtype=torch.float32), torch.randn(1, 256), Bins(256, bandwidth=bandwidth)
    with LargestTensor() as seen:
        _, *kept = portable.forward(x, None, bins)
        portable.backward(grad, x, None, *kept, bins, [True, False])
    assert 0 < seen.bytes <= 8 * SMALL_TABLE


@pytest.mark.parametrize("window, bandwidth", [("triangular", 0.5), ("triangular", 1.0), ("triangular", 2.0), ("bspline", 1.0)])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_kinks(window, bandwidth, boundary):
    """Samples on bins' centres and ends, where a triangular window's slope jumps, and close to either side."""
    bins = Bins(16, 0.0, 16.0, bandwidth, boundary, window)
    x = torch.arange(-8, 41, dtype=torch.float64) / 2
    x = torch.cat([x, x + 1e-9, x - 1e-9, samples(20) * 16])
    assert grid(bins, len(x), torch.float64) is not None
    inputs = [x, samples(len(x), seed=1, spill=0.0)]
    (actual, slopes), (expected, expected_slopes) = gradients(soft(bins), inputs), gradients(soft(bins, "reference"), inputs)
    assert_close(actual, expected, EXACT)
    torch.testing.assert_close(slopes, expected_slopes, rtol=0, atol=EXACT * expected_slopes[0].abs().max().item())


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("low, high", [(0.0, 1.0), (-0.5 / 255, 255.5 / 255)])
def test_eight_bit_values_with_triangular_windows(boundary, low, high):
    """Values j / 255: with 256 bins of width 1 / 255 about them, each is a bin's centre but for its rounding."""
    x = (torch.arange(256, dtype=torch.float32) / 255).double()  # as float32 gives them
    for count, bandwidth in ((256, 1.0), (255, 0.5), (51, 1.0)):
        bins = Bins(count, low, high, bandwidth, boundary, "triangular")
        (actual, slopes), (expected, expected_slopes) = gradients(soft(bins), [x]), gradients(soft(bins, "reference"), [x])
        assert_close(actual, expected, EXACT)
        assert_gradients_close(slopes, expected_slopes, EXACT)


@pytest.mark.parametrize("window, bandwidth", [("triangular", 0.3), ("bspline", 1.3), ("triangular", 1 / 3)])
def test_knots_off_the_ends_of_cells_go_the_old_way(window, bandwidth, monkeypatch):
    bins, x, seen = Bins(64, window=window, bandwidth=bandwidth), samples(2, 200), []
    for name in ("forward", "backward"):
        original = getattr(tiled, name)
        monkeypatch.setattr(tiled, name, lambda *given, original=original: seen.append(original) or original(*given))
    (actual, slopes), (expected, expected_slopes) = gradients(soft(bins), [x]), gradients(soft(bins, "reference"), [x])
    assert len(seen) == 2
    assert_close(actual, expected, EXACT)
    assert_gradients_close(slopes, expected_slopes, EXACT)


WINDOWS_OF_OTHERS: dict[str, tuple[Window, float, bool]] = {
    "knots on ends": (TOY, 1.5, True),
    "knots off ends": (TOY, 1.3, False),
    "knots not declared": (dataclasses.replace(TOY, knots=()), 1.3, False),
    "a jump": (WINDOWS["box"], 0.5, True),
    "analytic": (dataclasses.replace(WINDOWS["logistic"], separable=False), 0.7, True),
}


@pytest.mark.parametrize("label", WINDOWS_OF_OTHERS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_windows_that_others_register(label, boundary, monkeypatch):
    """By what their functions give, whatever they declare."""
    window, bandwidth, short = WINDOWS_OF_OTHERS[label]
    monkeypatch.setitem(WINDOWS, "others", window)
    bins = Bins(24, 0.0, 24.0, bandwidth, boundary, "others")
    x = torch.cat([samples(300) * 24, torch.arange(25, dtype=torch.float64)])
    assert (grid(bins, len(x), torch.float64) is not None) == short
    votes = [samples(len(x), seed=1, spill=0.0)]
    function = lambda backend: lambda w: soft_histogram(x, bins, weights=w, backend=backend)  # noqa: E731
    (actual, slopes), (expected, expected_slopes) = (gradients(function(backend), votes) for backend in ("torch", "reference"))
    assert_close(actual, expected, EXACT)
    assert_gradients_close(slopes, expected_slopes, EXACT)
    if label != "a jump":
        assert_gradients_close(gradients(soft(bins), [x])[1], gradients(soft(bins, "reference"), [x])[1], EXACT)


@pytest.mark.parametrize("budget", [cells.Budget(64, 1 << 17), cells.Budget(2000, 1 << 17), cells.Budget(1 << 15, 1)])
@pytest.mark.parametrize("shape", [(1, 700), (7, 700), (50, 3)])
def test_parts_of_rows_and_rows_together(budget, shape, monkeypatch):
    inputs = [samples(*shape), samples(*shape, seed=1, spill=0.0)]
    for bins in (Bins(32, boundary="reflect"), Bins(32, boundary="circular", window="triangular")):
        expected, expected_slopes = gradients(soft(bins, "reference"), inputs)
        with monkeypatch.context() as patch:
            patch.setattr(cells, "CPU_BUDGET", budget)
            actual, slopes = gradients(soft(bins), inputs)
        assert_close(actual, expected, EXACT)
        assert_gradients_close(slopes, expected_slopes, EXACT, "x weights")


def test_nan_and_infinity_are_where_the_dense_formula_has_them():
    """The windows without branches: those of `relu` and `where` let autograd lose a NaN."""
    for name, boundary in itertools.product(("logistic", "gaussian"), BOUNDARIES):
        bins, (x, w, grad) = (
            bins_of(name, boundary, 20),
            (samples(6, 50), samples(6, 50, seed=1, spill=0.0), samples(6, 20, seed=2)),
        )
        x[0, 7], x[1, 7], x[2, 7], w[3, 5], grad[4, 2], grad[5, 3] = (
            torch.nan,
            torch.inf,
            -torch.inf,
            torch.nan,
            torch.nan,
            torch.inf,
        )
        found = []
        for backend in ("torch", "reference"):
            leaves = [x.clone().requires_grad_(), w.clone().requires_grad_()]
            histogram = soft_histogram(leaves[0], bins, weights=leaves[1], backend=backend)
            found.append([histogram.detach(), *torch.autograd.grad(histogram, leaves, grad)])
        for actual, expected in zip(*found, strict=True):
            assert torch.equal(actual.isfinite(), expected.isfinite()) and not expected.isfinite().all()
            finite = expected.isfinite()
            assert_close(actual[finite], expected[finite], EXACT)
