"""What a step would take on a GPU: what is held is counted as it comes and goes, and batches lie on a straight line."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from bench import predict
from bench.__main__ import main
from bench.predict import Counts, Memory, Step, count, straight_line
from bench.training import configuration


def tiny(preset: str = "small"):
    # of fewer samples and bins histograms keep their responses, by size: no straight line
    config = configuration(preset, size=64, batch=2, bins=64)
    return dataclasses.replace(config, model=dataclasses.replace(config.model, width=4, discriminator_width=4))


def test_memory_is_what_is_held_at_most() -> None:
    with Memory() as memory:
        a = torch.ones(1000)
        b = (a * 2).view(10, 100)
        assert memory.held == 8000
        del a
        assert memory.held == 4000 and memory.most == 8000
        del b
    assert memory.held == 0 and memory.launches == 2
    assert memory.bytes == 4000 + 8000  # written; then read and written


def test_what_a_backward_pass_waits_for_is_held() -> None:
    with Memory() as memory:
        x = torch.ones(1000).requires_grad_()
        y = (x * 2).exp().sum()
        assert memory.held == 4000 + 4000 + 4  # x, and what exp returned; its argument is gone
        y.backward()
        assert memory.held == 4000 + 4000 + 4  # x and its gradient


def test_counts_lie_on_a_straight_line() -> None:
    config = tiny()
    fixed, image = straight_line(config)
    found = count(config, 5)
    assert found.operations == fixed.operations + 5 * image.operations and found.launches == fixed.launches
    assert image.launches == 0 < image.bytes and image.memory > 0
    for name in ("bytes", "memory"):
        assert getattr(found, name) == pytest.approx(getattr(fixed, name) + 5 * getattr(image, name), rel=1e-3)
    weights = sum(one.numel() for one in predict.HueGAN(config, predict.ALONE).networks.networks["generator"].parameters())
    assert fixed.memory > 5 * 4 * weights  # weights, gradients, two moments, average


def test_the_step_is_as_long_as_what_bounds_it() -> None:
    assert predict.predict(Counts(4e12, 0, 10, 0), 1e13).seconds == pytest.approx(1.0)
    assert Step(0.1, 0.2, 0.25).seconds == pytest.approx(0.3) and Step(0.1, 0.2, 0.4).seconds == 0.4


def test_a_table_as_one_asks_for_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(predict, "PRESETS", {name: tiny() for name in ("default", "paper")})
    assert main(["predict", "--batch", "4"]) == 0
    text = capsys.readouterr().out
    assert "| default |" in text and "| paper |" in text and "Predicted for NVIDIA H100 80GB HBM3, batch 4; counted with" in text
    assert main(["predict", "--batch", "0"]) == 2
    assert "--batch must be at least 1, got 0" in capsys.readouterr().err
