"""Launching a kernel, or taking down how it would be launched.

A launcher calls `launch` with everything there is to say: kernel, programs, arguments, constants. Normally the kernel then runs.
Within `recorded` it does not: the launches are listed, for whoever wants to compile them for a GPU that is not there. Inputs may
then be on torch's `meta` device, which has shapes and no values.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..operator import Operator
from .constants import Constants


class Work(NamedTuple):
    """What a launch goes through, for reports: `total` of the units, `turn` of them in a turn of a program's longest loop (or in
    the program, if it has none)."""

    unit: str
    turn: int
    total: int


class Launch(NamedTuple):
    """One launch of a kernel on a grid of one axis, as the others allow only 65,535 programs."""

    kernel: Any
    programs: int
    #: the kernel's leading arguments: tensors, None, whole numbers
    arguments: tuple[Any, ...]
    #: named tuples of numbers (see numbers.py), by argument
    numbers: dict[str, Any]
    #: its compile-time constants, by name
    constants: dict[str, Any]
    warps: int
    work: Work

    @property
    def frozen(self) -> dict[str, Any]:
        """The constants as Triton's compiler wants them."""
        return {name: value.frozen if isinstance(value, Constants) else value for name, value in self.constants.items()}

    @property
    def keywords(self) -> dict[str, Any]:
        """Everything but the leading arguments."""
        return {**self.numbers, **self.frozen, "num_warps": self.warps}

    def run(self) -> None:
        self.kernel[(self.programs,)](*self.arguments, **self.keywords)


class _Recording(NamedTuple):
    launches: list[Launch]
    nvidia: bool


_recording: _Recording | None = None
#: pointers to what may begin anywhere: tensors that callers give, and rows of others
_ANYWHERE = {
    *("x_ptr", "y_ptr", "shares_ptr", "target_ptr", "scale_ptr", "own_ptr", "other_ptr"),
    *("minimum_ptr", "inverse_ptr", "others_ptr", "moment_ptr", "log_sum_ptr", "won_ptr", "away_ptr", "away_moment_ptr"),
    *("of_p_ptr", "of_q_ptr", "at_nearest_ptr"),
}
#: constants that have numbers, and the arguments by which kernels have these
_NUMBERS = {"A": "a", "X": "ax", "Y": "ay", "G": "g"}


@contextlib.contextmanager
def recorded(nvidia: bool = True) -> Iterator[list[Launch]]:
    """A list that takes down all launches within, none of which runs, as they would be on NVIDIA's or on AMD's GPUs: operators go
    through both passes of their kernels when they are called, wherever their inputs are."""
    global _recording
    _recording, Operator.rehearsing = _Recording([], nvidia), True
    try:
        yield _recording.launches
    finally:
        _recording, Operator.rehearsing = None, False


def kernel(function: Callable[..., None]) -> Any:
    """A kernel, one for all sizes and views: Triton would compile it anew for numbers and addresses that 16 divides, and for 1."""
    sizes = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if not name.endswith("_ptr") and parameter.annotation is inspect.Parameter.empty
    ]
    return triton.jit(function, do_not_specialize=sizes, do_not_specialize_on_alignment=sorted(_ANYWHERE))


def launch(kernel: Any, programs: int, *arguments: Any, work: Work, warps: int = 4, **constants: Any) -> None:
    """Run a kernel, or within `recorded` take it down. Of a constant with a field NUMBERS, such as an axis, these become
    an argument of their own."""
    numbers = {}
    for name, given in _NUMBERS.items():
        if name in constants:
            if given in kernel.arg_names:
                numbers[given] = constants[name].NUMBERS
            constants[name] = constants[name].without_numbers
    this = Launch(kernel, programs, arguments, numbers, constants, warps, work)
    if _recording is None:
        this.run()
    else:
        _recording.launches.append(this)


def accumulator(dtype: torch.dtype) -> tl.dtype:
    """The dtype that kernels compute samples of this dtype in."""
    return tl.float64 if dtype == torch.float64 else tl.float32


def precision(x: Tensor) -> str:
    """Of matrix products: a float32 in three tf32 parts, where there are such units; tf32 alone is too coarse."""
    nvidia = x.is_cuda and torch.version.hip is None if _recording is None else _recording.nvidia
    return "tf32x3" if nvidia and x.dtype == torch.float32 else "ieee"


def on_amd() -> bool:
    """Whether kernels are launched on AMD's GPUs."""
    return torch.version.hip is not None if _recording is None else not _recording.nvidia


def warps_of(threads: int) -> int:
    """Warps of so many threads; AMD's are twice as wide."""
    return threads // (64 if on_amd() else 32)
