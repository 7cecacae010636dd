"""`huenet train`: goes on, and stops when asked to."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from huenet.cli import main
from huenet.color_transfer import gan
from tests.huenet.cli.options import OPTIONS


def interrupted_by(function: Callable) -> Callable:
    """The function, pressing Ctrl-C when it is called first."""
    calls = []

    def interrupting(*arguments: object) -> object:
        if not calls:
            os.kill(os.getpid(), signal.SIGINT)
        calls.append(arguments)
        return function(*arguments)

    return interrupting


def test_training_started_again_goes_on(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    command = ["train", "--data", str(folder), "--out", str(tmp_path), *OPTIONS]
    assert main([*command, "--steps", "1000", "--max-minutes", "0.0001"]) == 0
    assert "the same command goes on" in capsys.readouterr().out
    assert main([*command, "--steps", "3"]) == 0
    assert "trained 3 steps" in capsys.readouterr().out


def test_interrupted_training_saves_and_is_130(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, usual_signals: None
) -> None:
    monkeypatch.setattr(gan.HueGAN, "model", interrupted_by(gan.HueGAN.model))
    command = ["train", "--data", str(folder), "--out", str(tmp_path), *OPTIONS, "--steps", "4", "--sample-every", "2"]
    assert main(command) == 130
    assert "stopped (SIGINT) after step 2 of 4" in capsys.readouterr().out
    assert (tmp_path / "checkpoint.safetensors").exists()
