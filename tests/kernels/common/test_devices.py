"""Any torch device: shapes on `meta`, budgets for a type that nobody has heard of, and an error that says what a device lacks."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from huenet.kernels import Bins
from huenet.kernels.common import devices
from huenet.kernels.common.cases import declared
from huenet.kernels.common.devices import budget, full_precision, one_core

CASES = [module.CASES for module in declared().values()]


@pytest.mark.parametrize("cases", CASES, ids=lambda cases: cases.name)
def test_shapes_on_meta(cases):
    settings = next(iter(cases.settings.values()))
    here = cases.draw(settings, cases.small, 2)
    expected = cases.run(here, "torch", settings)
    there = [tensor.to("meta").requires_grad_() for tensor in here]
    result = cases.run(there, None, settings)
    assert result.device.type == "meta" and result.shape == expected.shape and result.dtype == expected.dtype
    grads = torch.autograd.grad(result, there, torch.ones_like(result))
    assert [grad.shape for grad in grads] == [tensor.shape for tensor in here]


def test_budgets_know_every_device():
    for kind, expected in (("cpu", 1), ("cuda", 2), ("xpu", 2), ("no such device", 2)):
        assert budget(SimpleNamespace(device=SimpleNamespace(type=kind)), 1, 2) == expected


@pytest.mark.parametrize("cases", CASES, ids=lambda cases: cases.name)
def test_the_budget_of_other_devices_gives_the_same(cases, monkeypatch):
    settings = next(iter(cases.settings.values()))
    given = cases.draw(settings, cases.small, 2)
    expected = cases.run(given, "torch", settings)
    original = devices.budget
    for module in declared().values():
        package = __import__(module.__name__.rpartition(".")[0] + ".portable", fromlist=["budget"])
        if hasattr(package, "budget"):
            monkeypatch.setattr(package, "budget", lambda like, cpu, accelerator: accelerator)
    from huenet.kernels.common import cells
    from huenet.kernels.joint_histogram import product, runs
    from huenet.kernels.soft_histogram import tiled

    for module in (cells, tiled, product, runs):
        monkeypatch.setattr(module, "budget", lambda like, cpu, accelerator: original(like, accelerator, accelerator))
    torch.testing.assert_close(cases.run(given, "torch", settings), expected, rtol=1e-12, atol=0)


def test_autocast_is_left_alone_where_there_is_none():
    with full_precision(torch.empty(1, device="meta")):
        pass


def test_one_core_is_given_back():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with pytest.raises(ValueError, match="from within"), one_core():
            assert torch.get_num_threads() == 1
            raise ValueError("from within")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_device_without_float64_is_an_error_that_says_so(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64.")

    devices._no_float64.cache_clear()
    monkeypatch.setattr(torch, "empty", refuse)
    with pytest.raises(RuntimeError, match=r"device that has float64, got cpu \(Cannot convert a MPS Tensor.*move them to the CPU"):
        devices.check_float64(torch.zeros(1))
    devices._no_float64.cache_clear()
    assert Bins(2).count == 2
