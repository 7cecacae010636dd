"""Hue-Net and its photos: what is sampled, and settings that do not fit the photos or processes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from huenet.color_transfer.system import ColorTransfer
from huenet.training.distributed import World
from huenet.training.run import train
from tests.huenet.color_transfer.tiny import RUN, photos, tiny


def test_sample_pictures_and_small_sets(tmp_path: Path) -> None:
    few = photos(2)
    train(ColorTransfer(tiny(steps=4, hold_out=0), few), tmp_path, dataclasses.replace(RUN, sample_every=2))
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == ["step_000002.png", "step_000004.png"]


def test_a_batch_that_cannot_be_shared_is_named() -> None:
    with pytest.raises(ValueError, match="batch_size"):
        ColorTransfer(tiny(batch_size=3), photos(), World(torch.device("cpu"), rank=0, size=2))


def test_settings_that_do_not_fit_the_photos_are_named() -> None:
    with pytest.raises(ValueError, match="hold out 10"):
        ColorTransfer(tiny(hold_out=10), photos())
    with pytest.raises(ValueError, match="3 channels, got 1"):
        ColorTransfer(tiny(), photos().with_channels(1))
    with pytest.raises(ValueError, match="size 33, got 32"):
        ColorTransfer(tiny(size=33), photos())
