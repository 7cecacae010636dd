"""Quantiles, blocks of calls and their memory."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from bench.memory import available, with_peak
from bench.timing import Call, quantiles, times_on_cpu


def test_quantiles_by_hand() -> None:
    found = quantiles([float(value) for value in range(11)])
    assert found == {"min": 0, "p10": 1, "p25": 2.5, "median": 5, "p75": 7.5, "p90": 9, "n": 11}
    with pytest.raises(ValueError, match="seconds"):
        quantiles([])


def test_a_block_times_forward_and_backward_of_every_call() -> None:
    made = []

    def run(given: SimpleNamespace) -> torch.Tensor:
        assert given.x.grad is None
        made.append(None)
        return given.x.square()

    call = Call(run, SimpleNamespace(x=torch.rand(8, requires_grad=True)), torch.ones(8))
    times = times_on_cpu(call, 0.0, least=3, most=10)
    assert len(times) == len(made) == 3
    assert all(forward > 0 and backward > 0 for forward, backward in times)
    assert len(times_on_cpu(call, 60.0, least=1, most=5)) == 5


def test_peak_memory_sees_what_is_freed_again() -> None:
    size = 32 << 20
    result, peak = with_peak(lambda: torch.ones(size, dtype=torch.uint8)[-1].item())
    assert result == 1
    if peak is None:
        pytest.skip("the system does not tell a process's peak memory")
    assert 0.9 * size < peak < 2 * size


def test_available_memory_is_a_number_on_linux() -> None:
    free = available()
    assert free is None or free > 0
