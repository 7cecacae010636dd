"""Where the tests find real photographs; tests that need them skip where the folder is absent."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = REPOSITORY.parent / "shared" / "data"


def photo_folder(name: str) -> Path:
    """The folder of real photos called `name`, or a skip that says which folder is missing."""
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"no real photos at {folder}")
    return folder
