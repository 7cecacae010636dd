"""Tests of the Triton kernels on a GPU. They need torch, triton, numpy and pytest only, so without the plugins of `pyproject.toml`:

    python -m pytest -o addopts="--import-mode=importlib -ra --strict-markers" tests/gpu

Most of the time goes into compiling; the files share nothing, so that each can have a process of its own.
"""

from __future__ import annotations

import pytest
import torch

from tests.gpu.cases import DEVICE
from tests.poison import poison


@pytest.fixture(autouse=True)
def device() -> None:
    if DEVICE.type == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU, and torch finds none")


@pytest.fixture
def poisoned_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch)


def pytest_report_header() -> str:
    return f"GPU: {torch.cuda.get_device_name() if torch.cuda.is_available() else 'none'}"
