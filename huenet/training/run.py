"""Training: photos in, OUT/generator.safetensors out; stopped at any moment, it goes on where it was.

    OUT/checkpoint.safetensors   the whole state, replaced atomically: an exact resume needs this file and the same command
    OUT/generator.safetensors    what `huenet transfer` and `huenet evaluate` take
    OUT/metrics.csv              losses by step, and the same for TensorBoard
    OUT/samples/step_*.png       the same few pairs, painted as training proceeds

Everything random in step s, the batch included, is a function of (seed, s, rank), so a checkpoint holds no random state and
no position in the epoch beyond the number of the step.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import torch
from torch import Tensor
from tqdm import tqdm

from ..color_transfer.config import Config, RunConfig, changed_settings
from ..color_transfer.figures import sample_grid
from ..color_transfer.gan import Trainer
from ..data import PairStream, Photos, hold_out
from ..losses import LossParts
from . import checkpoint
from .checkpoint import CheckpointError
from .distributed import ALONE, World
from .metrics_log import MetricsLog

CHECKPOINT, GENERATOR = "checkpoint.safetensors", "generator.safetensors"
LOSSES = (*LossParts._fields, "discriminator")
SAMPLES = 6
USUAL = RunConfig()
NEVER = 2**62
TIME_IS_UP = 2**31
"""Beside the numbers of signals, when processes compare why they would stop."""


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why, and which checkpoint stays."""


@dataclass(frozen=True)
class Outcome:
    """How far training came, and what stopped it before its last step, if anything: its time limit or a signal."""

    step: int
    stopped_by: Literal["time"] | signal.Signals | None = None


def train(config: Config, photos: Photos, out: str | os.PathLike[str], run: RunConfig = USUAL, world: World = ALONE) -> Outcome:
    """Train until ``config.train.steps``, or go on with the run that the folder ``out`` holds.

    Raises `CheckpointError` if ``out`` holds another run (other settings, other photos) or a damaged checkpoint, `TrainingError`
    when a loss or weight stops being finite, ``ValueError`` for settings that cannot work with these photos or processes,
    ``OSError`` if ``out`` cannot be written.
    """
    with contextlib.closing(TrainingRun(config, photos, out, run, world)) as training:
        return training.proceed()


class TrainingRun:
    """A training run, from where its folder says it is; see `train`."""

    def __init__(
        self, config: Config, photos: Photos, out: str | os.PathLike[str], run: RunConfig = USUAL, world: World = ALONE
    ) -> None:
        self.config, self.out, self.run, self.world = config, Path(out), run, world
        self.started = time.monotonic()
        if photos.size != config.model.size:
            raise ValueError(f"photos must have the model's size {config.model.size}, got {photos.size}")
        trained_on, held_out = hold_out(photos, config.train.hold_out, config.train.seed)
        self.stream = PairStream(
            trained_on.to(world.device),
            config.train.batch_size,
            config.train.seed,
            config.train.flips,
            config.train.crop,
            world.rank,
            world.size,
        )
        self.samples = _sample_pairs(held_out if len(held_out) > 1 else trained_on)
        self.metadata: dict[str, Any] = {
            "config": config.as_dict(),
            "trained_on": trained_on.names,
            "held_out": held_out.names,
            "pixels": photos.digest(),
        }
        self.trainer = Trainer(config, world)
        self.out.mkdir(parents=True, exist_ok=True)
        self.step = self._resumed()
        world.wait()  # nobody writes before everybody has read
        self.log = MetricsLog(self.out, (*LOSSES, "images_per_second"), self.step) if world.main else None
        self.reported = self.step, time.monotonic()
        # The first step that had a loss that was not finite; kept on the device, so that no step waits for its losses.
        self.first_bad = torch.full((), NEVER, device=world.device)

    def close(self) -> None:
        if self.log is not None:
            self.log.close()

    def proceed(self) -> Outcome:
        """Train to the last step, or until Ctrl-C, SIGTERM or the time limit, and save."""
        last, every = self.config.train.steps, self.run
        stopped_by = saved = None
        with self._progress() as bar, _caught_signals() as caught:
            while self.step < last and stopped_by is None:
                losses = self._train_step()
                bar.update()
                if self.step % every.log_every == 0 or self.step == last:
                    bar.set_postfix_str(self._report(losses), refresh=False)
                if self.step % every.sample_every == 0 or self.step == last:
                    self._paint_samples()
                if self.step % every.checkpoint_every == 0:
                    self._save()
                    saved = self.step
                stopped_by = self._stopped_by(caught)
            if saved != self.step:
                self._save()
        self.world.wait()  # who leaves while another saves would close the connections between them
        return Outcome(self.step, stopped_by if self.step < last else None)

    def _progress(self) -> tqdm:
        return tqdm(
            total=self.config.train.steps,
            initial=self.step,
            unit="step",
            desc="training",
            dynamic_ncols=True,
            disable=not (self.run.progress and self.world.main),
        )

    def _train_step(self) -> dict[str, Tensor]:
        losses = self.trainer.step(self.step, *self.stream.batch(self.step))
        self.step += 1
        finite = torch.stack([value.isfinite() for value in losses.values()]).all()
        self.first_bad = torch.where(finite, self.first_bad, self.first_bad.clamp_max(self.step))
        return losses

    def _report(self, losses: dict[str, Tensor]) -> str:
        """Log the mean losses of all processes; returns them as text for the progress bar."""
        self._check_finite()
        means = self.world.mean(torch.stack([losses[name] for name in LOSSES])).tolist()
        values = dict(zip(LOSSES, means))
        now = time.monotonic()
        step, moment = self.reported
        values["images_per_second"] = (self.step - step) * self.config.train.batch_size / (now - moment)
        self.reported = self.step, now
        if self.log is not None:
            self.log.write(self.step, values)
        return ", ".join(f"{name} {values[name]:.3g}" for name in LOSSES[1:]) + f", {values['images_per_second']:.3g} images/s"

    def _check_finite(self) -> None:
        first_bad = -self.world.max(-int(self.first_bad))
        if first_bad < NEVER:
            raise TrainingError(f"a loss was not finite at step {first_bad}; {self._last_good()}")

    def _last_good(self) -> str:
        path = self.out / CHECKPOINT
        return f"the last good checkpoint is {path}" if path.exists() else "there is no checkpoint yet"

    def _stopped_by(self, caught: list[signal.Signals]) -> Literal["time"] | signal.Signals | None:
        # Processes agree on this only now and then, because it makes them wait for each other.
        if self.world.size > 1 and self.step % self.run.log_every:
            return None
        limit = self.run.max_minutes
        late = limit is not None and time.monotonic() - self.started >= 60 * limit
        number = self.world.max(caught[0] if caught else TIME_IS_UP if late else 0)
        return None if number == 0 else "time" if number == TIME_IS_UP else signal.Signals(number)

    def _paint_samples(self) -> None:
        if self.log is None:
            return
        source, target = (images.to(self.world.device) for images in self.samples)
        with torch.no_grad():
            painted = self.trainer.painter()(source, target)
        folder = self.out / "samples"
        folder.mkdir(exist_ok=True)
        sample_grid(source, target, painted).save(folder / f"step_{self.step:06d}.png")

    def _save(self) -> None:
        self._check_finite()
        if self.log is None:
            return
        tensors = self.trainer.state()
        for name, tensor in tensors.items():
            if not tensor.isfinite().all():
                raise TrainingError(f"{name} was not finite after step {self.step}; {self._last_good()}")
        self.log.flush()  # first, so that the rows of every step the checkpoint counts are in the file
        metadata = {**self.metadata, "step": self.step}
        checkpoint.save_generator(self.out / GENERATOR, self.trainer.painter(), metadata)
        checkpoint.write(self.out / CHECKPOINT, "training", tensors, metadata)

    def _resumed(self) -> int:
        """Take up the folder's checkpoint, if there is one; returns the number of steps done."""
        path = self.out / CHECKPOINT
        if not path.exists():
            return 0
        tensors, metadata = checkpoint.read(path, "training")
        _check_same_run(path, metadata, self.config, self.metadata)
        self.trainer.load_state(path, tensors)
        return metadata["step"]


def _check_same_run(path: Path, metadata: dict[str, Any], config: Config, current: dict[str, Any]) -> None:
    try:
        changes = changed_settings(Config.from_dict(metadata["config"]), config)
        done, pixels = int(metadata["step"]), metadata["pixels"]
        before = {*metadata["trained_on"], *metadata["held_out"]}
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} describes no run this version knows: {error}") from error
    if config.train.schedule == "constant" and config.train.steps >= done:
        changes = [change for change in changes if not change.startswith("--steps:")]
    if changes:
        raise CheckpointError(f"{path} was trained with other options ({'; '.join(changes)}): repeat them, or choose another --out")
    now = {*current["trained_on"], *current["held_out"]}
    if before != now:
        raise CheckpointError(
            f"{path} was trained on other photos ({len(before ^ now)} differ, such as {min(before ^ now)}): "
            "use the same --data, or choose another --out"
        )
    if pixels != current["pixels"]:
        raise CheckpointError(f"{path} was trained on other photos of the same names: use the same --data, or choose another --out")


def _sample_pairs(photos: Photos) -> tuple[Tensor, Tensor]:
    """Sources and targets of the sample pictures: the first few photos, each with its successor."""
    count = min(SAMPLES, len(photos))
    return photos.pictures(range(count)), photos.pictures([(index + 1) % len(photos) for index in range(count)])


@contextlib.contextmanager
def _caught_signals() -> Iterator[list[signal.Signals]]:
    """A list that Ctrl-C and SIGTERM add themselves to instead of ending the process; a second one ends it as ever."""
    caught: list[signal.Signals] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught  # only the main thread may install handlers
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # what whoever started this process had it ignore (a shell's background job: SIGINT) stays ignored
    previous = {number: handler for number, handler in previous.items() if handler is not signal.SIG_IGN}

    def remember(number: int, _: FrameType | None) -> None:
        caught.append(signal.Signals(number))
        signal.signal(number, previous[signal.Signals(number)])

    for number in previous:
        signal.signal(number, remember)
    try:
        yield caught
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
