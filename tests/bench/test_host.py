"""What a call costs the host is done once: counts, as times on a busy machine tell little. And the command that times it."""

from __future__ import annotations

import functools
import os
from collections import Counter
from typing import Any

import pytest
import torch

pytest.importorskip("triton")
if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("interpreted kernels are not launched", allow_module_level=True)

import triton
import triton.language as tl
from triton.runtime.jit import JITFunction

from bench import host
from bench.__main__ import main
from huenet.kernels import Bins
from huenet.kernels.common.jit import axis
from huenet.kernels.squared_mutual_information import fused
from huenet.kernels.squared_mutual_information.estimator import Estimator

CASES = pytest.mark.parametrize("case", host.cases(), ids=lambda case: case.operator)
#: what Triton's functions for kernels and host alike go through
WRAPPED = type(triton.cdiv)


def counted(monkeypatch: pytest.MonkeyPatch, calls: Counter[str], owner: Any, name: str) -> None:
    """Count calls of a method from now on."""
    method = getattr(owner, name)

    @functools.wraps(method)
    def counting(*arguments: Any, **named: Any) -> Any:
        calls[name] += 1
        return method(*arguments, **named)

    monkeypatch.setattr(owner, name, counting)


@CASES
def test_later_calls_find_all_that_the_first_has_made(case, monkeypatch) -> None:
    """Bins are new ones at every call; kernels, constants and numbers are the first call's."""
    caches = Bins.from_spec, Estimator.from_spec, axis.make_axis, axis._is_tiled, fused.make_centers
    call, calls = host.prepared(case), Counter()
    with host.without_device() as launched:
        call.backward(call.forward())
        first = list(launched)
        launched.clear()
        for owner, name in ((tl.constexpr, "__hash__"), (WRAPPED, "__call__"), (JITFunction, "_do_compile")):
            counted(monkeypatch, calls, owner, name)
        missed = [cache.cache_info().misses for cache in caches]
        call.backward(call.forward())
    assert launched == first and first
    assert calls == {}, "hashed fields of constants, called Triton's functions for sizes, or compiled"
    assert [cache.cache_info().misses for cache in caches] == missed


def test_what_is_counted_is_seen(monkeypatch) -> None:
    calls = Counter()
    counted(monkeypatch, calls, tl.constexpr, "__hash__")
    counted(monkeypatch, calls, WRAPPED, "__call__")
    hash(tl.constexpr(3))
    triton.cdiv(7, 2)
    assert calls == {"__hash__": 1, "__call__": 1}


def test_constants_are_hashed_once_and_like_equal_ones() -> None:
    bins = Bins(256, boundary="circular")
    one, other = (axis.make_axis.__wrapped__(bins, torch.float32) for _ in "xy")
    assert one is not other and one == other and hash(one) == hash(other)
    assert one.frozen is one.frozen and one.frozen.NUMBERS.value is None and one.without_numbers.NUMBERS is None


def test_nothing_of_the_stub_stays() -> None:
    driver, run = triton.runtime.driver._active, JITFunction.run
    host.prepared(host.cases()[0])
    assert triton.runtime.driver._active is driver and JITFunction.run is run


def test_the_command_prints_every_operator_and_what_is_left_out(capsys) -> None:
    assert main(["host", "--seconds", "1e-6"]) == 0
    printed = capsys.readouterr().out
    assert all(f"| {case.operator} |" in printed for case in host.cases())
    assert "Left out" in printed
    assert main(["host", "--seconds", "0"]) == 2
