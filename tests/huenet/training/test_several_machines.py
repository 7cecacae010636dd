"""Two machines, played by two agents of torchrun on one: the losses of one process, and what a death leaves."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from huenet.cli import main
from tests.huenet.training.runs import rows
from tests.huenet.training.test_distributed import OPTIONS, STEPS, _losses
from tests.paths import REPOSITORY

WAIT = 300


def _agents(folder: Path, out: Path, *options: str) -> list[subprocess.Popen[str]]:
    """torchrun on each of two machines, one process each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", "--max-restarts", "0"]
    run += ["--master-addr", "127.0.0.1", "--master-port", str(port)]
    command = ["-m", "huenet", "train", "--data", str(folder), "--out", str(out), *OPTIONS, *options]
    return [
        subprocess.Popen(
            [*run, "--node-rank", str(rank), *command],
            cwd=REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


def _workers(agent: subprocess.Popen[str]) -> list[int]:
    """The processes that an agent has started."""
    return [int(number) for number in Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split()]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="children of a process are read from /proc")
def test_the_losses_are_those_of_one_process_and_a_death_is_one_line(folder: Path, tmp_path: Path) -> None:
    agents = _agents(folder, tmp_path / "two")
    outputs = [agent.communicate(timeout=WAIT) for agent in agents]
    assert all(agent.returncode == 0 for agent in agents), outputs
    assert main(["train", "--data", str(folder), "--out", str(tmp_path / "one"), *OPTIONS]) == 0
    # the tolerance of `test_distributed`
    assert torch.allclose(_losses(tmp_path / "two"), _losses(tmp_path / "one"), rtol=1e-9, atol=1e-9)

    out, many = tmp_path / "killed", ["--steps", "100000", "--checkpoint-every", "2", "--no-progress"]
    agents = _agents(folder, out, *many)
    deadline = time.monotonic() + WAIT
    while len(rows(out) if (out / "metrics.csv").exists() else []) < 6 and time.monotonic() < deadline:
        time.sleep(0.05)
    (worker,) = _workers(agents[1])
    os.kill(worker, signal.SIGKILL)
    (_, said), _ = [agent.communicate(timeout=WAIT) for agent in agents]
    assert all(agent.returncode for agent in agents)
    (line,) = [line for line in said.splitlines() if line.startswith("huenet:")]
    assert "another process of the 2 that train is gone" in line and "checkpoint.safetensors" in line
    assert "Traceback" not in said.split("huenet:")[0]

    done = int(rows(out)[-1]["step"])
    assert done >= 6
    more = ["train", "--data", str(folder), "--out", str(out), *OPTIONS, "--steps", str(done + STEPS)]
    assert main(more) == 0  # one process goes on where two were
    assert [int(row["step"]) for row in rows(out)] == list(range(1, done + STEPS + 1))
