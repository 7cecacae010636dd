"""Tests of the Triton kernels in Triton's interpreter, which must be chosen before they are imported and so needs a process of its
own: `TRITON_INTERPRET=1 python -m pytest tests/interpreted`, as `make test` does."""

from __future__ import annotations

import importlib
import os

import pytest

from tests.poison import poison

collect_ignore_glob = [] if os.environ.get("TRITON_INTERPRET") == "1" else ["test_*.py"]

#: blocks for some dozens of samples: the interpreter's time goes by the number of programs and of their steps
SMALL = {
    "joint_histogram.order": {"STRETCH": 64, "SEGMENT": 32},
    "soft_histogram.fused": {"PROGRAMS": 4, "BN": 16, "PARTS_AT_ONCE": 2},
    "joint_histogram.fused": {"FORWARD_BN": 16, "BACKWARD_BN": 16, "SEGMENT": 32, "FOLD": 128},
    "mutual_information.fused": {"FOLD": 128, "AT_ONCE": 2},
    "common.jit.dense": {"PROGRAMS": 4, "BN": 16},
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, constants in SMALL.items():
        module = importlib.import_module(f"huenet.kernels.{name}")
        for constant, value in constants.items():
            monkeypatch.setattr(module, constant, value)


@pytest.fixture(autouse=True)
def poisoned_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch)


def pytest_report_header() -> str:
    return "backend: triton, interpreted on the CPU"
