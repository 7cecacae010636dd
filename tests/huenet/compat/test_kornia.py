"""huenet.compat.kornia against the installed kornia."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from huenet.compat import kornia as ours
from tests.assertions import assert_close
from tests.largest import LargestTensor

kornia = pytest.importorskip("kornia", reason="kornia is not installed, which these tests compare with")
theirs_enhance, theirs_losses = pytest.importorskip("kornia.enhance"), pytest.importorskip("kornia.losses")

#: of the largest value, and of the largest gradient
VALUE = {torch.float32: 1e-6, torch.float64: 1e-10}
GRADIENT = {torch.float32: 1e-5, torch.float64: 1e-10}
DTYPES = [torch.float32, torch.float64]
KERNELS = ["triangular", "gaussian", "uniform", "epanechnikov"]
MI_KERNELS = ["xu", "rectangular", "truncated_gaussian"]
LOSSES = ["mutual_information_loss", "normalized_mutual_information_loss"]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(kind: str, *shape: int, seed: int = 0) -> Tensor:
    """Numbers of float32 in [0, 1], as float64."""
    x = torch.rand(shape, generator=generator(seed))
    if kind == "saturated":
        x = (x * 2 - 0.5).clamp(0, 1)
    elif kind == "8-bit":
        x = (x * 255).round() / 255
    elif kind == "constant":
        x = torch.full(shape, 0.3)
    return x.double()


def run(function, tensors: list[Tensor], dtype: torch.dtype, wanted: list[bool], **options) -> list[Tensor]:
    """The value, and gradients of what is wanted of a sum of it by weights that are all different; none without a gradient."""
    inputs = [x.detach().to(dtype, copy=True).requires_grad_(want) for x, want in zip(tensors, wanted, strict=True)]
    value = function(*inputs, **options)
    value = value[0] if isinstance(value, tuple) else value
    if not value.requires_grad:
        return [value]
    weights = torch.cos(torch.arange(value.numel(), dtype=value.dtype) * 1.7).view_as(value) + 0.3
    grads = torch.autograd.grad((value * weights).sum(), [x for x in inputs if x.requires_grad])
    return [value.detach(), *grads]


def far(found: Tensor, expected: Tensor, floor: float = 1e-30) -> float:
    """The largest difference, of the largest number, or of the floor."""
    return ((found.double() - expected).abs().max() / expected.abs().max().clamp_min(floor)).item()


def check(ours, theirs, tensors, dtype, wanted=None, floors=(), known=(0.0, 0.0), **options):
    """Value and gradients in dtype are those of kornia in float64, of the same numbers, to the tolerance or twice kornia's own
    rounding in dtype, whichever is larger. `floors` are sizes of what the value and each gradient are made of, where all of it may
    cancel; `known` are differences that have a reason, of the value and of gradients."""
    wanted = wanted or [True] + [False] * (len(tensors) - 1)
    strict, other = {k: v for k, v in options.items() if k == "strict"}, {k: v for k, v in options.items() if k != "strict"}
    tensors = [x.to(dtype).double() for x in tensors]
    exact, rounded = (run(theirs, tensors, each, wanted, **other) for each in (torch.float64, dtype))
    found = run(ours, tensors, dtype, wanted, **other, **strict)
    assert len(found) == len(exact) == len(rounded)
    assert found[0].dtype == rounded[0].dtype and found[0].shape == rounded[0].shape
    for i, (mine, right, rough) in enumerate(zip(found, exact, rounded, strict=True)):
        floor = floors[i] if floors else 1e-30
        limit = max((GRADIENT if i else VALUE)[dtype], 2 * far(rough, right, floor)) + known[i > 0]
        assert far(mine, right, floor) <= limit, (i, far(mine, right, floor), limit)


# histogram and histogram2d


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", ["random", "saturated", "8-bit", "constant"])
@pytest.mark.parametrize("of_axis", [False, True])
@pytest.mark.parametrize("centers", ["even", "descending", "uneven", "unsorted", "single"])
def test_histogram(dtype, kind, of_axis, centers):
    """Bandwidths of a third of a bin to five bins."""
    x = drawn(kind, 2, 300)
    # multiples of 2^-4: even in every dtype
    bins = torch.arange(-1, 19, dtype=torch.float64) / 16
    bins = {
        "even": bins,
        "descending": bins.flip(0),
        "uneven": bins**3,
        "unsorted": bins[torch.randperm(20, generator=generator(1))],
        "single": bins[7:8],
    }[centers]
    for bandwidth in (0.02, 0.08, 0.3):
        tensors = [x, bins, torch.tensor(bandwidth, dtype=torch.float64)]
        # a density's slopes cancel where one bin has all of it: they are differences of a sample's slopes
        floors = [1e-30, 1 / bandwidth / x.shape[1], 1 / bandwidth, 1 / bandwidth]
        check(ours.histogram, theirs_enhance.histogram, tensors, dtype, [True, of_axis, of_axis], floors)
        x2 = [x, x.flip(1) * 0.8, *tensors[1:]]
        check(
            ours.histogram2d,
            theirs_enhance.histogram2d,
            x2,
            dtype,
            [True, True, of_axis, of_axis],
            [floors[0], *floors[1:2], *floors[1:]],
        )


@settings(max_examples=40, deadline=None)
@given(
    samples=st.integers(1, 400), count=st.integers(1, 70), low=st.floats(-3, 3), span=st.floats(0.5, 300),
    width=st.floats(0.2, 8), double=st.booleans(), seed=st.integers(0, 999),
)  # fmt: skip
def test_histograms_of_random_axes(samples, count, low, span, width, double, seed):
    """Centres of linspace are taken as even; each is off by its rounding, which moves a response of a sample by up to 0.61 times
    that, in bandwidths, and a slope by 1."""
    dtype = torch.float64 if double else torch.float32
    x = drawn("random", 2, samples, seed=seed) * span + low
    bins = torch.linspace(low, low + span, count, dtype=torch.float64)
    bandwidth = torch.tensor(width * span / count, dtype=torch.float64)
    off = (bins.to(dtype).double() - bins).abs().max().item() / bandwidth.item() * 2
    floors = [1e-30, *[1 / bandwidth.item() / samples] * 2]
    check(ours.histogram, theirs_enhance.histogram, [x, bins, bandwidth], dtype, None, floors, (off, 4 * off))
    both = [x, x.roll(1, 1), bins, bandwidth]
    check(ours.histogram2d, theirs_enhance.histogram2d, both, dtype, [True, True, False, False], floors, (2 * off, 8 * off))


@pytest.mark.parametrize("function", ["histogram", "histogram2d"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("bins_dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_histograms_of_half_precision(function, dtype, bins_dtype):
    x = drawn("random", 2, 300).to(dtype)
    tensors = [*[x] * (1 + (function == "histogram2d")), (torch.arange(17) / 16).to(bins_dtype), torch.tensor(0.1)]
    found, expected = (getattr(module, function)(*tensors) for module in (ours, theirs_enhance))
    assert found.dtype == expected.dtype
    eps = torch.finfo(torch.float32 if expected.dtype == torch.float64 else expected.dtype).eps
    assert far(found, expected.double()) <= max(eps, VALUE[torch.float32])


def test_histogram2ds_epsilon():
    """kornia's has no effect."""
    tensors = [drawn("random", 2, 30), drawn("random", 2, 30, seed=1), torch.arange(9).double() / 8, torch.tensor(0.1).double()]
    free = theirs_enhance.histogram2d(*tensors)
    for epsilon in (0.0, 1.0, 40.0):
        theirs = theirs_enhance.histogram2d(*tensors, epsilon)
        assert_close(ours.histogram2d(*tensors, epsilon, strict=True), theirs, 1e-12)
        p, q = (torch.exp(-0.5 * ((x.unsqueeze(2) - tensors[2]) / tensors[3]).square()) for x in tensors[:2])
        sums = p.mT @ q
        assert_close(ours.histogram2d(*tensors, epsilon), sums / (sums.sum((1, 2), keepdim=True) + epsilon), 1e-12)
    assert_close(ours.histogram2d(*tensors), free, 1e-12)


def test_histograms_of_integers():
    x, bins, width = torch.randint(0, 9, (2, 40), generator=generator(0)), torch.arange(9), torch.tensor(0.8)
    assert_close(ours.histogram(x, bins, width), theirs_enhance.histogram(x, bins, width), 1e-6)
    assert_close(ours.histogram2d(x, x, bins.float(), width), theirs_enhance.histogram2d(x, x, bins.float(), width), 1e-6)
    strict, theirs = ours.histogram2d(x, x, bins, width, strict=True), theirs_enhance.histogram2d(x, x, bins, width)
    assert strict.dtype == theirs.dtype == torch.int64 and torch.equal(strict, theirs)
    assert_close(ours.histogram2d(x, x, bins, width), ours.histogram2d(x.float(), x.float(), bins.float(), width), 1e-6)


def test_the_epsilon_of_histogram_where_all_is_far():
    """Sums that are of its order."""
    tensors = [torch.full((1, 5), 6.0).double(), torch.arange(3).double(), torch.tensor(0.7).double()]
    check(ours.histogram, theirs_enhance.histogram, tensors, torch.float64)
    check(lambda *t: ours.histogram(*t, 1e-3), lambda *t: theirs_enhance.histogram(*t, 1e-3), tensors, torch.float64)


# image_histogram2d


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", ["random", "saturated", "8-bit", "constant"])
@pytest.mark.parametrize("shape", [(9, 11), (3, 9, 11), (2, 3, 9, 11), (1, 9, 11), (2, 1, 9, 11)], ids=str)
def test_image_histogram2d(dtype, kernel, kind, shape):
    image = (drawn(kind, *shape) * 255).float().double()
    for arguments in (
        {},
        {"n_bins": 32},
        {"min": -0.5, "max": 255.5},
        {"min": -0.5, "max": 255.5, "n_bins": 64},
        {"bandwidth": -1.0},
    ):
        check_image(image, dtype, kernel, **arguments)


def check_image(image, dtype, kernel, **arguments):
    """Uniform counts are those of the same dtype, to the last; the others as in `check`."""
    if kernel == "uniform":
        found, expected = (
            module.image_histogram2d(image.to(dtype), kernel=kernel, **arguments)[0] for module in (ours, theirs_enhance)
        )
        assert found.dtype == expected.dtype and torch.equal(found, expected)
    else:
        check(ours.image_histogram2d, theirs_enhance.image_histogram2d, [image], dtype, kernel=kernel, **arguments)


@settings(max_examples=60, deadline=None)
@given(
    kernel=st.sampled_from(KERNELS), height=st.integers(1, 20), width=st.integers(1, 20), n_bins=st.integers(1, 100),
    low=st.floats(-3, 3), span=st.floats(0.5, 300), band=st.none() | st.floats(0.3, 6), double=st.booleans(),
    seed=st.integers(0, 999),
)  # fmt: skip
def test_random_image_histograms(kernel, height, width, n_bins, low, span, band, double, seed):
    """With a bandwidth, as kornia has them: max has no effect. kornia's own roundings of its centres are in its own error."""
    dtype, image = torch.float64 if double else torch.float32, drawn("random", 2, height, width, seed=seed) * span * 1.2 + low
    bandwidth = None if band is None else band * span / n_bins
    arguments = {"min": low, "max": low + span, "n_bins": n_bins, "bandwidth": bandwidth}
    if kernel != "uniform":
        theirs = theirs_enhance.image_histogram2d
        check(ours.image_histogram2d, theirs, [image], dtype, kernel=kernel, strict=True, **arguments)
        return
    found = ours.image_histogram2d(image.to(dtype), kernel=kernel, strict=True, **arguments)[0]
    assert torch.equal(found, theirs_enhance.image_histogram2d(image.to(dtype), kernel=kernel, **arguments)[0])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("bandwidth", [0.03, 0.0625, 0.1, 0.125, 0.4])
def test_given_centers(dtype, kernel, uneven, bandwidth):
    """Also of pixels at centres and at windows' ends, where slopes jump: kornia's windows have their ends."""
    centers = torch.arange(-1, 18, dtype=torch.float64) / 16
    centers = centers[torch.randperm(19, generator=generator(0))] ** 2 if uneven else centers
    for image in (drawn("saturated", 2, 9, 13), (drawn("random", 2, 9, 13) * 16).round() / 16):
        if kernel == "uniform":
            given = {"image": image.to(dtype), "centers": centers.to(dtype), "kernel": kernel, "bandwidth": bandwidth}
            found, expected = (module.image_histogram2d(**given)[0] for module in (ours, theirs_enhance))
            assert torch.equal(found, expected) and found.dtype == expected.dtype
            continue
        for of_centers in (False, True):
            check(
                lambda image, centers, **options: ours.image_histogram2d(image, centers=centers, **options),
                lambda image, centers, **options: theirs_enhance.image_histogram2d(image, centers=centers, **options),
                [image, centers], dtype, [True, of_centers], kernel=kernel, bandwidth=bandwidth,
            )  # fmt: skip


@pytest.mark.parametrize("kernel", KERNELS)
def test_densities(kernel):
    image = drawn("random", 2, 3, 8, 9) * 255
    for shaped in (image, image[0], image[0, 0]):
        for return_pdf in (True, False):
            found, expected = (
                module.image_histogram2d(shaped, n_bins=20, kernel=kernel, return_pdf=return_pdf, eps=0.5)
                for module in (ours, theirs_enhance)
            )
            for mine, right in zip(found, expected, strict=True):
                assert mine.shape == right.shape and mine.dtype == right.dtype
                assert_close(mine, right, 1e-12)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("centers_dtype", [None, torch.int64, torch.float16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("kernel", KERNELS)
def test_dtypes_of_image_histograms(dtype, centers_dtype, kernel):
    image = torch.randint(0, 256, (3, 20, 20), generator=generator(0)).to(dtype)
    centers = None if centers_dtype is None else torch.arange(0, 256, 8).to(centers_dtype)
    found, expected = (
        module.image_histogram2d(image, centers=centers, bandwidth=None if centers is None else 8.0, kernel=kernel)[0]
        for module in (ours, theirs_enhance)
    )
    assert found.dtype == expected.dtype and far(found, expected.double()) <= 2e-6


def test_a_bandwidth_beside_the_range():
    """kornia's centres then lie by the bandwidth, wherever max is."""
    image = drawn("random", 30, 30) * 255
    theirs = theirs_enhance.image_histogram2d(image, n_bins=10, bandwidth=40.0)[0]
    assert torch.equal(theirs, theirs_enhance.image_histogram2d(image, max=1e4, n_bins=10, bandwidth=40.0)[0])
    assert_close(ours.image_histogram2d(image, n_bins=10, bandwidth=40.0, strict=True)[0], theirs, 1e-12)
    spread = theirs_enhance.image_histogram2d(image, bandwidth=40.0, centers=(torch.arange(10).double() + 0.5) * 25.5)[0]
    assert_close(ours.image_histogram2d(image, n_bins=10, bandwidth=40.0)[0], spread, 1e-12)


def test_the_default_bandwidth_of_given_centers():
    """kornia's is that of n_bins."""
    image, centers = drawn("random", 30, 30) * 255, torch.tensor([10.0, 250.0, 70.0, 130.0, 190.0]).double()
    theirs = theirs_enhance.image_histogram2d(image, centers=centers)[0]
    assert_close(ours.image_histogram2d(image, centers=centers, strict=True)[0], theirs, 1e-12)
    apart = theirs_enhance.image_histogram2d(image, centers=centers, bandwidth=60.0)[0]
    assert_close(ours.image_histogram2d(image, centers=centers)[0], apart, 1e-12)
    single = ours.image_histogram2d(image, centers=centers[:1])[0]
    assert_close(single, theirs_enhance.image_histogram2d(image, centers=centers[:1], bandwidth=255.0)[0], 1e-12)


# mutual information


def both(loss: str, kernel: str, suffix: str = "", **options):
    """huenet's and kornia's loss, as functions of tensors."""
    return tuple(
        lambda *tensors, module=module: getattr(module, loss + suffix)(
            *tensors, kernel_function=getattr(module.MIKernel, kernel), **options
        )
        for module in (ours, theirs_losses)
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kernel", MI_KERNELS)
@pytest.mark.parametrize("kind", ["random", "saturated", "8-bit", "constant"])
@pytest.mark.parametrize("num_bins, window_radius", [(64, 1.0), (8, 2.0), (17, 0.7), (256, 1.0)])
def test_mutual_information(dtype, loss, kernel, kind, num_bins, window_radius):
    x = drawn(kind, 2, 3, 400)
    y = (x + drawn("random", 2, 3, 400, seed=1)).float().double()
    functions = both(loss, kernel, num_bins=num_bins, window_radius=window_radius)
    for pair in ([x, y], [y, x]):
        check_mi(functions, pair, dtype, kernel, num_bins)


def check_mi(functions, pair, dtype, kernel, num_bins):
    """Counts of "rectangular", which jump, are compared in test_rectangular_counts."""
    if kernel == "rectangular":
        mine, theirs = (function(*(z.to(dtype).requires_grad_() for z in pair)) for function in functions)
        assert mine.dtype == theirs.dtype and not mine.requires_grad
        # kornia adds K^2 terms of the entropies in dtype
        assert far(mine, theirs.double(), 1.0) <= 16 * torch.finfo(dtype).eps * math.log2(num_bins)
        return
    # values are sums of entropies of up to log(num_bins), which cancel, as those of their slopes do in gradients
    check(*functions, pair, dtype, [True, True], [max(1.0, math.log(num_bins)), *[num_bins / pair[0].shape[-1]] * 2])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", ["random", "saturated", "8-bit", "constant"])
@pytest.mark.parametrize("num_bins, window_radius", [(64, 1.0), (8, 2.0), (17, 0.7), (256, 1.0), (256, 0.5), (33, 3.2)])
def test_rectangular_counts(dtype, kind, num_bins, window_radius):
    """To the last sample: 8-bit images in 256 bins lie at centres, or a rounding beside them."""
    x, y = drawn(kind, 2, 400).to(dtype), (drawn(kind, 2, 400, seed=1) * 255).to(dtype)
    mine, theirs = (
        module.MILossFromRef(y, None, module.MIKernel.rectangular, num_bins, window_radius) for module in (ours, theirs_losses)
    )
    counts = mine._joint(mine.signal, mine._coordinates("x", x))
    assert torch.equal(counts, theirs._compute_joint_histogram(x, theirs.eps).double())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    loss=st.sampled_from(LOSSES), kernel=st.sampled_from(MI_KERNELS), kind=st.sampled_from(["random", "saturated", "8-bit"]),
    samples=st.integers(1, 500), num_bins=st.integers(2, 80), tenths=st.integers(3, 50), double=st.booleans(),
    seed=st.integers(0, 999),
)  # fmt: skip
def test_random_mutual_information(loss, kernel, kind, samples, num_bins, tenths, double, seed):
    x, y = drawn(kind, 2, samples, seed=seed), drawn("random", 2, samples, seed=seed + 1)
    y = (x + y).float().double()
    # where all pairs are in one cell, a normalised loss and its slopes are ratios of roundings
    module = theirs_losses.MILossFromRef(y, None, getattr(theirs_losses.MIKernel, kernel), num_bins, tenths / 10)
    assume(module.entropies(x)[2].min() > 0.1)
    functions = both(loss, kernel, num_bins=num_bins, window_radius=tenths / 10)
    check_mi(functions, [x, y], torch.float64 if double else torch.float32, kernel, num_bins)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "suffix, batch, sample",
    [("", (2,), (120,)), ("_2d", (2,), (10, 12)), ("_3d", (2, 1), (4, 5, 6)), ("", (), (120,)), ("_2d", (), (10, 12))],
)
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8], ids=str)
def test_masks(loss, suffix, batch, sample, dtype):
    x, y = drawn("random", *batch, *sample), drawn("random", *batch, *sample, seed=1)
    masks = [(torch.rand(sample, generator=generator(seed)) < 0.7).to(dtype) for seed in (3, 4)]
    for input_mask, target_mask in itertools.product((None, masks[0]), (None, masks[1])):
        functions = both(loss, "xu", suffix, num_bins=16, input_mask=input_mask, target_mask=target_mask)
        check(*functions, [x, y], torch.float64, [True, True])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kernel", MI_KERNELS)
@pytest.mark.parametrize("loss", LOSSES)
def test_mutual_information_of_half_precision(dtype, kernel, loss):
    x, y = drawn("random", 2, 300).to(dtype), drawn("random", 2, 300, seed=1).to(dtype)
    for pair in ((x, y), (x.float(), y), (x, y.float())):
        mine, theirs = (function(*pair) for function in both(loss, kernel))
        assert mine.dtype == theirs.dtype
        assert far(mine, theirs.double()) <= max(2 * torch.finfo(theirs.dtype).eps, VALUE[torch.float32] * 2)


@pytest.mark.parametrize("name, shape", [("", (2, 60)), ("2D", (2, 6, 10)), ("3D", (2, 3, 4, 5))])
@pytest.mark.parametrize("loss", ["MILossFromRef", "NMILossFromRef"])
def test_modules(name, shape, loss):
    x, y = drawn("random", *shape), drawn("random", *shape, seed=1)
    mask = torch.rand(shape[1:], generator=generator(2)) < 0.8
    mine, theirs = (getattr(module, loss + name)(y, mask, num_bins=12, window_radius=1.5) for module in (ours, theirs_losses))
    assert mine.state_dict().keys() == theirs.state_dict().keys()
    for saved, right in zip(mine.state_dict().values(), theirs.state_dict().values(), strict=True):
        assert_close(saved.double(), right.double(), 1e-12)
    assert_close(mine(x, mask), theirs(x, mask), 1e-12)
    assert_close(torch.stack(mine.entropies(x)), torch.stack(theirs.entropies(theirs.arrange_shape(x) if name else x)), 1e-12)
    assert_close(mine.float()(x.float()), theirs.float()(x.float()).double(), 2e-6)
    mine.load_state_dict(theirs.state_dict())


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64], ids=str)
def test_nearly_constant_signals(dtype):
    """Ranges about eps of the target's dtype, up to which a signal is a constant."""
    y = drawn("random", 50).to(dtype)
    for times in (0.5, 1.0, 2.0):
        x = y * 0
        x[0] = torch.finfo(dtype).eps * times
        for pair in ((x, y), (y, x)):
            mine, theirs = (function(*pair) for function in both("mutual_information_loss", "xu"))
            # kornia's entropies of 64 x 64 cells, up to log(64), are added in float32
            assert (mine - theirs).abs() <= 2 * torch.finfo(dtype).eps + 16 * torch.finfo(torch.float32).eps * math.log2(64)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("kernel", MI_KERNELS)
def test_what_is_not_finite_is_seen(bad, kernel):
    """In its own row; kornia takes it for a constant image, or leaves the sample out."""
    x = drawn("random", 2, 50)
    x[0, 7] = bad
    loss = both("mutual_information_loss", kernel)[0](x, drawn("random", 2, 50, seed=1))
    assert loss.isnan().tolist() == [True, False]


# memory and errors


@pytest.mark.parametrize(
    "call",
    [
        lambda x, c: ours.histogram(x, c, torch.tensor(0.01)),
        lambda x, c: ours.histogram(x, c**2, torch.tensor(0.01)),
        lambda x, c: ours.histogram(x, c.clone().requires_grad_(), torch.tensor(0.01)),
        lambda x, c: ours.histogram2d(x, x.flip(1), c, torch.tensor(0.01)),
        lambda x, c: ours.histogram2d(x, x.flip(1), c**2, torch.tensor(0.01)),
        lambda x, c: ours.image_histogram2d(x.view(1, 512, 512), centers=c, bandwidth=0.02)[0],
        lambda x, c: ours.image_histogram2d(x.view(1, 512, 512), centers=c**2, bandwidth=0.02, kernel="uniform")[0],
        lambda x, c: ours.mutual_information_loss(x, x.flip(1)),
        lambda x, c: ours.mutual_information_loss(x, x.flip(1), kernel_function=ours.MIKernel.rectangular),
    ],
)
def test_nothing_of_samples_times_bins(call):
    """Of 2^18 samples and 64 bins, 2^24 numbers; pieces are of 2^18, in float64 at most, and a few numbers a sample."""
    x = drawn("random", 1, 2**18).float().requires_grad_()
    with LargestTensor() as largest:
        result = call(x, torch.arange(64) / 64)
        if result.requires_grad:
            result.square().sum().backward()
    assert largest.bytes <= 2**18 * 8 * 4


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda x: ours.histogram([1.0], x[0], x[0, 0]), TypeError, "x must be a torch.Tensor, got list"),
        (lambda x: ours.histogram(x[0], x[0], x[0, 0]), ValueError, r"x must have the shape \(B, N\), got \(4,\)"),
        (lambda x: ours.histogram(x, x, x[0, 0]), ValueError, r"bins must be centres of the shape \(K,\), .*, got \(2, 4\)"),
        (lambda x: ours.histogram(x, x[0], 0.5), TypeError, "bandwidth must be a torch.Tensor, got float"),
        (lambda x: ours.histogram(x, x[0], x[0, :1]), ValueError, r"bandwidth must be a scalar tensor, got \(1,\)"),
        (lambda x: ours.histogram(x, x[0], -x[0, 0]), ValueError, "bandwidth must be finite and positive, got -"),
        (lambda x: ours.histogram(x, x[0] / 0, x[0, 0]), ValueError, "the centres of the bins must be finite, got inf"),
        (lambda x: ours.histogram2d(x, x[:, :2], x[0], x[0, 0]), ValueError, r"x2 must have the shape of x1, expected \(2, 4\)"),
        (lambda x: ours.image_histogram2d(x[0]), ValueError, r"image must have the shape \(H, W\), .*, got \(4,\)"),
        (lambda x: ours.image_histogram2d(x, kernel="box"), ValueError, "kernel must be one of 'triangular', .*, got 'box'"),
        (lambda x: ours.image_histogram2d(x, n_bins=0), ValueError, "n_bins must be at least 1, got 0"),
        (lambda x: ours.image_histogram2d(x, n_bins=2.5), TypeError, "n_bins must be an integer, got 2.5"),
        (lambda x: ours.image_histogram2d(x, 3.0, 2.0), ValueError, "max must be larger than min, got min=3 and max=2"),
        (lambda x: ours.image_histogram2d(x, bandwidth=0.0), ValueError, "bandwidth must be finite and positive, got 0"),
        (lambda x: ours.image_histogram2d(x, centers=[1.0]), TypeError, "centers must be a torch.Tensor, got list"),
        (lambda x: ours.image_histogram2d(x, centers=x), ValueError, r"centers must have the shape \(K,\), got \(2, 4\)"),
        (lambda x: ours.image_histogram2d(x, return_pdf=1), TypeError, "return_pdf must be True or False, got 1"),
        (lambda x: ours.mutual_information_loss(x, [1]), TypeError, "reference_signal must be a torch.Tensor, got list"),
        (
            lambda x: ours.mutual_information_loss(x, x.long()),
            TypeError,
            "reference_signal must be a floating tensor, got torch.int64",
        ),
        (lambda x: ours.mutual_information_loss(x[0], x), ValueError, r"other_signal must have the shape of reference_signal"),
        (lambda x: ours.mutual_information_loss(x, x, num_bins=1), ValueError, "num_bins must be at least 2, got 1"),
        (lambda x: ours.mutual_information_loss(x, x, num_bins=True), TypeError, "num_bins must be an integer, got True"),
        (lambda x: ours.mutual_information_loss(x, x, window_radius=0), ValueError, "window_radius must be positive, got 0"),
        (
            lambda x: ours.mutual_information_loss(x, x, kernel_function="xu"),
            ValueError,
            "kernel_function must be one of MIKernel.xu",
        ),
        (lambda x: ours.mutual_information_loss(x, x, x > 0), ValueError, r"other_mask must have the shape of one .*, \(4,\), got"),
        (lambda x: ours.mutual_information_loss(x, x, x[0]), TypeError, "other_mask must be of bool or uint8, got torch.float32"),
        (lambda x: ours.mutual_information_loss(x, x, x[0] < 0), ValueError, "other_mask must have at least one sample, got none"),
        (
            lambda x: ours.mutual_information_loss(x, x, x[0] == x[0, 0], x[0] == x[0, 1]),
            ValueError,
            "mask and other_mask must have at least one sample in common",
        ),
        (lambda x: ours.mutual_information_loss_3d(x, x), ValueError, r"must have the shape \(\.\.\., D, H, W\), got \(2, 4\)"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(drawn("random", 2, 4).float() + 0.1)
