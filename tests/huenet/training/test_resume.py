"""What a run must refuse to go on from, it names."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from huenet.color_transfer.system import ColorTransfer
from huenet.training import checkpoint
from huenet.training.checkpoint import CheckpointError
from huenet.training.run import CHECKPOINT, train
from tests.huenet.color_transfer.tiny import RUN, photos, run, tiny


def test_changed_options_are_named_with_both_values(tmp_path: Path) -> None:
    run(tiny(steps=2), tmp_path)
    with pytest.raises(CheckpointError, match=r"--width: 4 -> 8.*--mi-weight: 25.0 -> 50.0.*--seed: 0 -> 3") as failure:
        run(tiny(steps=2, width=8, mi_weight=50.0, seed=3), tmp_path)
    assert "checkpoint.safetensors" in str(failure.value)
    with pytest.raises(CheckpointError, match="--steps: 2 -> 1"):
        run(tiny(steps=1), tmp_path)
    run(tiny(steps=2), tmp_path, checkpoint_every=7, log_every=2, max_minutes=5.0)  # these may change


def test_other_photos_are_refused(tmp_path: Path) -> None:
    run(tiny(steps=1), tmp_path)
    known = photos()
    renamed = dataclasses.replace(known, names=("new.png", *known.names[1:]))
    repainted = dataclasses.replace(known, images=known.images.flip(1))
    for changed, named in ((renamed, "garden_0000.png"), (repainted, "same names"), (photos(11), "garden_0010.png")):
        with pytest.raises(CheckpointError, match=named):
            train(ColorTransfer(tiny(steps=2), changed), tmp_path, RUN)


@pytest.mark.parametrize("keep", [0, 1000, -1])
def test_a_damaged_checkpoint_is_named_and_kept(tmp_path: Path, keep: int) -> None:
    run(tiny(steps=1), tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    damaged = path.read_bytes()[:keep]
    path.write_bytes(damaged)
    with pytest.raises(CheckpointError, match=r"checkpoint.safetensors is damaged"):
        run(tiny(steps=2), tmp_path)
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("lacking", ["step", "pixels", "held_out", "trained_on", "config"])
def test_a_checkpoint_without_some_metadata_is_named(tmp_path: Path, lacking: str) -> None:
    run(tiny(steps=1), tmp_path)
    tensors, metadata = checkpoint.read(tmp_path / CHECKPOINT, "training")
    del metadata[lacking]
    checkpoint.write(tmp_path / CHECKPOINT, "training", tensors, metadata)
    with pytest.raises(CheckpointError, match=r"checkpoint.safetensors"):
        run(tiny(steps=2), tmp_path)


@pytest.mark.parametrize("key", ["step", "exp_avg", "exp_avg_sq"])
def test_a_checkpoint_with_a_damaged_optimiser_is_named(tmp_path: Path, key: str) -> None:
    run(tiny(steps=1), tmp_path)
    tensors, metadata = checkpoint.read(tmp_path / CHECKPOINT, "training")
    for damaged in (
        {name: value for name, value in tensors.items() if name != f"generator_optimizer/0.{key}"},
        {**tensors, f"generator_optimizer/0.{key}": torch.ones(7)},
    ):
        checkpoint.write(tmp_path / CHECKPOINT, "training", damaged, metadata)
        with pytest.raises(CheckpointError, match=r"lacks the state of the generator's optimiser"):
            run(tiny(steps=2), tmp_path)


@pytest.mark.parametrize("step", ["2", 2.0, True, -1, 3, 10**30, None, float("nan")])
def test_a_step_that_is_none_is_named(tmp_path: Path, step: object) -> None:
    run(tiny(steps=2), tmp_path)
    tensors, metadata = checkpoint.read(tmp_path / CHECKPOINT, "training")
    checkpoint.write(tmp_path / CHECKPOINT, "training", tensors, {**metadata, "step": step})
    with pytest.raises(CheckpointError, match=r"checkpoint.safetensors describes no run this version knows: step must be"):
        run(tiny(steps=2), tmp_path)


def test_an_optimiser_that_no_step_leaves_is_named(tmp_path: Path) -> None:
    run(tiny(steps=1), tmp_path)
    tensors, metadata = checkpoint.read(tmp_path / CHECKPOINT, "training")
    for name, value, said in (
        ("step", -1.0, "negative"),  # by which Adam would divide by zero
        ("exp_avg_sq", -1.0, "negative"),
        ("step", 1, "lacks the state"),
    ):
        full = f"generator_optimizer/0.{name}"
        changed = torch.full_like(tensors[full], value, dtype=torch.int32 if isinstance(value, int) else None)
        checkpoint.write(tmp_path / CHECKPOINT, "training", {**tensors, full: changed}, metadata)
        with pytest.raises(CheckpointError, match=rf"checkpoint.safetensors .*{said}"):
            run(tiny(steps=2), tmp_path)
    checkpoint.write(
        tmp_path / CHECKPOINT, "training", {**tensors, "generator_optimizer/first.step": tensors[full].clone()}, metadata
    )
    with pytest.raises(CheckpointError, match=r"checkpoint.safetensors has another optimiser's state"):
        run(tiny(steps=2), tmp_path)
