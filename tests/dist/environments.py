"""Fresh environments with the wheel, and of this environment's packages those that pip would install along with it."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement


def needed(wheel_requires: list[str], extra: str) -> set[str]:
    """All distributions that these requirements come to, with those of their requirements and so on."""
    found: set[str] = set()
    waiting = [(requirement, extra) for requirement in map(Requirement, wheel_requires)]
    while waiting:
        requirement, of = waiting.pop()
        if requirement.name == "huenet" or (requirement.marker and not requirement.marker.evaluate({"extra": of})):
            continue
        name = requirement.name.lower().replace("_", "-")
        if name not in found:
            found.add(name)
            for more in map(Requirement, distribution(name).requires or []):
                waiting += [(more, wanted) for wanted in ("", *requirement.extras)]
    return found


def environment(folder: Path, wheel: Path, requires: list[str], extra: str = "") -> Path:
    """A Python with the wheel and what it needs, the latter linked from this environment: gigabytes that need no downloading.

    `pip check` there finds nothing missing, so the wheel's own requirements are enough.
    """
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    told = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(told, check=True, capture_output=True, text=True).stdout.strip())
    here = Path(sysconfig.get_path("purelib"))
    for name in needed(requires, extra):
        for top in {path.parts[0] for path in distribution(name).files or []} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(here / top)
    for command in (["install", "-q", "--no-deps", "--no-index", str(wheel)], ["check"]):
        subprocess.run([str(python), "-m", "pip", *command], check=True)
    return python
