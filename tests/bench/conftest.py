"""A tiny run of the benchmark, made up, for what reads runs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from bench.providers import PROVIDERS
from tests.bench.made_up import row


@pytest.fixture
def make_results() -> Callable[..., dict[str, Any]]:
    """Results of one case with the rows given, by provider."""

    def make(**rows: dict[str, Any]) -> dict[str, Any]:
        case = {"operator": "soft_histogram", "side": 64, "batch": 1, "bins": 256, "bandwidth": 0.4, "dtype": "float32"}
        case |= {"stride": 8, "image": "noise", "tier": "all", "label": "64x64, batch 1, K=256", "rows": copy.deepcopy(rows)}
        return {
            "schema": 1,
            "suite": "cpu",
            "date": "2026-01-02T03:04:05+00:00",
            "machine": {"device": "cpu", "name": "a processor", "threads": 2, "cores": 2, "load": 0.1},
            "versions": {"torch": "2.13.0"},
            "commit": "0123456789abcdef",
            "dirty": False,
            "effort": {},
            "photos": "none",
            "rates": {"bandwidth": 1e10, "float32": 1e11},
            "providers": {
                name: {"unavailable": "MONAI is not installed" if name == "monai" else None, "version": ""} for name in PROVIDERS
            },
            "cases": [case],
            "seconds": 90.0,
        }

    return make


@pytest.fixture
def results(make_results: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """huenet's torch, a slower naive, and a kornia that gave wrong numbers."""
    wrong = {"status": "wrong", "reason": "the gradient of x is off by 3.0e-01"}
    return make_results(torch=row(2.0), naive=row(80.0, 160 << 20), kornia=wrong)
