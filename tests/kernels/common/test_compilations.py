"""How often Triton compiles: once for all ranges, sizes and batches. Launches go through Triton's own way from arguments to the key
of a kernel; only compiling and the device are left out."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton")
if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("interpreted kernels are not compiled", allow_module_level=True)

import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import JITFunction

from huenet.kernels import (
    Bins,
    contextual_similarity,
    harmonic_energy,
    histogram_emd,
    joint_histogram,
    mutual_information,
    patch_histogram,
    soft_histogram,
    squared_mutual_information,
)
from huenet.kernels.common.jit.launch import recorded

#: low, high: one of them zero, nice and not, below and above zero
RANGES = [(0.1234, 0.9876), (0.0, 1.0), (-1.0, 1.0), (-3.7, 11.1), (0.0, 255.0), (0.03125, 0.5), (-1e-3, 1e3)]
#: images, samples or points of each
SIZES = [(2, 1000), (1, 1), (1, 4096), (16, 16), (3, 333), (32, 65536)]


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Of every kernel that is compiled, its name and what Triton tells it by."""
    found: set[tuple[str, str]] = set()
    device = SimpleNamespace(
        get_current_target=lambda: GPUTarget("cuda", 90, 32), get_current_device=lambda: 0, get_current_stream=lambda _: 0
    )
    monkeypatch.setattr(triton.runtime.driver, "_active", device)
    monkeypatch.setattr(JITFunction, "_do_compile", lambda self, key, *_: found.add((f"{self.module}:{self.__name__}", key)))
    return found


def launch_all(call: Callable[..., Tensor], *inputs: Tensor) -> None:
    with recorded() as launches:
        call(*inputs)
    for launch in launches:
        launch.kernel.device_caches.clear()  # what is kept of them is for the device that is not there
        launch.kernel.run(*launch.arguments, grid=(launch.programs,), warmup=True, **launch.keywords)
        launch.kernel.device_caches.clear()


def blank(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def soft(bins: Bins, b: int, n: int, dtype: torch.dtype) -> None:
    launch_all(lambda x: soft_histogram(x, bins), blank(b, n, dtype=dtype))


def joint(bins: Bins, b: int, n: int, dtype: torch.dtype) -> None:
    launch_all(lambda x, y: joint_histogram(x, y, bins), *[blank(b, n, dtype=dtype) for _ in "xy"])


def information(bins: Bins, b: int, n: int, dtype: torch.dtype) -> None:
    launch_all(lambda x, y: mutual_information(x, y, bins).relative, *[blank(b, n, dtype=dtype) for _ in "xy"])


def earth_mover(bins: Bins, b: int, n: int, dtype: torch.dtype) -> None:
    launch_all(lambda x, t: histogram_emd(x, t, bins), blank(b, n, dtype=dtype), blank(b, bins.count, dtype=dtype))


def patches(bins: Bins, b: int, n: int, dtype: torch.dtype) -> None:
    side = max(int(n**0.5), 8)
    launch_all(lambda x: patch_histogram(x, bins, patch=8, stride=4), blank(b, 1, side, side, dtype=dtype))


ON_BINS = {function.__name__: function for function in (soft, joint, information, earth_mover, patches)}
FLOATS = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


@FLOATS
@pytest.mark.parametrize("bandwidth", [None, 0.7], ids=["natural", "other"])
@pytest.mark.parametrize("count, window", [(256, "logistic"), (200, "gaussian"), (16, "bspline")])
@pytest.mark.parametrize("operator", ON_BINS)
def test_one_set_for_all_ranges_sizes_and_batches(keys, operator, count, window, bandwidth, dtype):
    call = lambda low, high, b, n: ON_BINS[operator](Bins(count, low, high, bandwidth, "circular", window), b, n, dtype)  # noqa: E731
    call(*RANGES[0], *SIZES[0])
    first = set(keys)
    assert first
    for low, high in RANGES:
        call(low, high, *SIZES[0])
    for b, n in SIZES:
        call(*RANGES[0], b, n)
    assert keys == first


@FLOATS
def test_a_range_far_from_zero_has_the_other_set(keys, dtype):
    for low, high in [(10.1, 10.9), (1000.0, 1001.0), (-7.0, -6.5), (0.0, 1.0), (-1.0, 3.0)]:
        soft(Bins(256, low, high), 2, 1000, dtype)
    assert len(keys) == 2 * 4  # forward, fold, table, samples


@FLOATS
@pytest.mark.parametrize("boundary", ["open", "reflect", "circular"])
def test_bandwidths_have_few_sets(keys, boundary, dtype):
    """One for each of three reaches, in two of which narrow windows do not separate; one without tiles; and one for the natural
    bandwidth."""
    for step in range(1, 200):
        soft(Bins(256, bandwidth=0.02 * step, boundary=boundary), 2, 1000, dtype)
    assert len({key for key in keys if key[0].endswith("_forward_kernel")}) <= 7


@FLOATS
def test_settings_of_the_others(keys, dtype):
    points = [blank(2, 100, 3, dtype=dtype), blank(2, 90, 3, dtype=dtype)]
    images = [blank(2, 1000, dtype=dtype) for _ in "xy"]

    def every(sigma: float, points: list[Tensor], images: list[Tensor]) -> None:
        launch_all(lambda x, y: contextual_similarity(x, y, bandwidth=sigma, eps=sigma / 1e3), *points)
        launch_all(lambda x: harmonic_energy(x, x, sigma=sigma), points[0])
        launch_all(lambda x, y: squared_mutual_information(x, y, sigma=sigma, low=-sigma, high=1.7 * sigma), *images)

    every(0.7, points, images)
    first = set(keys)
    assert len(first) >= 8
    for sigma in (0.5, 1.0, 0.1, 32.0):
        every(sigma, points, images)
    for size in (1, 16, 700, 3000):
        every(
            0.7, [blank(3, size, 3, dtype=dtype), blank(3, size + 1, 3, dtype=dtype)], [blank(5, size, dtype=dtype) for _ in "xy"]
        )
    assert keys == first
