"""Methods, which are weights of the terms, and what they were published with for photos and for digits.

docs/translation.md tells where each number is from.
"""

import dataclasses
from typing import Any

from .config import Config, LossConfig, ModelConfig, TrainConfig

PHOTOS = Config(train=TrainConfig(steps=200_000, schedule="linear"))
"""CycleGAN's networks and training. 200,000 steps are 200 epochs of 1,000 photos."""

DIGITS = Config(
    ModelConfig(size=32, generator="digits", norm="batch", discriminator="digits"),
    train=TrainConfig(steps=40_000, batch_size=64, flips=False, crop=False, pool_size=0),
)
"""GcGAN's networks and training for digits."""

SMALL = Config(
    ModelConfig(size=64, width=16, blocks=4, discriminator_width=16, discriminator_depth=2),
    train=TrainConfig(steps=4_000, batch_size=4, schedule="linear", ema=0.995),
)
"""Ours: a taste of it on two CPU cores, at 64 x 64."""

PRESETS: dict[str, Config] = {"photos": PHOTOS, "digits": DIGITS, "small": SMALL}

_IDENTITY = {"identity_weight": 5.0}
_PHOTO_METHODS: dict[str, dict[str, Any]] = {
    "gan": {},
    "cyclegan": {"cycle_weight": 10.0, **_IDENTITY},
    "gcgan-rot": {"geometry_weight": 20.0, "geometry": "rotation", **_IDENTITY},
    "gcgan-vf": {"geometry_weight": 20.0, "geometry": "flip", **_IDENTITY},
}
_DIGIT_METHODS: dict[str, dict[str, Any]] = {
    "gan": {},
    "cyclegan": {"cycle_weight": 1.0, "cycle_form": "l2"},
    "gcgan-rot": {"geometry_weight": 2.0, "geometry": "rotation"},
    "gcgan-vf": {"geometry_weight": 2.0, "geometry": "flip"},
}
METHODS = tuple(_PHOTO_METHODS)


def configuration(method: str = "cyclegan", preset: str = "photos") -> Config:
    """The settings of a method. Raises ``ValueError`` for one that is not known, or another preset."""
    if method not in METHODS or preset not in PRESETS:
        known = f"method must be one of {', '.join(METHODS)}, preset one of {', '.join(PRESETS)}"
        raise ValueError(f"{known}, got {method!r} and {preset!r}")
    base = PRESETS[preset]
    weights = (_DIGIT_METHODS if preset == "digits" else _PHOTO_METHODS)[method]
    train = base.train
    if preset == "photos" and method.startswith("gcgan"):  # its code's batches; as many epochs
        train = dataclasses.replace(train, batch_size=8, steps=train.steps // 8)
    return dataclasses.replace(base, loss=LossConfig(**weights), train=train)
