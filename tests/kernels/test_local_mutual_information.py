"""Mutual information of patches against a loop over them, and what it takes of memory.

Tolerance EXACT: as for mutual information, whose float64 entropies agree to it between backends; a pixel's gradient is a sum of at
most some hundred patches'. The loop takes the same histograms, so that differences are sums in another order only.
"""

from __future__ import annotations

import importlib
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from huenet.kernels import Bins, joint_histogram, local_mutual_information, mutual_information
from huenet.kernels.local_mutual_information.patches import Patches
from tests.assertions import assert_close, assert_gradients_close
from tests.kernels.strategies import gradients, samples
from tests.largest import LargestTensor

EXACT = 1e-10
PORTABLE = importlib.import_module("huenet.kernels.local_mutual_information.portable")
OPERATOR = importlib.import_module("huenet.kernels.local_mutual_information").OPERATOR
HUE = Bins(9, boundary="circular")


def local(bins, bins_y=None, **options):
    def terms(x, y, *weights):
        return torch.stack(local_mutual_information(x, y, bins, bins_y, weights=weights[0] if weights else None, **options), -1)

    return terms


def loop(bins, bins_y=None, *, patch, stride, **options):
    """Patch by patch, cut out by slices."""

    def terms(x, y, *weights):
        dims = len(patch)
        starts = [range(0, n - size + 1, step) for n, size, step in zip(x.shape[-dims:], patch, stride)]
        found = []
        for corner in itertools.product(*starts):
            cut = (..., *(slice(start, start + size) for start, size in zip(corner, patch)))
            px, py, *pw = (z[cut].flatten(-dims) for z in (x, y, *weights))
            found.append(torch.stack(mutual_information(px, py, bins, bins_y, weights=pw[0] if pw else None, **options), -1))
        return torch.stack(found, -2).unflatten(-2, [len(each) for each in starts])

    return terms


IMAGES = {
    "side by side": ((2, 12, 17), (4, 4), (4, 4)),
    "overlapping": ((2, 3, 11, 10), (5, 3), (2, 1)),
    "apart": ((13, 12), (3, 2), (5, 4)),
    "the whole": ((2, 6, 7), (6, 7), (1, 1)),
    "volumes": ((2, 7, 9, 8), (3, 4, 2), (2, 4, 3)),
    "signals": ((2, 3, 30), (8,), (3,)),
    "channels together": ((2, 3, 8, 8), (3, 4, 4), (3, 2, 2)),
}


@pytest.mark.parametrize("numbers", [1, 300, 1 << 18], ids="{} at a time".format)
@pytest.mark.parametrize("shape, patch, stride", IMAGES.values(), ids=IMAGES)
def test_is_a_loop_over_patches(shape, patch, stride, numbers, monkeypatch):
    monkeypatch.setattr(PORTABLE, "CPU_NUMBERS", numbers)  # one by one, some across images, all at once
    inputs = [samples(*shape), samples(*shape, seed=1), samples(*shape, seed=2, spill=0.0)]
    for arguments in (inputs, inputs[:2]):
        for marginals in ("joint", "histogram"):
            options = {"patch": patch, "stride": stride, "marginals": marginals}
            actual, slopes = gradients(local(Bins(7), 5, **options), arguments)
            expected, expected_slopes = gradients(loop(Bins(7), 5, **options), arguments)
            assert_close(actual, expected, EXACT)
            assert_gradients_close(slopes, expected_slopes, EXACT)


@pytest.mark.parametrize("bins", [HUE, Bins(16, boundary="reflect", window="triangular"), Bins(64, -0.5, 2.0)], ids=str)
def test_agrees_with_the_reference(bins):
    inputs = [samples(2, 12, 13), samples(2, 12, 13, seed=1), samples(2, 12, 13, seed=2, spill=0.0)]
    options = {"patch": (5, 4), "stride": (3, 2)}
    actual, slopes = gradients(local(bins, **options), inputs)
    expected, expected_slopes = gradients(local(bins, **options, backend="reference"), inputs)
    assert_close(actual, expected, EXACT)
    assert_gradients_close(slopes, expected_slopes, EXACT)


def test_one_length_is_the_side_of_squares_and_patches_are_side_by_side():
    x, y = samples(3, 17, 18), samples(3, 17, 18, seed=1)
    result = local_mutual_information(x, y, 6)
    assert result.information.shape == (3, 2, 2)
    for actual, expected in zip(result, local_mutual_information(x, y, 6, patch=(8, 8), stride=(8, 8))):
        assert torch.equal(actual, expected)
    cropped = local_mutual_information(x[..., :16, :16], y[..., :16, :16], 6)  # what is left over does not matter
    assert torch.equal(result.relative, cropped.relative)
    one = joint_histogram(x[0, 8:16, :8].flatten(), y[0, 8:16, :8].flatten(), 6)
    assert_close(result.joint_entropy[0, 1, 0], torch.special.entr(one).sum(), EXACT)


@pytest.mark.parametrize("marginals", ["joint", "histogram"])
def test_gradcheck(marginals):
    inputs = [samples(1, 4, 5, seed=seed, spill=0.0).requires_grad_() for seed in range(3)]
    assert torch.autograd.gradcheck(local(Bins(4), 3, patch=(3, 2), stride=(1, 2), marginals=marginals), inputs)
    assert torch.autograd.gradcheck(local(HUE, patch=2, stride=1, marginals=marginals), inputs[:2])


def test_opcheck():
    x, y, weights = (samples(2, 5, 6, seed=seed).requires_grad_() for seed in range(3))
    patches = Patches((3, 2), (2, 2))
    for given_weights in (weights, None):
        torch.library.opcheck(OPERATOR.op, (x, y, given_weights, Bins(6).spec, Bins(5).spec, patches.spec, "joint", "torch"))


def test_compiles_without_graph_breaks():
    loss = lambda x, y: -local_mutual_information(x, y, HUE, patch=4, stride=(2, 3)).normalized.mean()  # noqa: E731
    inputs = [samples(2, 9, 10), samples(2, 9, 10, seed=1)]
    expected = gradients(loss, inputs)
    for dynamic in (False, True):
        actual = gradients(torch.compile(loss, fullgraph=True, backend="aot_eager", dynamic=dynamic), inputs)
        assert_close(actual[0], expected[0], EXACT)
        assert_gradients_close(actual[1], expected[1], EXACT)


@pytest.mark.parametrize("count, patch, stride", [(16, 12, 1), (64, 12, 4), (32, 32, 2)])
def test_memory_is_one_image_and_some_patches(count, patch, stride):
    """Patches are 2 to 52 MB of samples here, and 52 to 63 MB of joint histograms. Nothing is larger than an image in float64, the
    result, or 2^18 float64 numbers of patches."""
    x, y = (samples(1, 256, 256, seed=seed, dtype=torch.float32) for seed in (0, 1))
    given = x, y, None, Bins(count), Bins(count), Patches((patch, patch), (stride, stride)), "joint"
    result = PORTABLE.forward(*given)
    most = max(8 * x.numel(), 4 * result.numel(), 8 * PORTABLE.CPU_NUMBERS)
    assert result[..., 0].numel() * count**2 * 4 > 20 * most
    with LargestTensor() as seen:
        PORTABLE.forward(*given)
        PORTABLE.backward(torch.ones_like(result), *given, [True, True, False])
    assert 0 < seen.bytes <= most


def test_nothing_but_the_images_is_kept():
    x, y = samples(1, 64, 64).requires_grad_(), samples(1, 64, 64, seed=1)
    saved = []

    def pack(tensor):
        saved.append(tensor.untyped_storage().nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = local_mutual_information(x, y, 32, patch=4, stride=1)
    assert len(saved) <= 3 and max(saved) == max(8 * x.numel(), 8 * 4 * result.information.numel())


def test_ranges_may_be_measured():
    x, y = samples(2, 3, 10, 9), samples(2, 3, 10, 9, seed=1)
    inputs = [3 * x + 1, y]
    call = lambda bins: lambda x, y: local(bins(x), Bins(6), patch=4, stride=3)(x, y)  # noqa: E731
    range_of = lambda x: (x.detach().min().item(), x.detach().max().item())  # noqa: E731
    actual, slopes = gradients(call(lambda x: Bins.of(x, 8)), inputs)
    expected, expected_slopes = gradients(call(lambda x: Bins(8, *range_of(x))), inputs)
    assert_close(actual, expected, EXACT)
    assert_gradients_close(slopes, expected_slopes, EXACT)
    for_each = local_mutual_information(*inputs, Bins.of(inputs[0], 8, dim=(-2, -1)), Bins(6), patch=4)
    alone = local_mutual_information(inputs[0][1, 2], y[1, 2], Bins(8, *range_of(inputs[0][1, 2])), Bins(6), patch=4)
    assert_close(for_each.information[1, 2], alone.information, EXACT)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6), shape=st.lists(st.integers(1, 9), min_size=1, max_size=3), size=st.integers(1, 9),
    stride=st.integers(1, 5), count=st.integers(1, 12),
)  # fmt: skip
def test_laws(seed, shape, size, stride, count):
    patch = tuple(min(size, length) for length in shape)
    grid = tuple((length - side) // stride + 1 for length, side in zip(shape, patch))
    x, y = samples(2, *shape, seed=seed), samples(2, *shape, seed=seed + 1)
    bins = Bins(count, boundary="circular")
    forth = local_mutual_information(x, y, bins, 5, patch=patch, stride=stride)
    back = local_mutual_information(y, x, Bins(5, boundary="circular"), bins, patch=patch, stride=stride)
    assert forth.information.shape == (2, *grid)
    assert (forth.information >= -EXACT).all()
    assert (back.information - forth.information).abs().max() <= EXACT  # of numbers that may all be 0


def test_weights_are_normalised_in_every_patch_and_may_all_be_zero_there():
    x, y = samples(1, 8, 8).requires_grad_(), samples(1, 8, 8, seed=1)
    weights = samples(1, 8, 8, seed=2, spill=0.0)
    once = local_mutual_information(x, y, HUE, patch=4, weights=weights)
    scaled = weights.clone()
    scaled[:, :4, 4:] *= 1000
    assert_close(local_mutual_information(x, y, HUE, patch=4, weights=scaled).information, once.information, EXACT)
    mask = weights > 0.5
    mask[:, :4, :4] = False
    masked = local_mutual_information(x, y, HUE, patch=4, weights=mask)
    assert masked.information[0, 0, 0] == masked.joint_entropy[0, 0, 0] == masked.relative[0, 0, 0] == 0
    masked.joint_entropy.sum().backward()
    assert x.grad.isfinite().all() and not x.grad[:, :4, :4].any() and x.grad[mask].any()


@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_a_nan_stays_in_its_patches(backend):
    x, y = samples(1, 8, 8), samples(1, 8, 8, seed=1)
    clean = local_mutual_information(x, y, 5, patch=4, backend=backend)
    x[0, 1, 6] = torch.nan
    spoilt = local_mutual_information(x, y, 5, patch=4, backend=backend)
    assert spoilt.information[0, 0, 1].isnan()
    keep = torch.tensor([[True, False], [True, True]])
    assert torch.equal(spoilt.information[0][keep], clean.information[0][keep])


def test_dtypes_and_layouts():
    x, y = samples(2, 3, 10, 12, dtype=torch.float32), samples(2, 3, 10, 12, seed=1, dtype=torch.float32)
    expected = local_mutual_information(x, y, 6, patch=5, stride=2).information
    assert expected.dtype == torch.float32
    for other in (x.to(memory_format=torch.channels_last), x.mT.contiguous().mT):
        assert torch.equal(local_mutual_information(other, y, 6, patch=5, stride=2).information, expected)
    one = local_mutual_information(x[:1, :1], y, 6, patch=5, stride=2).information  # leading dimensions broadcast
    assert torch.equal(one[0, 0], expected[0, 0]) and one.shape == expected.shape
    half = local_mutual_information(x.half(), y, 6, patch=5, stride=2).information
    assert torch.equal(half, local_mutual_information(x.half().float(), y, 6, patch=5, stride=2).information)


@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_no_images_give_no_information(backend):
    x = torch.rand(0, 3, 8, 8).requires_grad_()
    information = local_mutual_information(x, x.detach(), 5, patch=4, backend=backend).information
    assert information.shape == (0, 3, 2, 2)
    information.sum().backward()
    assert x.grad.shape == x.shape


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda x: local_mutual_information(x, x, 4, patch=9), ValueError, r"patch must fit into x, expected at most \(8, 12\)"),
        (lambda x: local_mutual_information(x, x, 4, patch=(2, 2, 2, 2)), ValueError, r"x must have at least the 4 dimensions"),
        (lambda x: local_mutual_information(x, x, 4, patch=()), ValueError, r"patch must have at least one length, got \(\)"),
        (lambda x: local_mutual_information(x, x, 4, patch=0), ValueError, "patch must be at least 1, got 0"),
        (lambda x: local_mutual_information(x, x, 4, patch=2.0), TypeError, "patch must be an integer, got 2.0"),
        (lambda x: local_mutual_information(x, x, 4, patch="88"), TypeError, "patch must be an integer, got '88'"),
        (lambda x: local_mutual_information(x, x, 4, patch=2, stride=0), ValueError, "stride must be at least 1, got 0"),
        (
            lambda x: local_mutual_information(x, x, 4, patch=2, stride=(1,)),
            ValueError,
            r"stride must have 2 lengths",
        ),
        (
            lambda x: local_mutual_information(x, x[..., :1], 4, patch=(8, 1)),
            ValueError,
            r"y must be as large as x, expected \(8, 12\)",
        ),
        (
            lambda x: local_mutual_information(x, x[..., :6, :], 4, patch=2),
            ValueError,
            r"y must be as large as x, expected \(8, 12\)",
        ),
        (lambda x: local_mutual_information(x, x, 4, weights=x[..., :5]), ValueError, "weights must broadcast to x's shape"),
        (lambda x: local_mutual_information(x, x, 0), ValueError, "bins must be at least 1, got 0"),
        (lambda x: local_mutual_information((9 * x).long(), x, 4), TypeError, "x must be a floating tensor"),
        (lambda x: local_mutual_information(x, [x], 4), TypeError, "y must be a torch.Tensor, got list"),
        (lambda x: local_mutual_information(x, x, 4, marginals="both"), ValueError, "marginals must be 'joint' or 'histogram'"),
        (lambda x: local_mutual_information(x, x, 4, backend="fast"), ValueError, "backend must be None or one of"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call(torch.rand(1, 8, 12))


def test_a_second_derivative_raises():
    x, y = samples(1, 6, 6).requires_grad_(), samples(1, 6, 6, seed=1)
    (slope,) = torch.autograd.grad(local_mutual_information(x, y, 4, patch=3).relative.sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiable once only"):
        torch.autograd.grad(slope.sum(), x)
