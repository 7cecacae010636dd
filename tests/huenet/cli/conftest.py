"""What the tests of commands start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from huenet.cli import main
from tests.huenet.cli.options import OPTIONS


@pytest.fixture(scope="session")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two steps."""
    out = tmp_path_factory.mktemp("run")
    assert main(["train", "--data", str(folder), "--out", str(out), "--steps", "2", "--hold-out", "3", *OPTIONS]) == 0
    return out
