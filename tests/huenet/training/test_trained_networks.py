"""Running averages, schedules, rates and precisions of trained networks, seen through Hue-Net's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from huenet.training.checkpoint import CheckpointError
from tests.huenet.color_transfer.tiny import begin, run, tiny


def test_the_generator_file_holds_the_running_average(tmp_path: Path) -> None:
    """It starts from the first step's weights; step 2 keeps 2/7 of it, step 3 its 3/8, and so on up to ema."""
    training = begin(tiny(steps=3), tmp_path)
    expected = None
    while training.step < 3:
        training._train_step()
        decay = training.step / (training.step + 5)
        now = {name: value.clone() for name, value in training.system.gan.generator.state_dict().items()}
        expected = now if expected is None else {name: decay * expected[name] + (1 - decay) * now[name] for name in now}
    found = training.system.gan.model().generator.state_dict()
    training.close()
    # Three roundings of float32 weights below 1.
    assert all(torch.allclose(found[name], expected[name], rtol=0, atol=4 * 2.0**-24) for name in expected)


def test_cosine_schedule_ends_near_zero_and_fixes_the_steps(tmp_path: Path) -> None:
    training = run(tiny(steps=4, schedule="cosine"), tmp_path)
    rates = [group["lr"] for optimizer in training.system.gan.networks.optimizers.values() for group in optimizer.param_groups]
    assert rates == pytest.approx(2 * [2e-4 * 0.5 * (1 - 0.5**0.5)])  # step 3 of 4: cos(3 pi / 4)
    with pytest.raises(CheckpointError, match="--steps: 4 -> 5"):
        run(tiny(steps=5, schedule="cosine"), tmp_path)


def test_warm_up_and_a_rate_of_the_discriminators_own(tmp_path: Path) -> None:
    training = begin(tiny(warmup=3, learning_rate=1e-3, discriminator_learning_rate=1e-4), tmp_path)
    for step, factor in ((0, 0.25), (2, 0.75), (3, 1.0), (9, 1.0)):
        training.system.step(step)
        rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in training.system.gan.networks.optimizers.items()}
        assert rates == pytest.approx({"generator": 1e-3 * factor, "discriminator": 1e-4 * factor})
    training.close()


@pytest.mark.parametrize("precision", ["bfloat16", "float64"])
def test_other_precisions_train(tmp_path: Path, precision: str) -> None:
    training = run(tiny(steps=2, precision=precision), tmp_path, sample_every=1)
    dtype = torch.float64 if precision == "float64" else torch.float32
    assert all(parameter.dtype == dtype for parameter in training.system.gan.generator.parameters())
    assert (tmp_path / "samples" / "step_000002.png").exists()
