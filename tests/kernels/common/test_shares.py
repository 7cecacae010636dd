"""Weights as shares: rounded once, gradients too, in few passes.

Expected values are formed in NumPy's longdouble, 64 bits of mantissa, from the weights as they are.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from huenet.kernels.common.arguments import shares
from huenet.kernels.common.shares import normalised

#: float32 results are float64 ones rounded once, 2^-24 and a little; those themselves are off by a sum's rounding, of 10^5 at most
#: in torch's blocks, and a division's
ROUNDING = {torch.float32: 2.0**-24 * (1 + 1e-6), torch.float64: 64 * 2.0**-53}
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def exactly(weights: Tensor, grad: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Shares, and the gradient for one of them, grad."""
    w, g = (x.detach().double().numpy().astype(np.longdouble) for x in (weights, grad))
    total = w.sum(-1, keepdims=True)
    return w / total, (g - (g * (w / total)).sum(-1, keepdims=True)) / total


@DTYPES
@pytest.mark.parametrize("given", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("count", [1, 7, 1000, 100_000])
@pytest.mark.parametrize("size", [1e-37, 1.0, 1e35, "most"])
def test_rounded_once(dtype, given, count, size):
    """Sizes whose sums overflow or vanish in the weights' own dtype are among them, as for float64 1e300."""
    scale = (1e300 if given == torch.float64 else 1e38) if size == "most" else size
    weights = ((0.1 + drawn(2, count)) * scale).to(given)
    # nearly constant: the gradient's two parts cancel but for 1e-4 of them
    grad = (1 + 1e-4 * drawn(2, count, seed=1)).to(dtype)
    leaf = weights.clone().requires_grad_()
    result = normalised(leaf, dtype)
    result.backward(grad)
    expected, slope = exactly(weights, grad)
    assert result.dtype == dtype and leaf.grad.dtype == given
    assert (np.abs(result.detach().double().numpy() - expected) <= ROUNDING[dtype] * expected).all()
    parts = (np.abs(grad.double().numpy()) / weights.double().numpy().astype(np.longdouble).sum(-1, keepdims=True)).max()
    tiny = torch.finfo(given).smallest_normal * torch.finfo(given).eps
    allowed = ROUNDING[given] * np.abs(slope) + 2 * ROUNDING[torch.float64] * parts + tiny
    assert (np.abs(leaf.grad.double().numpy() - slope) <= allowed).all()


@pytest.mark.parametrize("requires_grad", [False, True])
def test_rows_without_weight_and_with_bad_ones(requires_grad):
    rows = torch.tensor([[0.0, 0.0, 0.0], [1.0, -2.0, 1.0], [1.0, torch.inf, 1.0], [1.0, torch.nan, 1.0], [1.0, 2.0, 1.0]])
    weights = rows.requires_grad_(requires_grad)
    result = normalised(weights, torch.float32)
    assert result[:2].eq(0).all() and result[2:4].isnan().all() and result[4].tolist() == [0.25, 0.5, 0.25]
    if requires_grad:
        result[:, 0].sum().backward()
        assert weights.grad[:2].eq(0).all() and weights.grad[2:4].isnan().all()
        torch.testing.assert_close(weights.grad[4], torch.tensor([3, -1, -1]) / 16, rtol=2**-23, atol=0)


def test_any_number_of_derivatives_and_torch_func():
    weights = drawn(2, 4) + 0.1
    call = lambda w: normalised(w, torch.float64)  # noqa: E731
    leaf = weights.clone().requires_grad_()
    assert torch.autograd.gradcheck(call, leaf) and torch.autograd.gradgradcheck(call, leaf)
    loss = lambda w: call(w).square().sum()  # noqa: E731
    (slope,) = torch.autograd.grad(loss(leaf), leaf)
    torch.testing.assert_close(torch.func.grad(loss)(weights), slope)
    torch.testing.assert_close(torch.func.vmap(call)(weights), call(weights))
    _, along = torch.func.jvp(loss, (weights,), (torch.ones_like(weights),))
    torch.testing.assert_close(along, slope.sum())
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(weights, torch.ones_like(weights))
        torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(loss(dual)).tangent, slope.sum())


def test_compiled_it_is_the_same():
    compiled = torch.compile(lambda w: normalised(w, torch.float32), fullgraph=True, backend="aot_eager")
    (one, of_one), (other, of_other) = (
        (result := call(leaf), torch.autograd.grad(result.square().sum(), leaf)[0])
        for call in (compiled, lambda w: normalised(w, torch.float32))
        for leaf in [(drawn(2, 50).float() + 0.1).requires_grad_()]
    )
    torch.testing.assert_close(one, other, rtol=2**-23, atol=0)
    torch.testing.assert_close(of_one, of_other, rtol=2**-22, atol=2**-22 * of_other.abs().max().item())


class Passes(TorchDispatchMode):
    """Counts operations that read or write `count` numbers; views do neither."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count, self.names = count, []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        moved = [x for x in (*arguments, *(options or {}).values(), result) if isinstance(x, Tensor) and x.numel() >= self.count]
        if moved and not function.is_view and "empty" not in str(function):
            self.names.append(str(function))
        return result


@DTYPES
@pytest.mark.parametrize("differentiated", [False, True])
def test_passes_over_the_weights(dtype, differentiated):
    x, weights = drawn(2, 1000).to(dtype), drawn(2, 1000, seed=1).to(dtype).requires_grad_(differentiated)
    with Passes(2000) as forward:
        result = shares(x, weights)
    assert 2 <= len(forward.names) <= 3, forward.names
    if differentiated:
        grad = torch.ones_like(result)
        with Passes(2000) as backward:
            torch.autograd.grad(result, weights, grad)
        assert 2 <= len(backward.names) <= 3, backward.names
