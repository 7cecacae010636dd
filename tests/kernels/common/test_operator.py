"""An operator is registered once: a toy operator, declared here as CONTRIBUTING.md says, has all that the others have."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
import torch.utils.checkpoint
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from huenet.kernels import Bins
from huenet.kernels.common.operator import Operator
from tests.kernels.strategies import gradients, samples


def forward(x: Tensor, gain: Tensor | None, bins: Bins, power: int) -> tuple[Tensor, Tensor]:
    """Sums of (gain x)^power in units of the range, with what the backward pass needs."""
    scaled = x / bins.high if gain is None else gain * x / bins.high
    return scaled.pow(power).sum(-1), scaled.pow(power - 1)


def backward(grad, x, gain, slopes, bins, power, needs):
    slope = grad[:, None] * power * slopes / bins.high
    grads = slope if gain is None else slope * gain, None if gain is None else slope * x
    return [made if need else x.new_empty(0) for made, need in zip(grads, needs)]


@pytest.fixture(scope="module")
def toy():
    """What a folder `kernels/toy` would hold. Registrations are for good, so there is one."""
    reference, portable = ModuleType("toy.reference"), ModuleType("toy.portable")
    reference.forward = lambda x, gain, bins, power: forward(x, gain, bins, power)[0]
    portable.forward, portable.backward = forward, backward
    portable.kept = lambda x, gain, bins, power: [torch.empty_like(x)]
    return Operator(
        "toy", "x gain?", {"bins": Bins, "power": int}, result=lambda x, *_: x.shape[:1],
        reference=reference, portable=portable, fused=False,
    )  # fmt: skip


BINS = Bins(4, 0.0, 2.0)
X, GAIN = samples(2, 5), samples(2, 5, seed=1)


@pytest.mark.parametrize("inputs", [[X], [X, GAIN]], ids=["without gain", "with gain"])
def test_backends_agree(toy, inputs):
    def call(backend):
        return lambda x, gain=None: toy(x, gain, BINS, 3, backend=backend)

    (result, slopes), (expected, expected_slopes) = gradients(call(None), inputs), gradients(call("reference"), inputs)
    torch.testing.assert_close(result, expected, rtol=0, atol=0)
    torch.testing.assert_close(slopes, expected_slopes, rtol=1e-15, atol=0)
    assert torch.autograd.gradcheck(call(None), [x.clone().requires_grad_() for x in inputs])


def test_it_is_an_op_that_may_be_traced(toy):
    x, gain = X.clone().requires_grad_(), GAIN.clone().requires_grad_()
    torch.library.opcheck(toy.op, (x, gain, BINS.spec, 3, ""))
    torch.library.opcheck(toy.op, (x, None, BINS.spec, 3, ""))
    compiled = torch.compile(lambda x: toy(x.square(), None, BINS, 3).sum(), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), forward(X.square(), None, BINS, 3)[0].sum())


def test_only_what_is_needed_is_differentiated(toy):
    x, gain = X.clone().requires_grad_(), GAIN.clone()
    toy(x, gain, BINS, 3).sum().backward()
    assert x.grad.any() and gain.grad is None


def test_it_is_differentiable_once(toy):
    x = X.clone().requires_grad_()
    (slope,) = torch.autograd.grad(toy(x, None, BINS, 3).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="huenet::toy_backward is differentiable once only"):
        slope.sum().backward()
    (slope,) = torch.autograd.grad(toy(x, None, BINS, 3, backend="reference").sum(), x, create_graph=True)
    slope.sum().backward()
    torch.testing.assert_close(x.grad, 6 * X / BINS.high**3)


class Seen(TorchDispatchMode):
    """The names of all operations."""

    def __init__(self) -> None:
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.names.add(str(function))
        return function(*arguments, **(options or {}))


def test_whoever_watches_sees_an_op(toy):
    x = X.clone().requires_grad_()
    (direct,) = torch.autograd.grad(toy(x, None, BINS, 3).sum(), x)
    with Seen() as seen:
        (watched,) = torch.autograd.grad(toy(x, None, BINS, 3).sum(), x)
    assert {"huenet.toy.default", "huenet.toy_backward.default"} <= seen.names
    assert torch.equal(direct, watched)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = toy(mode.from_tensor(X), None, BINS, 3)
    assert isinstance(fake, FakeTensor) and fake.shape == (2,)


def test_the_default_device_of_the_program_around_is_not_used(toy):
    expected = toy(X, None, BINS, 3)
    with torch.device("meta"):
        assert torch.equal(toy(X, None, BINS, 3), expected)


@pytest.mark.parametrize("inputs", [[X], [X, GAIN]], ids=["without gain", "with gain"])
def test_saved_tensors_may_be_packed_and_passes_repeated(toy, inputs):
    packed = []
    call = lambda x, gain=None: toy(x, gain, BINS, 3)  # noqa: E731
    expected, expected_slopes = gradients(call, inputs)
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: packed.append(tensor) or tensor.clone(), lambda tensor: tensor):
        _, slopes = gradients(call, inputs)
    assert len(packed) == len(inputs) + 2  # the result, and what is kept
    assert all(map(torch.equal, slopes, expected_slopes))
    result, slopes = gradients(lambda *given: torch.utils.checkpoint.checkpoint(call, *given, use_reentrant=False), inputs)
    assert torch.equal(result, expected) and all(map(torch.equal, slopes, expected_slopes))


def test_unknown_backends_and_forward_derivatives_are_errors(toy):
    with pytest.raises(ValueError, match="backend must be"):
        toy(X, None, BINS, 3, backend="cuda")
    with pytest.raises(RuntimeError, match="reference"):
        torch.func.grad(lambda x: toy(x, None, BINS, 3).sum())(X)


def test_autocast_is_off_inside(toy):
    seen = []
    portable = toy._portable
    original, portable.forward = portable.forward, lambda *given: seen.append(torch.is_autocast_enabled("cpu")) or forward(*given)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            toy(X, None, BINS, 3)
    finally:
        portable.forward = original
    assert seen == [False]
