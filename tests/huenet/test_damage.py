"""A sample of what `make mangle` and `make kills` do: damaged files, and commands killed while they write, or two at once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.paths import REPOSITORY

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

MANGLE, KILL = ["--cases", "10", "--seed", "29"], ["--kills", "3", "--commands", "transfer"]


def test_damaged_files_are_handled_or_named_and_killed_transfers_leave_whole_files() -> None:
    """In one process, since imports take as long as all of it; not in this one, since processes are forked from it, which threads
    of other tests would not survive. Killed training runs are in training/test_run.py."""
    code = f"""import sys; from tests.huenet import kills; from tests.huenet.mangled import __main__ as mangled
sys.exit(mangled.main({MANGLE}) or kills.main({KILL}))"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 cases, seed 29" in done.stdout and "transfer: 3 kills" in done.stdout
