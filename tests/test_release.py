"""What a release has to agree on."""

from __future__ import annotations

import re
import tomllib

import huenet
from tests.paths import REPOSITORY

WORKFLOWS = REPOSITORY / ".github" / "workflows"


def text(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def test_one_version() -> None:
    assert tomllib.loads(text("pyproject.toml"))["project"]["version"] == huenet.__version__
    assert re.search(r"^version: (\S+)$", text("CITATION.cff"), re.MULTILINE).group(1) == huenet.__version__
    assert re.search(r"^## (\d+\.\d+\.\d+)", text("CHANGELOG.md"), re.MULTILINE).group(1) == huenet.__version__


def test_one_linter() -> None:
    """Commits are checked by the commands of `make lint`."""
    hooks, recipe = text(".pre-commit-config.yaml"), text("Makefile").partition("\nlint:")[2].partition("\n\n")[0]
    commands = re.findall(r"^\t\$\(VENV\)/bin/(\w+)", recipe, re.MULTILINE)
    assert commands == [hook.group(1) for hook in re.finditer(r"entry: \.venv/bin/(\w+)", hooks)] != []


def test_workflows_run_what_is_there() -> None:
    """Continuous integration anywhere is `.ci/run`, and targets of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))
    for name in ("ci.yml", "publish.yml"):
        workflow = (WORKFLOWS / name).read_text(encoding="utf-8")
        assert "run: bash .ci/run" in workflow
        assert set(re.findall(r"run: make (\w+)", workflow)) <= targets
    assert set(re.findall(r"^make (\w+)", text(".ci/run"), re.MULTILINE)) <= targets
