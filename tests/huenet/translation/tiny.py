"""A translation that trains in no time, for the tests."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from huenet.data import Photos
from huenet.data.garden import garden
from huenet.training.config import RunConfig
from huenet.training.run import TrainingRun
from huenet.translation.config import Config, LossConfig, ModelConfig, TrainConfig
from huenet.translation.system import Translation

TINY = Config(
    ModelConfig(size=16, width=4, blocks=1, discriminator_width=4, discriminator_depth=1),
    LossConfig(),
    TrainConfig(steps=6, batch_size=2, pool_size=3, ema=0.9, learning_rate=2e-3),
)
RUN = RunConfig(device="cpu", checkpoint_every=100, sample_every=100, log_every=1, progress=False)
ALL_TERMS = {
    "cycle_weight": 1.0,
    "identity_weight": 1.0,
    "geometry_weight": 1.0,
    "structure_weight": 1.0,
    "harmonic_weight": 1.0,
    "contextual_weight": 1.0,
    "mi_weight": 1.0,
    "mi_bins": 8,
    "harmonic_bins": 4,
}


def tiny(**changes: Any) -> Config:
    """`TINY` with other settings, each found where it belongs."""
    groups = {}
    for name in ("model", "loss", "train"):
        group = getattr(TINY, name)
        own = {field.name for field in dataclasses.fields(group)} & changes.keys()
        groups[name] = dataclasses.replace(group, **{key: changes.pop(key) for key in own})
    assert not changes, f"no such settings: {changes}"
    return Config(**groups)


def photos(seed: int, count: int = 6, side: int = 18, size: int = 16) -> Photos:
    """A few small flowers, with room for random crops."""
    return dataclasses.replace(garden(count, side, seed=seed), size=size)


def grey(seed: int, count: int = 6, side: int = 18) -> torch.Tensor:
    """Grey pictures of the same, as a uint8 tensor (N, S, S)."""
    return photos(seed, count, side).with_channels(1).images[:, 0]


def system(config: Config, **options: Any) -> Translation:
    return Translation(config, photos(1), photos(2, count=5), **options)


def run(config: Config, out: Path, made: Translation | None = None, **changes: Any) -> TrainingRun:
    """A training run, done."""
    training = TrainingRun(system(config) if made is None else made, out, dataclasses.replace(RUN, **changes))
    training.outcome = training.proceed()
    training.close()
    return training
