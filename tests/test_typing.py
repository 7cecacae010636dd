"""What a strict type checker says of a user's program. The package itself is read by `make lint`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.paths import REPOSITORY

USER = REPOSITORY / "tests" / "typing" / "user.py"


def strictly(path: Path) -> str:
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--no-error-summary", str(path)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True).stdout


def test_a_users_program_passes() -> None:
    assert strictly(USER) == ""


def test_a_users_mistakes_are_found(tmp_path: Path) -> None:
    """Each beside the line as it should be: types are known, and not Any."""
    wrong = tmp_path / "wrong.py"
    mistakes = {
        'soft_histogram(x, "256")': "arg-type",
        "soft_histogram(x, 256, weight=x)": "call-arg",
        "mutual_information(x, x, 8).relatives": "attr-defined",
        "CircularEMDLoss()(x, x).item": "",
        "CircularEMDLoss()(x, x).items": "attr-defined",
        "NormalizedMutualInformation().compute().items": "attr-defined",
        'huenet.load()("b", "c").save': "",
        'huenet.load()(x, "c").save': "attr-defined",
    }
    imports = ["import huenet", "from torch import Tensor", "from huenet.kernels import mutual_information, soft_histogram"]
    imports += ["from huenet.losses import CircularEMDLoss", "from huenet.metrics import NormalizedMutualInformation"]
    lines = [*imports, "def use(x: Tensor) -> None:", *(f"    {mistake}" for mistake in mistakes)]
    wrong.write_text("\n".join(lines) + "\n")
    told = {int(line.split(":")[1]): line for line in strictly(wrong).splitlines() if ": error:" in line}
    for number, (mistake, code) in enumerate(mistakes.items(), start=len(imports) + 2):
        assert told.pop(number, "[]").endswith(f"[{code}]"), mistake
    assert not told
