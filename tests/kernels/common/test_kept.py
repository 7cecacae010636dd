"""Tensors that are made once serve whoever comes later, in whatever mode they were made."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from huenet.kernels import squared_mutual_information
from huenet.kernels.common.kept import kept_tensors
from huenet.kernels.squared_mutual_information import estimator as rsmi

CPU = torch.device("cpu")


@pytest.fixture
def made() -> list[int]:
    return []


@pytest.fixture
def ramp(made):
    @kept_tensors(maxsize=2)
    def ramp(count: int, device: torch.device) -> Tensor:
        made.append(count)
        return torch.arange(count, dtype=torch.float64, device=device)

    return ramp


def test_the_latest_are_kept_and_no_more(ramp, made):
    assert ramp(3, CPU) is ramp(3, CPU) and made == [3]
    ramp(4, CPU), ramp(5, CPU)
    assert list(ramp.kept) == [(4, CPU), (5, CPU)]
    assert torch.equal(ramp(3, CPU), torch.arange(3.0, dtype=torch.float64)) and made == [3, 4, 5, 3]


def test_made_in_inference_mode_they_serve_autograd(ramp):
    with torch.inference_mode():
        assert not ramp(3, CPU).is_inference()
    x = torch.ones(3, dtype=torch.float64, requires_grad=True)
    (x * ramp(3, CPU)).sum().backward()  # saves it, which an inference tensor refuses
    assert x.grad.tolist() == [0, 1, 2]


def test_made_of_what_requires_grad_they_do_not(made):
    weight = torch.ones(3, requires_grad=True)
    doubled = kept_tensors(maxsize=1)(lambda: 2 * weight)
    assert not doubled().requires_grad


def test_fake_tensors_are_not_kept_and_get_none(ramp):
    with FakeTensorMode():
        assert isinstance(ramp(3, CPU), FakeTensor)
    assert not ramp.kept
    real = ramp(3, CPU)
    with FakeTensorMode():
        assert isinstance(ramp(3, CPU), FakeTensor)
    assert ramp(3, CPU) is real


def test_traced_ones_are_not_kept(ramp):
    compiled = torch.compile(lambda x: x * ramp(3, CPU), backend="aot_eager")
    torch.testing.assert_close(compiled(torch.ones(3)), torch.arange(3.0, dtype=torch.float64))
    assert all(type(tensor) is Tensor for tensor in ramp.kept.values())


def test_rsmi_makes_its_grid_once(monkeypatch):
    monkeypatch.setattr(rsmi, "_grid", kept_tensors(maxsize=64)(rsmi._grid.__wrapped__))
    x, y = (torch.linspace(-1, 1, 20).roll(shift).requires_grad_() for shift in (0, 3))
    with torch.inference_mode():
        expected = squared_mutual_information(x, y)
    for _ in range(3):
        value = squared_mutual_information(x, y)
        value.backward()
    assert torch.equal(value, expected) and x.grad.isfinite().all()
    assert len(rsmi._grid.kept) == 1
    squared_mutual_information(x, y, sigma=0.9)
    assert len(rsmi._grid.kept) == 2
