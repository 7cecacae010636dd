"""Commands in a process of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import REPOSITORY


def test_names_in_another_encoding_and_figures_without_pyplot(trained: Path, folder: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    first, second = sorted(folder.iterdir())[:2]
    shutil.copy(first, photos / "ä.png")
    try:
        shutil.copy(second, os.fsencode(photos) + b"/caf\xe9.png")
    except OSError:
        pytest.skip("this file system takes no such names")
    checkpoint = ["--checkpoint", str(trained / "generator.safetensors"), "--device", "cpu"]
    lines = [
        ["evaluate", *checkpoint, "--data", str(photos), "--out", str(tmp_path / "e")],
        ["transfer", *checkpoint, str(photos), str(first), "--out", str(tmp_path / "o")],
    ]
    run = f"import sys; from huenet.cli import main; failed = any(main(line) for line in {lines!a})"
    code = f"{run}; sys.exit(failed or 'matplotlib.pyplot' in sys.modules)"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, timeout=120, env=environment)
    assert len(list((tmp_path / "o").iterdir())) == 2
    assert "caf\\udce9.png" in (tmp_path / "e" / "table1.md").read_text(encoding="utf-8")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output_is_named() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "huenet", "--help"], cwd=REPOSITORY, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (2, "huenet: error: standard output: No space left on device\n")
