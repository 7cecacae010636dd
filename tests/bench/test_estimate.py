"""The compile report's model of a GPU, on made-up kernels whose times can be worked out by hand."""

from __future__ import annotations

import pytest
import torch

from bench.estimate import LAUNCH, Counts, Device, estimate

pytest.importorskip("triton")
from huenet.kernels.common.jit.launch import Launch, Work

#: two multiprocessors of a billion clocks a second
SMALL = Device("made up", 2, 1e9, 1e9)


def launch(programs: int, total: int, turn: int = 10, warps: int = 4, tensors: tuple[torch.Tensor, ...] = ()) -> Launch:
    return Launch(None, programs, tensors, {}, {}, warps, Work("sample", turn, total))


def counts(**given: int) -> Counts:
    return Counts(**{"registers": 32, "shared": 0, "instructions": 100, "loop": 0, "special": 0, "special_loop": 0, **given})


def test_instructions_outside_and_inside_the_loop():
    # 2 programs of 4 warps on 8 schedulers: each warp has one; 1,000 samples a program, 10 a turn
    found = estimate(launch(2, total=2000), counts(instructions=130, loop=50), SMALL)
    assert found.issue == pytest.approx((80 + 50 * 100) * 1e-9)
    assert found.seconds == pytest.approx(found.issue + LAUNCH)
    assert found.bound == "issue"


def test_special_functions_take_two_clocks_a_warp():
    found = estimate(launch(2, total=2000), counts(instructions=130, loop=50, special=30, special_loop=20), SMALL)
    assert found.special == pytest.approx((10 + 20 * 100) * 4 * 2 * 1e-9)
    assert found.bound == "special"


def test_bytes_of_all_tensors():
    found = estimate(launch(2, 20, tensors=(torch.empty(1000), torch.empty(500, dtype=torch.float64))), counts(), SMALL)
    assert found.bytes == pytest.approx(8000 / 1e9)


def test_what_does_nothing_is_a_launch():
    assert estimate(launch(1, 1), counts(instructions=1), SMALL).bound == "launch"


def test_the_last_wave_takes_as_long_as_a_full_one():
    # 16 programs of 4 warps to a multiprocessor, 32 at a time: 33 take two waves
    full, one_more = (estimate(launch(programs, total=programs), counts(), SMALL) for programs in (32, 33))
    assert full.waves == 1.0
    assert one_more.issue == pytest.approx(2 * full.issue)


@pytest.mark.parametrize("given, at_a_time", [({"registers": 255}, 4), ({"shared": 100 * 1024}, 4), ({}, 32)])
def test_registers_and_shared_memory_limit_what_runs_at_a_time(given, at_a_time):
    assert estimate(launch(at_a_time, at_a_time), counts(**given), SMALL).waves == 1.0


def test_few_programs_leave_schedulers_idle():
    alone, both = (estimate(launch(programs, total=programs, warps=1), counts(), SMALL) for programs in (1, 8))
    assert alone.issue == pytest.approx(both.issue) == pytest.approx(100e-9)
