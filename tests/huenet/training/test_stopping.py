"""Runs stop at a time limit and at signals, with a checkpoint."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch

from huenet.training.run import TrainingRun
from tests.huenet.color_transfer.tiny import begin, run, tiny
from tests.huenet.training.runs import rows


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
    training = begin(tiny(steps=9), tmp_path, checkpoint_every=100)
    _signal_after(4, training, number)
    outcome = training.proceed()
    training.close()
    assert outcome.stopped_by == number and outcome.step == 4
    assert signal.getsignal(number) is handler
    assert run(tiny(steps=9), tmp_path).outcome.step == 9
    assert [int(row["step"]) for row in rows(tmp_path)] == list(range(1, 10))


def test_a_second_interrupt_does_not_wait(tmp_path: Path, usual_signals: None) -> None:
    training = begin(tiny(steps=9), tmp_path)
    _signal_after(4, training, signal.SIGINT, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        training.proceed()
    training.close()


def test_an_ignored_signal_stays_ignored(tmp_path: Path, usual_signals: None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    training = begin(tiny(steps=9), tmp_path)
    _signal_after(4, training, signal.SIGINT)
    assert training.proceed().step == 9
    training.close()
