"""Mutual information: the hand-written gradient against the reference, known values, and its laws.

Tolerance EXACT: entropies sum K^2 = 4096 float64 terms of joint histograms that agree to 1e-12 between backends; near-empty cells
enter through log J, whose relative error is theirs.
"""

from __future__ import annotations

import importlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from huenet.kernels import Bins, MutualInformation, mutual_information
from tests.assertions import assert_close, assert_gradients_close
from tests.kernels.strategies import BOUNDARIES, WINDOWS, bins_of, gradients, samples

EXACT = 1e-10


def stacked(bins, bins_y=None, **options):
    return lambda x, y, *w: torch.stack(mutual_information(x, y, bins, bins_y, weights=w[0] if w else None, **options), -1)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("marginals", ["joint", "histogram"])
def test_agrees_with_reference(window, boundary, marginals):
    bins = bins_of(window, boundary, 64)
    inputs = [samples(2, 900), samples(2, 900, seed=1), samples(2, 900, seed=2, spill=0.0)]
    for arguments in (inputs, inputs[:2]):
        actual, actual_gradients = gradients(stacked(bins, 33, marginals=marginals), arguments)
        expected, expected_gradients = gradients(stacked(bins, 33, marginals=marginals, backend="reference"), arguments)
        assert_close(actual, expected, EXACT)
        assert_gradients_close(actual_gradients, expected_gradients, EXACT)


@pytest.mark.parametrize("marginals", ["joint", "histogram"])
@pytest.mark.parametrize("window", WINDOWS)
def test_gradcheck(window, marginals):
    inputs = [samples(2, 12, seed=seed, spill=0.0).requires_grad_() for seed in range(3)]
    assert torch.autograd.gradcheck(stacked(bins_of(window, "open", 5), 4, marginals=marginals), inputs)


def test_opcheck():
    operator = importlib.import_module("huenet.kernels.mutual_information").OPERATOR.op
    x, y = samples(2, 50).requires_grad_(), samples(2, 50, seed=1).requires_grad_()
    for marginals in ("joint", "histogram"):
        torch.library.opcheck(operator, (x, y, None, Bins(6).spec, Bins(5).spec, marginals, "torch"))


def test_a_hand_computed_case():
    """Four samples at bin centres of triangular bins are hard counts: J = [[1/2, 0], [1/4, 1/4]]."""
    x, y = torch.tensor([0.25, 0.25, 0.75, 0.75]), torch.tensor([0.25, 0.25, 0.25, 0.75])
    information, joint_entropy, entropy_x, entropy_y = mutual_information(x, y, Bins(2, window="triangular"))
    entropy = lambda *p: -sum(v * torch.tensor(v).log() for v in p)  # noqa: E731
    torch.testing.assert_close(joint_entropy, entropy(0.5, 0.25, 0.25))
    torch.testing.assert_close(entropy_x, entropy(0.5, 0.5))
    torch.testing.assert_close(entropy_y, entropy(0.75, 0.25))
    torch.testing.assert_close(information, entropy_x + entropy_y - joint_entropy)


def test_soft_bins_share_identical_images():
    """I(x, x) / H(x, x) is about a half, not 1, as a sample's bins overlap; it tends to 1 with the bandwidth."""
    x = samples(20000, spill=0.0)
    assert 0.5 < mutual_information(x, x, Bins(256, boundary="circular")).relative < 0.65
    assert mutual_information(x, x, Bins(256, boundary="circular", bandwidth=0.005)).relative > 0.95


def test_marginals_differ_only_where_mass_is_lost():
    x, y = samples(2000, spill=0.0), samples(2000, seed=1, spill=0.0)
    x[:600] = y[:600] = 0.0  # grey pixels, whose hue is 0
    for boundary, equal in (("circular", True), ("reflect", True), ("open", False)):
        values = [mutual_information(x, y, Bins(64, boundary=boundary), marginals=m).information for m in ("joint", "histogram")]
        assert (abs(values[0] - values[1]) < EXACT) == equal


def test_empty_cells_contribute_nothing():
    x = torch.full((100,), 0.3, dtype=torch.float64, requires_grad=True)
    result = mutual_information(x, x.detach(), Bins(16, window="triangular"))
    total = sum(result) + result.relative + result.normalized + result.conditional_x
    total.backward()
    assert total.isfinite() and x.grad.isfinite().all()


@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_a_nan_shows(backend):
    x, y = samples(50), samples(50, seed=1)
    x[3] = torch.nan
    result = mutual_information(x, y, 16, backend=backend)
    for value in (*result, result.relative, result.normalized, result.conditional_x, result.conditional_y):
        assert value.isnan()


def test_ratios_of_nothing_are_zero():
    x = torch.full((100,), 0.5, dtype=torch.float64, requires_grad=True)
    result = mutual_information(x, x.detach(), Bins(1, boundary="circular"))
    assert abs(result.joint_entropy) < EXACT
    zero = MutualInformation(*torch.zeros(4, requires_grad=True).unbind())
    assert zero.relative == zero.normalized == 0
    (zero.relative + zero.normalized).backward()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(2, 40), boundary=st.sampled_from(BOUNDARIES), mix=st.floats(0, 1))
def test_laws(seed, count, boundary, mix):
    x = samples(300, seed=seed, spill=0.0)
    y = mix * x + (1 - mix) * samples(300, seed=seed + 1, spill=0.0)
    bins = Bins(count, boundary=boundary)
    forth, back = mutual_information(x, y, bins, 7), mutual_information(y, x, Bins(7, boundary=boundary), bins)
    assert forth.information >= -EXACT or boundary == "open"
    assert_close(back.information, forth.information, EXACT)
    assert_close(back.entropy_x, forth.entropy_y, EXACT)
    if boundary != "open":
        assert -EXACT <= forth.relative <= 1 and -EXACT <= forth.normalized <= 1
        assert_close(forth.conditional_x + forth.entropy_y, forth.joint_entropy, EXACT)
        assert forth.conditional_y >= -EXACT
    order = torch.randperm(300, generator=torch.Generator().manual_seed(seed))
    assert_close(mutual_information(x[order], y[order], bins, 7).information, forth.information, 1e-9)


def test_compiles_without_graph_breaks():
    loss = lambda x, y: (1 - mutual_information(x, y, Bins(20, boundary="circular")).relative).mean()  # noqa: E731
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    x, y = samples(2, 60), samples(2, 60, seed=1)
    actual, expected = gradients(compiled, [x, y]), gradients(loss, [x, y])
    assert_close(actual[0], expected[0], EXACT)
    assert_gradients_close(actual[1], expected[1], EXACT)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="marginals must be 'joint' or 'histogram', got 'both'"):
        mutual_information(torch.rand(5), torch.rand(5), marginals="both")


def test_a_second_derivative_raises():
    x, y = samples(20).requires_grad_(), samples(20, seed=1)
    (slope,) = torch.autograd.grad(mutual_information(x, y, 8).relative, x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiable once only"):
        torch.autograd.grad(slope.sum(), x)
