"""Patch histograms against the dense reference, `unfold` with `soft_histogram`, and their laws.

Tolerance EXACT: sums of at most a few hundred float64 terms, and a window cut at 2^-53. SINGLE: as for the soft histogram, a
distance is rounded to 2^-24 over a bandwidth of 0.4 bins.
"""

from __future__ import annotations

import importlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from huenet.kernels import Bins, patch_histogram, soft_histogram
from tests.assertions import assert_close, assert_gradients_close
from tests.kernels.strategies import BOUNDARIES, WINDOWS, bins_of, gradients, samples

EXACT, SINGLE = 1e-12, 2e-6
PORTABLE = importlib.import_module("huenet.kernels.patch_histogram.portable")
OPERATOR = importlib.import_module("huenet.kernels.patch_histogram").OPERATOR


def triangular(count: int) -> Bins:
    return Bins(count, boundary="reflect", window="triangular")


def counts(bins, patch=8, stride=None, backend="torch"):
    return lambda x: patch_histogram(x, bins, patch=patch, stride=stride, backend=backend)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(
    "dtype, count", [(torch.float64, 1), (torch.float64, 16), (torch.float32, 7), (torch.float32, 100)], ids=str
)
def test_agrees_with_the_reference(window, boundary, dtype, count):
    x, bins = samples(2, 3, 13, 22).to(dtype), bins_of(window, boundary, count)
    tolerance = EXACT if dtype == torch.float64 else SINGLE
    for patch, stride in ((4, None), (6, 4), (3, 1)):
        actual, actual_gradients = gradients(counts(bins, patch, stride), [x])
        expected, expected_gradients = gradients(counts(bins, patch, stride, "reference"), [x.double()])
        assert_close(actual, expected, tolerance)
        if count > 1 or boundary == "open":  # else a pixel counts 1 wherever it lies
            assert_gradients_close(actual_gradients, expected_gradients, tolerance)


@pytest.mark.parametrize("patch, stride", [(8, 8), (8, 4), (8, 1), (8, 3), (6, 9), (1, 1), (5, 7), (17, 2)])
@pytest.mark.parametrize("budget", [1, 4000, 1 << 20], ids="budget {}".format)
def test_is_the_soft_histogram_of_each_unfolded_patch(patch, stride, budget, monkeypatch):
    monkeypatch.setattr(PORTABLE, "CPU_COUNTS", budget)  # row by row, some rows at a time, several images at a time
    x, bins = samples(3, 2, 29, 23), triangular(5)

    def unfolded(x):
        patches = torch.nn.functional.unfold(x, patch, stride=stride)  # (B, C * patch^2, patches)
        patches = patches.view(3, 2, patch**2, -1).permute(0, 3, 1, 2)
        return (soft_histogram(patches, bins) * patch**2).flatten(2)

    actual, actual_gradients = gradients(counts(5, patch, stride), [x])
    expected, expected_gradients = gradients(unfolded, [x])
    assert_close(actual, expected, EXACT)
    assert_gradients_close(actual_gradients, expected_gradients, EXACT)


def test_a_patch_counts_its_pixels():
    histograms = patch_histogram(samples(2, 3, 64, 48, spill=0.0), 16).view(2, 48, 3, 16)
    assert_close(histograms.sum(-1), torch.full((2, 48, 3), 64.0, dtype=torch.float64), EXACT)
    assert (histograms >= 0).all()


def test_one_pixel_by_hand():
    """0.3 of 10 bins is 3 bin widths: half way between the centres of the third and the fourth bin."""
    image = torch.tensor([0.3, 0.32, 0.0, 1.0], dtype=torch.float64).view(1, 2, 1, 2)
    expected = torch.zeros(2, 2, 10, dtype=torch.float64)
    expected[0, 0, 2:4] = 0.5
    expected[1, 0, 2], expected[1, 0, 3] = 0.3, 0.7
    expected[0, 1, 0] = expected[1, 1, 9] = 1
    assert_close(patch_histogram(image, 10, patch=1), expected.view(1, 2, 20), EXACT)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    patch=st.integers(1, 20),
    stride=st.integers(1, 12),
    count=st.integers(1, 9),
)
def test_laws(seed, height, width, patch, stride, count):
    patch = min(patch, height, width)
    x, (rows, columns) = samples(2, 2, height, width, seed=seed, spill=0.0), ((n - patch) // stride + 1 for n in (height, width))
    histograms = patch_histogram(x, count, patch=patch, stride=stride)
    assert histograms.shape == (2, rows * columns, 2 * count)
    assert_close(histograms.view(2, -1, 2, count).sum(-1), torch.full((2, rows * columns, 2), patch**2).double(), EXACT)
    # what is left over does not matter, nor does the order of pixels where there is one patch
    cropped = x[..., : (rows - 1) * stride + patch, : (columns - 1) * stride + patch]
    assert_close(patch_histogram(cropped, count, patch=patch, stride=stride), histograms, EXACT)
    corner = x[..., :patch, :patch]
    order = torch.randperm(patch**2, generator=torch.Generator().manual_seed(seed))
    shuffled = corner.flatten(2)[..., order].view(corner.shape)
    assert_close(patch_histogram(shuffled, count, patch=patch), histograms[:, :1], EXACT)


def test_every_patch_of_a_256_image():
    x = samples(1, 3, 256, 256, dtype=torch.float32, spill=0.0).requires_grad_()
    histograms = patch_histogram(x, 16, stride=1)
    assert histograms.shape == (1, 62001, 48)
    apart = patch_histogram(x, 16).view(1, 32, 32, 48)
    assert_close(histograms.view(1, 249, 249, 48)[:, ::8, ::8], apart, SINGLE)
    upstream = torch.randn(histograms.shape, generator=torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad(histograms, x, upstream)
    corner = x[..., :8, :8].detach().requires_grad_()
    (expected,) = torch.autograd.grad(patch_histogram(corner, 16), corner, upstream[:, :1])
    assert_close(gradient[..., 0, 0], expected[..., 0, 0], SINGLE)  # a pixel of one patch only


def test_gradcheck_and_opcheck():
    x = samples(2, 1, 5, 6).requires_grad_()
    for bins in (4, Bins(4), Bins(6, window="bspline", boundary="circular")):
        assert torch.autograd.gradcheck(counts(bins, 3, 2), (x,))
    torch.library.opcheck(OPERATOR.op, (x, triangular(4).spec, 3, 2, "torch"))


def test_compiles_in_one_graph():
    x = samples(1, 2, 9, 9, dtype=torch.float32)
    function = counts(5, 3, 2)
    actual, actual_gradients = gradients(torch.compile(function, fullgraph=True, backend="aot_eager"), [x])
    expected, expected_gradients = gradients(function, [x])
    assert_close(actual, expected, SINGLE)
    assert_gradients_close(actual_gradients, expected_gradients, SINGLE)


def test_dtypes_layouts_and_gradients_of_stride_zero():
    x = samples(2, 3, 12, 10, dtype=torch.float32)
    expected = patch_histogram(x, 6, patch=4)
    for other in (x.to(memory_format=torch.channels_last), x.mT.contiguous().mT, x.repeat(1, 1, 2, 1)[:, :, :12]):
        assert_close(patch_histogram(other, 6, patch=4), expected, SINGLE)
    for dtype in (torch.float16, torch.bfloat16):
        with torch.autocast("cpu", torch.bfloat16):
            half = patch_histogram(x.to(dtype), 6, patch=4)
        assert half.dtype == torch.float32
        assert_close(half, patch_histogram(x.to(dtype).float(), 6, patch=4), SINGLE)
    leaf, other = (x.clone().requires_grad_() for _ in range(2))
    bins = Bins(6)  # loses mass at the ends, so that the sum has a gradient
    patch_histogram(leaf, bins, patch=4).sum().backward()
    patch_histogram(other, bins, patch=4, backend="reference").sum().backward()
    assert_close(leaf.grad, other.grad, SINGLE)


@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_nan_and_infinite_pixels_stay_in_their_patches(backend):
    x = samples(1, 2, 8, 8)
    clean = patch_histogram(x, 5, patch=4, backend=backend)
    x[0, 0, 1, 1], x[0, 1, 6, 6] = torch.nan, torch.inf
    histograms = patch_histogram(x, 5, patch=4, backend=backend)
    assert histograms[0, 0, :5].isnan().all()
    assert_close(histograms[0, 0, 5:], clean[0, 0, 5:], EXACT)
    assert_close(histograms[0, 1:3], clean[0, 1:3], EXACT)
    assert histograms[0, 3, 5:].sum().item() == pytest.approx(15, abs=EXACT)


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (2, 0, 8, 8)])
def test_no_images_or_channels_give_no_histograms(shape, backend):
    x = torch.rand(shape).requires_grad_()
    histograms = patch_histogram(x, 5, patch=4, backend=backend)
    assert histograms.shape == (shape[0], 4, shape[1] * 5)
    histograms.sum().backward()
    assert x.grad.shape == shape


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda x: patch_histogram(x, 8, patch=9), ValueError, r"patch must fit into x, expected at most 8 for \(1, 1, 8, 12\)"),
        (lambda x: patch_histogram(x, 8, patch=0), ValueError, "patch must be at least 1, got 0"),
        (lambda x: patch_histogram(x, 8, patch=2.0), TypeError, "patch must be a number of pixels, an int, got 2.0"),
        (lambda x: patch_histogram(x, 8, stride=0), ValueError, "stride must be at least 1, got 0"),
        (lambda x: patch_histogram(x, 8, stride=True), TypeError, "stride must be a number of pixels, an int, got True"),
        (lambda x: patch_histogram(x, 0), ValueError, "bins must be at least 1, got 0"),
        (lambda x: patch_histogram(x, 8.0), TypeError, "bins must be an int or huenet.kernels.Bins, got float"),
        (lambda x: patch_histogram(x[0], 8), ValueError, r"x must be images \(B, C, H, W\), got \(1, 8, 12\)"),
        (lambda x: patch_histogram((x * 9).long(), 8), TypeError, "x must be a floating tensor"),
        (lambda x: patch_histogram([x], 8), TypeError, "x must be a torch.Tensor, got list"),
        (lambda x: patch_histogram(x, 8, backend="fast"), ValueError, "backend must be None or one of"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call(torch.rand(1, 1, 8, 12))


def test_other_derivatives_raise_or_take_the_reference():
    x = samples(1, 1, 4, 4).requires_grad_()
    (slope,) = torch.autograd.grad((patch_histogram(x, 4, patch=2) ** 2).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiable once only"):
        torch.autograd.grad(slope.sum(), x)
    with pytest.raises(RuntimeError, match=r"torch.func transforms are not supported"):
        torch.func.vmap(counts(4, 2))(x.detach()[None])
    assert torch.autograd.gradgradcheck(counts(Bins(4), 2, None, "reference"), (x,))
