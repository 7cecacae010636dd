"""Earth mover's distances against the dense reference, an optimal transport solver, and their laws.

Tolerance EXACT: sums of at most K = 1000 float64 terms, 1000 x 2^-53 relative in the worst case, times ten for the cumulative sums.
"""

from __future__ import annotations

import pytest
import scipy.optimize
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from huenet.kernels import emd, squared_emd
from huenet.kernels.emd import OPERATOR, reference
from tests.assertions import assert_close, assert_gradients_close
from tests.kernels.strategies import gradients, samples

EXACT = 1e-12


def histograms(*shape: int, seed: int = 0, equal_mass: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    p, q = (samples(*shape, seed=seed + i, spill=0.0) ** 3 for i in range(2))
    return (p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)) if equal_mass else (p, q)


@pytest.mark.parametrize("circular", [False, True])
@pytest.mark.parametrize("equal_mass", [True, False])
@pytest.mark.parametrize("count", [1, 2, 7, 64, 257])
def test_squared_agrees_with_every_shift_spelt_out(circular, equal_mass, count):
    p, q = histograms(2, 3, count, equal_mass=equal_mass)
    actual, actual_gradients = gradients(lambda p, q: squared_emd(p, q, circular=circular), [p, q])
    expected, expected_gradients = gradients(lambda p, q: reference.forward(p, q, circular), [p, q])
    assert_close(actual, expected, EXACT)
    ties = circular and equal_mass and count == 2  # both shifts cost the same, and either gradient is right
    if (count > 1 or not equal_mass) and not ties:
        assert_gradients_close(actual_gradients, expected_gradients, EXACT, "p q")


@pytest.mark.parametrize("circular", [False, True])
@pytest.mark.parametrize("count", [2, 7, 64, 257])
def test_order_one_agrees_with_every_shift_spelt_out(circular, count):
    p, q = histograms(4, count)
    actual, actual_gradients = gradients(lambda p, q: emd(p, q, circular=circular, order=1), [p, q])
    expected, expected_gradients = gradients(lambda p, q: reference.absolute(p, q, circular) / count, [p, q])
    assert_close(actual, expected, EXACT)
    # with an even count the median is an interval; gradients of mass-keeping changes are what is defined
    centred = [[g - g.mean(-1, keepdim=True) for g in gs] for gs in (actual_gradients, expected_gradients)]
    if count % 2:
        assert_gradients_close(*centred, EXACT, "p q")


def test_order_two_is_the_root_of_the_mean():
    p, q = histograms(5, 33)
    assert_close(emd(p, q, circular=True), (squared_emd(p, q, circular=True) / 33).sqrt(), EXACT)
    assert_close(emd(p, q), (squared_emd(p, q) / 33).sqrt(), EXACT)


def test_order_one_is_scipys_wasserstein_distance():
    p, q = histograms(16)
    positions = range(16)
    assert emd(p, q, order=1).item() * 16 == pytest.approx(scipy.stats.wasserstein_distance(positions, positions, p, q), rel=EXACT)


def test_circular_order_one_is_optimal_transport_on_a_circle():
    count = 8
    p, q = histograms(count)
    i = torch.arange(count)
    distance = (i[:, None] - i).abs()
    cost = torch.minimum(distance, count - distance).flatten().double()
    rows = torch.eye(count).repeat_interleave(count, 1)
    columns = torch.eye(count).repeat(1, count)
    # the last constraint follows from the others
    plan = scipy.optimize.linprog(cost.numpy(), A_eq=torch.cat([rows, columns])[:-1].numpy(), b_eq=torch.cat([p, q])[:-1].numpy())
    assert emd(p, q, circular=True, order=1).item() * count == pytest.approx(plan.fun, abs=1e-9)  # the solver's own tolerance


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 60), shift=st.integers(0, 59))
def test_laws(seed, count, shift):
    p, q = histograms(count, seed=seed)
    circular = squared_emd(p, q, circular=True)
    assert 0 <= circular <= squared_emd(p, q) + EXACT
    assert_close(squared_emd(q, p, circular=True), circular, 1e-9)  # a shift's cost may tie, then either is taken
    assert_close(squared_emd(p.roll(shift), q.roll(shift), circular=True), circular, 1e-9)
    assert squared_emd(p, p, circular=True) == emd(p, p, circular=True) == emd(p, p, circular=True, order=1) == 0


def test_the_way_round_is_taken():
    p, q = torch.eye(256)[0], torch.eye(256)[255]
    assert squared_emd(p, q) == 255
    assert squared_emd(p, q, circular=True) == 1


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("circular", [False, True])
def test_gradient_of_equal_histograms_is_zero(order, circular):
    p = histograms(12)[0].requires_grad_()
    emd(p, p.detach(), circular=circular, order=order).backward()
    assert not p.grad.any()


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("circular", [False, True])
def test_a_nan_shows(order, circular):
    p, q = histograms(12)
    p[3] = torch.nan
    assert emd(p, q, circular=circular, order=order).isnan()
    assert squared_emd(p, q, circular=circular).isnan()


def test_float32_is_summed_in_float64():
    p, q = (h.float() for h in histograms(4, 1000))
    # rounding the result once
    assert_close(squared_emd(p, q, circular=True), squared_emd(p.double(), q.double(), circular=True), 2.0**-24)


@pytest.mark.parametrize("circular", [False, True])
def test_gradcheck_and_opcheck(circular):
    p, q = (h.requires_grad_() for h in histograms(3, 9, equal_mass=False))
    for order in (1, 2):
        assert torch.autograd.gradcheck(lambda p, q, order=order: emd(p, q, circular=circular, order=order), (p, q))
    assert torch.autograd.gradcheck(lambda p, q: squared_emd(p, q, circular=circular), (p, q))
    torch.library.opcheck(OPERATOR.op, (p, q, circular, "torch"))


def test_shapes_and_dtypes():
    p, q = histograms(2, 1, 9)[0], histograms(3, 9)[1]
    assert squared_emd(p, q).shape == emd(p, q, order=1).shape == (2, 3)
    assert emd(p[0, 0], q[0]).shape == ()
    assert emd(p.half(), q.half()).dtype == torch.float32
    assert squared_emd(torch.rand(0, 5), torch.rand(0, 5), circular=True).shape == (0,)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: emd(torch.rand(3), torch.rand(3), order=3), ValueError, "order must be 1 or 2, got 3"),
        (lambda: emd(torch.rand(3), torch.rand(4)), ValueError, "q must be as long as p, expected 3"),
        (lambda: emd(torch.rand(0), torch.rand(0)), ValueError, "p must have at least one bin"),
        (lambda: emd(torch.rand(3), torch.rand(3), circular=None), TypeError, "circular must be True or False, got None"),
        (lambda: squared_emd(torch.rand(3), [0.1]), TypeError, "q must be a torch.Tensor, got list"),
        (lambda: squared_emd(torch.ones(3, dtype=torch.int64), torch.rand(3)), TypeError, "p must be a floating tensor"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_second_derivative_raises():
    p, q = (h.requires_grad_() for h in histograms(9))
    (slope,) = torch.autograd.grad(squared_emd(p, q), p, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiable once only"):
        torch.autograd.grad(slope.sum(), p)
