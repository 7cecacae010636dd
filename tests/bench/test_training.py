"""The training step's profile: naive losses are the same losses, and every moment of a step belongs to a part."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from bench import images, machine
from bench.profile import profile
from bench.training import NaiveLoss, Profile, configuration
from bench.training_table import about, table
from huenet.losses import HueNetLoss
from huenet.training.parts import heard_by


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that are the same everywhere, and soon drawn."""
    monkeypatch.setattr(images, "PHOTOS", machine.REPOSITORY / "no such folder")


def tiny():
    config = configuration("small", size=32, batch=2, bins=32)
    narrow = dataclasses.replace(config.model, width=4, discriminator_width=4, condition_bins=8, condition_width=8)
    return dataclasses.replace(config, model=narrow)


def test_naive_losses_are_the_same_losses() -> None:
    config = tiny().loss
    hues = [torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) for seed in range(5)]
    votes = {"output_weights": hues[3], "target_weights": hues[4], "fake_logits": hues[3] - 0.5}
    found = []
    for kind in (HueNetLoss, NaiveLoss):
        output = hues[0].clone().requires_grad_()
        parts = kind.from_config(config)(output, hues[1], hues[2], **votes)
        parts.total.backward()
        found.append((torch.stack(parts).detach(), output.grad))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-8, atol=0)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-6, atol=1e-9)


def test_every_part_of_a_step_takes_time_and_together_all_of_it() -> None:
    found = Profile(tiny(), "huenet", "cpu")
    found.once()
    found.once()
    result = found.result()
    assert list(result["parts"]) == ["data", "generator", "discriminator", "losses", "optimiser", "other"]
    assert all(seconds > 0 for seconds in result["parts"].values())
    totals = found.shares.steps()
    assert sum(result["parts"].values()) == pytest.approx(sum(totals) / 2)
    assert result["step"]["min"] == pytest.approx(min(totals))
    assert result["images_per_second"] == pytest.approx(2 / result["step"]["median"])
    assert result["flops"] > 1e6


def test_backward_passes_belong_to_the_parts_they_go_through() -> None:
    """Marks come in the order in which a step does things: the discriminator's step, the generator's, backwards at last."""
    found = Profile(tiny(), "huenet", "cpu")
    begun: list[str] = []
    with heard_by(begun.append):
        found.step()
    parts = [part for part in begun if part != "other"]
    order = [part for part, previous in zip(parts, [None, *parts]) if part != previous]
    learns = ["losses", "optimiser", "losses", "discriminator"]  # gradients are cleared, then found
    assert order == ["data", "generator", "discriminator", *learns, "optimiser", "discriminator", *learns, "generator", "optimiser"]


def test_profiles_take_turns_and_make_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.training.configuration", lambda *_: tiny())
    said: list[str] = []
    settings = {"preset": "small", "size": 32, "batch": 2, "bins": 32, "steps": 2}
    found = profile("cpu", **settings, losses=["huenet", "naive"], rates={"float32": 1e12}, say=said.append)
    assert [kind["step"]["n"] for kind in found["losses"].values()] == [2, 2]
    assert 0 < found["losses"]["huenet"]["mfu"] < 1
    assert table(found).count("\n| ") == 2 and "32 x 32, batch 2, K = 32" in about(found)


def test_losses_that_differ_are_not_profiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.training.configuration", lambda *_: tiny())
    monkeypatch.setattr("bench.naive.circular_squared_emd", lambda p, q: (p - q).square().sum(-1))
    settings = {"preset": "small", "size": 32, "batch": 2, "bins": 32, "steps": 2}
    with pytest.raises(RuntimeError, match="the first losses differ"):
        profile("cpu", **settings, losses=["huenet", "naive"], rates={"float32": 1e12}, say=lambda text: None)
