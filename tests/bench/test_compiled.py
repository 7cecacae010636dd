"""The Triton kernels compile for GPUs that are not there: without spills or float64, and with matrix units where meant."""

from __future__ import annotations

import os

import pytest

pytest.importorskip("triton")
if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("interpreted kernels cannot be compiled", allow_module_level=True)

from bench.compiled import SHARED_LIMIT, TARGETS, compile_kernel, kernels

PRODUCTS = ("soft forward", "soft backward", "joint forward", "joint backward", "patch forward", "patch backward")


@pytest.mark.parametrize("target", list(TARGETS))
@pytest.mark.parametrize("name", list(kernels("ieee")))
def test_compiles_to_what_is_meant(name: str, target: str) -> None:
    built = compile_kernel(name, target)
    assert built.spills == 0
    assert built.float64 == 0
    assert built.shared <= SHARED_LIMIT
    if target.startswith("sm"):  # on AMD, exact float32 products may be plain fused multiply-adds
        assert (built.matrix > 0) == (name in PRODUCTS)
