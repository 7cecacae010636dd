"""The loop repeats itself and survives being killed; what is not finite stops it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from huenet.color_transfer import gan
from huenet.color_transfer.model import load_generator
from huenet.training.run import TrainingError
from tests.huenet.color_transfer.tiny import TINY, run, tiny
from tests.huenet.training.runs import assert_equal, rows, timeless, weights
from tests.paths import REPOSITORY

STEPS = TINY.train.steps


def _start(out: Path, *arguments: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.huenet.color_transfer.tiny", str(out), *arguments],
        cwd=REPOSITORY,
        env=environment,
        stderr=subprocess.PIPE,
    )


def _finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run in a process of its own, as those that are killed."""
    out = tmp_path_factory.mktemp("uninterrupted")
    _finish(_start(out))
    return out


def test_killed_at_any_moment_it_ends_with_the_same_weights(finished: Path, tmp_path: Path) -> None:
    """First while a checkpoint is being replaced, then at two random moments, then left alone."""
    deadly = _start(tmp_path, "6")
    deadly.communicate(timeout=300)
    assert deadly.returncode == -signal.SIGKILL
    assert (tmp_path / ".checkpoint.partial.safetensors").exists()
    luck = random.Random(os.getpid())
    for least in (4, 7):
        process = _start(tmp_path)
        deadline = time.monotonic() + 200
        while len(rows(tmp_path)) < least and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(luck.uniform(0, 0.3))
        process.kill()
        process.communicate()
    _finish(_start(tmp_path))
    assert_equal(weights(tmp_path), weights(finished))
    assert_equal(
        load_generator(tmp_path / "generator.safetensors")[0].state_dict(),
        load_generator(finished / "generator.safetensors")[0].state_dict(),
    )
    assert timeless(tmp_path) == timeless(finished) and [int(row["step"]) for row in rows(tmp_path)] == list(range(1, STEPS + 1))
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in events.Scalars("emd")] == list(range(1, STEPS + 1))


def test_more_steps_go_on_where_fewer_ended(tmp_path: Path) -> None:
    run(tiny(steps=4), tmp_path / "grown")
    assert run(tiny(steps=6), tmp_path / "grown").outcome.step == 6
    run(tiny(steps=6), tmp_path / "whole")
    assert_equal(weights(tmp_path / "grown"), weights(tmp_path / "whole"))


def test_a_finished_run_is_left_alone_but_its_generator_is_made_sure_of(tmp_path: Path) -> None:
    first = run(tiny(steps=2), tmp_path)
    (tmp_path / "generator.safetensors").unlink()
    again = run(tiny(steps=2), tmp_path)
    assert again.outcome == first.outcome and len(rows(tmp_path)) == 2
    assert_equal(load_generator(tmp_path / "generator.safetensors")[0].state_dict(), again.system.gan.model().state_dict())


@pytest.mark.parametrize("where", ["loss", "weights"])
def test_not_finite_stops_training_and_keeps_the_last_good_checkpoint(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tiny(steps=3), tmp_path)
    good = weights(tmp_path)
    step = gan.HueGAN.step

    def poisoned(self: gan.HueGAN, number: int, *batch: torch.Tensor) -> dict[str, torch.Tensor]:
        losses = step(self, number, *batch)
        if number == 4 and where == "loss":
            losses["emd"] = losses["emd"] * float("nan")
        if number == 4 and where == "weights":
            next(self.generator.parameters()).data.fill_(float("inf"))
        return losses

    monkeypatch.setattr(gan.HueGAN, "step", poisoned)
    for checkpoint_every in (5, 100):  # at the bad step itself, or only after later ones
        with pytest.raises(TrainingError, match=r"not finite (at|after) step [56]") as failure:
            run(tiny(steps=12), tmp_path, checkpoint_every=checkpoint_every, log_every=100)
        assert "checkpoint.safetensors" in str(failure.value)
    assert_equal(weights(tmp_path), good)
