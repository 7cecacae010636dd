"""Hue-Net's training step: it learns what it is told to, and computes no more."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from huenet.color import rgb_to_hsv
from huenet.color_transfer import gan
from huenet.color_transfer.presets import PRESETS
from tests.huenet.color_transfer.tiny import begin, run, tiny
from tests.huenet.training.runs import assert_equal, rows, weights


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path: Path) -> None:
    runs = [run(tiny(steps=2, seed=seed), tmp_path / name) for seed, name in ((0, "a"), (0, "b"), (1, "c"))]
    first, again, other = (training.system.gan.generator.state_dict() for training in runs)
    assert_equal(first, again)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_training_reduces_the_losses_it_is_given(tmp_path: Path) -> None:
    config = tiny(steps=60, batch_size=8, learning_rate=2e-3, mi_weight=0.0, adversarial_weight=0.0, dropout=0.0)
    run(config, tmp_path, checkpoint_every=100)
    emd = [float(row["emd"]) for row in rows(tmp_path)]
    assert sum(emd[-10:]) < 0.8 * sum(emd[:10])


def test_without_mutual_information_it_is_not_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huenet.losses.hue.mutual_information", lambda *_, **__: pytest.fail("computed"))
    run(tiny(steps=2, mi_weight=0.0), tmp_path)
    assert all(float(row["mi"]) == 0 for row in rows(tmp_path))


def test_without_adversary_there_is_no_discriminator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gan, "HueDiscriminator", lambda *_: pytest.fail("built"))
    training = run(tiny(steps=2, adversarial_weight=0.0), tmp_path)
    assert training.system.gan.discriminator is None
    assert not any("discriminator" in name for name in weights(tmp_path))
    assert all(float(row["adversarial"]) == float(row["discriminator"]) == 0 for row in rows(tmp_path))


def test_both_networks_learn_in_every_step(tmp_path: Path) -> None:
    training = begin(tiny(norm="batch", ema=0.5), tmp_path)
    before = {name: value.clone() for name, value in training.system.state().items()}
    training.system.step(0)
    training.close()
    unchanged = [name for name, value in training.system.state().items() if name in before and torch.equal(value, before[name])]
    assert unchanged == []


def test_hue_jitter_turns_a_pair_together_and_differently_in_each_step(tmp_path: Path) -> None:
    training = begin(tiny(hue_jitter=0.1), tmp_path)
    pair, gan = training.system.stream.batch(0), training.system.gan
    source, target = (rgb_to_hsv(image) for image in pair)
    angles = []
    for step in (0, 1):
        turned = gan._hsv_turned(*pair, gan._angles(step))
        turns = [(after - before)[:, 0].remainder(1) for before, after in zip((source, target), turned)]
        angles.append(turns[0][:, 0, 0])
        # Adding an angle and taking it off again are two roundings of numbers below 2.
        assert all(((turn - angles[-1][:, None, None] + 0.5).remainder(1) - 0.5).abs().max() < 2**-21 for turn in turns)
        assert all(torch.equal(before[:, 1:], after[:, 1:]) for before, after in zip((source, target), turned))
    training.close()
    drawn = torch.cat(angles)
    assert len(drawn.unique()) == 8 and ((drawn + 0.5).remainder(1) - 0.5).abs().max() <= 0.1


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains(tmp_path: Path, name: str) -> None:
    preset = PRESETS[name]
    config = dataclasses.replace(
        preset,
        model=dataclasses.replace(preset.model, size=32, width=4, discriminator_width=4, depth=None),
        train=dataclasses.replace(preset.train, steps=2, batch_size=2),
    )
    training = run(config, tmp_path)
    row = rows(tmp_path)[-1]
    parts = ("emd", "mi", "adversarial", "smoothness")
    used = {part for part in parts if getattr(preset.loss, f"{part}_weight")}
    used |= {"discriminator"} if "adversarial" in used else set()
    assert all((float(row[part]) > 0) == (part in used) for part in (*parts, "discriminator"))
    assert training.outcome.step == 2
