"""A sample of what `make mangle` and `make kills` do: damaged files, and commands killed while they write."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.paths import REPOSITORY

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def _run(*arguments: str) -> str:
    """In a process of its own, since processes are forked from it, which threads of other tests would not survive."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_damaged_files_are_handled_or_named() -> None:
    assert "20 cases, seed 2" in _run("tests.huenet.mangled", "--cases", "20", "--seed", "2")


def test_killed_transfers_leave_whole_files() -> None:
    """Killed training runs are in training/test_run.py."""
    assert "transfer: 3 kills" in _run("tests.huenet.kills", "--kills", "3", "--commands", "transfer")
