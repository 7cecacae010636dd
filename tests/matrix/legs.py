"""Which versions are tried together: legs, each in an environment of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.paths import REPOSITORY

OLDEST = {"torch": (2, 11), "triton": (3, 6), "python": (3, 11)}
NEWEST_PYTHON = 14
OF_TORCH = {"torch", "triton", "numpy", "filelock", "fsspec", "jinja2", "markupsafe", "mpmath", "networkx", "setuptools", "sympy"}
OF_TORCH |= {"typing_extensions"}
"""Not held to the versions of constraints.txt, as every torch brings its own."""


@dataclass(frozen=True)
class Leg:
    """Versions to install, None for what the others bring along; `python`: the interpreter's path."""

    python: str
    torch: str | None = None
    triton: str | None = None

    def __str__(self) -> str:
        wanted = [f"{name} {version}" for name, version in (("torch", self.torch), ("triton", self.triton)) if version]
        return ", ".join([*wanted, python_version(self.python) or self.python])

    def requirements(self) -> list[str]:
        """What pip is asked for: torch and triton of the leg, all that huenet needs, and what the short suite needs."""
        project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        needed = [*project["dependencies"], *project["optional-dependencies"]["train"], "pytest", "hypothesis", "pytest-xdist"]
        pinned = [f"{name}=={version}" for name, version in (("torch", self.torch), ("triton", self.triton)) if version]
        # Triton 3.6's interpreter needs a NumPy before 2.4; torch 2.11 brings that Triton
        old = (self.triton or "").startswith("3.6.") or (self.triton is None and (self.torch or "").startswith("2.11."))
        return [*needed, *pinned, *(["numpy<2.4"] if old else [])]


def constraints() -> str:
    """constraints.txt without what torch brings along."""
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if line.partition("==")[0].lower() not in OF_TORCH) + "\n"


def legs(python: str, pip: str) -> tuple[list[Leg], list[str]]:
    """All legs, and what is not there to be tried, by name."""
    tested = dict(re.findall(r"^(torch|triton)==(\S+)", (REPOSITORY / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE))
    found = [Leg(python, "2.11.0", "3.6.0")]
    found += [Leg(python, torch=version) for version in releases(pip, "torch") if version not in ("2.11.0", tested["torch"])]
    found += [Leg(python, tested["torch"], version) for version in releases(pip, "triton")]
    missing = []
    for minor in range(OLDEST["python"][1], NEWEST_PYTHON + 1):
        path = interpreter(minor)
        if path is None:
            missing.append(f"Python 3.{minor}: not on this machine{_offered(minor)}")
        elif python_version(path) != python_version(python):
            found.append(Leg(path, tested["torch"], tested["triton"]))
    return list(dict.fromkeys(found)), missing


def releases(pip: str, name: str) -> list[str]:
    """The releases of a package that pip offers, from the oldest that huenet works with on."""
    told = subprocess.run([pip, "index", "versions", name], capture_output=True, text=True, check=True).stdout
    versions = set(re.findall(r"\b\d+\.\d+\.\d+\b", told.partition("Available versions:")[2].partition("\n")[0]))
    numbers = sorted(tuple(map(int, version.split("."))) for version in versions)
    return [".".join(map(str, number)) for number in numbers if number[:2] >= OLDEST[name]]


def interpreter(minor: int) -> str | None:
    """A Python 3.`minor` of this machine that runs: on the PATH, or of pyenv or uv."""
    homes = [Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions", Path.home() / ".local/share/uv/python"]
    paths = [shutil.which(f"python3.{minor}"), *(str(path) for home in homes for path in home.glob(f"*/bin/python3.{minor}"))]
    return next((path for path in paths if path and (python_version(path) or "").startswith(f"Python 3.{minor}.")), None)


def python_version(path: str) -> str | None:
    """`Python 3.11.7`, or None of what does not run."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _offered(minor: int) -> str:
    if shutil.which("apt-cache") is None:
        return ""
    told = subprocess.run(["apt-cache", "policy", f"python3.{minor}-venv"], capture_output=True, text=True).stdout
    offered = re.search(r"Candidate: \d", told) is not None
    return ", but among its packages" if offered else ", nor among its packages"
