"""The Triton kernels compile for GPUs that are not there: without spills, with float64 and matrix units where meant only."""

from __future__ import annotations

import dataclasses
import os

import pytest

pytest.importorskip("triton")
if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("interpreted kernels cannot be compiled", allow_module_level=True)

import triton.language as tl

from bench.compile_cases import INDICES, Case, cases
from bench.compiled import SHARED_LIMIT, TARGETS, build, compile_case

CASES = cases()
#: every kernel for every target in the benchmark's configuration, and the others for one
PAIRS = [(case, target) for case in CASES for target in TARGETS if target == "sm_90" or "," not in case.name]
#: kernels of which there is a float64 version to look at
SINGLE = [case for case in CASES if "ACC" in case.constants and not case.exact and "," not in case.name]


@pytest.mark.parametrize("case, target", PAIRS, ids=[f"{case.name}-{target}" for case, target in PAIRS])
def test_compiles_to_what_is_meant(case: Case, target: str) -> None:
    built = compile_case(case, target)
    assert built.spills == 0
    assert (built.float64 > 0) == case.exact
    assert built.shared <= SHARED_LIMIT
    assert built.atomics == 0
    if target.startswith("sm") and not case.exact:  # on AMD, exact float32 products may be plain fused multiply-adds
        assert (built.matrix > 0) == case.matrix


@pytest.mark.parametrize(
    "case", [case for case in CASES if "ACC" in case.constants and not case.exact and "," not in case.name], ids=lambda c: c.name
)
def test_double_precision_never_passes_through_single(case: Case) -> None:
    """A number handed to a kernel is a float32 there, which the interpreter does not show."""
    pointers = {name: "*fp64" for name in case.function.arg_names if name.endswith("_ptr") and name not in INDICES}
    constants = {**case.constants, "ACC": tl.float64, **({"PRECISION": "ieee"} if "PRECISION" in case.constants else {})}
    code = build(dataclasses.replace(case, constants=constants, types={**pointers, **case.types}), "sm_90").asm["ptx"]
    assert "cvt.f64.f32" not in code
    assert "cvt.rn.f32.f64" not in code
