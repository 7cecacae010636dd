"""Training: it learns, repeats itself, and survives being killed; what it must refuse, it names."""

from __future__ import annotations

import csv
import dataclasses
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

from huenet.color import rgb_to_hsv
from huenet.color_transfer import gan
from huenet.color_transfer.config import PRESETS, RunConfig
from huenet.training import checkpoint
from huenet.training.checkpoint import CheckpointError, load_generator
from huenet.training.run import CHECKPOINT, TrainingError, TrainingRun, train
from tests.huenet.color_transfer.tiny import RUN, TINY, photos, run, tiny, weights
from tests.paths import REPOSITORY

STEPS = TINY.train.steps


def _rows(out: Path) -> list[dict[str, str]]:
    with (out / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


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


def _assert_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert not different


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
    assert (tmp_path / ".checkpoint.safetensors.partial").exists()
    luck = random.Random(os.getpid())
    for least in (4, 7):
        process = _start(tmp_path)
        deadline = time.monotonic() + 200
        while len(_rows(tmp_path)) < least and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(luck.uniform(0, 0.3))
        process.kill()
        process.communicate()
    _finish(_start(tmp_path))
    _assert_equal(weights(tmp_path), weights(finished))
    _assert_equal(
        load_generator(tmp_path / "generator.safetensors")[0].state_dict(),
        load_generator(finished / "generator.safetensors")[0].state_dict(),
    )
    timeless = [[{k: v for k, v in row.items() if k != "images_per_second"} for row in _rows(out)] for out in (tmp_path, finished)]
    assert timeless[0] == timeless[1] and [int(row["step"]) for row in timeless[0]] == list(range(1, STEPS + 1))
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in events.Scalars("emd")] == list(range(1, STEPS + 1))


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path: Path) -> None:
    runs = [run(tiny(steps=2, seed=seed), tmp_path / name) for seed, name in ((0, "a"), (0, "b"), (1, "c"))]
    first, again, other = (training.trainer.generator.state_dict() for training in runs)
    _assert_equal(first, again)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_training_reduces_the_losses_it_is_given(tmp_path: Path) -> None:
    run(tiny(steps=60, batch_size=8, learning_rate=2e-3, mi_weight=0.0, adversarial_weight=0.0, dropout=0.0), tmp_path)
    emd = [float(row["emd"]) for row in _rows(tmp_path)]
    assert sum(emd[-10:]) < 0.8 * sum(emd[:10])


def test_more_steps_go_on_where_fewer_ended(tmp_path: Path) -> None:
    run(tiny(steps=4), tmp_path / "grown")
    assert run(tiny(steps=6), tmp_path / "grown").outcome.step == 6
    run(tiny(steps=6), tmp_path / "whole")
    _assert_equal(weights(tmp_path / "grown"), weights(tmp_path / "whole"))


def test_a_finished_run_is_left_alone_but_its_generator_is_made_sure_of(tmp_path: Path) -> None:
    first = run(tiny(steps=2), tmp_path)
    (tmp_path / "generator.safetensors").unlink()
    again = run(tiny(steps=2), tmp_path)
    assert again.outcome == first.outcome and len(_rows(tmp_path)) == 2
    _assert_equal(load_generator(tmp_path / "generator.safetensors")[0].state_dict(), again.trainer.painter().state_dict())


def test_without_mutual_information_it_is_not_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huenet.losses.hue.mutual_information", lambda *_, **__: pytest.fail("computed"))
    run(tiny(steps=2, mi_weight=0.0), tmp_path)
    assert all(float(row["mi"]) == 0 for row in _rows(tmp_path))


def test_without_adversary_there_is_no_discriminator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gan, "HueDiscriminator", lambda *_: pytest.fail("built"))
    training = run(tiny(steps=2, adversarial_weight=0.0), tmp_path)
    assert training.trainer.discriminator is None
    assert not any("discriminator" in name for name in weights(tmp_path))
    assert all(float(row["adversarial"]) == float(row["discriminator"]) == 0 for row in _rows(tmp_path))


def test_both_networks_learn_in_every_step(tmp_path: Path) -> None:
    training = TrainingRun(tiny(norm="batch", ema=0.5), photos(), tmp_path, RUN)
    before = {name: value.clone() for name, value in training.trainer.state().items()}
    training.trainer.step(0, *training.stream.batch(0))
    training.close()
    unchanged = [name for name, value in training.trainer.state().items() if name in before and torch.equal(value, before[name])]
    assert unchanged == []


def test_the_generator_file_holds_the_running_average(tmp_path: Path) -> None:
    """It starts from the first step's weights; step 2 keeps 2/7 of it, step 3 its 3/8, and so on up to ema."""
    training = TrainingRun(tiny(steps=3), photos(), tmp_path, RUN)
    expected = None
    while training.step < 3:
        training._train_step()
        decay = training.step / (training.step + 5)
        now = {name: value.clone() for name, value in training.trainer.generator.state_dict().items()}
        expected = now if expected is None else {name: decay * expected[name] + (1 - decay) * now[name] for name in now}
    found = training.trainer.painter().generator.state_dict()
    training.close()
    # Three roundings of float32 weights below 1.
    assert all(torch.allclose(found[name], expected[name], rtol=0, atol=4 * 2.0**-24) for name in expected)


def test_cosine_schedule_ends_near_zero_and_fixes_the_steps(tmp_path: Path) -> None:
    training = run(tiny(steps=4, schedule="cosine"), tmp_path)
    rates = [group["lr"] for optimizer in training.trainer.optimizers.values() for group in optimizer.param_groups]
    assert rates == pytest.approx(2 * [2e-4 * 0.5 * (1 - 0.5**0.5)])  # step 3 of 4: cos(3 pi / 4)
    with pytest.raises(CheckpointError, match="--steps: 4 -> 5"):
        run(tiny(steps=5, schedule="cosine"), tmp_path)


def test_warm_up_and_a_rate_of_the_discriminators_own(tmp_path: Path) -> None:
    training = TrainingRun(tiny(warmup=3, learning_rate=1e-3, discriminator_learning_rate=1e-4), photos(), tmp_path, RUN)
    for step, factor in ((0, 0.25), (2, 0.75), (3, 1.0), (9, 1.0)):
        training.trainer.step(step, *training.stream.batch(step))
        rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in training.trainer.optimizers.items()}
        assert rates == pytest.approx({"generator": 1e-3 * factor, "discriminator": 1e-4 * factor})
    training.close()


def test_hue_jitter_turns_a_pair_together_and_differently_in_each_step(tmp_path: Path) -> None:
    training = TrainingRun(tiny(hue_jitter=0.1), photos(), tmp_path, RUN)
    source, target = (rgb_to_hsv(image) for image in training.stream.batch(0))
    angles = []
    for step in (0, 1):
        turned = training.trainer._turned_together(step, source, target)
        turns = [(after - before)[:, 0].remainder(1) for before, after in zip((source, target), turned)]
        angles.append(turns[0][:, 0, 0])
        # Adding an angle and taking it off again are two roundings of numbers below 2.
        assert all(((turn - angles[-1][:, None, None] + 0.5).remainder(1) - 0.5).abs().max() < 2**-21 for turn in turns)
        assert all(torch.equal(before[:, 1:], after[:, 1:]) for before, after in zip((source, target), turned))
    training.close()
    drawn = torch.cat(angles)
    assert len(drawn.unique()) == 8 and ((drawn + 0.5).remainder(1) - 0.5).abs().max() <= 0.1


@pytest.mark.parametrize("precision", ["bfloat16", "float64"])
def test_other_precisions_train(tmp_path: Path, precision: str) -> None:
    training = run(tiny(steps=2, precision=precision), tmp_path, sample_every=1)
    dtype = torch.float64 if precision == "float64" else torch.float32
    assert all(parameter.dtype == dtype for parameter in training.trainer.generator.parameters())
    assert (tmp_path / "samples" / "step_000002.png").exists()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains(tmp_path: Path, name: str) -> None:
    preset = PRESETS[name]
    config = dataclasses.replace(
        preset,
        model=dataclasses.replace(preset.model, size=32, width=4, discriminator_width=4, depth=None),
        train=dataclasses.replace(preset.train, steps=2, batch_size=2),
    )
    training = run(config, tmp_path)
    row = _rows(tmp_path)[-1]
    used = {"emd", "mi", "adversarial", "discriminator"} | ({"smoothness"} if preset.loss.smoothness_weight else set())
    assert all((float(row[part]) > 0) == (part in used) for part in (*used, "smoothness"))
    assert training.outcome.step == 2


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
            train(tiny(steps=2), changed, tmp_path, RUN)


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


@pytest.mark.parametrize("where", ["loss", "weights"])
def test_not_finite_stops_training_and_keeps_the_last_good_checkpoint(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tiny(steps=3), tmp_path)
    good = weights(tmp_path)
    step = gan.Trainer.step

    def poisoned(self: gan.Trainer, number: int, *batch: torch.Tensor) -> dict[str, torch.Tensor]:
        losses = step(self, number, *batch)
        if number == 4 and where == "loss":
            losses["emd"] = losses["emd"] * float("nan")
        if number == 4 and where == "weights":
            next(self.generator.parameters()).data.fill_(float("inf"))
        return losses

    monkeypatch.setattr(gan.Trainer, "step", poisoned)
    for checkpoint_every in (5, 100):  # at the bad step itself, or only after later ones
        with pytest.raises(TrainingError, match=r"not finite (at|after) step [56]") as failure:
            run(tiny(steps=12), tmp_path, checkpoint_every=checkpoint_every, log_every=100)
        assert "checkpoint.safetensors" in str(failure.value)
    _assert_equal(weights(tmp_path), good)


def test_time_is_up(tmp_path: Path) -> None:
    training = run(tiny(steps=1000), tmp_path, max_minutes=1e-9, checkpoint_every=1000)
    assert training.outcome.stopped_by == "time" and training.outcome.step == 1
    assert run(tiny(steps=3), tmp_path).outcome.step == 3


def _signal_after(step: int, training: TrainingRun, *numbers: signal.Signals) -> None:
    """Let this process get signals when a step is done."""
    train_step = training._train_step

    def stepping() -> dict[str, torch.Tensor]:
        losses = train_step()
        if training.step == step:
            for number in numbers:
                os.kill(os.getpid(), number)
        return losses

    training._train_step = stepping


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_with_a_checkpoint(tmp_path: Path, number: signal.Signals, usual_signals: None) -> None:
    handler = signal.getsignal(number)
    training = TrainingRun(tiny(steps=9), photos(), tmp_path, dataclasses.replace(RUN, checkpoint_every=100))
    _signal_after(4, training, number)
    outcome = training.proceed()
    training.close()
    assert outcome.stopped_by == number and outcome.step == 4
    assert signal.getsignal(number) is handler
    assert run(tiny(steps=9), tmp_path).outcome.step == 9
    assert [int(row["step"]) for row in _rows(tmp_path)] == list(range(1, 10))


def test_a_second_interrupt_does_not_wait(tmp_path: Path, usual_signals: None) -> None:
    training = TrainingRun(tiny(steps=9), photos(), tmp_path, RUN)
    _signal_after(4, training, signal.SIGINT, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        training.proceed()
    training.close()


def test_an_ignored_signal_stays_ignored(tmp_path: Path, usual_signals: None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    training = TrainingRun(tiny(steps=9), photos(), tmp_path, RUN)
    _signal_after(4, training, signal.SIGINT)
    assert training.proceed().step == 9
    training.close()


def test_sample_pictures_and_small_sets(tmp_path: Path) -> None:
    few = photos(2)
    train(tiny(steps=4, hold_out=0), few, tmp_path, dataclasses.replace(RUN, sample_every=2))
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == ["step_000002.png", "step_000004.png"]


def test_bad_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="hold out 10"):
        run(tiny(hold_out=10), tmp_path)
    with pytest.raises(ValueError, match="size 33, got 32"):
        run(tiny(size=33), tmp_path)
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
