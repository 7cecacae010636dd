"""A page for each command: what its `--help` prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from .paths import REPOSITORY


def write(folder: Path) -> None:
    """All pages, and ``index.md`` that lists them."""
    folder.mkdir(parents=True)
    front = _help()
    found = re.search(r"\{([^}]+)\}", front)
    assert found, front
    commands = found.group(1).split(",")
    for command in commands:
        page = f"# huenet {command}\n\n```text\n{_help(*command.split())}```\n"
        (folder / f"{_file(command)}.md").write_text(page, encoding="utf-8")
    listing = "\n".join(f"huenet {command} <{_file(command)}>" for command in commands)
    (folder / "index.md").write_text(
        f"# Commands\n\nWhat each command's `--help` prints.\n\n```{{toctree}}\n{listing}\n```\n\n```text\n{front}```\n",
        encoding="utf-8",
    )


def _file(command: str) -> str:
    return command.replace(" ", "-")


def _help(*command: str) -> str:
    environment = os.environ | {"COLUMNS": "88", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    environment["PYTHONPATH"] = str(REPOSITORY)
    run = subprocess.run(
        [sys.executable, "-m", "huenet", *command, "--help"], env=environment, capture_output=True, encoding="utf-8", check=True
    )
    return run.stdout
