"""What a wheel and a source distribution should have in them: the package, and nothing else of the repository."""

from __future__ import annotations

import subprocess
import tarfile
import zipfile
from pathlib import Path

from tests.paths import REPOSITORY

DATA = (".py", ".safetensors", ".html", ".css", ".js")
OF_SOURCES = {"LICENSE", "MANIFEST.in", "PKG-INFO", "README.md", "pyproject.toml", "setup.cfg", "setup.py"}


def tracked() -> list[str]:
    """The repository's files that git knows, as they are now."""
    told = subprocess.run(["git", "-C", str(REPOSITORY), "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
    return [name for name in told.split("\0") if name and (REPOSITORY / name).exists()]


def package() -> set[str]:
    """The files of `huenet`, by the names they are installed with."""
    names = {f"huenet/{name}" if name.startswith("kernels/") else name for name in tracked()}
    return {name for name in names if name.startswith("huenet/") and name.endswith((*DATA, "/py.typed"))}


def check(wheel: Path, sources: Path) -> None:
    """Raises SystemExit naming what is missing in either, or there without need."""
    with zipfile.ZipFile(wheel) as archive:
        installed = {name for name in archive.namelist() if ".dist-info/" not in name}
    with tarfile.open(sources) as archive:
        packed = {member.name.partition("/")[2] for member in archive if member.isfile()}
    packed = {name for name in packed if not name.startswith("huenet.egg-info/")}
    for path, found, wanted in ((wheel, installed, package()), (sources, packed, package() | OF_SOURCES)):
        if found != wanted:
            raise SystemExit(f"{path.name} lacks {sorted(wanted - found)} and should not have {sorted(found - wanted)}")
        print(f"ok: {path.name}, {path.stat().st_size / 2**20:.2f} MiB, {len(found)} files")
