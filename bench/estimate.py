"""How long an NVIDIA GPU would take for what was compiled: an estimate from counts, for want of a measurement.

A kernel's time is the largest of three, and a launch:

    issue     instructions of all warps, one a clock for each of a multiprocessor's four schedulers
    special   of these, exponentials, logarithms and roots: 16 threads a clock and multiprocessor
    bytes     all tensors that the kernel is given, once, at the memory's full speed
    launch    2 us, what a kernel takes that does nothing

A program issues what stands outside its longest innermost loop once, and the loop as often as it takes to go through its share of
the work. Programs come in waves: as many at a time as registers, shared memory and warps allow. The last wave takes as long as a
full one, and of fewer programs than fill the schedulers each keeps its own busy, no more. Latencies, caches and conflicts are left
out, and so are PyTorch's own kernels between ours, and the host.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from huenet.kernels.common.jit.launch import Launch

#: schedulers of a multiprocessor, threads of a warp, special functions a clock, seconds of a launch
SCHEDULERS, WARP, SPECIAL, LAUNCH = 4, 32, 16, 2e-6
#: what the programs of a multiprocessor share (Hopper's; other generations differ in shared memory by a quarter): warps, programs,
#: registers, bytes of shared memory
WARPS, PROGRAMS, REGISTERS, SHARED = 64, 32, 65536, 227 * 1024


class Device(NamedTuple):
    """From the vendor's data sheet."""

    name: str
    multiprocessors: int
    #: boost clock in Hz
    clock: float
    #: bytes a second
    bandwidth: float


DEVICES = {
    "sm_80": Device("A100 80 GB", 108, 1.41e9, 2.04e12),
    "sm_90": Device("H200", 132, 1.98e9, 4.8e12),
    "sm_100": Device("B200", 148, 1.965e9, 8.0e12),
}


@dataclass(frozen=True)
class Counts:
    """Of a compiled kernel: registers of a thread, bytes of shared memory, instructions of a warp in all and in the loop."""

    registers: int
    shared: int
    instructions: int
    loop: int
    special: int
    special_loop: int


class Estimate(NamedTuple):
    """Seconds by each bound, and how many waves there are."""

    issue: float
    special: float
    bytes: float
    waves: float

    @property
    def seconds(self) -> float:
        return max(self.issue, self.special, self.bytes) + LAUNCH

    @property
    def bound(self) -> str:
        """What the time is mostly made of."""
        bounds = {"issue": self.issue, "special": self.special, "bytes": self.bytes, "launch": LAUNCH}
        return max(bounds, key=bounds.get)


def estimate(launch: Launch, counts: Counts, device: Device) -> Estimate:
    """What a launch would take."""
    turns = launch.work.total / launch.work.turn / launch.programs if counts.loop else 0.0
    issued = (counts.instructions - counts.loop + counts.loop * turns) * launch.warps
    special = (counts.special - counts.special_loop + counts.special_loop * turns) * launch.warps
    at_a_time = device.multiprocessors * _resident(launch.warps, counts)
    waves = launch.programs / at_a_time
    # programs that a multiprocessor goes through, as if the last wave were full, and the share of its schedulers that have a warp
    programs = math.ceil(waves) * at_a_time if waves > 1 else launch.programs
    busy = min(1.0, launch.programs * launch.warps / (device.multiprocessors * SCHEDULERS))
    rate = device.multiprocessors * device.clock * busy
    moved = sum(given.numel() * given.element_size() for given in launch.arguments if isinstance(given, Tensor))
    return Estimate(
        programs * issued / (SCHEDULERS * rate), programs * special * (WARP / SPECIAL) / rate, moved / device.bandwidth, waves
    )


def _resident(warps: int, counts: Counts) -> int:
    """Programs that a multiprocessor has at a time."""
    by_registers = REGISTERS // (max(counts.registers, 1) * WARP * warps)
    return max(1, min(WARPS // warps, PROGRAMS, by_registers, SHARED // max(counts.shared, 1)))
