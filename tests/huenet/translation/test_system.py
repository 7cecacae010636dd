"""Translation as the loop trains it: resumed exactly, by several processes, on photos of mixed channels."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from huenet.training.checkpoint import CheckpointError
from huenet.training.distributed import World
from huenet.translation.networks import Generators
from huenet.translation.system import Translation
from tests.huenet import processes
from tests.huenet.training.runs import assert_equal, rows, timeless, weights
from tests.huenet.translation.tiny import ALL_TERMS, RUN, grey, photos, run, system, tiny


def test_stopped_after_every_step_it_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    """Bit for bit, the pools included, with all terms and dropout."""
    config = tiny(**ALL_TERMS, dropout=0.2, steps=4)
    run(config, tmp_path / "whole")
    while run(config, tmp_path / "parts", max_minutes=1e-9).outcome.stopped_by == "time":
        pass
    whole = weights(tmp_path / "whole")
    assert_equal(weights(tmp_path / "parts"), whole)
    assert timeless(tmp_path / "parts") == timeless(tmp_path / "whole")
    assert {name for name in whole if name.startswith("pool")} == {
        f"pool_{side}{turned}/{what}" for side in "ab" for turned in ("", "_turned") for what in ("images", "count")
    }
    assert int(whole["pool_a/count"]) == 3 and whole["pool_b/images"].abs().sum() > 0


def test_each_term_has_a_column(tmp_path: Path) -> None:
    run(tiny(steps=1, structure_weight=1.0), tmp_path)
    (row,) = rows(tmp_path)
    terms = ["adversarial", "cycle", "identity", "geometry", "structure", "harmonic", "contextual", "mi"]
    assert list(row) == ["step", "total", *terms, "discriminator", "images_per_second", "mfu"]
    assert float(row["structure"]) != 0 == float(row["cycle"])


def _three_steps(rank: int, size: int) -> dict[str, torch.Tensor]:
    config = tiny(**{**ALL_TERMS, "contextual_weight": 0.0}, precision="float64", batch_size=4, pool_size=2)
    training = system(config, world=World(torch.device("cpu"), rank, size))
    for step in range(3):
        losses = training.step(step)
    mean = {name: training.world.mean(value) for name, value in losses.items()}
    return {**training.state(), **mean}


def test_two_processes_do_what_one_does_with_the_joint_batch(tmp_path: Path) -> None:
    """But for the contextual loss, whose centre is that of a process's batch."""
    two = processes.run(lambda rank: _three_steps(rank, 2), 2, tmp_path)
    one = _three_steps(0, 1)
    assert_equal(two[0], two[1])
    assert two[0].keys() == one.keys()
    worst = {name: (two[0][name].double() - one[name].double()).abs().max().item() for name in one}
    # as for Hue-Net: float64 sums in another order, divided by gradients' sizes
    assert max(worst.values()) < 1e-9, max(worst, key=worst.get)


def test_mixed_channels_in_memory() -> None:
    """Grey to colour and back, from arrays and tensors; with all that can be weighed then."""
    config = tiny(**{**ALL_TERMS, "identity_weight": 0.0}, directions="both", hold_out=2)
    training = Translation(config, grey(1).numpy(), photos(2).images)
    losses = training.step(0)
    assert all(value.isfinite() for value in losses.values())
    model = training.model()
    assert model["a-to-b"](torch.zeros(1, 1, 16, 16)).shape == (1, 3, 16, 16)
    assert model["b-to-a"](torch.zeros(1, 3, 16, 16)).shape == (1, 1, 16, 16)
    # 2 samples; A, to B and back, and the other way round
    assert training.sample().size == (2 * 18, 6 * 18)


def test_channels_are_found_or_given() -> None:
    colored, pictures = photos(1), grey(2)
    repeated = pictures[:, None].expand(-1, 3, -1, -1)
    for given, found in (({}, (3, 1)), ({"channels_a": 1}, (1, 1)), ({"channels_b": 3}, (3, 3))):
        model = Translation(tiny(**given), colored, repeated).model().config
        assert (model.channels_a, model.channels_b) == found
    with pytest.raises(ValueError, match="channels_a and channels_b must be 1 or 3, got None and None"):
        Generators(tiny().model)


@pytest.mark.parametrize("direction", ["a-to-b", "b-to-a"])
def test_one_direction_has_half_of_everything(direction: str) -> None:
    training = system(tiny(directions=direction, harmonic_weight=1.0))
    training.step(0)
    other = {"a-to-b": "b-to-a", "b-to-a": "a-to-b"}[direction]
    names = training.state().keys()
    assert any(direction in name for name in names) and not any(other in name for name in names)
    assert training.gan.discriminators.names == [direction[-1]]
    assert training.sample().size == (6 * 18, 2 * 18) or direction == "b-to-a"


def test_both_sides_are_shown_in_orders_of_their_own() -> None:
    """Or the pairs of a folder of pairs would be met as such."""
    same = photos(3, count=12)
    training = Translation(tiny(batch_size=12, flips=False, crop=False), same, same)
    a, b = (stream.batch(0) for stream in training.streams.values())
    assert not torch.equal(a, b) and torch.equal(a.flatten(1).sum(1).sort()[0], b.flatten(1).sum(1).sort()[0])


@pytest.mark.parametrize("generator", ["resnet", "unet", "digits"])
@pytest.mark.parametrize("discriminator", ["patch", "digits"])
@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
def test_all_networks_go_together(generator: str, discriminator: str, norm: str) -> None:
    training = system(tiny(generator=generator, discriminator=discriminator, norm=norm, depth=2, ema=0.5, dropout=0.1))
    before = {name: value.clone() for name, value in training.state().items()}
    losses = training.step(0)
    assert all(value.isfinite() for value in losses.values())
    after = training.state()
    assert [name for name in before if torch.equal(before[name], after[name])] == [], "both learn in every step"


def test_other_precisions_train() -> None:
    for precision in ("bfloat16", "float64"):
        training = system(tiny(**ALL_TERMS, precision=precision))
        assert all(value.isfinite() for value in training.step(0).values())
        assert training.model()["a-to-b"](torch.zeros(1, 3, 16, 16)).dtype == torch.float32


def test_other_photos_and_settings_are_refused(tmp_path: Path) -> None:
    config = tiny(steps=1)
    run(config, tmp_path)
    for changed, made, named in (
        (config, Translation(config, photos(1), photos(2, count=6)), r"other photos \(1 differ, such as b/garden_0005.png\)"),
        (config, Translation(config, photos(1), photos(3, count=5)), "other photos of the same names"),
        (tiny(steps=1, structure_weight=5.0), None, "--structure-weight: 0.0 -> 5.0"),
        (tiny(steps=1, schedule="linear"), None, "--schedule: constant -> linear"),
    ):
        with pytest.raises(CheckpointError, match=named):
            run(changed, tmp_path, made)


def test_the_linear_schedule_falls_in_the_second_half() -> None:
    training = system(tiny(schedule="linear", steps=8))
    rates = []
    for step in range(8):
        training.gan.networks.begin(step)
        rates.append(training.gan.networks.optimizers["generators"].param_groups[0]["lr"] / 2e-3)
    assert rates == pytest.approx([1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


@pytest.mark.parametrize(
    ("given", "error", "named"),
    [
        ("photos", TypeError, "photos_a must be Photos, or a uint8 array or tensor, got str"),
        (np.zeros((4, 16, 16)), ValueError, r"photos_a must be uint8 of shape .*, got torch.float64 \(4, 1, 16, 16\)"),
        (np.zeros((4, 16, 16, 3), np.uint8), ValueError, r"got torch.uint8 \(4, 16, 16, 3\)"),
        (np.zeros((4, 12, 12), np.uint8), ValueError, "photos_a must be at least 16 pixels a side, the model's size, got 12"),
        (dataclasses.replace(photos(1), size=18), ValueError, "photos_a must have the model's size 16, got 18"),
    ],
)
def test_photos_that_are_none_are_named(given: object, error: type, named: str) -> None:
    with pytest.raises(error, match=named):
        Translation(tiny(), given, photos(2))


def test_samples_are_drawn(tmp_path: Path) -> None:
    run(tiny(steps=2), tmp_path, sample_every=1)
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == ["step_000001.png", "step_000002.png"]
    assert RUN.sample_every > 2
