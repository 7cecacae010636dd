"""Methods and presets: what they weigh, and that each trains."""

from __future__ import annotations

import dataclasses

import pytest

from huenet.translation.config import LossConfig, ModelConfig
from huenet.translation.methods import METHODS, PRESETS, configuration
from huenet.translation.system import Translation
from tests.huenet.translation.tiny import grey, photos, tiny

TERMS = {
    "gan": {"adversarial"},
    "cyclegan": {"adversarial", "cycle", "identity"},
    "gcgan-rot": {"adversarial", "geometry", "identity"},
    "gcgan-vf": {"adversarial", "geometry", "identity"},
}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_by_every_preset(method: str, preset: str) -> None:
    config = configuration(method, preset)
    model = dataclasses.replace(config.model, size=32, width=4, blocks=1, discriminator_width=4)
    config = dataclasses.replace(config, model=model, train=dataclasses.replace(config.train, batch_size=2, steps=10))
    system = Translation(config, photos(1, side=36, size=32), photos(2, side=36, size=32))
    for step in range(2):
        losses = {name: float(value) for name, value in system.step(step).items()}
    wanted = TERMS[method] - ({"identity"} if preset == "digits" else set())
    assert {name for name, value in losses.items() if value} == {"total", "discriminator"} | wanted
    assert all(0 < losses[name] < 100 for name in wanted)  # finite, of the size of such terms


def test_the_weights_are_the_published_ones() -> None:
    """CycleGAN: 10 and 0.5 x 10. GcGAN: 10 x 2 and 10 x 0.5, batches of 8; for digits 2."""
    cycle, rotation, flip = (configuration(name) for name in ("cyclegan", "gcgan-rot", "gcgan-vf"))
    assert (cycle.loss.cycle_weight, cycle.loss.identity_weight, cycle.train.batch_size) == (10, 5, 1)
    assert (rotation.loss.geometry_weight, rotation.loss.identity_weight, rotation.train.batch_size) == (20, 5, 8)
    assert (rotation.loss.geometry, flip.loss.geometry) == ("rotation", "flip")
    assert rotation.train.steps * rotation.train.batch_size == cycle.train.steps * cycle.train.batch_size
    digits = configuration("gcgan-rot", "digits")
    assert (digits.loss.geometry_weight, digits.train.batch_size, digits.model.size, digits.train.pool_size) == (2, 64, 32, 0)
    assert all(config.train.learning_rate == 2e-4 and config.train.beta1 == 0.5 for config in (cycle, rotation, flip, digits))


def test_other_names_are_refused() -> None:
    with pytest.raises(ValueError, match="method must be one of gan, cyclegan"):
        configuration("unit")
    with pytest.raises(ValueError, match="preset one of photos, digits, small"):
        configuration(preset="paper")


@pytest.mark.parametrize(
    ("group", "settings", "named"),
    [
        (LossConfig, {"adversarial_weight": 0.0}, "are all 0: there is nothing to learn"),
        (LossConfig, {"structure_weight": -1.0}, "structure_weight must be a number of at least 0"),
        (LossConfig, {"harmonic_sigma": 0.0}, "harmonic_sigma must be a positive number, got 0"),
        (LossConfig, {"geometry": "shear"}, "geometry must be"),
        (ModelConfig, {"channels_a": 2}, "channels_a must be 1, 3 or none, got 2"),
        (ModelConfig, {"size": 8}, "size must be an integer of at least 16"),
        (ModelConfig, {"size": 16}, "discriminator_depth 3 needs images of at least 32 pixels, got size 16"),
        (ModelConfig, {"depth": 9}, "depth must be between 1 and 8"),
        (ModelConfig, {"blocks": 65}, "blocks must be at most 64"),
    ],
)
def test_settings_are_checked(group: type, settings: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        group(**settings)


def test_settings_that_do_not_go_together_are_named() -> None:
    with pytest.raises(ValueError, match="cycle_weight must be 0 with directions a-to-b"):
        tiny(cycle_weight=10.0, directions="a-to-b")
    with pytest.raises(ValueError, match="harmonic_patch must be at most size 16, got 17"):
        tiny(harmonic_weight=1.0, harmonic_patch=17)
    with pytest.raises(ValueError, match="identity_weight must be 0 where A has 1 channel and B 3, got 5"):
        Translation(tiny(identity_weight=5.0), grey(1), photos(2))
