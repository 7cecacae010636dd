"""Data-parallel training, with real processes: the same losses and weights as one process with the joint batch."""

from __future__ import annotations

import csv
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from huenet.cli import main
from huenet.training.distributed import find_device, joined
from tests.huenet.training.runs import weights
from tests.paths import REPOSITORY

STEPS = 5
OPTIONS = shlex.split(
    "--preset small --size 32 --width 4 --discriminator-width 4 --condition-bins 8 --condition-width 8 --bins 16 --mi-bins 16 "
    f"--norm instance --dropout 0 --steps {STEPS} --batch-size 4 --schedule constant --ema 0.9 --hold-out 3 --precision float64 "
    "--log-every 1 --device cpu"
)


def _arguments(folder: Path, out: Path) -> list[str]:
    return ["train", "--data", str(folder), "--out", str(out), *OPTIONS]


def _train(folder: Path, out: Path, *options: str) -> str:
    """The real command in two processes, as torchrun would start it; returns what they print."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "huenet", *_arguments(folder, out), *options]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
    }
    started = [
        subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=300) for process in started]
    assert all(process.returncode == 0 for process in started), outputs
    return "".join(output for output, _ in outputs)


def _losses(out: Path) -> torch.Tensor:
    with (out / "metrics.csv").open(newline="") as file:
        rows = [{k: float(v) for k, v in row.items() if k not in ("images_per_second", "mfu")} for row in csv.DictReader(file)]
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    return torch.tensor([list(row.values()) for row in rows], dtype=torch.float64)


def test_two_processes_do_what_one_does_with_the_joint_batch(folder: Path, tmp_path: Path) -> None:
    """The two are stopped after step 3 and started again, so this covers their resume too."""
    assert _train(folder, tmp_path / "two", "--steps", "3").count("trained 3 steps") == 1  # one process prints
    _train(folder, tmp_path / "two")
    assert main(_arguments(folder, tmp_path / "one")) == 0
    # 1e-9 is what the project promises. Sums of some thousand float64 terms in another order differ by 1e-13; Adam divides
    # by gradients' sizes, so weights with tiny gradients lose some digits.
    assert torch.allclose(_losses(tmp_path / "two"), _losses(tmp_path / "one"), rtol=1e-9, atol=1e-9)
    two, one = weights(tmp_path / "two"), weights(tmp_path / "one")
    assert two.keys() == one.keys() and all(tensor.dtype == torch.float64 for name, tensor in one.items() if "unet" in name)
    worst = max((two[name].double() - one[name].double()).abs().max().item() for name in one)
    assert worst < 1e-9
    # and a batch shared wrongly would show: the runs move far more than that
    assert max((one[name].double().abs().max().item()) for name in one if name.endswith("exp_avg")) > 1e-6


def test_alone_there_is_nothing_to_join(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined("cpu") as world:
        assert (world.rank, world.size, world.main, world.device) == (0, 1, True, torch.device("cpu"))
        values = torch.rand(3)
        assert torch.equal(world.mean(values), values) and world.max(-3) == -3


def test_a_missing_device_is_named() -> None:
    for name in ("tpu9", "cuda:77", ""):
        with pytest.raises(ValueError, match="device"):
            find_device(name)
