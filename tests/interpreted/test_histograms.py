"""Soft and joint histograms of backend "triton" against the dense reference in float64."""

from __future__ import annotations

import importlib
import itertools

import pytest
import torch

from huenet.kernels import Bins, joint_histogram, soft_histogram
from tests.assertions import assert_close
from tests.kernels.agreement import SINGLE, check
from tests.kernels.strategies import BOUNDARIES, WINDOWS, clustered, samples, votes

FEW = (1, 2, 7, 64, 100)


def soft(bins):
    return lambda backend: lambda x, *w: soft_histogram(x, bins, weights=w[0] if w else None, backend=backend)


def joint(bins, bins_y=None):
    return lambda backend: lambda x, y, *w: joint_histogram(x, y, bins, bins_y, weights=w[0] if w else None, backend=backend)


#: every pair of options, with weights in every other case
OPTIONS = [
    pytest.param(*options, number % 2 == 0, id="-".join(map(str, options)) + ("-plain", "-weighted")[number % 2 == 0])
    for number, options in enumerate(itertools.product(WINDOWS, BOUNDARIES, FEW))
]


@pytest.mark.parametrize("window, boundary, count, weighted", OPTIONS)
def test_product_of_options(window, boundary, count, weighted):
    bins = Bins(count, window=window, boundary=boundary)
    x, y, w = clustered(37).float(), clustered(37, seed=1).float(), votes(37).float()
    single = Bins(count, window=window)
    check(soft(bins), [x, w] if weighted else [x], soft(single))
    check(joint(bins), [x, y, w] if weighted else [x, y], joint(single))


@pytest.mark.parametrize(
    "window, boundary, count, count_y",
    [
        ("logistic", "open", 256, 257),
        ("logistic", "circular", 257, 1000),
        ("logistic", "reflect", 1000, 256),
        ("gaussian", "reflect", 256, 64),
        ("triangular", "open", 257, 100),
        ("bspline", "circular", 130, 256),
    ],
)
def test_many_bins(window, boundary, count, count_y):
    x, y, w = clustered(30).float(), clustered(30, seed=1).float(), votes(30).float()
    bins = Bins(count, window=window, boundary=boundary)
    check(soft(bins), [x, w])
    check(joint(bins, count_y), [x, y, w])


def test_more_bins_than_a_program_holds():
    x, w = clustered(30).float(), votes(30).float()
    check(soft(Bins(2049, boundary="reflect")), [x, w])
    check(soft(Bins(20_000, boundary="circular")), [x])


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("count", [9, 100])
def test_double_precision(boundary, count):
    inputs = [clustered(12), clustered(12, seed=1), votes(12)]
    check(soft(Bins(count, boundary=boundary)), inputs[::2])
    check(joint(Bins(count, boundary=boundary)), inputs)


@pytest.mark.parametrize("low, high, bandwidth", [(-1.0, 2.0, 0.2), (0.0, 255.0, 1.0), (3.0, 3.1, 0.05), (0.0, 1.0, 1.5)])
@pytest.mark.parametrize("boundary", ["open", "circular"])
def test_ranges_and_bandwidths(low, high, bandwidth, boundary):
    """Bandwidths from a twentieth of a bin, where exponentials would overflow, to windows that take several spans."""
    bins = Bins(256, low, high, bandwidth, boundary)
    x, y = ((low + (high - low) * clustered(12, seed=seed)).float() for seed in range(2))
    check(soft(bins), [x])
    check(joint(bins), [x, y])


@pytest.mark.parametrize("low, high", [(1000.1, 1001.1), (-1024.0, 3071.0), (273.15, 310.65)])
def test_ranges_far_from_zero(low, high):
    """Temperatures, Hounsfield units: what is subtracted from a coordinate must be a float32."""
    bins = Bins(256, low, high)
    x, y = ((low + (high - low) * clustered(12, seed=seed)).float() for seed in range(2))
    check(soft(bins), [x])
    check(joint(bins), [x, y])


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_windows_wider_than_the_range(boundary):
    x, y, w = clustered(20).float(), clustered(20, seed=1).float(), votes(20).float()
    bins = Bins(10, bandwidth=6.0, boundary=boundary)
    check(soft(bins), [x, w])
    check(joint(bins, Bins(100)), [x, y, w])


@pytest.mark.parametrize("bins", [Bins(128, boundary="circular"), Bins(16)], ids=["tiled", "dense"])
@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 700])
def test_numbers_of_samples(count, bins):
    x, y = clustered(max(count, 20))[:, :count].float(), clustered(max(count, 20), seed=1)[:, :count].float()
    check(soft(bins), [x])
    check(joint(bins), [x, y])


@pytest.mark.parametrize("bins", [Bins(128, boundary="circular"), Bins(16)], ids=["tiled", "dense"])
@pytest.mark.parametrize("kind", ["constant", "two values", "one bin", "ends"])
def test_images_of_few_values(kind, bins):
    values = {"constant": [0.3, 0.3], "two values": [0.1, 0.7], "one bin": [0.301, 0.302], "ends": [0.0, 1.0]}[kind]
    x = torch.tensor(values * 50)[None]
    check(soft(bins), [x])
    check(joint(bins), [x, x.flip(1) * 0.9])


@pytest.mark.parametrize("bins", [Bins(64), Bins(16)], ids=["tiled", "dense"])
@pytest.mark.parametrize("kind", ["float16", "bfloat16", "strided", "stride-0 gradient", "empty", "empty batch"])
def test_inputs(kind, bins):
    x = samples(2, 40, dtype=torch.float32)
    x = {
        "float16": x.half(),
        "bfloat16": x.bfloat16(),
        "strided": x.mT.contiguous().mT[:, ::2],
        "empty": x[:, :0],
        "empty batch": x[:0],
    }.get(kind, x)
    results = []
    for backend in ("triton", "torch"):
        leaf = x.detach().clone().requires_grad_()
        histogram = (
            joint_histogram(leaf, leaf.flip(-1), bins, backend=backend) + soft_histogram(leaf, bins, backend=backend)[..., None]
        )
        histogram.sum().backward()
        results.append((histogram, leaf.grad))
    (histogram, grad), (expected, expected_grad) = results
    assert histogram.dtype == torch.float32
    assert_close(histogram, expected, SINGLE)
    # the gradient of a sum nearly cancels: each backend rounds a few 2^-24 of the terms; half precision rounds the result itself
    tolerance = {"float16": 2**-10, "bfloat16": 2**-7}.get(kind, 0) + 20 * SINGLE
    assert (grad - expected_grad).abs().max() <= tolerance * 2 if grad.numel() else grad.shape == expected_grad.shape


@pytest.mark.parametrize("bins", [Bins(64), Bins(16)], ids=["tiled", "dense"])
def test_nan_and_infinite_samples(bins):
    x, y, w = clustered(16, rows=4).float(), clustered(16, seed=1, rows=4).float(), votes(16, rows=4).float()
    x[0, 7], x[1, 7], w[2, 3] = torch.nan, torch.inf, torch.nan
    for histogram, expected in (
        (soft_histogram(x, bins, weights=w, backend="triton"), soft_histogram(x, bins, weights=w)),
        (joint_histogram(x, y, bins, weights=w, backend="triton"), joint_histogram(x, y, bins, weights=w)),
        (joint_histogram(y, x, bins, weights=w, backend="triton"), joint_histogram(y, x, bins, weights=w)),
    ):
        assert histogram[[0, 2]].isnan().all() and expected[[0, 2]].isnan().all()
        assert_close(histogram[[1, 3]], expected[[1, 3]], SINGLE)


def test_rows_are_independent():
    x, y = clustered(30, rows=3).float(), clustered(30, seed=1, rows=3).float()
    batch = joint_histogram(x, y, 128, backend="triton")
    for i in range(3):
        assert torch.equal(batch[i], joint_histogram(x[i], y[i], 128, backend="triton"))


@pytest.mark.parametrize("count", [8, 128])
def test_gradcheck(count):
    bins = Bins(count)
    x, y, w = (samples(1, 2, seed=seed, spill=0.0).requires_grad_() for seed in range(3))
    for function, inputs in ((soft(bins)("triton"), (x, w)), (joint(bins)("triton"), (x, y, w))):
        assert torch.autograd.gradcheck(function, inputs, fast_mode=True, check_undefined_grad=False)  # there is but one result


@pytest.mark.parametrize("count", [8, 64])
def test_opcheck(count):
    bins = Bins(count)
    x, y = (samples(1, 5, seed=seed, dtype=torch.float32).requires_grad_() for seed in range(2))
    torch.library.opcheck(importlib.import_module("huenet.kernels.soft_histogram").OPERATOR.op, (x, None, bins.spec, "triton"))
    operator = importlib.import_module("huenet.kernels.joint_histogram").OPERATOR.op
    torch.library.opcheck(operator, (x, y, None, bins.spec, bins.spec, "triton"))


def test_compiles_without_graph_breaks():
    def loss(x, y):
        return (
            joint_histogram(x, y, Bins(64), backend="triton").square().sum() + soft_histogram(x, Bins(64), backend="triton")[0, 3]
        )

    x, y = clustered(20).float().requires_grad_(), clustered(20, seed=1).float()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")(x, y)
    (gradient,) = torch.autograd.grad(compiled, x)
    (expected,) = torch.autograd.grad(loss(x, y), x)
    assert torch.equal(gradient, expected)


def test_what_it_cannot_serve_is_said():
    with pytest.raises(ValueError, match="backend 'triton' adds up at most 65 laps"):
        soft_histogram(torch.rand(9), Bins(2, bandwidth=1e3, boundary="circular"), backend="triton")
    with pytest.raises(ValueError, match="backend 'triton' orders samples by at most 8191 pairs"):
        joint_histogram(torch.rand(9), torch.rand(9), 4096, backend="triton")
