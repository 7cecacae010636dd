"""Fixtures of the system's tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from huenet.cli import main
from huenet.data.garden import garden
from tests.huenet.cli.options import OPTIONS


@pytest.fixture
def usual_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM as in a terminal: a shell has its background jobs, and so tests run there, ignore Ctrl-C."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    previous = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in previous.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight flowers as real files, which every process loads itself."""
    path = tmp_path_factory.mktemp("photos")
    flowers = garden(8, 40, seed=2)
    for image, name in zip(flowers.images, flowers.names):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path / name)
    return path


@pytest.fixture(scope="session")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two steps."""
    out = tmp_path_factory.mktemp("run")
    assert main(["train", "--data", str(folder), "--out", str(out), "--steps", "2", "--hold-out", "3", *OPTIONS]) == 0
    return out
