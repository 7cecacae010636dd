"""Memory, and sizes at which dense formulas no longer fit."""

from __future__ import annotations

import pytest
import torch

from huenet.kernels import Bins, emd, histogram_emd, joint_histogram, mutual_information, soft_histogram
from huenet.kernels.mutual_information.reference import information_terms
from tests.assertions import assert_close
from tests.gpu.cases import BACKEND, DEVICE, NO_FALLBACK, assert_same
from tests.kernels.agreement import SINGLE

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings(NO_FALLBACK)]
#: images, samples of each, bins
LARGE = {"4096 x 4096": (1, 4096 * 4096, 256), "batch 256": (256, 256 * 256, 256), "K = 1024": (8, 256 * 256, 1024)}
EVERY_SIZE = pytest.mark.parametrize("batch, number, count", LARGE.values(), ids=LARGE)
#: cells of the reference's responses at a time
CELLS = 2**24


def pair(batch: int, number: int) -> list[torch.Tensor]:
    """Two images of which one tells something about the other."""
    generator = torch.Generator(DEVICE).manual_seed(0)
    x, noise = (torch.rand(batch, number, device=DEVICE, generator=generator) for _ in range(2))
    return [x.requires_grad_(), (0.7 * x.detach() + 0.3 * noise).requires_grad_()]


def chunks(row: list[torch.Tensor], count: int) -> list[tuple[torch.Tensor, ...]]:
    return list(zip(*(values.detach().double().split(CELLS // count) for values in row)))


def mean_of_chunks(function, row: list[torch.Tensor], count: int) -> torch.Tensor:
    """The reference's histogram of one image, chunk by chunk."""
    pieces = chunks(row, count)
    return sum(function(*piece, backend="reference") for piece in pieces) / len(pieces)


def check_last(
    function, results: torch.Tensor, grads: list[torch.Tensor], upstream: torch.Tensor, x: list[torch.Tensor], count: int
):
    """The first and the last image's histogram, and the gradients of the last one's last chunk."""
    for i in (0, -1):
        assert_close(results[i], mean_of_chunks(function, [values[i] for values in x], count), SINGLE)
    pieces = chunks([values[-1] for values in x], count)
    last = [piece.requires_grad_() for piece in pieces[-1]]
    expected = torch.autograd.grad(function(*last, backend="reference"), last, upstream[-1].double() / len(pieces))
    for actual, e in zip(grads, expected):
        assert_close(actual[-1, -e.shape[-1] :], e, SINGLE)


@EVERY_SIZE
def test_soft_histogram(batch, number, count):
    x, bins = pair(batch, number)[:1], Bins(count, boundary="circular")
    upstream = torch.randn(batch, count, device=DEVICE)
    histogram = soft_histogram(*x, bins, backend=BACKEND)
    grads = torch.autograd.grad(histogram, x, upstream)
    check_last(lambda *z, backend: soft_histogram(*z, bins, backend=backend), histogram, grads, upstream, x, count)


@EVERY_SIZE
def test_joint_histogram(batch, number, count):
    x, bins = pair(batch, number), Bins(count, boundary="circular")
    upstream = torch.randn(batch, count, count, device=DEVICE)
    joint = joint_histogram(*x, bins, backend=BACKEND)
    grads = torch.autograd.grad(joint, x, upstream)
    check_last(lambda *z, backend: joint_histogram(*z, bins, backend=backend), joint, grads, upstream, x, count)


@EVERY_SIZE
@pytest.mark.parametrize("marginals", ["joint", "histogram"])
def test_mutual_information(batch, number, count, marginals):
    x, bins = pair(batch, number), Bins(count, boundary="circular")  # marginals are the same on a circle
    terms = torch.stack(mutual_information(*x, bins, marginals=marginals, backend=BACKEND))
    grads = torch.autograd.grad(terms[0].sum(), x)
    for i in (0, -1):
        row = [values[i] for values in x]
        joint = mean_of_chunks(lambda *z, backend: joint_histogram(*z, bins, backend=backend), row, count)
        expected = information_terms(joint, joint.sum(-1), joint.sum(-2))
        # sums of up to 14 nats in float32, of which the information is a difference of about one
        assert_close(terms[:, i], expected, 10 * SINGLE)
    assert all(grad.isfinite().all() and grad[-1, -100:].any() for grad in grads)


@EVERY_SIZE
def test_histogram_emd(batch, number, count):
    (x, y), bins = pair(batch, number), Bins(count, boundary="circular")
    target = soft_histogram(y.detach(), bins, backend=BACKEND)
    distance = histogram_emd(x, target, bins, backend=BACKEND)
    (grad,) = torch.autograd.grad(distance.sum(), x)
    histogram = mean_of_chunks(lambda z, backend: soft_histogram(z, bins, backend=backend), [x[-1]], count).requires_grad_()
    expected = emd(histogram, target[-1].double())
    # histograms of float32, and their difference a tenth of them
    assert_close(distance[-1], expected, 10 * SINGLE)
    (slope,) = torch.autograd.grad(expected, histogram)
    pieces = chunks([x[-1]], count)
    last = pieces[-1][0].requires_grad_()
    (expected_grad,) = torch.autograd.grad(soft_histogram(last, bins, backend="reference"), last, slope / len(pieces))
    assert_close(grad[-1, -len(last) :], expected_grad, 10 * SINGLE)


@pytest.mark.parametrize("marginals", ["joint", "histogram"])
def test_memory_of_mutual_information(marginals):
    """At most 60 MB beyond the inputs and their gradients, in the benchmark's case."""
    x = pair(32, 256 * 256)
    mutual_information(*x, 256, marginals=marginals, backend=BACKEND).relative.sum().backward()  # compiles
    for values in x:
        values.grad = None
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    loss = mutual_information(*x, 256, marginals=marginals, backend=BACKEND).relative.sum()
    forward = torch.cuda.max_memory_allocated() - before
    torch.cuda.reset_peak_memory_stats()
    grads = torch.autograd.grad(loss, x)
    backward = torch.cuda.max_memory_allocated() - before - sum(grad.nbytes for grad in grads)
    assert forward <= 60e6, f"forward: {forward / 1e6:.1f} MB"
    assert backward <= 60e6, f"backward: {backward / 1e6:.1f} MB"


def test_addresses_beyond_two_billion():
    """Windows and joint histograms of more than 2^31 cells: every image as alone."""
    batch, number, bins = 2100, 1000, Bins(1024)
    if DEVICE.type == "cuda" and torch.cuda.mem_get_info()[0] < 40e9:
        pytest.skip("needs 40 GB of free memory on the GPU")
    x, y = pair(batch, number)
    joint = joint_histogram(x, y, bins, backend=BACKEND)
    grads = torch.autograd.grad(joint, (x, y), torch.ones([], device=DEVICE).expand_as(joint))
    for i in (0, 1, batch // 2, batch - 1):
        row = [values[i : i + 1].detach().requires_grad_() for values in (x, y)]
        alone = joint_histogram(*row, bins, backend=BACKEND)
        expected = torch.autograd.grad(alone, row, torch.ones_like(alone))
        assert_same([joint[i : i + 1], *(grad[i : i + 1] for grad in grads)], [alone, *expected])
