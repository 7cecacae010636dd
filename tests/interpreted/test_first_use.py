"""Kernels are checked when they are first used, here in the interpreter, where that must be asked for."""

from __future__ import annotations

import importlib
import re
import warnings

import pytest
import torch

from huenet.kernels import soft_histogram
from huenet.kernels.common import backends, first_use
from huenet.kernels.common.cases import Cases, declared
from huenet.kernels.soft_histogram import OPERATOR
from tests.kernels.strategies import samples

FUSED = [module.CASES for module in declared().values() if module.CASES.compiled]
KERNELS = importlib.import_module("huenet.kernels.soft_histogram.fused")


@pytest.fixture(autouse=True)
def asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is known yet, nor afterwards."""
    monkeypatch.setenv("HUENET_CHECK", "1")
    monkeypatch.setattr(first_use, "SAMPLES", 40)
    for cases in FUSED:
        monkeypatch.setattr(cases.operator, "_checked", {})
    backends.warn_once.cache_clear()


@pytest.fixture
def wrong_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose responses are off by a thousandth."""
    forward = KERNELS.forward
    monkeypatch.setattr(KERNELS, "forward", lambda *arguments: forward(*arguments) * 1.001)


@pytest.mark.parametrize("cases", FUSED, ids=lambda cases: cases.name)
def test_right_kernels_are_trusted(cases: Cases, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an error of at most a tenth of what is allowed, so that no honest GPU is told off."""
    monkeypatch.setattr(first_use, "BOUND", first_use.BOUND / 10)
    settings = next(iter(cases.settings.values()))
    cases.run(cases.draw(settings, cases.small, 2, torch.float32), "triton", settings)
    assert cases.operator._checked == {torch.device("cpu"): None}


def test_wrong_kernels_do_not_serve(wrong_kernels: None) -> None:
    x = samples(2, 30).float().requires_grad_()
    with pytest.raises(ValueError, match=r"'triton' of soft_histogram differs from backend 'torch' by 1\.0e-03 of the norm"):
        soft_histogram(x, 64, backend="triton")
    with pytest.raises(ValueError, match=re.escape(f"on cpu with torch {torch.__version__}, triton")):
        soft_histogram(x, 32, backend="triton")


def test_one_warning_and_the_other_backend(wrong_kernels: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody asked for them: on a GPU, which the device is taken for here."""
    x = samples(2, 30).float().requires_grad_()
    choose = backends.choose_backend

    def as_on_a_gpu(backend, tensor, unserved):
        if backend is not None:
            return choose(backend, tensor, unserved)
        try:
            return choose("triton", tensor, unserved)
        except ValueError as error:
            backends.warn_once(str(error))
            return "torch"

    monkeypatch.setattr("huenet.kernels.common.operator.choose_backend", as_on_a_gpu)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = [soft_histogram(x, 64) for _ in range(3)]
    (caught,) = (warning for warning in caught if warning.category is not DeprecationWarning)  # the interpreter's
    assert "soft_histogram differs" in str(caught.message)
    assert torch.equal(results[0], soft_histogram(x, 64, backend="torch"))
    results[0].square().sum().backward()


def test_kernels_that_cannot_run_do_not_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("out of resource: shared memory")

    monkeypatch.setattr(KERNELS, "forward", broken)
    with pytest.raises(ValueError, match="soft_histogram raised RuntimeError: out of resource: shared memory, on cpu"):
        soft_histogram(samples(2, 30), 64, backend="triton")


def test_values_that_are_not_finite_are_no_reason() -> None:
    x = samples(2, 30)
    x[0, 3], x[0, 4] = torch.nan, torch.inf
    soft_histogram(x, 64, backend="triton")
    assert OPERATOR._checked == {torch.device("cpu"): None}


@pytest.mark.parametrize("value", ["0", None])
def test_not_unless_asked_in_the_interpreter(wrong_kernels: None, value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is None:
        monkeypatch.delenv("HUENET_CHECK")
    else:
        monkeypatch.setenv("HUENET_CHECK", value)
    soft_histogram(samples(2, 30), 64, backend="triton")
    assert not OPERATOR._checked
