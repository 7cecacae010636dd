"""The loop that trains any `System`: stopped at any moment, it goes on where it was.

    OUT/checkpoint.safetensors   the whole state, replaced atomically: an exact resume needs this file and the same command
    OUT/<system.result>          what users of the trained system load
    OUT/metrics.csv              losses by step, and the same for TensorBoard
    OUT/samples/step_*.png       the same few examples as training proceeds
    OUT/profile.md, .json.gz     some steps taken apart, if asked for

Everything random in step s, the batch included, is a function of (seed, s, rank), so a checkpoint holds no random state and
no position in the epoch beyond the number of the step.
"""

import contextlib
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from ..files import claimed, replacing
from . import checkpoint
from .config import RunConfig
from .metrics_log import MetricsLog
from .profile import TABLE, TRACE, StepProfile, steps_of
from .protocol import System
from .rates import Operations, device_name, peak
from .stopping import Reason, agreed_reason, caught_signals
from .trained_networks import arithmetic

CHECKPOINT = "checkpoint.safetensors"
USUAL = RunConfig()
NEVER = 2**62


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why, and which checkpoint stays."""


@dataclass(frozen=True)
class Outcome:
    """How far training came, and what stopped it before its last step, if anything: its time limit or a signal."""

    step: int
    stopped_by: Reason | None = None


def train(system: System, out: str | os.PathLike[str], run: RunConfig = USUAL) -> Outcome:
    """Train until the system's ``config.train.steps``, or go on with the run that the folder ``out`` holds.

    Raises `CheckpointError` if ``out`` holds another run (other settings, other photos) or a damaged checkpoint, ``ValueError`` if
    another process trains there, or its metrics.csv has a line that is none, `TrainingError` when a loss or weight stops being
    finite, ``OSError`` if ``out`` cannot be written.
    """
    with contextlib.closing(TrainingRun(system, out, run)) as training:
        return training.proceed()


class TrainingRun:
    """A training run, from where its folder says it is; see `train`."""

    def __init__(self, system: System, out: str | os.PathLike[str], run: RunConfig = USUAL) -> None:
        self.system, self.out, self.run, self.world = system, Path(out), run, system.world
        self.train = system.config.train
        self.started = time.monotonic()
        self.out.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as opened:
            if self.world.main:
                opened.enter_context(claimed(self.out))
            self.step = self._resumed()
            self._check_profile()
            self.world.wait()  # nobody writes before everybody has read
            columns = (*system.losses, "images_per_second")
            self.log = MetricsLog(self.out, columns, self.step, last="mfu") if self.world.main else None
            if self.log is not None:
                opened.callback(self.log.close)
            self._opened = opened.pop_all()
        self.reported = self.step, time.monotonic()
        self.computed_in = arithmetic(self.train, self.world.device)
        self.peak = peak(self.world.device, self.computed_in)
        self.operations: int | None = None
        self.profile = StepProfile(run.profile, self.world.device) if run.profile and self.world.main else None
        # The first step that had a loss that was not finite; kept on the device, so that no step waits for its losses.
        self.first_bad = torch.full((), NEVER, device=self.world.device)

    def close(self) -> None:
        if self.profile is not None:
            self.profile.abandon()
        self._opened.close()

    def proceed(self) -> Outcome:
        """Train to the last step, or until Ctrl-C, SIGTERM or the time limit, and save.

        Where one of several processes has died, the others raise `TrainingError` as soon as they wait for it.
        """
        try:
            return self._proceed()
        except RuntimeError as error:
            if not self.world.is_broken(error):
                raise
            where = f"at step {self.step}; {self._last_good()}"
            raise TrainingError(f"another process of the {self.world.size} that train is gone, {where}") from error

    def _proceed(self) -> Outcome:
        last, every = self.train.steps, self.run
        stopped_by = saved = None
        with self._progress() as bar, caught_signals() as caught:
            while self.step < last and stopped_by is None:
                losses = self._train_step()
                bar.update()
                if self.step % every.log_every == 0 or self.step == last:
                    bar.set_postfix_str(self._report(losses), refresh=False)
                if self.step % every.sample_every == 0 or self.step == last:
                    self._save_sample()
                if self.step % every.checkpoint_every == 0:
                    self._save()
                    saved = self.step
                stopped_by = self._stopped_by(caught)
            if saved != self.step:
                self._save()
        self.world.wait()  # who leaves while another saves would close the connections between them
        return Outcome(self.step, stopped_by if self.step < last else None)

    def _progress(self) -> tqdm:
        shown = self.run.progress and self.world.main
        return tqdm(total=self.train.steps, initial=self.step, unit="step", desc="training", dynamic_ncols=True, disable=not shown)

    def _train_step(self) -> dict[str, Tensor]:
        losses = self._step() if self.profile is None else self.profile(self._step)
        self.step += 1
        if self.profile is not None and self.profile.done:
            self._write_profile(self.profile)
            self.profile = None
        finite = torch.stack([value.isfinite() for value in losses.values()]).all()
        self.first_bad = torch.where(finite, self.first_bad, self.first_bad.clamp_max(self.step))
        return losses

    def _step(self) -> dict[str, Tensor]:
        if self.peak is None or self.operations is not None:
            return self.system.step(self.step)
        # Once, of a step that is not compiled, in which alone operations are seen; in every process, so that all compile at once.
        eager = torch.compiler.set_stance("force_eager") if self.world.compiler else contextlib.nullcontext()
        with Operations() as counted, eager:
            losses = self.system.step(self.step)
        self.operations = counted.count
        return losses

    def _mfu(self, steps_per_second: float) -> float | None:
        """Share of the device's peak that is used; of each process, as all do the same."""
        return None if self.peak is None or self.operations is None else self.operations * steps_per_second / self.peak

    def _check_profile(self) -> None:
        wanted, left = self.run.profile, self.train.steps - self.step
        if wanted and steps_of(wanted) > left:
            most = f"at most {max(0, (left - steps_of(0)) // 2)}, as {left} steps are left"
            raise ValueError(f"profile must be {most}: {steps_of(0)} to warm up, and as many to trace as to watch; got {wanted}")

    def _write_profile(self, profile: StepProfile) -> None:
        device, kind = self.world.device, str(self.computed_in).removeprefix("torch.")
        threads = f", threads: {torch.get_num_threads()}" if device.type == "cpu" else ""
        processes = f", processes: {self.world.size}" if self.world.size > 1 else ""
        compiled = ", compiled" if self.world.compiler else ""
        about = (
            f"batch {self.train.batch_size}, {kind}{compiled}; {device_name(device)}{threads}{processes}, torch {torch.__version__}"
        )
        first = self.step - 2 * profile.count + 1
        profile.write(self.out, first, about, self.train.batch_size, self._mfu(1.0))
        tqdm.write(f"profile of steps {first} to {self.step}: {self.out / TABLE}, {self.out / TRACE}", file=sys.stderr)

    def _report(self, losses: dict[str, Tensor]) -> str:
        """Log the mean losses of all processes; returns them as text for the progress bar."""
        self._check_finite()
        names = self.system.losses
        values = dict(zip(names, self.world.mean(torch.stack([losses[name] for name in names])).tolist()))
        now = time.monotonic()
        step, moment = self.reported
        rate = (self.step - step) / (now - moment)
        values["images_per_second"] = rate * self.train.batch_size
        if (mfu := self._mfu(rate)) is not None:
            values["mfu"] = mfu
        self.reported = self.step, now
        if self.log is not None:
            self.log.write(self.step, values)
        parts = [f"{name} {values[name]:.3g}" for name in names if name != "total"]
        used = [] if mfu is None else [f"MFU {mfu:.0%}"]
        return ", ".join([*parts, f"{values['images_per_second']:.3g} images/s", *used])

    def _check_finite(self) -> None:
        first_bad = -self.world.max(-int(self.first_bad))
        if first_bad < NEVER:
            raise TrainingError(f"a loss was not finite at step {first_bad}; {self._last_good()}")

    def _last_good(self) -> str:
        path = self.out / CHECKPOINT
        return (
            f"the last good checkpoint is {path}, from which the same command goes on"
            if path.exists()
            else "there is no checkpoint yet"
        )

    def _stopped_by(self, caught: list[signal.Signals]) -> Reason | None:
        """Why all processes should stop now, because one of them caught a signal or is late; the same in each of them."""
        # Processes agree on this only now and then, because it makes them wait for each other.
        if self.world.size > 1 and self.step % self.run.log_every:
            return None
        limit = self.run.max_minutes
        late = limit is not None and time.monotonic() - self.started >= 60 * limit
        return agreed_reason(self.world, caught, late)

    def _save_sample(self) -> None:
        if self.log is None:
            return
        folder = self.out / "samples"
        folder.mkdir(exist_ok=True)
        with replacing(folder / f"step_{self.step:06d}.png") as temporary:
            self.system.sample().save(temporary)

    def _save(self) -> None:
        self._check_finite()
        tensors = self.system.state()
        if self.log is None:
            return
        for name, tensor in tensors.items():
            if not tensor.isfinite().all():
                raise TrainingError(f"{name} was not finite after step {self.step}; {self._last_good()}")
        self.log.flush()  # first, so that the rows of every step the checkpoint counts are in the file
        metadata = {"config": self.system.config.as_dict(), **self.system.data, "step": self.step}
        self.system.export(self.out / self.system.result, metadata)
        checkpoint.write(self.out / CHECKPOINT, "training", tensors, metadata)

    def _resumed(self) -> int:
        """Take up the folder's checkpoint, if there is one; returns the number of steps done."""
        path = self.out / CHECKPOINT
        if not path.exists():
            return 0
        tensors, metadata = checkpoint.read(path, "training")
        checkpoint.check_same_run(path, metadata, self.system.config, self.system.data)
        self.system.load_state(path, tensors)
        return metadata["step"]
