"""Tests of the Triton kernels in Triton's interpreter, which must be chosen before they are imported and so needs a process of its
own: `TRITON_INTERPRET=1 python -m pytest tests/interpreted`, as `make test` does."""

from __future__ import annotations

import dataclasses
import importlib
import os
from collections.abc import Iterator
from types import FunctionType, ModuleType

import pytest

from tests.poison import poison

collect_ignore_glob = [] if os.environ.get("TRITON_INTERPRET") == "1" else ["test_*.py"]

#: blocks for some dozens of samples: the interpreter's time goes by the number of programs and of their steps
SMALL = {
    "joint_histogram.order": {"STRETCH": 32, "SHORTEST": 32, "LONGEST": 32, "SCANNED": 8},
    "soft_histogram.fused": {"PROGRAMS": 4, "BN": 16},
    "soft_histogram.table": {"PROGRAMS": 4, "BN": 16, "BLOCKS": 512},
    "joint_histogram.fused": {"FORWARD_BN": 16, "BACKWARD_BN": 16, "FOLD": 128},
    "joint_histogram.table": {"BN": 16, "BM": 128, "BC": 128, "BD": 128},
    "mutual_information.fused": {"FOLD": 128, "AT_ONCE": 2},
    "common.jit.dense": {"PROGRAMS": 4, "BN": 16},
}


@pytest.fixture(autouse=True, scope="session")
def interpreter() -> Iterator[ModuleType]:
    """Triton's interpreter patches its language again at every call of a device function, a third of its time here; once a launch
    and module is enough."""
    interpreter = importlib.import_module("triton.runtime.interpreter")
    patch_language, patched = interpreter._patch_lang, set()

    def patch_once(function: FunctionType) -> object:
        if id(function.__globals__) in patched:
            return None
        scope = patch_language(function)
        if not patched:  # a launch, the only one to restore what it patched
            restore = scope.restore
            scope.restore = lambda: (patched.clear(), restore())
        patched.add(id(function.__globals__))
        return scope

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreter, "_patch_lang", patch_once)
        yield interpreter


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch, interpreter: ModuleType) -> None:
    """And integer sums are not checked for overflow, a quarter of the time: test_shipped_blocks.py has them checked."""
    options = interpreter.interpreter_builder.options
    monkeypatch.setattr(interpreter.interpreter_builder, "options", dataclasses.replace(options, sanitize_overflow=False))
    for name, constants in SMALL.items():
        module = importlib.import_module(f"huenet.kernels.{name}")
        for constant, value in constants.items():
            monkeypatch.setattr(module, constant, value)


@pytest.fixture(autouse=True)
def poisoned_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch)


def pytest_report_header() -> str:
    return "backend: triton, interpreted on the CPU"
