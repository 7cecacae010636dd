"""A Hue-Net that trains in a second, for the tests.

`python -m tests.huenet.color_transfer.tiny OUT [STEP]` is such a run in a process of its own, which kills itself while it
replaces the checkpoint of STEP."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from huenet.color_transfer.config import Config, LossConfig, ModelConfig, TrainConfig
from huenet.color_transfer.system import ColorTransfer
from huenet.data import Photos
from huenet.data.garden import garden
from huenet.training import checkpoint
from huenet.training.config import RunConfig
from huenet.training.run import TrainingRun

TINY = Config(
    ModelConfig(size=32, width=4, discriminator_width=4, condition_bins=8, condition_width=8, knots=4, dropout=0.5),
    LossConfig(bins=16, smoothness_weight=10.0),
    TrainConfig(steps=12, batch_size=4, hold_out=3, ema=0.9, hue_jitter=0.1),
)
RUN = RunConfig(device="cpu", checkpoint_every=3, sample_every=100, log_every=1, progress=False)


def tiny(**changes: Any) -> Config:
    """`TINY` with other settings, each found where it belongs."""
    groups = {}
    for name in ("model", "loss", "train"):
        group = getattr(TINY, name)
        own = {field.name for field in dataclasses.fields(group)} & changes.keys()
        groups[name] = dataclasses.replace(group, **{key: changes.pop(key) for key in own})
    assert not changes, f"no such settings: {changes}"
    return Config(**groups)


def photos(count: int = 10) -> Photos:
    """A few small flowers with room for random crops."""
    return dataclasses.replace(garden(count, 36, seed=1), size=32)


def begin(config: Config, out: Path, **changes: Any) -> TrainingRun:
    """A training run that has not made a step yet, with other settings of how it is run."""
    return TrainingRun(ColorTransfer(config, photos()), out, dataclasses.replace(RUN, **changes))


def run(config: Config, out: Path, **changes: Any) -> TrainingRun:
    """A training run, done."""
    training = begin(config, out, **changes)
    training.outcome = training.proceed()
    training.close()
    return training


def _die_replacing(step: int) -> None:
    write = checkpoint.write

    def deadly(path: Path, kind: str, tensors: Any, metadata: Any) -> None:
        if kind == "training" and metadata["step"] == step:
            os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        write(path, kind, tensors, metadata)

    checkpoint.write = deadly


if __name__ == "__main__":
    torch.set_num_threads(1)
    if len(sys.argv) > 2:
        _die_replacing(int(sys.argv[2]))
    run(TINY, Path(sys.argv[1]))
