"""Settings check themselves."""

from __future__ import annotations

import pytest

from huenet.color_transfer.config import ModelConfig
from huenet.training.config import RunConfig
from tests.huenet.color_transfer.tiny import tiny


def test_bad_settings_are_named() -> None:
    for setting in (
        dict(steps=0),
        dict(batch_size=0),
        dict(learning_rate=0.0),
        dict(ema=1.0),
        dict(seed=-1),
        dict(bins=1),
        dict(mi_weight=-1.0),
        dict(bandwidth=0.0),
        dict(emd_weight=float("nan")),
    ):
        with pytest.raises(ValueError, match=next(iter(setting))):
            tiny(**setting)
    for setting in (dict(checkpoint_every=0), dict(max_minutes=-1.0)):
        with pytest.raises(ValueError, match=next(iter(setting))):
            RunConfig(**setting)


def test_models_that_cannot_be_built_are_named() -> None:
    for setting in (
        dict(size=31),
        dict(depth=6, size=32),
        dict(width=0),
        dict(dropout=1.0),
        dict(head="palette", conditioning="image"),
        dict(discriminator_depth=4, size=32),
    ):
        with pytest.raises(ValueError, match=next(iter(setting))):
            ModelConfig(**setting)
