"""soft_histogram and joint_histogram: the block-sparse backend against the dense reference, and both against first principles.

Tolerances. In float64 the backends differ by what the window leaves out (2^-53 of a response, at most K of them) and by the order
of sums: 1e-12 covers N = 3000 samples with margin. In float32 a response is off by the rounding of a distance of up to 16 bins over
a bandwidth of 0.4, 16 / 0.4 x 2^-25 = 1.2e-6 at most, and by a few 2^-24 for its own arithmetic and the sums: 2e-6.
"""

from __future__ import annotations

import importlib
import itertools

import pytest
import torch

from huenet.kernels import Bins, joint_histogram, soft_histogram
from huenet.kernels.common.cells import Grid
from huenet.kernels.common.windows import WINDOWS as ENTRIES
from huenet.kernels.joint_histogram import portable, product, runs
from huenet.kernels.joint_histogram.axes import of_cells
from huenet.kernels.joint_histogram.ways import Way
from huenet.kernels.soft_histogram import tiled
from tests.assertions import assert_close, assert_gradients_close
from tests.kernels.strategies import BOUNDARIES, COUNTS, WINDOWS, bins_of, gradients, samples

EXACT, SINGLE = 1e-12, 2e-6
CASES = list(itertools.product(WINDOWS, BOUNDARIES))


def weights_like(x: torch.Tensor, kind: str | None) -> list[torch.Tensor]:
    if kind is None:
        return []
    weights = samples(*x.shape, seed=7, spill=0.0)
    return [weights if kind == "soft" else (weights > 0.6).to(x.dtype)]


def soft(bins, backend):
    return lambda x, *w: soft_histogram(x, bins, weights=w[0] if w else None, backend=backend)


def joint(bins, bins_y, backend):
    return lambda x, y, *w: joint_histogram(x, y, bins, bins_y, weights=w[0] if w else None, backend=backend)


@pytest.mark.parametrize("window, boundary", CASES)
@pytest.mark.parametrize("weighted", [None, "soft", "mask"])
@pytest.mark.parametrize("count", COUNTS)
def test_soft_histogram_agrees_with_reference(window, boundary, weighted, count):
    bins, x = bins_of(window, boundary, count), samples(2, 3, 211)
    inputs = [x, *weights_like(x, weighted)]
    actual, actual_gradients = gradients(soft(bins, "torch"), inputs)
    expected, expected_gradients = gradients(soft(bins, "reference"), inputs)
    assert_close(actual, expected, EXACT)
    if count > 1 or boundary == "open":  # a single bin that keeps all mass has no gradient
        assert_gradients_close(actual_gradients, expected_gradients, EXACT, "x weights")


@pytest.mark.parametrize("window, boundary", CASES)
@pytest.mark.parametrize("weighted", [None, "soft"])
@pytest.mark.parametrize("counts", [(1, 7), (7, 2), (64, 100), (100, 33), (257, 256)], ids=str)
def test_joint_histogram_agrees_with_reference(window, boundary, weighted, counts):
    bins, bins_y = (bins_of(window, boundary, count) for count in counts)
    x, y = samples(2, 307), samples(2, 307, seed=1)
    inputs = [x, y, *weights_like(x, weighted)]
    actual, actual_gradients = gradients(joint(bins, bins_y, "torch"), inputs)
    expected, expected_gradients = gradients(joint(bins, bins_y, "reference"), inputs)
    assert_close(actual, expected, EXACT)
    if min(counts) > 1 or boundary == "open":
        assert_gradients_close(actual_gradients, expected_gradients, EXACT)


def test_mixed_axes_agree_with_reference():
    bins_x, bins_y = Bins(40, -1, 2, 1.7, "reflect", "gaussian"), Bins(300, boundary="circular", window="bspline")
    inputs = [samples(3, 500, spill=1.2), samples(3, 500, seed=1), samples(3, 500, seed=2, spill=0)]
    actual, actual_gradients = gradients(joint(bins_x, bins_y, "torch"), inputs)
    expected, expected_gradients = gradients(joint(bins_x, bins_y, "reference"), inputs)
    assert_close(actual, expected, EXACT)
    assert_gradients_close(actual_gradients, expected_gradients, EXACT)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("bandwidth", [0.01, 0.1, 4.0, 30.0])
@pytest.mark.parametrize("window", WINDOWS)
def test_any_bandwidth(window, boundary, bandwidth):
    bins = bins_of(window, boundary, 50, bandwidth)
    x = samples(700)
    actual, actual_gradients = gradients(soft(bins, "torch"), [x])
    expected, expected_gradients = gradients(soft(bins, "reference"), [x])
    assert_close(actual, expected, EXACT)
    assert_gradients_close(actual_gradients, expected_gradients, EXACT)


@pytest.mark.parametrize("bandwidth", [1 / 127, 0.26, 0.305])
@pytest.mark.parametrize("count", [5, 20, 24])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_narrow_windows_and_samples_outside(boundary, count, bandwidth):
    bins = Bins(count, boundary=boundary, bandwidth=bandwidth)
    x = torch.tensor([0.3, 0.5, 1.5, -0.5, 3.0, -0.01, 1.01], dtype=torch.float64)
    expected, expected_gradients = gradients(soft(bins, "reference"), [x])
    for dtype, tolerance in ((torch.float64, EXACT), (torch.float32, 1e-4)):  # x itself is rounded: 2^-24 of 24 / (1/127) bins
        actual, actual_gradients = gradients(soft(bins, "torch"), [x.to(dtype)])
        assert_close(actual, expected, tolerance)
        assert actual_gradients[0].isfinite().all()
    # inside such a narrow window's bin the gradient is all rounding, so it is compared with the window's steepest slope
    slopes = [gradients(soft(bins, "torch"), [x])[1][0], expected_gradients[0]]
    torch.testing.assert_close(*slopes, rtol=0, atol=EXACT * bins.scale / bandwidth)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("window", WINDOWS)
def test_samples_far_outside(window, boundary):
    """Beyond the range the boundary's formulas still hold: reflect counts a mirror image, open what reaches in."""
    bins = bins_of(window, boundary, 20)
    x = torch.tensor(
        [-1e30, -30.0, -2.5, -1.01, -0.999, -0.3, 0.0, 0.5, 1.0, 1.004, 1.7, 1.98, 2.03, 3.3, 1e30], dtype=torch.float64
    )
    if boundary == "circular":
        x = x[1:-1]  # a phase of 1e30 turns is rounding noise
    actual, actual_gradients = gradients(soft(bins, "torch"), [x])
    expected, expected_gradients = gradients(soft(bins, "reference"), [x])
    assert_close(actual, expected, EXACT)
    assert_gradients_close(actual_gradients, expected_gradients, EXACT)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("window", WINDOWS)
def test_float32_is_accurate_for_every_count(window, count):
    bins, x = bins_of(window, "reflect", count), samples(3000, dtype=torch.float32, spill=0.0)
    actual, actual_gradients = gradients(soft(bins, "torch"), [x])
    expected, expected_gradients = gradients(soft(bins, "reference"), [x.double()])
    assert_close(actual, expected, SINGLE)
    if count > 1:
        assert_gradients_close(actual_gradients, expected_gradients, SINGLE)


@pytest.mark.parametrize("count", [64, 257, 1000])
def test_float32_joint_is_accurate(count):
    inputs = [samples(3000, seed=seed, dtype=torch.float32, spill=0.0) for seed in (0, 1)]
    actual, actual_gradients = gradients(joint(Bins(count), None, "torch"), inputs)
    expected, expected_gradients = gradients(joint(Bins(count), None, "reference"), [z.double() for z in inputs])
    assert_close(actual, expected, SINGLE)
    assert_gradients_close(actual_gradients, expected_gradients, SINGLE)


def test_float32_keeps_its_digits_over_many_samples():
    """A constant image adds all its samples to the same few cells."""
    x, y = torch.full((1 << 18,), 0.3), torch.full((1 << 18,), 0.7)
    for actual, expected in (
        (soft_histogram(x, 64), soft_histogram(x[:1].double(), 64)),
        (joint_histogram(x, y, 64), joint_histogram(x[:1].double(), y[:1].double(), 64)),
    ):
        assert_close(actual, expected, SINGLE)


@pytest.mark.parametrize("scale", [1e-60, 1e-30, 1e37])
def test_only_the_ratios_of_weights_matter(scale):
    x, w = samples(400, dtype=torch.float32), samples(400, seed=1, spill=0.0)
    scaled = w * scale if scale < 1e-40 else (w * scale).float()
    # float32 weights are rounded once
    assert_close(soft_histogram(x, 20, weights=scaled), soft_histogram(x, 20, weights=w), 2.0**-23)


def test_negative_weights_are_the_formula_as_it_stands():
    x, w = samples(2, 100), samples(2, 100, seed=1, spill=0.3)
    assert (w < 0).any()
    for backend in ("torch", "reference"):
        assert_close(soft_histogram(x, 20, weights=-w, backend=backend), soft_histogram(x, 20, weights=w, backend=backend), EXACT)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_gradcheck(window, backend):
    for boundary in BOUNDARIES:
        bins = bins_of(window, boundary, 9)
        x, y, w = (samples(2, 13, seed=seed, spill=0.05 if seed < 2 else 0.0).requires_grad_() for seed in range(3))
        assert torch.autograd.gradcheck(soft(bins, backend), (x, w))
        assert torch.autograd.gradcheck(joint(bins, 4, backend), (x, y, w))


def test_opcheck():
    # import_module: the package's attribute of that name is the function
    soft, joint = (importlib.import_module(f"huenet.kernels.{name}").OPERATOR.op for name in ("soft_histogram", "joint_histogram"))
    spec = Bins(20, boundary="circular").spec
    for dtype in (torch.float32, torch.float64):
        x, y, w = (samples(2, 30, seed=seed, dtype=dtype).requires_grad_() for seed in range(3))
        strided = samples(30, 2, dtype=dtype).T.requires_grad_()
        for arguments in ((x, None), (x, w), (strided, None)):
            torch.library.opcheck(soft, (*arguments, spec, "torch"))
        for arguments in ((x, y, None), (x, y, w), (x, y.detach(), None)):
            torch.library.opcheck(joint, (*arguments, spec, spec, "torch"))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_and_returned_in_float32(dtype):
    x, y = samples(500, dtype=dtype), samples(500, seed=1, dtype=dtype)
    assert_close(soft_histogram(x), soft_histogram(x.float()), 0.0)
    assert soft_histogram(x).dtype == joint_histogram(x, y, 16).dtype == torch.float32
    leaf = x.clone().requires_grad_()
    soft_histogram(leaf, 16).square().sum().backward()
    assert leaf.grad.dtype == dtype and leaf.grad.any()


@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_autocast_changes_nothing(backend):
    x, y = samples(500, dtype=torch.float32), samples(500, seed=1, dtype=torch.float32)
    plain, plain_gradients = gradients(joint(Bins(16), None, backend), [x, y])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = joint_histogram(x, y, 16, backend=backend)
        cast_soft = soft_histogram(x, 16, backend=backend)
        assert cast.dtype == cast_soft.dtype == torch.float32
        if backend == "torch":  # the reference's backward pass is autograd's, and autocast may cast that
            _, cast_gradients = gradients(joint(Bins(16), None, backend), [x, y])
            assert_gradients_close(cast_gradients, plain_gradients, 0.0)
    assert_close(cast, plain, 0.0)
    assert_close(cast_soft, soft_histogram(x, 16, backend=backend), 0.0)


@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_shapes(backend):
    assert soft_histogram(samples(5), 7, backend=backend).shape == (7,)
    assert soft_histogram(samples(2, 3, 5), 7, backend=backend).shape == (2, 3, 7)
    assert joint_histogram(samples(2, 1, 5), samples(3, 5), 7, 4, backend=backend).shape == (2, 3, 7, 4)
    for shape in ((0,), (3, 0), (0, 5), (0, 0)):
        x = samples(*shape).requires_grad_()
        histogram = soft_histogram(x, 7, backend=backend)
        assert histogram.shape == (*shape[:-1], 7) and not histogram.any()
        square = joint_histogram(x, x.detach(), 7, backend=backend)
        assert square.shape == (*shape[:-1], 7, 7) and not square.any()
        (histogram.sum() + square.sum()).backward()
        assert x.grad.shape == shape


def test_broadcast_gradients_are_summed():
    x, y = samples(2, 1, 50), samples(3, 50, seed=1)
    actual, actual_gradients = gradients(joint(Bins(10), None, "torch"), [x, y])
    expected, expected_gradients = gradients(joint(Bins(10), None, "reference"), [x, y])
    assert_close(actual, expected, EXACT)
    assert_gradients_close(actual_gradients, expected_gradients, EXACT)


def test_strided_inputs_and_expanded_upstream_gradients():
    x = samples(3, 100).T[10:60].mT.requires_grad_()
    assert not x.is_contiguous()
    for backend in ("torch", "reference"):
        (gradient,) = torch.autograd.grad(soft_histogram(x, 20, backend=backend).sum(), x)
        if backend == "torch":
            actual = gradient
    assert_gradients_close([actual], [gradient], EXACT)


def test_only_required_gradients_are_returned():
    x, y = samples(2, 50).requires_grad_(), samples(2, 50, seed=1)
    joint_histogram(x, y, 10).square().sum().backward()
    assert x.grad is not None and y.grad is None


@pytest.mark.parametrize("way", [None, Way(None, None), Way(0, -1), Way(None, 0)], ids=["product", "bins", "cells", "both"])
def test_large_rows_and_many_small_rows_are_cut_into_chunks(monkeypatch, way):
    x, y, w = (samples(3, 700, seed=seed, spill=0.0 if seed == 2 else 0.1) for seed in range(3))
    bins = Bins(64, bandwidth=2.0)
    monkeypatch.setattr(portable, "way_for", lambda *_: way)
    whole = gradients(joint(bins, 40, "torch"), [x, y, w])
    expected = gradients(joint(bins, 40, "reference"), [x, y, w])
    assert_close(whole[0], expected[0], EXACT)
    assert_gradients_close(whole[1], expected[1], EXACT)
    for ordered, responses in ((100, 48), (1500, 5000)):  # parts of a row, run by run; two rows at a time, several runs
        monkeypatch.setattr(runs, "CPU_BUDGET", runs.Budget(ordered, responses, 1 << 16))
        monkeypatch.setattr(product, "CPU_BUDGET", 10 * responses)
        cut = gradients(joint(bins, 40, "torch"), [x, y, w])
        assert_close(cut[0], whole[0], EXACT)
        assert_gradients_close(cut[1], whole[1], EXACT)


def test_soft_histograms_in_tiles_are_cut_into_chunks(monkeypatch):
    x, w = samples(3, 700), samples(3, 700, seed=2, spill=0.0)
    bins = Bins(64, bandwidth=0.3, window="triangular", boundary="reflect")  # whose knots lie on the ends of no cells
    assert Grid.covering(bins, x) is None
    expected = gradients(soft(bins, "reference"), [x, w])
    for ordered, responses in ((100, 48), (1500, 5000)):
        monkeypatch.setattr(tiled, "CPU_BUDGET", tiled.Budget(ordered, responses))
        cut = gradients(soft(bins, "torch"), [x, w])
        assert_close(cut[0], expected[0], EXACT)
        assert_gradients_close(cut[1], expected[1], EXACT, "x weights")


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("window, bandwidth", [("logistic", 3.0), ("gaussian", 2.0), ("bspline", 1.0), ("triangular", 1.0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_way_gives_the_same(monkeypatch, boundary, window, bandwidth, dtype):
    x, y, w = (samples(2, 400, seed=seed, spill=0.0 if seed == 2 else 0.1) for seed in range(3))
    bins = Bins(48, bandwidth=bandwidth, boundary=boundary, window=window)
    expected = gradients(joint(bins, None, "reference"), [x.to(dtype).double(), y.to(dtype).double(), w.to(dtype).double()])
    exponents = [e for e in range(-1, 4) if of_cells(bins, ENTRIES[window], dtype, 2.0**e, False) is not None]
    assert exponents or window == "triangular", "no cells: the case tests nothing"
    ways = [None, Way(None, None), *(Way(e, e) for e in exponents), *(Way(None, e) for e in exponents[:1])]
    for way in ways:
        monkeypatch.setattr(portable, "way_for", lambda *_, way=way: way)
        result, slopes = gradients(joint(bins, None, "torch"), [x.to(dtype), y.to(dtype), w.to(dtype)])
        assert_close(result.double(), expected[0], EXACT if dtype == torch.float64 else SINGLE)
        assert_gradients_close([g.double() for g in slopes], expected[1], EXACT if dtype == torch.float64 else SINGLE)


@pytest.mark.parametrize("kind", ["constant", "two-valued", "one bin", "ends"])
def test_degenerate_images(kind):
    values = {"constant": [0.3], "two-valued": [0.0, 1.0], "one bin": [0.501, 0.503], "ends": [0.0, 1.0, 0.5]}[kind]
    x = torch.tensor(values, dtype=torch.float64).repeat(100)
    y = samples(x.numel())
    for boundary in BOUNDARIES:
        bins = Bins(256, boundary=boundary)
        actual, actual_gradients = gradients(joint(bins, None, "torch"), [x, y])
        expected, expected_gradients = gradients(joint(bins, None, "reference"), [x, y])
        assert_close(actual, expected, EXACT)
        assert_gradients_close(actual_gradients, expected_gradients, EXACT)


@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_zero_weights_give_zeros(backend):
    x, w = samples(2, 50).requires_grad_(), torch.zeros(2, 50, dtype=torch.float64)
    w[1] = 1
    w.requires_grad_()
    histogram = soft_histogram(x, 10, weights=w, backend=backend)
    assert not histogram[0].any() and histogram[1].any()
    square = joint_histogram(x, x.detach(), 10, weights=w, backend=backend)
    (histogram.square().sum() + square.square().sum()).backward()
    for gradient in (x.grad, w.grad):
        assert gradient.isfinite().all() and not gradient[0].any() and gradient[1].any()


@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_a_mask_equals_leaving_samples_out(backend):
    x, keep = samples(400), samples(400, seed=1) > 0.5
    masked = soft_histogram(x, 32, weights=keep.double() * 3, backend=backend)
    assert_close(masked, soft_histogram(x[keep], 32, backend=backend), EXACT)


@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_nan_and_infinite_samples(backend):
    x = samples(3, 50)
    x[0, 7], x[1, 7] = torch.nan, torch.inf
    histogram = soft_histogram(x, 20, backend=backend)
    assert histogram[0].isnan().all()  # a NaN shows
    others = torch.arange(50) != 7  # an infinite sample is in no bin
    assert_close(histogram[1] * 50 / 49, soft_histogram(x[1, others], 20, backend=backend), EXACT)
    assert_close(histogram[2], soft_histogram(x[2], 20, backend="reference"), EXACT)
    square = joint_histogram(x, samples(3, 50, seed=1), 20, backend=backend)
    assert square[0].isnan().all() and square[1:].isfinite().all()


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: soft_histogram([0.5]), TypeError, "x must be a torch.Tensor, got list"),
        (lambda: soft_histogram(torch.zeros(3, dtype=torch.uint8)), TypeError, "x must be a floating tensor, got torch.uint8"),
        (lambda: soft_histogram(torch.tensor(0.5)), ValueError, "x must have the samples on its last dimension"),
        (lambda: soft_histogram(torch.rand(3), 0), ValueError, "bins must be at least 1, got 0"),
        (lambda: soft_histogram(torch.rand(3), 2.0), TypeError, "bins must be an int or huenet.kernels.Bins, got float"),
        (lambda: soft_histogram(torch.rand(3), backend="cuda"), ValueError, "backend must be None or one of .*, got 'cuda'"),
        (lambda: soft_histogram(torch.rand(3), backend="triton"), ValueError, "backend 'triton' needs samples on a GPU"),
        (lambda: soft_histogram(torch.rand(2, 3), weights=torch.rand(4)), ValueError, "weights must broadcast to x's shape"),
        (lambda: soft_histogram(torch.rand(2, 3), weights=torch.rand(2, 1)), ValueError, "weights must have one value per sample"),
        (
            lambda: soft_histogram(torch.rand(3), weights=torch.ones(3, dtype=torch.uint8)),
            TypeError,
            "weights must be a floating tensor",
        ),
        (lambda: soft_histogram(torch.rand(3), weights=torch.rand(3, device="meta")), ValueError, "weights must be on the device"),
        (lambda: joint_histogram(torch.rand(3), torch.rand(4)), ValueError, "y must be as long as x, expected 3"),
        (lambda: joint_histogram(torch.rand(2, 3), torch.rand(4, 3)), ValueError, "y must broadcast against x"),
        (lambda: joint_histogram(torch.rand(3), torch.rand(3, device="meta")), ValueError, "y must be on the device of x"),
        (lambda: joint_histogram(torch.rand(3), None), TypeError, "y must be a torch.Tensor, got NoneType"),
        (lambda: soft_histogram(torch.rand(3).to_sparse()), TypeError, "x must be a dense tensor, got torch.sparse_coo"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_derivatives_that_cannot_be_had_raise():
    x = samples(2, 20).requires_grad_()
    (slope,) = torch.autograd.grad(soft_histogram(x, 8).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiable once only"):
        torch.autograd.grad(slope.sum(), x)
    for transform in (
        torch.func.grad(lambda z: soft_histogram(z, 8).square().sum()),
        torch.func.vmap(lambda z: soft_histogram(z, 8)),
    ):
        with pytest.raises(RuntimeError, match=r"torch\.func transforms are not supported"):
            transform(x.detach())
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x.detach(), torch.ones_like(x))
        with pytest.raises(RuntimeError, match="forward-mode"):
            joint_histogram(dual, x.detach(), 8)


def test_the_reference_has_all_derivatives():
    x = samples(10).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda z: soft_histogram(z, 6, backend="reference"), (x,))
    per_row = torch.func.vmap(lambda z: soft_histogram(z, 6, backend="reference"))(samples(3, 10))
    assert_close(per_row, soft_histogram(samples(3, 10), 6), EXACT)


def test_compiles_without_graph_breaks():
    x, y = samples(2, 60), samples(2, 60, seed=1)
    compiled = torch.compile(joint(Bins(20, boundary="circular"), 7, None), fullgraph=True, backend="aot_eager")
    actual, expected = gradients(compiled, [x, y]), gradients(joint(Bins(20, boundary="circular"), 7, None), [x, y])
    assert_close(actual[0], expected[0], 0.0)
    assert_gradients_close(actual[1], expected[1], 0.0)


@pytest.mark.parametrize("dynamic", [None, True])
def test_compiles_again_for_other_bins(dynamic):
    torch._dynamo.reset()  # the limit of recompilations counts those of other tests
    x, y = samples(2, 60), samples(2, 60, seed=1)
    compiled = torch.compile(lambda bins: joint_histogram(x, y, bins), fullgraph=True, backend="aot_eager", dynamic=dynamic)
    choices = [Bins(8), Bins(16), Bins(16, bandwidth=0.7), Bins(16, high=2.0)]
    for bins in choices + ([8, 16] if dynamic is None else []):
        assert_close(compiled(bins), joint_histogram(x, y, bins), EXACT)


@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_boolean_masks_are_weights(backend):
    x, y, mask = samples(2, 40), samples(2, 40, seed=1), samples(2, 40, seed=2) > 0.5
    for function, inputs in ((soft_histogram, (x,)), (joint_histogram, (x, y))):
        masked = function(*inputs, 16, weights=mask, backend=backend)
        assert torch.equal(masked, function(*inputs, 16, weights=mask.double(), backend=backend))
    with pytest.raises(
        TypeError, match=r"weights must be a floating tensor, got torch.uint8; convert it first, e.g. weights.float\(\)$"
    ):
        soft_histogram(x, 16, weights=mask.byte())
    with pytest.raises(TypeError, match=r"x must be a floating tensor, got torch.uint8; convert it first, e.g. x.float\(\) / 255$"):
        soft_histogram(x.byte(), 16)
