"""Operations counted, and peaks known or measured."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from huenet.training import rates
from huenet.training.rates import Operations, known_peak, peak


def test_operations_are_those_of_the_formula_and_of_torchs_counter() -> None:
    layer, x = nn.Conv2d(3, 5, 3, padding=1), torch.rand(2, 3, 8, 8)
    with Operations() as counted:
        layer(x).sum().backward()
    forward = 2 * 2 * 8 * 8 * 5 * 3 * 3 * 3
    assert counted.count == 2 * forward  # backward by the weights alone
    with FlopCounterMode(display=False) as expected:
        layer(x).sum().backward()
    assert counted.count == expected.get_total_flops()


def test_counting_changes_nothing() -> None:
    torch.manual_seed(0)
    layer, x = (
        nn.Sequential(nn.Conv2d(3, 5, 3), nn.InstanceNorm2d(5), nn.Dropout(0.5), nn.Upsample(scale_factor=2)),
        torch.rand(2, 3, 8, 8),
    )
    torch.manual_seed(1)
    expected = layer(x)
    torch.manual_seed(1)
    with Operations():
        assert torch.equal(layer(x), expected)


@pytest.mark.parametrize(
    ("name", "dtype", "expected"),
    [
        ("NVIDIA H100 80GB HBM3", torch.bfloat16, 989e12),
        ("NVIDIA H100 80GB HBM3", torch.float32, 494e12),
        ("NVIDIA H100 PCIe", torch.bfloat16, 756e12),
        ("NVIDIA A100-SXM4-80GB", torch.bfloat16, 312e12),
        ("NVIDIA A100-PCIE-40GB", torch.float64, 19.5e12),
        ("NVIDIA L4", torch.bfloat16, 121e12),
        ("NVIDIA L4", torch.float64, None),
        ("NVIDIA L40S", torch.bfloat16, 362e12),
        ("NVIDIA H100 NVL", torch.bfloat16, None),
        ("NVIDIA GeForce RTX 4090", torch.bfloat16, 165e12),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", torch.bfloat16, None),
        ("NVIDIA A100X", torch.bfloat16, None),
    ],
)
def test_peaks_are_of_the_device_that_has_the_name(name: str, dtype: torch.dtype, expected: float | None) -> None:
    assert known_peak(name, dtype) == (None if expected is None else pytest.approx(expected))


def test_float32_is_tf32_where_convolutions_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    assert known_peak("NVIDIA H200", torch.float32) == pytest.approx(67e12)


def test_a_cpu_is_measured_once_for_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    rates._of_cpu.cache_clear()
    found = peak(torch.device("cpu"), torch.float32)
    assert 1e8 < found < 1e15
    monkeypatch.setattr(rates, "matrix_rate", lambda *_, **__: 1.0)
    assert peak(torch.device("cpu"), torch.float32) == found and peak(torch.device("cpu"), torch.float64) == 1.0
    rates._of_cpu.cache_clear()


def test_of_other_devices_nothing_is_known() -> None:
    assert peak(torch.device("meta"), torch.float32) is None
