"""The Triton kernels compile for a GPU that is not there: without spills, with float64 and matrix units where meant only.

One target stands for four here; `python -m bench compile` goes through all of them, and through every variant of every kernel.
"""

from __future__ import annotations

import os

import pytest
import torch

pytest.importorskip("triton")
if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("interpreted kernels cannot be compiled", allow_module_level=True)

from bench.compiled import SHARED_LIMIT, Kernel, build, compile_kernel, distinct, kernels, launched
from huenet.kernels.common.cases import declared

TARGET = "sm_90"
EVERY = [module.CASES for module in declared().values() if module.CASES.compiled]


def first(cases) -> str:
    return next(iter(cases.compiled))


#: every kernel of the benchmark's case, and of the variants those that hold most on chip
KERNELS = [
    kernel for kernel in distinct(launched()) if kernel.variant in map(first, EVERY) or "PRECISION" in kernel.launch.constants
]
DOUBLE = distinct(kernel for cases in EVERY for kernel in kernels(cases, first(cases), dtype=torch.float64))


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_compiles_to_what_is_meant(kernel: Kernel) -> None:
    built = compile_kernel(kernel, TARGET)
    assert built.spills == 0
    assert (built.float64 > 0) == kernel.exact
    assert built.shared <= SHARED_LIMIT
    assert built.atomics == 0
    assert (built.matrix > 0) == kernel.matrix


@pytest.mark.parametrize("kernel", DOUBLE, ids=lambda kernel: kernel.name)
def test_double_precision_never_passes_through_single(kernel: Kernel) -> None:
    """A number handed to a kernel is a float32 there, which the interpreter does not show."""
    code = build(kernel, TARGET).asm["ptx"]
    assert "cvt.f64.f32" not in code
    assert "cvt.rn.f32.f64" not in code


def test_every_operator_with_kernels_is_compiled() -> None:
    assert {kernel.operator for kernel in KERNELS} == {cases.name for cases in EVERY}
    assert len(EVERY) == 9
